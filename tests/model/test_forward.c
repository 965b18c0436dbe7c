/* test_forward.c: what must hold of the model whatever its weights are: the cache, prefixes and the
 * batch do not change a result; the loss's gradient is the derivative of the loss. */
#include "support/support.h"

#include <math.h>

#include "minuano/model.h"
#include "minuano/random.h"

static const struct mn_model_config tiny = {.hidden = 32,
                                            .layers = 2,
                                            .heads = 4,
                                            .kv_heads = 2,
                                            .head_dim = 16,
                                            .ff = 48,
                                            .vocab = 61,
                                            .max_positions = 64,
                                            .rope_theta = 10000,
                                            .rms_eps = 1e-5,
                                            .bos = 1,
                                            .eos = 2};
static const struct mn_limits inference = {
    .tokens = 48, .sequences = 8, .logit_rows = 5, .cache_rows = 128, .lora_rank = 12};
static const struct mn_limits training = {
    .tokens = 48, .sequences = 8, .logit_rows = 7, .training = true, .lora_rank = 12};

struct room {
    mn_device *device;
    mn_model *model;
    mn_adapter *adapter;
    mn_context *context;
};

static struct room open_room(const struct mn_limits *limits, double dropout, uint32_t targets)
{
    struct room room = {0};
    struct mn_lora_config lora = {.rank = 4, .alpha = 8, .dropout = dropout};
    for (int m = 0; m < MN_MODULES; m++) lora.target[m] = targets >> m & 1;
    OK(mn_reference_device_open(&room.device, 1));
    OK(mn_model_random(&room.model, room.device, &tiny, 7, NULL));
    OK(mn_adapter_new(&room.adapter, room.model, &lora, 3));
    OK(mn_context_open(&room.context, room.model, limits));
    randomize_adapter(room.adapter, 0);
    return room;
}

static void close_room(struct room *room)
{
    mn_context_close(&room->context);
    mn_adapter_close(&room->adapter);
    mn_model_close(&room->model);
    mn_device_close(&room->device);
}

static void draw_ids(int32_t *ids, int count, uint64_t seed)
{
    for (int i = 0; i < count; i++)
        ids[i] = (int32_t)mn_random_below(seed, mn_stream_id(MN_RANDOM_TEST, 1), (uint64_t)i,
                                          (uint32_t)tiny.vocab);
}

static int32_t *count_up(int32_t *out, int first, int count)
{
    for (int i = 0; i < count; i++) out[i] = first + i;
    return out;
}

/* Logits of every token of one sequence run alone, without a cache. */
static void run_alone(struct room *room, const int32_t *ids, int count, float *logits)
{
    int32_t rows[64];
    const struct mn_batch batch = {.tokens = count,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, count},
                                   .logit_rows = count,
                                   .logit_row = count_up(rows, 0, count)};
    OK(mn_forward(room->context, room->adapter, &batch));
    OK(mn_logits(room->context, logits));
}

static void test_decode_equals_forward(void **state)
{
    enum { COUNT = 20, PROMPT = 6 };
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    int32_t ids[COUNT], slots[PROMPT], start = 40;
    float *expected = malloc(sizeof(float) * COUNT * tiny.vocab), found[61];
    draw_ids(ids, COUNT, 1);
    run_alone(&room, ids, COUNT, expected);
    const struct mn_batch prompt = {.tokens = PROMPT,
                                    .sequences = 1,
                                    .ids = ids,
                                    .offsets = (const int32_t[]){0, PROMPT},
                                    .slot = count_up(slots, start, PROMPT),
                                    .logit_rows = 1,
                                    .logit_row = (const int32_t[]){PROMPT - 1}};
    OK(mn_forward(room.context, room.adapter, &prompt));
    OK(mn_logits(room.context, found));
    check_close(found, expected + (PROMPT - 1) * tiny.vocab, (size_t)tiny.vocab, 1e-5, "prompt");
    for (int t = PROMPT; t < COUNT; t++) {
        const int32_t length = t + 1;
        const struct mn_decode_batch step = {
            .rows = 1, .ids = &ids[t], .start = &start, .length = &length};
        OK(mn_decode(room.context, room.adapter, &step));
        OK(mn_logits(room.context, found));
        check_close(found, expected + t * tiny.vocab, (size_t)tiny.vocab, 1e-5, "decode");
    }
    free(expected);
    close_room(&room);
}

