/* Generation and scoring on a random model: the result of an item depends on nothing but the item.
 * The reference device gives equal bits whatever the batch, so everything is compared exactly;
 * against a prefix computed apart too. */
#include "minuano/infer.h"
#include "minuano/interrupt.h"
#include "minuano/ops.h"
#include "minuano/random.h"
#include "support/support.h"

#include <math.h>

enum { VOCAB = 97, ITEMS = 23, NEW = 12, PREFIXES = 3, POSITIONS = 64 };

struct world {
    mn_device *device;
    mn_model *model;
    mn_adapter *adapter, *other; /* of other ranks and targets */
    mn_arena *arena;
    struct mn_prefix prefixes[PREFIXES];
    struct mn_prompt prompts[ITEMS]; /* behind their prefixes */
    struct mn_prompt whole[ITEMS];   /* the same with the prefix spelled out */
};

static int32_t *random_ids(mn_arena *arena, uint64_t stream, int count)
{
    int32_t *ids = MN_NEW(arena, int32_t, count);
    for (int i = 0; i < count; i++)
        ids[i] = (int32_t)mn_random_below(3, stream, (uint64_t)i, VOCAB);
    return ids;
}

static void open_model(struct world *w)
{
    const struct mn_model_config config = {.hidden = 64,
                                           .layers = 2,
                                           .heads = 4,
                                           .kv_heads = 2,
                                           .head_dim = 16,
                                           .ff = 96,
                                           .vocab = VOCAB,
                                           .max_positions = POSITIONS,
                                           .rope_theta = 10000,
                                           .rms_eps = 1e-5,
                                           .bos = 1,
                                           .eos = 2};
    const struct mn_model_options options = {.quantization = MN_QUANTIZE_NONE};
    struct mn_lora_config lora = {.rank = 4, .alpha = 8};
    for (int m = 0; m < MN_MODULES; m++) lora.target[m] = true;
    OK(mn_reference_device_open(&w->device, 2));
    OK(mn_model_random(&w->model, w->device, &config, 11, &options));
    OK(mn_adapter_new(&w->adapter, w->model, &lora, 5));
    lora.rank = 3, lora.target[MN_Q] = lora.target[MN_DOWN] = false;
    OK(mn_adapter_new(&w->other, w->model, &lora, 6));
    randomize_adapter(w->adapter, 1);
    randomize_adapter(w->other, 2);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    OK(mn_arena_open(&w->arena));
    open_model(w);
    for (int p = 0; p < PREFIXES; p++)
        w->prefixes[p] =
            (struct mn_prefix){random_ids(w->arena, 100 + (uint64_t)p, 5 + 9 * p), 5 + 9 * p};
    for (int i = 0; i < ITEMS; i++) {
        int count = 1 + (i * 7) % 13, p = i % (PREFIXES + 1) - 1;
        int before = p < 0 ? 0 : w->prefixes[p].count;
        int32_t *ids = random_ids(w->arena, (uint64_t)i, count);
        int32_t *all = MN_NEW(w->arena, int32_t, before + count);
        if (before) memcpy(all, w->prefixes[p].ids, (size_t)before * sizeof *all);
        memcpy(all + before, ids, (size_t)count * sizeof *all);
        w->prompts[i] = (struct mn_prompt){ids, count, p};
        w->whole[i] = (struct mn_prompt){all, before + count, -1};
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    mn_adapter_close(&w->adapter);
    mn_adapter_close(&w->other);
    mn_model_close(&w->model);
    mn_device_close(&w->device);
    mn_arena_close(&w->arena);
    free(w);
    return 0;
}

static const struct mn_generate_options greedy = {.max_new_tokens = NEW, .eos = 2};
static const struct mn_generate_options sampled = {
    .max_new_tokens = NEW, .eos = 2, .temperature = 1.5, .seed = 9};

static void generate(struct world *w, const struct mn_prompt *prompts, size_t count,
                     struct mn_generate_options options, struct mn_generation *out)
{
    bool prefixed = prompts != w->whole;
    OK(mn_generate(w->model, w->adapter, prefixed ? w->prefixes : NULL, prefixed ? PREFIXES : 0,
                   prompts, count, &options, w->arena, out));
}

static void check_equal(const struct mn_generation *found, const struct mn_generation *expected)
{
    assert_int_equal(found->count, expected->count);
    assert_memory_equal(found->ids, expected->ids, (size_t)found->count * sizeof *found->ids);
    assert_int_equal(found->finish, expected->finish);
    assert_true(found->logprob == expected->logprob);
}

/* Token by token, each time the whole sequence anew: no cache, no batch. */
static void generate_slowly(struct world *w, const struct mn_prompt *prompt, size_t item,
                            struct mn_generate_options options, struct mn_generation *out)
{
    const struct mn_limits limits = {
        .tokens = POSITIONS, .sequences = 1, .logit_rows = 1, .lora_rank = 12};
    mn_context *context;
    int32_t ids[POSITIONS + 1], offsets[2] = {0}, last, stream = (int32_t)item;
    int count = prompt->count;
    memcpy(ids, prompt->ids, (size_t)count * sizeof *ids);
    *out =
        (struct mn_generation){.ids = MN_NEW(w->arena, int32_t, NEW), .finish = MN_FINISH_LENGTH};
    OK(mn_context_open(&context, w->model, &limits));
    for (int32_t step = 0; step < options.max_new_tokens && count < POSITIONS; step++) {
        float logprob;
        offsets[1] = count;
        last = count - 1;
        const struct mn_batch batch = {.tokens = count,
                                       .sequences = 1,
                                       .ids = ids,
                                       .offsets = offsets,
                                       .logit_rows = 1,
                                       .logit_row = &last};
        OK(mn_forward(context, w->adapter, &batch));
        OK(mn_next_tokens(context, (float)options.temperature, options.seed, &stream, &step,
                          &ids[count], &logprob));
        out->logprob += (double)logprob;
        if (ids[count] == options.eos) {
            out->finish = MN_FINISH_STOP;
            break;
        }
        out->ids[out->count++] = ids[count++];
    }
    mn_context_close(&context);
}

static void check_against_slow(struct world *w, struct mn_generate_options options)
{
    struct mn_generation found[ITEMS], expected;
    generate(w, w->whole, ITEMS, options, found);
    for (size_t i = 0; i < ITEMS; i++) {
        generate_slowly(w, &w->whole[i], i, options, &expected);
        assert_int_equal(found[i].count, expected.count);
        assert_memory_equal(found[i].ids, expected.ids, (size_t)expected.count * 4);
        assert_int_equal(found[i].finish, expected.finish);
        assert_true(fabs(found[i].logprob - expected.logprob) < 1e-4);
    }
}

static void test_generation_matches_recomputing_every_token(void **state)
{
    check_against_slow(*state, greedy);
    check_against_slow(*state, sampled);
}

static void test_result_does_not_depend_on_the_batch_size(void **state)
{
    struct world *w = *state;
    static const int sizes[] = {1, 2, 7, ITEMS};
    struct mn_generation expected[ITEMS], found[ITEMS];
    for (int s = 0; s < 2; s++) {
        struct mn_generate_options options = s ? sampled : greedy;
        generate(w, w->prompts, ITEMS, options, expected);
        for (size_t b = 0; b < MN_COUNT(sizes); b++) {
            options.batch_sequences = sizes[b];
            generate(w, w->prompts, ITEMS, options, found);
            for (int i = 0; i < ITEMS; i++) check_equal(&found[i], &expected[i]);
        }
    }
}

static void test_result_does_not_depend_on_order_or_company(void **state)
{
    struct world *w = *state;
    struct mn_generation expected[ITEMS], found[ITEMS];
    struct mn_prompt shuffled[ITEMS];
    int32_t streams[ITEMS];
    struct mn_generate_options options = sampled;
    generate(w, w->prompts, ITEMS, options, expected);
    for (int i = 0; i < ITEMS; i++) {
        streams[i] = (i * 5 + 3) % ITEMS;
        shuffled[i] = w->prompts[streams[i]];
    }
    options.streams = streams;
    for (size_t count = 1; count <= ITEMS; count += 11) {
        generate(w, shuffled, count, options, found);
        for (size_t i = 0; i < count; i++) check_equal(&found[i], &expected[streams[i]]);
    }
}

static void test_shared_prefixes_change_nothing(void **state)
{
    struct world *w = *state;
    struct mn_generation expected[ITEMS], found[ITEMS];
    generate(w, w->whole, ITEMS, greedy, expected);
    generate(w, w->prompts, ITEMS, greedy, found);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(found[i].count, expected[i].count);
        assert_memory_equal(found[i].ids, expected[i].ids, (size_t)found[i].count * 4);
        assert_true(fabs(found[i].logprob - expected[i].logprob) < 1e-4);
    }
}

