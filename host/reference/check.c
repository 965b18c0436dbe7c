/* check.c: what both devices demand of an op's arguments. A caller that breaks these is ours, but
 * shapes come from files; so the answer is an error that names op, argument, expected and found. */
#include "minuano/ops.h"

#include <math.h>

static mn_status expected(const char *op, const char *argument, const char *what, int64_t found)
{
    return mn_fail(MN_INVALID, "%s: %s: expected %s, found %lld", op, argument, what,
                   (long long)found);
}

static mn_status at_least(const char *op, const char *argument, int64_t least, int64_t found)
{
    if (found >= least) return MN_OK;
    return mn_fail(MN_INVALID, "%s: %s: expected at least %lld, found %lld", op, argument,
                   (long long)least, (long long)found);
}

static mn_status given(const char *op, const char *argument, const void *pointer)
{
    if (pointer) return MN_OK;
    return mn_fail(MN_INVALID, "%s: %s: expected an array, found NULL", op, argument);
}

mn_status mn_check_rows(const char *op, int rows, int dim, int64_t ld)
{
    MN_TRY(at_least(op, "rows", 0, rows));
    MN_TRY(at_least(op, "dim", 1, dim));
    return at_least(op, "row stride", dim, ld);
}

mn_status mn_check_vocab(const char *op, int rows, int vocab)
{
    MN_TRY(at_least(op, "rows", 0, rows));
    return at_least(op, "vocab", 1, vocab);
}

mn_status mn_check_rope(int rows, int heads, int head_dim, int64_t ldx, int direction)
{
    MN_TRY(at_least("rope", "heads", 1, heads));
    if (head_dim < 2 || head_dim % 2) return expected("rope", "head_dim", "an even one", head_dim);
    if (direction != 1 && direction != -1)
        return expected("rope", "direction", "1 or -1", direction);
    MN_TRY(at_least("rope", "rows", 0, rows));
    return at_least("rope", "row stride", (int64_t)heads * head_dim, ldx);
}

static mn_status check_weight(const char *op, const struct mn_weight *weight, const void *workspace)
{
    MN_TRY(at_least(op, "weight.out", 1, weight->out));
    MN_TRY(at_least(op, "weight.in", 1, weight->in));
    if (weight->dense) return MN_OK;
    MN_TRY(given(op, "weight.codes", weight->codes));
    MN_TRY(given(op, "weight.absmax", weight->absmax));
    MN_TRY(given(op, "workspace", workspace));
    return mn_check_nf4(op, (int64_t)weight->out * weight->in);
}

static mn_status check_part(const char *op, const struct mn_lora *lora, int p, int out,
                            int rank_begin)
{
    const struct mn_lora_part *part = &lora->part[p];
    MN_TRY(at_least(op, "lora.part.rank", 1, part->rank));
    MN_TRY(at_least(op, "lora.part.out", 1, part->out));
    MN_TRY(at_least(op, "lora.part.out_begin", 0, part->out_begin));
    if (part->out > out - part->out_begin)
        return mn_fail(MN_INVALID, "%s: lora.part[%d]: expected columns below %d, found %d to %lld",
                       op, p, out, part->out_begin, (long long)part->out_begin + part->out - 1);
    int free_column = p > 0 ? part[-1].out_begin + part[-1].out : 0;
    if (part->out_begin < free_column)
        return mn_fail(MN_INVALID, "%s: lora.part[%d].out_begin: expected at least %d, found %d",
                       op, p, free_column, part->out_begin);
    if (part->rank_begin != rank_begin)
        return mn_fail(MN_INVALID, "%s: lora.part[%d].rank_begin: expected %d, found %d", op, p,
                       rank_begin, part->rank_begin);
    return MN_OK;
}

static mn_status check_lora(const char *op, const struct mn_lora *lora, int out)
{
    if (lora->parts < 0 || lora->parts > MN_LORA_PARTS)
        return expected(op, "lora.parts", "0 to 3", lora->parts);
    if (lora->parts == 0) return MN_OK;
    int rank = 0;
    for (int p = 0; p < lora->parts; p++) {
        MN_TRY(check_part(op, lora, p, out, rank));
        rank += lora->part[p].rank;
    }
    if (rank != lora->rank)
        return mn_fail(MN_INVALID, "%s: lora.rank: expected %d, the sum over its parts, found %d",
                       op, rank, lora->rank);
    MN_TRY(given(op, "lora.a", lora->a));
    MN_TRY(given(op, "lora.b", lora->b));
    if (!(lora->dropout >= 0 && lora->dropout < 1))
        return mn_fail(MN_INVALID, "%s: lora.dropout: expected at least 0 and below 1, found %g",
                       op, (double)lora->dropout);
    return lora->dropout > 0 ? given(op, "lora.first_row", lora->first_row) : MN_OK;
}

static mn_status check_groups(const char *op, const struct mn_linear_forward *args)
{
    int free_row = 0;
    if (args->group_count == 0) return MN_OK;
    if (args->lora.parts) return expected(op, "lora.parts", "0 beside groups", args->lora.parts);
    for (int g = 0; g < args->group_count; g++) {
        const struct mn_lora_group *group = &args->groups[g];
        if (group->first_row < free_row || group->rows < 1 ||
            group->rows > args->rows - group->first_row)
            return mn_fail(
                MN_INVALID, "%s: groups[%d]: expected rows within %d … %d, found %d … %d", op, g,
                free_row, args->rows - 1, group->first_row, group->first_row + group->rows - 1);
        MN_TRY(at_least(op, "groups.lora.parts", 1, group->lora.parts));
        MN_TRY(check_lora(op, &group->lora, args->weight.out));
        if (group->lora.dropout > 0)
            return mn_fail(MN_INVALID, "%s: groups[%d].lora.dropout: expected 0, found %g", op, g,
                           (double)group->lora.dropout);
        free_row = group->first_row + group->rows;
    }
    return given(op, "u", args->u);
}