/* Two sequences go on from one prefix in the cache; then each decodes on its own extent behind it.
 */
static void test_shared_prefix_equals_whole_sequence(void **state)
{
    enum { PREFIX = 9, OWN = 4 };
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    int32_t ids[2][PREFIX + OWN + 1], slots[PREFIX], own[2 * OWN], own_slots[2 * OWN],
        rows[2 * OWN];
    float *expected[2], *found = malloc(sizeof(float) * 2 * OWN * tiny.vocab);
    draw_ids(ids[0], PREFIX + OWN + 1, 2);
    draw_ids(ids[1], PREFIX + OWN + 1, 3);
    memcpy(ids[1], ids[0], PREFIX * sizeof **ids);
    for (int s = 0; s < 2; s++) {
        expected[s] = malloc(sizeof(float) * (PREFIX + OWN + 1) * tiny.vocab);
        run_alone(&room, ids[s], PREFIX + OWN + 1, expected[s]);
        memcpy(own + s * OWN, ids[s] + PREFIX, OWN * sizeof *own);
        count_up(own_slots + s * OWN, 50 + 20 * s, OWN);
    }
    const struct mn_batch prefix = {.tokens = PREFIX,
                                    .sequences = 1,
                                    .ids = ids[0],
                                    .offsets = (const int32_t[]){0, PREFIX},
                                    .slot = count_up(slots, 3, PREFIX)};
    const int32_t starts[] = {3, 3}, lengths[] = {PREFIX, PREFIX};
    const struct mn_batch both = {.tokens = 2 * OWN,
                                  .sequences = 2,
                                  .ids = own,
                                  .offsets = (const int32_t[]){0, OWN, 2 * OWN},
                                  .prefix_start = starts,
                                  .prefix_length = lengths,
                                  .slot = own_slots,
                                  .logit_rows = 2 * OWN,
                                  .logit_row = count_up(rows, 0, 2 * OWN)};
    OK(mn_forward(room.context, room.adapter, &prefix));
    OK(mn_forward(room.context, room.adapter, &both));
    OK(mn_logits(room.context, found));
    for (int s = 0; s < 2; s++)
        check_close(found + s * OWN * tiny.vocab, expected[s] + PREFIX * tiny.vocab,
                    (size_t)(OWN * tiny.vocab), 1e-5, "behind the prefix");
    const struct mn_decode_batch step = {
        .rows = 2,
        .ids = (const int32_t[]){ids[0][PREFIX + OWN], ids[1][PREFIX + OWN]},
        .start = (const int32_t[]){50, 70},
        .length = (const int32_t[]){OWN + 1, OWN + 1},
        .prefix_start = starts,
        .prefix_length = lengths};
    OK(mn_decode(room.context, room.adapter, &step));
    OK(mn_logits(room.context, found));
    for (int s = 0; s < 2; s++) {
        check_close(found + s * tiny.vocab, expected[s] + (PREFIX + OWN) * tiny.vocab,
                    (size_t)tiny.vocab, 1e-5, "decoded behind the prefix");
        free(expected[s]);
    }
    free(found);
    close_room(&room);
}

/* The same rows come out alone and among strangers. */
static void test_batch_composition_does_not_change_a_row(void **state)
{
    static const int lengths[] = {5, 1, 17, 8};
    enum { TOKENS = 5 + 1 + 17 + 8 };
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    int32_t ids[TOKENS], offsets[5] = {0}, rows[TOKENS];
    float *together = malloc(sizeof(float) * TOKENS * tiny.vocab);
    float *alone = malloc(sizeof(float) * TOKENS * tiny.vocab);
    draw_ids(ids, TOKENS, 4);
    for (int s = 0; s < 4; s++) offsets[s + 1] = offsets[s] + lengths[s];
    for (int s = 0; s < 4; s++)
        run_alone(&room, ids + offsets[s], lengths[s], alone + offsets[s] * tiny.vocab);
    const struct mn_batch batch = {.tokens = TOKENS,
                                   .sequences = 4,
                                   .ids = ids,
                                   .offsets = offsets,
                                   .logit_rows = TOKENS,
                                   .logit_row = count_up(rows, 0, TOKENS)};
    OK(mn_forward(room.context, room.adapter, &batch));
    OK(mn_logits(room.context, together));
    assert_memory_equal(together, alone, sizeof(float) * TOKENS * tiny.vocab);
    free(together);
    free(alone);
    close_room(&room);
}

