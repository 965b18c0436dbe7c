/* embed.c: rows by their index: embedding, gather, scatter. */
#include "reference.h"

#include <string.h>

static void copy_row(float *to, const float *from, int dim)
{
    memcpy(to, from, (size_t)dim * sizeof *to);
}

mn_status mn_ref_embed_forward(mn_act *out, const mn_act *table, const int32_t *ids, int rows,
                               int dim, int vocab, mn_stream s)
{
    (void)s;
    MN_TRY(mn_check_rows("embed_forward", rows, dim, dim));
    MN_TRY(mn_check_vocab("embed_forward", rows, vocab));
    for (int r = 0; r < rows; r++)
        copy_row(f32(out) + (int64_t)r * dim, cf32(table) + (int64_t)ids[r] * dim, dim);
    return MN_OK;
}

mn_status mn_ref_gather_rows(mn_act *out, const mn_act *x, const int32_t *index, int rows, int dim,
                             mn_stream s)
{
    (void)s;
    MN_TRY(mn_check_rows("gather_rows", rows, dim, dim));
    for (int r = 0; r < rows; r++)
        copy_row(f32(out) + (int64_t)r * dim, cf32(x) + (int64_t)index[r] * dim, dim);
    return MN_OK;
}

mn_status mn_ref_scatter_rows(mn_act *out, const mn_act *x, const int32_t *index, int rows,
                              int out_rows, int dim, mn_stream s)
{
    (void)s;
    MN_TRY(mn_check_rows("scatter_rows", rows, dim, dim));
    MN_TRY(mn_check_rows("scatter_rows", out_rows, dim, dim));
    if (out_rows > 0) memset(out, 0, (size_t)out_rows * (size_t)dim * sizeof(float));
    for (int r = 0; r < rows; r++)
        copy_row(f32(out) + (int64_t)index[r] * dim, cf32(x) + (int64_t)r * dim, dim);
    return MN_OK;
}