/* The smallest memory that is not refused leaves room for one sequence; prefixes then come and go.
 */
static void test_little_memory_gives_the_same(void **state)
{
    struct world *w = *state;
    struct mn_generation expected[ITEMS], found[ITEMS];
    struct mn_generate_options options = sampled;
    generate(w, w->prompts, ITEMS, options, expected);
    options.memory = 1;
    FAILS(mn_generate(w->model, w->adapter, w->prefixes, PREFIXES, w->prompts, ITEMS, &options,
                      w->arena, found),
          MN_NO_MEMORY, "are needed");
    for (options.memory = 1 << 12;; options.memory += options.memory / 8)
        if (mn_generate(w->model, w->adapter, w->prefixes, PREFIXES, w->prompts, ITEMS, &options,
                        w->arena, found) == MN_OK)
            break;
    for (int i = 0; i < ITEMS; i++) check_equal(&found[i], &expected[i]);
}

static int decode_calls;

static mn_status counted_decode(const struct mn_attention_decode *args, mn_stream s)
{
    decode_calls++;
    return mn_ref_ops.attention_decode(args, s);
}

/* A batch that takes two prefills is decoded as one, however few rows the second brings. */
static void test_the_batch_is_full_before_it_is_decoded(void **state)
{
    enum { ROWS = 64, LONG = 33 }; /* 2112 tokens: a forward on the reference takes 2048 */
    struct world *w = *state;
    struct mn_prompt prompts[ROWS];
    struct mn_generation found[ROWS];
    struct mn_infer_plan plan;
    struct mn_generate_options options = {.max_new_tokens = NEW, .eos = -1};
    for (int i = 0; i < ROWS; i++)
        prompts[i] = (struct mn_prompt){random_ids(w->arena, 300 + (uint64_t)i, LONG), LONG, -1};
    options.plan = &plan;
    generate(w, prompts, ROWS, options, found);
    assert_int_equal(plan.limits.sequences, ROWS);
    assert_in_range(plan.limits.tokens, (ROWS - ROWS / 8) * LONG, ROWS * LONG - 1);
    options.plan = NULL;

    struct mn_ops counting = mn_ref_ops;
    counting.attention_decode = counted_decode;
    w->device->ops = &counting;
    decode_calls = 0;
    generate(w, prompts, ROWS, options, found);
    w->device->ops = &mn_ref_ops;
    assert_int_equal(decode_calls, (NEW - 1) * w->model->config.layers);
}