static void test_logprobs_and_next_tokens_agree_with_logits(void **state)
{
    enum { COUNT = 11, WANTED = 7 };
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    static const int32_t wanted[WANTED] = {0, 2, 3, 5, 8, 9, 10};
    int32_t ids[COUNT], targets[WANTED * 2], next[WANTED], zero[WANTED] = {0};
    float *logits = malloc(sizeof(float) * WANTED * tiny.vocab), found[WANTED * 2], sure[WANTED];
    draw_ids(ids, COUNT, 6);
    draw_ids(targets, WANTED * 2, 8);
    const struct mn_batch batch = {.tokens = COUNT,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, COUNT},
                                   .logit_rows = WANTED,
                                   .logit_row = wanted};
    OK(mn_forward(room.context, room.adapter, &batch));
    OK(mn_logits(room.context, logits));
    OK(mn_logprobs(room.context, targets, 2, found));
    OK(mn_next_tokens(room.context, 0, 1, zero, zero, next, sure));
    for (int r = 0; r < WANTED; r++) {
        const float *row = logits + r * tiny.vocab;
        double sum = 0;
        int best = 0;
        for (int v = 0; v < tiny.vocab; v++) {
            sum += exp((double)row[v]);
            if (row[v] > row[best]) best = v;
        }
        assert_int_equal(next[r], best);
        assert_true(fabs(sure[r] - (row[best] - log(sum))) < 1e-5);
        for (int k = 0; k < 2; k++)
            assert_true(fabs(found[2 * r + k] - (row[targets[2 * r + k]] - log(sum))) < 1e-5);
    }
    free(logits);
    close_room(&room);
}

static double loss_at(struct room *room, const struct mn_batch *batch, struct mn_loss *loss,
                      float *values, int64_t i, float step)
{
    mn_device *device = room->device;
    const float kept = values[i];
    double sum;
    values[i] = kept + step;
    OK(device->calls->upload(device, room->adapter->shadow, values,
                             (size_t)room->adapter->count * sizeof(float)));
    OK(mn_loss_backward(room->context, room->adapter, batch, loss, &sum));
    values[i] = kept;
    return sum * loss->scale;
}

/* Central differences of the whole model's loss on elements spread over the adapter. fp32 forward:
 * a step of 1e-2 balances rounding (1e-6 / 1e-2) against curvature. */
static void check_gradient(double dropout, uint32_t targets)
{
    enum { TOKENS = 19, WANTED = 12, PROBES = 60 };
    struct room room = open_room(&training, dropout, targets);
    mn_device *device = room.device;
    static const int32_t offsets[] = {0, 7, 8, 19};
    static const int32_t wanted[WANTED] = {0, 1, 3, 4, 5, 7, 8, 11, 12, 15, 16, 17};
    int32_t ids[TOKENS], next[WANTED];
    const size_t bytes = (size_t)room.adapter->count * sizeof(float);
    float *values = malloc(bytes), *gradient = malloc(bytes);
    double sum;
    draw_ids(ids, TOKENS, 9);
    draw_ids(next, WANTED, 10);
    const struct mn_batch batch = {.tokens = TOKENS,
                                   .sequences = 3,
                                   .ids = ids,
                                   .offsets = offsets,
                                   .logit_rows = WANTED,
                                   .logit_row = wanted};
    struct mn_loss loss = {
        .targets = next, .scale = 1.0 / WANTED, .dropout_seed = 11, .first_row = 5};
    OK(mn_loss_backward(room.context, room.adapter, &batch, &loss, &sum));
    OK(device->calls->download(device, gradient, room.adapter->gradient, bytes));
    OK(device->calls->download(device, values, room.adapter->master, bytes));
    double largest = 0;
    for (int64_t i = 0; i < room.adapter->count; i++) largest = fmax(largest, fabs(gradient[i]));
    for (int n = 0; n < PROBES; n++) {
        const int64_t i = (room.adapter->count - 1) * n / (PROBES - 1);
        const double up = loss_at(&room, &batch, &loss, values, i, 1e-2f);
        const double down = loss_at(&room, &batch, &loss, values, i, -1e-2f);
        const double numeric = (up - down) / 2e-2;
        if (fabs(numeric - gradient[i]) > 1e-4 + 2e-3 * largest)
            fail_msg("targets %x, dropout %g: element %lld: gradient %.6g, differences %.6g",
                     targets, dropout, (long long)i, (double)gradient[i], numeric);
    }
    free(values);
    free(gradient);
    close_room(&room);
}