mn_status mn_check_linear_forward(const struct mn_linear_forward *args)
{
    const char *op = "linear_forward";
    MN_TRY(at_least(op, "rows", 0, args->rows));
    if (args->rows == 0) return MN_OK;
    MN_TRY(check_weight(op, &args->weight, args->workspace));
    MN_TRY(given(op, "y", args->y));
    MN_TRY(given(op, "x", args->x));
    MN_TRY(at_least(op, "ldx", args->weight.in, args->ldx));
    MN_TRY(at_least(op, "ldy", args->weight.out, args->ldy));
    if (args->swiglu && args->ldy != args->weight.out)
        return expected(op, "ldy", "rows that touch, for swiglu", args->ldy);
    if (args->swiglu && args->weight.out % 2)
        return expected(op, "out", "an even number, for swiglu", args->weight.out);
    MN_TRY(check_lora(op, &args->lora, args->weight.out));
    MN_TRY(check_groups(op, args));
    if (args->lora.parts == 0) return MN_OK;
    MN_TRY(given(op, "u", args->u));
    return args->lora.dropout > 0 ? given(op, "workspace", args->workspace) : MN_OK;
}

mn_status mn_check_linear_backward(const struct mn_linear_backward *args)
{
    const char *op = "linear_backward";
    MN_TRY(at_least(op, "rows", 0, args->rows));
    if (args->rows == 0) return MN_OK;
    MN_TRY(check_weight(op, &args->weight, args->workspace));
    MN_TRY(given(op, "dy", args->dy));
    MN_TRY(at_least(op, "ldy", args->weight.out, args->ldy));
    MN_TRY(check_lora(op, &args->lora, args->weight.out));
    if (args->lora.parts == 0) return MN_OK;
    MN_TRY(given(op, "da", args->da));
    MN_TRY(given(op, "db", args->db));
    MN_TRY(given(op, "x", args->x));
    MN_TRY(given(op, "u", args->u));
    return given(op, "workspace", args->workspace);
}

static mn_status check_heads(const char *op, const struct mn_attention_shape *shape)
{
    MN_TRY(at_least(op, "kv_heads", 1, shape->kv_heads));
    MN_TRY(at_least(op, "heads", 1, shape->heads));
    if (shape->heads % shape->kv_heads)
        return mn_fail(MN_INVALID, "%s: heads: expected a multiple of %d kv heads, found %d", op,
                       shape->kv_heads, shape->heads);
    if (shape->head_dim < 2 || shape->head_dim % 2)
        return expected(op, "head_dim", "an even one", shape->head_dim);
    if (!isfinite(shape->scale))
        return mn_fail(MN_INVALID, "%s: scale: expected a number, found %g", op,
                       (double)shape->scale);
    return MN_OK;
}

mn_status mn_check_attention(const char *op, const struct mn_segments *segments,
                             const struct mn_attention_shape *shape)
{
    MN_TRY(check_heads(op, shape));
    MN_TRY(at_least(op, "rows", 0, segments->rows));
    if (segments->rows == 0) return MN_OK;
    MN_TRY(at_least(op, "sequences", 1, segments->sequences));
    MN_TRY(given(op, "offsets", segments->offsets));
    if (segments->max_length < 1 || segments->max_length > segments->rows)
        return mn_fail(MN_INVALID, "%s: max_length: expected 1 to %d, found %d", op, segments->rows,
                       segments->max_length);
    MN_TRY(at_least(op, "max_prefix", 0, segments->max_prefix));
    if (!segments->prefix_start)
        return segments->max_prefix == 0
                   ? MN_OK
                   : expected(op, "max_prefix", "0 without prefixes", segments->max_prefix);
    return given(op, "prefix_length", segments->prefix_length);
}

mn_status mn_check_attention_decode(const struct mn_attention_decode *args)
{
    const char *op = "attention_decode";
    MN_TRY(check_heads(op, &args->shape));
    MN_TRY(at_least(op, "rows", 0, args->rows));
    if (args->rows == 0) return MN_OK;
    MN_TRY(given(op, "cache_k", args->cache_k));
    MN_TRY(given(op, "cache_v", args->cache_v));
    MN_TRY(given(op, "start", args->start));
    MN_TRY(given(op, "length", args->length));
    if (args->prefix_start) MN_TRY(given(op, "prefix_length", args->prefix_length));
    return at_least(op, "max_length", 1, args->max_length);
}

mn_status mn_check_adamw(const struct mn_adamw *args)
{
    const char *op = "adamw";
    MN_TRY(at_least(op, "count", 0, args->count));
    MN_TRY(at_least(op, "step", 1, args->step));
    if (args->max_norm > 0) MN_TRY(given(op, "grad_squares", args->grad_squares));
    if (!(args->beta1 >= 0 && args->beta1 < 1 && args->beta2 >= 0 && args->beta2 < 1))
        return mn_fail(MN_INVALID, "%s: betas: expected at least 0 and below 1, found %g and %g",
                       op, (double)args->beta1, (double)args->beta2);
    return MN_OK;
}

mn_status mn_check_nf4(const char *op, int64_t count)
{
    if (count >= 0 && count % 64 == 0) return MN_OK;
    return expected(op, "count", "a multiple of 64", count);
}