static void test_eos_ends_a_row_and_is_counted(void **state)
{
    struct world *w = *state;
    struct mn_generation free_run[ITEMS], found[ITEMS];
    struct mn_generate_options options = greedy;
    options.eos = -1;
    generate(w, w->prompts, ITEMS, options, free_run);
    options.eos = free_run[4].ids[5];
    int at = 0;
    while (free_run[4].ids[at] != options.eos) at++;
    generate(w, w->prompts, ITEMS, options, found);
    assert_int_equal(found[4].finish, MN_FINISH_STOP);
    assert_int_equal(found[4].count, at);
    options.max_new_tokens = at + 1;
    options.eos = -1;
    generate(w, w->prompts, ITEMS, options, free_run);
    assert_true(found[4].logprob == free_run[4].logprob);
}

static void test_length_and_positions_end_a_row(void **state)
{
    struct world *w = *state;
    struct mn_generation found[ITEMS];
    struct mn_generate_options options = greedy;
    options.eos = -1;
    options.max_new_tokens = 10 * POSITIONS;
    generate(w, w->whole, ITEMS, options, found);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(found[i].finish, MN_FINISH_LENGTH);
        assert_int_equal(found[i].count, POSITIONS - w->whole[i].count);
    }
    options.max_new_tokens = 1;
    generate(w, w->whole, ITEMS, options, found);
    for (int i = 0; i < ITEMS; i++) assert_int_equal(found[i].count, 1);
}