static void test_gradient_is_derivative_of_loss(void **state)
{
    (void)state;
    check_gradient(0, 0x7f);
    check_gradient(0, 1 << MN_Q | 1 << MN_V);
    check_gradient(0, 1 << MN_O);
    check_gradient(0, 1 << MN_DOWN);
    check_gradient(0, 1 << MN_UP | 1 << MN_K);
}

static void test_gradient_is_derivative_of_loss_under_dropout(void **state)
{
    (void)state;
    check_gradient(0.3, 0x7f);
}

static void test_gradients_accumulate(void **state)
{
    enum { TOKENS = 10 };
    (void)state;
    struct room room = open_room(&training, 0, 0x7f);
    int32_t ids[TOKENS], next[TOKENS], rows[TOKENS];
    const size_t bytes = (size_t)room.adapter->count * sizeof(float);
    float *once = malloc(bytes), *twice = malloc(bytes);
    double sum, evaluated;
    draw_ids(ids, TOKENS, 12);
    draw_ids(next, TOKENS, 13);
    const struct mn_batch batch = {.tokens = TOKENS,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, TOKENS},
                                   .logit_rows = TOKENS,
                                   .logit_row = count_up(rows, 0, TOKENS)};
    const struct mn_loss loss = {.targets = next, .scale = 0.1};
    OK(mn_loss_backward(room.context, room.adapter, &batch, &loss, &sum));
    OK(room.device->calls->download(room.device, once, room.adapter->gradient, bytes));
    OK(mn_loss_backward(room.context, room.adapter, &batch, &loss, &sum));
    OK(room.device->calls->download(room.device, twice, room.adapter->gradient, bytes));
    for (int64_t i = 0; i < room.adapter->count; i++) once[i] *= 2;
    check_close(twice, once, (size_t)room.adapter->count, 1e-7, "two micro-batches");
    OK(mn_loss_forward(room.context, room.adapter, &batch, next, &evaluated));
    assert_true(fabs(evaluated - sum) < 1e-4);
    free(once);
    free(twice);
    close_room(&room);
}

static void test_strength_zero_is_the_base(void **state)
{
    enum { COUNT = 8 };
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    int32_t ids[COUNT];
    float base[COUNT * 61], adapted[COUNT * 61], silenced[COUNT * 61];
    draw_ids(ids, COUNT, 14);
    run_alone(&room, ids, COUNT, adapted);
    mn_adapter_set_strength(room.adapter, 0);
    run_alone(&room, ids, COUNT, silenced);
    mn_adapter *kept = room.adapter;
    room.adapter = NULL;
    run_alone(&room, ids, COUNT, base);
    room.adapter = kept;
    check_close(silenced, base, COUNT * 61, 1e-7, "strength 0");
    assert_memory_not_equal(adapted, base, sizeof base);
    close_room(&room);
}

/* --- sequences that carry their adapters --- */

enum { MIXED = 5, MIXED_TOKENS = 4 + 7 + 1 + 6 + 9 };

