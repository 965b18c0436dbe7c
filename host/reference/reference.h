/* reference.h: what the files of the reference device share: its threads and its GEMM.
 *
 * An activation is a float here. Results never depend on the number of threads: work is cut into
 * items by the problem's shape alone, and an item is done by one thread in a fixed order. */
#ifndef MINUANO_REFERENCE_H
#define MINUANO_REFERENCE_H

#include "minuano/ops.h"

static inline float *f32(mn_act *x)
{
    return (float *)(void *)x;
}

static inline const float *cf32(const mn_act *x)
{
    return (const float *)(const void *)x;
}

/* --- threads (parallel.c) --- */

/* Does item `item` of a job. scratch is the thread's own, of the size the job asked for, contents
 * undefined. */
typedef void mn_ref_work(const void *job, int64_t item, void *scratch);

/* Does items 0 … count-1, each once, in any order, on the threads of the stream (NULL: on the
 * caller's). Not to be called from inside an item. */
void mn_ref_parallel(mn_stream s, mn_ref_work *work, const void *job, int64_t count,
                     size_t scratch_bytes);

/* The threads of a stream: the caller and threads - 1 more. */
MN_CHECKED mn_status mn_ref_stream_open(mn_stream *out, int threads);
void mn_ref_stream_close(mn_stream *s);

/* --- GEMM (gemm.c) --- */

/* c (rows, cols) = alpha · a · b + beta · c, a (rows, inner), b (inner, cols). Element (i, j) of an
 * operand lies at i · its _row + j · its _col: a transpose swaps the two. inner is at least 1. An
 * element of c depends on its row of a and its column of b alone, to the last bit. */
struct mn_ref_gemm {
    float *c;
    const float *a, *b;
    int rows, cols, inner;
    int64_t ldc, a_row, a_col, b_row, b_col;
    float alpha, beta;
};
void mn_ref_gemm(const struct mn_ref_gemm *args, mn_stream s);

/* The same inside an item of work, with scratch of mn_ref_gemm_scratch() bytes. */
void mn_ref_gemm_alone(const struct mn_ref_gemm *args, void *scratch);
size_t mn_ref_gemm_scratch(void);

/* --- numbers --- */

float mn_ref_bf16_round(float x); /* to nearest even; convert.c */

#endif