static void test_seeds_and_streams_choose_the_sample(void **state)
{
    struct world *w = *state;
    struct mn_generation a[ITEMS], b[ITEMS];
    struct mn_generate_options options = sampled;
    int different = 0;
    generate(w, w->prompts, ITEMS, options, a);
    generate(w, w->prompts, ITEMS, options, b);
    for (int i = 0; i < ITEMS; i++) check_equal(&a[i], &b[i]);
    options.seed++;
    generate(w, w->prompts, ITEMS, options, b);
    for (int i = 0; i < ITEMS; i++) different += a[i].logprob != b[i].logprob;
    assert_true(different > ITEMS / 2);
}

struct seen {
    size_t count, stop_after;
    bool item[ITEMS];
    struct mn_generation generation[ITEMS];
};

static mn_status see(void *user, size_t index, const struct mn_generation *generation)
{
    struct seen *seen = user;
    assert_false(seen->item[index]);
    seen->item[index] = true;
    seen->generation[index] = *generation;
    if (++seen->count == seen->stop_after) mn_interrupt_raise(15);
    return MN_OK;
}

static void test_interruption_keeps_what_was_finished(void **state)
{
    struct world *w = *state;
    struct mn_generation expected[ITEMS], found[ITEMS];
    struct seen seen = {.stop_after = 5};
    struct mn_generate_options options = sampled;
    generate(w, w->prompts, ITEMS, options, expected);
    options.finished = see;
    options.user = &seen;
    options.batch_sequences = 3;
    FAILS(mn_generate(w->model, w->adapter, w->prefixes, PREFIXES, w->prompts, ITEMS, &options,
                      w->arena, found),
          MN_INTERRUPTED, "");
    mn_interrupt_raise(0);
    assert_in_range(seen.count, 5, 8);
    struct mn_prompt rest[ITEMS];
    int32_t streams[ITEMS];
    size_t left = 0;
    for (int i = 0; i < ITEMS; i++) {
        if (seen.item[i]) {
            check_equal(&seen.generation[i], &expected[i]);
        } else {
            rest[left] = w->prompts[i];
            streams[left++] = i;
        }
    }
    options.finished = NULL;
    options.streams = streams;
    generate(w, rest, left, options, found);
    for (size_t i = 0; i < left; i++) check_equal(&found[i], &expected[streams[i]]);
}

static mn_status refuse(void *user, size_t index, const struct mn_generation *generation)
{
    (void)user, (void)index, (void)generation;
    return mn_fail(MN_IO, "disk full");
}