/* Base, the room's adapter at three strengths, and one of another rank on other modules. */
static mn_adapter *mixed_adapters(struct room *room, mn_arena *arena,
                                  const mn_adapter *adapters[MIXED])
{
    struct mn_lora_config config = {.rank = 3, .alpha = 9};
    config.target[MN_V] = config.target[MN_UP] = true;
    mn_adapter *other;
    OK(mn_adapter_new(&other, room->model, &config, 8));
    randomize_adapter(other, 0);
    adapters[0] = room->adapter;
    adapters[1] = NULL;
    adapters[2] = mn_adapter_at_strength(arena, room->adapter, 0.5);
    adapters[3] = other;
    adapters[4] = mn_adapter_at_strength(arena, room->adapter, 0);
    return other;
}

/* Each sequence of a mixed batch, and a decode step behind it, comes out as if its adapter had the
 * batch alone: to the last bit. */
static void test_sequences_carry_their_adapters(void **state)
{
    static const int lengths[MIXED] = {4, 7, 1, 6, 9};
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    const mn_adapter *adapters[MIXED], *kept = room.adapter;
    struct mn_adapter_group groups[MIXED];
    int32_t ids[MIXED_TOKENS], offsets[MIXED + 1] = {0}, rows[MIXED_TOKENS], slots[MIXED_TOKENS];
    int32_t start[MIXED], length[MIXED], next[MIXED];
    const int vocab = tiny.vocab;
    float *mixed = malloc(sizeof(float) * MIXED_TOKENS * vocab), decoded[MIXED * 61];
    float *alone = malloc(sizeof(float) * MIXED_TOKENS * vocab);
    mn_arena *arena;
    OK(mn_arena_open(&arena));
    mn_adapter *other = mixed_adapters(&room, arena, adapters);
    draw_ids(ids, MIXED_TOKENS, 15);
    draw_ids(next, MIXED, 16);
    for (int s = 0; s < MIXED; s++) {
        groups[s] = (struct mn_adapter_group){adapters[s], 1};
        start[s] = 12 * s, length[s] = lengths[s] + 1;
        offsets[s + 1] = offsets[s] + lengths[s];
        count_up(slots + offsets[s], start[s], lengths[s]);
    }
    const struct mn_batch batch = {.tokens = MIXED_TOKENS,
                                   .sequences = MIXED,
                                   .ids = ids,
                                   .offsets = offsets,
                                   .slot = slots,
                                   .logit_rows = MIXED_TOKENS,
                                   .logit_row = count_up(rows, 0, MIXED_TOKENS),
                                   .groups = groups,
                                   .group_count = MIXED};
    const struct mn_decode_batch step = {.rows = MIXED,
                                         .ids = next,
                                         .start = start,
                                         .length = length,
                                         .groups = groups,
                                         .group_count = MIXED};
    OK(mn_forward(room.context, NULL, &batch));
    OK(mn_logits(room.context, mixed));
    OK(mn_decode(room.context, NULL, &step));
    OK(mn_logits(room.context, decoded));
    for (int s = 0; s < MIXED; s++) {
        int32_t longer[16];
        memcpy(longer, ids + offsets[s], (size_t)lengths[s] * sizeof *ids);
        longer[lengths[s]] = next[s];
        room.adapter = (mn_adapter *)adapters[s];
        run_alone(&room, longer, lengths[s] + 1, alone);
        assert_memory_equal(mixed + offsets[s] * vocab, alone,
                            sizeof(float) * (size_t)(lengths[s] * vocab));
        check_close(decoded + s * vocab, alone + lengths[s] * vocab, (size_t)vocab, 1e-5,
                    "decoded in a mixed batch");
    }
    /* Strength 0 is the base, 1 the adapter itself, one half neither. */
    float *at[4], found[4][61];
    adapters[0] = kept, adapters[3] = mn_adapter_at_strength(arena, kept, 1);
    for (int i = 0; i < 4; i++) {
        static const int which[4] = {4, 1, 3, 0};
        room.adapter = (mn_adapter *)adapters[which[i]];
        at[i] = found[i];
        run_alone(&room, ids, 1, at[i]);
    }
    assert_memory_equal(found[0], found[1], sizeof found[0]);
    assert_memory_equal(found[2], found[3], sizeof found[2]);
    assert_memory_not_equal(found[1], found[3], sizeof found[1]);
    room.adapter = (mn_adapter *)kept;
    free(mixed);
    free(alone);
    mn_adapter_close(&other);
    mn_arena_close(&arena);
    close_room(&room);
}

static void test_wrong_batches_are_refused(void **state)
{
    (void)state;
    struct room room = open_room(&inference, 0, 0x7f);
    int32_t ids[4] = {1, 2, 3, 4}, offsets[3] = {0, 2, 4}, rows[2] = {1, 3},
            slots[4] = {0, 1, 2, 3};
    const int32_t start[2] = {0, 0}, length[2] = {60, 63};
    struct mn_batch good = {.tokens = 4,
                            .sequences = 2,
                            .ids = ids,
                            .offsets = offsets,
                            .slot = slots,
                            .logit_rows = 2,
                            .logit_row = rows};
    OK(mn_forward(room.context, room.adapter, &good));
    struct mn_batch bad = good;
    ids[2] = 61;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "token 2: expected 0 … 60");
    ids[2] = 3, slots[3] = 128;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "slot 3");
    slots[3] = 3, offsets[1] = 4;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "sequence 1 has no tokens");
    offsets[1] = 2, rows[0] = 3;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "ascending");
    rows[0] = 1, bad.prefix_start = start, bad.prefix_length = length;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID,
          "sequence 1 has 65 tokens, 64 are allowed");
    bad = good, bad.tokens = 49;
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "expected 1 … 48");
    struct mn_adapter_group groups[2] = {{NULL, 1}, {room.adapter, 1}};
    bad = good, bad.groups = groups, bad.group_count = 2;
    OK(mn_forward(room.context, NULL, &bad));
    FAILS(mn_forward(room.context, room.adapter, &bad), MN_INVALID, "2 beside an adapter");
    groups[0].sequences = 2;
    FAILS(mn_forward(room.context, NULL, &bad), MN_INVALID, "expected 2 sequences in all, found 3");
    groups[1].sequences = 0;
    FAILS(mn_forward(room.context, NULL, &bad), MN_INVALID, "group 1 has no sequences");
    const struct mn_decode_batch outside = {
        .rows = 1, .ids = ids, .start = (const int32_t[]){127}, .length = (const int32_t[]){2}};
    FAILS(mn_decode(room.context, room.adapter, &outside), MN_INVALID, "cache of 128 rows");
    close_room(&room);
}

static void test_plan_equals_what_open_takes(void **state)
{
    (void)state;
    struct room room = open_room(&training, 0.1, 0x7f);
    const struct mn_model_options packed = {MN_QUANTIZE_NF4, true};
    size_t dense_use[MN_MEMORY_USES], packed_use[MN_MEMORY_USES];
    mn_context_plan(room.device, &tiny, NULL, &training, dense_use);
    mn_context_plan(room.device, &tiny, &packed, &training, packed_use);
    assert_true(dense_use[MN_MEMORY_ACTIVATIONS] > 0 && dense_use[MN_MEMORY_CACHE] == 0);
    assert_true(packed_use[MN_MEMORY_WORKSPACE] > dense_use[MN_MEMORY_WORKSPACE]);
    assert_true(mn_model_bytes(room.device, &tiny, &packed) <
                mn_model_bytes(room.device, &tiny, NULL) / 2);
    close_room(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_equals_forward),
        cmocka_unit_test(test_shared_prefix_equals_whole_sequence),
        cmocka_unit_test(test_batch_composition_does_not_change_a_row),
        cmocka_unit_test(test_logprobs_and_next_tokens_agree_with_logits),
        cmocka_unit_test(test_gradient_is_derivative_of_loss),
        cmocka_unit_test(test_gradient_is_derivative_of_loss_under_dropout),
        cmocka_unit_test(test_gradients_accumulate),
        cmocka_unit_test(test_strength_zero_is_the_base),
        cmocka_unit_test(test_sequences_carry_their_adapters),
        cmocka_unit_test(test_wrong_batches_are_refused),
        cmocka_unit_test(test_plan_equals_what_open_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