static void test_bad_input_is_named(void **state)
{
    struct world *w = *state;
    struct mn_generation out[2];
    struct mn_generate_options options = greedy;
    int32_t ids[POSITIONS] = {0};
    struct mn_prompt bad = {ids, 0, -1};
#define GENERATE() mn_generate(w->model, NULL, NULL, 0, &bad, 1, &options, w->arena, out)
    FAILS(GENERATE(), MN_INVALID, "prompt 0: expected at least one token");
    bad.count = POSITIONS;
    FAILS(GENERATE(), MN_INVALID, "prompt 0: 65 tokens, but the model takes 64");
    bad.count = 3;
    ids[2] = VOCAB;
    FAILS(GENERATE(), MN_INVALID, "prompt 0: token 2: expected an id from 0 to 96, found 97");
    ids[2] = 5;
    bad.prefix = 0;
    FAILS(GENERATE(), MN_INVALID, "expected one of 0 prefixes or -1, found 0");
    bad.prefix = -1;
    options.temperature = -1;
    FAILS(GENERATE(), MN_INVALID, "temperature");
    options = greedy;
    options.max_new_tokens = 0;
    FAILS(GENERATE(), MN_INVALID, "new token");
    options = greedy;
    options.finished = refuse;
    FAILS(GENERATE(), MN_IO, "disk full");
#undef GENERATE
    OK(mn_generate(w->model, NULL, NULL, 0, NULL, 0, &greedy, w->arena, NULL));
}

/* Scoring what greedy generation wrote gives back its log-probability. */
static void check_scores(struct world *w, const struct mn_generation *written,
                         const struct mn_prompt *prompts, size_t memory)
{
    struct mn_completion completions[ITEMS];
    float logprobs[ITEMS][NEW];
    bool prefixed = prompts == w->prompts;
    const struct mn_score_options options = {.memory = memory};
    for (int i = 0; i < ITEMS; i++)
        completions[i] =
            (struct mn_completion){prompts[i], written[i].ids, written[i].count, logprobs[i]};
    OK(mn_score(w->model, w->adapter, prefixed ? w->prefixes : NULL, prefixed ? PREFIXES : 0,
                completions, ITEMS, &options));
    for (int i = 0; i < ITEMS; i++) {
        double sum = 0;
        for (int t = 0; t < written[i].count; t++) sum += (double)logprobs[i][t];
        assert_true(fabs(sum - written[i].logprob) < 1e-4);
    }
}

static void test_score_agrees_with_generation(void **state)
{
    struct world *w = *state;
    struct mn_generation written[ITEMS];
    struct mn_generate_options options = sampled;
    options.eos = -1;
    generate(w, w->prompts, ITEMS, options, written);
    check_scores(w, written, w->whole, 0);
    check_scores(w, written, w->prompts, 0);
    written[3].count = 0; /* nothing to score is no error */
    written[3].logprob = 0;
    check_scores(w, written, w->prompts, 0);
}

static void test_options_at_the_end_are_the_logits_there(void **state)
{
    struct world *w = *state;
    enum { K = 37 }; /* more than one call's targets */
    int32_t options_ids[K];
    float all[ITEMS][K], one[K];
    for (int k = 0; k < K; k++) options_ids[k] = (k * 5 + 1) % VOCAB;
    OK(mn_score_options_at_end(w->model, w->adapter, w->prefixes, PREFIXES, w->prompts, ITEMS,
                               options_ids, K, NULL, all[0]));
    for (int i = 0; i < ITEMS; i++) {
        OK(mn_score_options_at_end(w->model, w->adapter, w->prefixes, PREFIXES, &w->prompts[i], 1,
                                   options_ids, K, NULL, one));
        assert_memory_equal(one, all[i], sizeof one);
        float logprob;
        struct mn_completion c = {w->whole[i], &options_ids[K - 1], 1, &logprob};
        OK(mn_score(w->model, w->adapter, NULL, 0, &c, 1, NULL));
        assert_true(fabsf(logprob - one[K - 1]) < 1e-5f);
    }
}

/* --- several adapters in one pass --- */

enum { ASKED = 4 };

/* Every item asked of the base, of two adapters, and of one of them at half its strength, in an
 * order that mixes them: the prompts, and the adapters that each index stands for. */
static struct mn_adapters ask_all(struct world *w, struct mn_prompt prompts[ASKED * ITEMS])
{
    const mn_adapter **adapters = MN_NEW(w->arena, const mn_adapter *, ASKED);
    adapters[0] = w->adapter;
    adapters[2] = w->other;
    adapters[3] = mn_adapter_at_strength(w->arena, w->adapter, 0.5);
    for (int i = 0; i < ASKED * ITEMS; i++) {
        prompts[i] = w->prompts[i / ASKED];
        prompts[i].adapter = i % ASKED;
    }
    return (struct mn_adapters){adapters, ASKED};
}

static void test_one_pass_gives_what_each_adapter_gives_alone(void **state)
{
    struct world *w = *state;
    static const int sizes[] = {3, 16, ASKED * ITEMS};
    struct mn_generation together[ASKED * ITEMS], alone[ITEMS];
    struct mn_prompt prompts[ASKED * ITEMS];
    int32_t option = 7, streams[ASKED * ITEMS], differ = 0;
    float scores[ASKED * ITEMS], score[ITEMS];
    const struct mn_adapters adapters = ask_all(w, prompts);
    for (int i = 0; i < ASKED * ITEMS; i++) streams[i] = i / ASKED;
    const struct mn_score_options settings = {.adapters = adapters};
    OK(mn_score_options_at_end(w->model, NULL, w->prefixes, PREFIXES, prompts, ASKED * ITEMS,
                               &option, 1, &settings, scores));
    for (size_t s = 0; s < MN_COUNT(sizes); s++) {
        struct mn_generate_options options = sampled;
        options.batch_sequences = sizes[s];
        options.adapters = adapters;
        options.streams = streams;
        OK(mn_generate(w->model, NULL, w->prefixes, PREFIXES, prompts, ASKED * ITEMS, &options,
                       w->arena, together));
        for (int a = 0; a < ASKED; a++) {
            OK(mn_generate(w->model, adapters.item[a], w->prefixes, PREFIXES, w->prompts, ITEMS,
                           &sampled, w->arena, alone));
            OK(mn_score_options_at_end(w->model, adapters.item[a], w->prefixes, PREFIXES,
                                       w->prompts, ITEMS, &option, 1, NULL, score));
            for (int i = 0; i < ITEMS; i++) {
                check_equal(&together[i * ASKED + a], &alone[i]);
                assert_memory_equal(&scores[i * ASKED + a], &score[i], sizeof *score);
                differ += together[i * ASKED + a].logprob != together[i * ASKED].logprob;
            }
        }
    }
    assert_true(differ > 2 * ITEMS); /* the adapters do something */
}

/* Tokens that were run and those that were found in the cache; apart, nothing is shared. */
static void test_shared_tokens_are_counted(void **state)
{
    struct world *w = *state;
    struct mn_generation found[ASKED * ITEMS], apart[ASKED * ITEMS];
    struct mn_prompt prompts[ASKED * ITEMS];
    struct mn_token_counts counts[2], scored[2];
    struct mn_generate_options options = greedy;
    int64_t all = 0, once = 0;
    float logprob[2][ASKED * ITEMS];
    int32_t option = 7;
    options.adapters = ask_all(w, prompts);
    for (int i = 0; i < ITEMS; i++) {
        all += ASKED * w->whole[i].count;
        once += ASKED * w->prompts[i].count;
    }
    for (int p = 0; p < PREFIXES; p++) once += ASKED * w->prefixes[p].count;
    for (int a = 0; a < 2; a++) {
        const struct mn_score_options settings = {
            .adapters = options.adapters, .apart = a, .counts = &scored[a]};
        options.apart = a;
        options.counts = &counts[a];
        OK(mn_generate(w->model, NULL, w->prefixes, PREFIXES, prompts, ASKED * ITEMS, &options,
                       w->arena, a ? apart : found));
        OK(mn_score_options_at_end(w->model, NULL, w->prefixes, PREFIXES, prompts, ASKED * ITEMS,
                                   &option, 1, &settings, logprob[a]));
        assert_int_equal(counts[a].computed, a ? all : once);
        assert_int_equal(counts[a].shared, a ? 0 : all - once);
        assert_int_equal(scored[a].computed, counts[a].computed);
        assert_int_equal(scored[a].shared, counts[a].shared);
    }
    for (int i = 0; i < ASKED * ITEMS; i++) {
        assert_int_equal(found[i].count, apart[i].count);
        assert_memory_equal(found[i].ids, apart[i].ids, (size_t)found[i].count * 4);
        assert_true(fabsf(logprob[0][i] - logprob[1][i]) < 1e-4f);
    }
}

static void test_wrong_adapters_are_named(void **state)
{
    struct world *w = *state;
    struct mn_generation out[2];
    struct mn_prompt bad = w->prompts[0];
    struct mn_generate_options options = greedy;
    const mn_adapter *const list[1] = {w->other};
    bad.adapter = 1;
    FAILS(
        mn_generate(w->model, w->adapter, w->prefixes, PREFIXES, &bad, 1, &options, w->arena, out),
        MN_INVALID, "prompt 0: expected one of 1 adapters, found 1");
    bad.adapter = 0;
    options.adapters = (struct mn_adapters){list, 1};
    FAILS(
        mn_generate(w->model, w->adapter, w->prefixes, PREFIXES, &bad, 1, &options, w->arena, out),
        MN_INVALID, "found both");
    options.adapters.count = MN_ADAPTER_GROUPS + 1;
    FAILS(mn_generate(w->model, NULL, w->prefixes, PREFIXES, &bad, 1, &options, w->arena, out),
          MN_INVALID, "at most 64");
}

static mn_status stop_scoring(void *user, size_t index)
{
    (void)index;
    if (++*(size_t *)user == 4) mn_interrupt_raise(15);
    return MN_OK;
}

static void test_score_checks_and_stops(void **state)
{
    struct world *w = *state;
    int32_t ids[POSITIONS] = {0};
    float logprobs[POSITIONS];
    size_t finished = 0;
    struct mn_completion c[2] = {{{ids, 60, -1}, ids, 5, logprobs},
                                 {{ids, 1, -1}, ids, 1, logprobs}};
    OK(mn_score(w->model, NULL, NULL, 0, c, 1, NULL)); /* the last token takes no position */
    c[0].count = 6;
    FAILS(mn_score(w->model, NULL, NULL, 0, c, 1, NULL), MN_INVALID, "prompt 0: 65 tokens");
    c[0].prompt.count = 0;
    FAILS(mn_score(w->model, NULL, NULL, 0, c, 1, NULL), MN_INVALID, "at least one token");
    ids[0] = -1;
    FAILS(mn_score(w->model, NULL, NULL, 0, c + 1, 1, NULL), MN_INVALID, "token 0");
    struct mn_score_options options = {.finished = stop_scoring, .user = &finished};
    float out[ITEMS];
    int32_t option = 7;
    mn_status st;
    options.memory = 1 << 12;
    do {
        st = mn_score_options_at_end(w->model, NULL, w->prefixes, PREFIXES, w->prompts, ITEMS,
                                     &option, 1, &options, out);
        options.memory += options.memory / 8;
    } while (st == MN_NO_MEMORY);
    mn_interrupt_raise(0);
    assert_int_equal(st, MN_INTERRUPTED);
    assert_in_range(finished, 4, ITEMS - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_generation_matches_recomputing_every_token),
        TEST(test_result_does_not_depend_on_the_batch_size),
        TEST(test_result_does_not_depend_on_order_or_company),
        TEST(test_shared_prefixes_change_nothing),
        TEST(test_little_memory_gives_the_same),
        TEST(test_the_batch_is_full_before_it_is_decoded),
        TEST(test_eos_ends_a_row_and_is_counted),
        TEST(test_length_and_positions_end_a_row),
        TEST(test_seeds_and_streams_choose_the_sample),
        TEST(test_interruption_keeps_what_was_finished),
        TEST(test_bad_input_is_named),
        TEST(test_score_agrees_with_generation),
        TEST(test_options_at_the_end_are_the_logits_there),
        TEST(test_one_pass_gives_what_each_adapter_gives_alone),
        TEST(test_shared_tokens_are_counted),
        TEST(test_wrong_adapters_are_named),
        TEST(test_score_checks_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
