/* Spider asked of several adapters in one pass, on the demo model: replies and verdicts are those
 * of each adapter alone, and of prompts without a shared schema. */
#include "support/support.h"

#include <pthread.h>

#include "minuano/spider.h"

enum { QUESTIONS = 12, ASKED = 2 };

struct fixture {
    mn_arena *arena;
    mn_device *device;
    mn_model *model;
    mn_tokenizer *tokenizer;
    mn_spider *spider;
    mn_adapter *adapter;
    struct mn_spider_prompt prompt;
};

static int open_fixture(void **state)
{
    static struct fixture f;
    const char *folder = test_source("checkpoints/demo");
    const struct mn_model_options options = {0};
    struct mn_lora_config lora = {.rank = 4, .alpha = 2};
    lora.target[MN_Q] = lora.target[MN_UP] = true;
    OK(mn_arena_open(&f.arena));
    OK(mn_reference_device_open(&f.device, 2));
    OK(mn_model_open(&f.model, f.device, folder, &options));
    OK(mn_tokenizer_open(&f.tokenizer, folder));
    OK(mn_spider_open(&f.spider, test_source("spider_db/demo"), "dev"));
    OK(mn_spider_prompt_read(&f.prompt, "schema"));
    OK(mn_adapter_new(&f.adapter, f.model, &lora, 1));
    randomize_adapter(f.adapter, 4);
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    mn_adapter_close(&f->adapter);
    mn_spider_close(&f->spider);
    mn_tokenizer_close(&f->tokenizer);
    mn_model_close(&f->model);
    mn_device_close(&f->device);
    mn_arena_close(&f->arena);
    return 0;
}

struct answers {
    struct fixture *f;
    struct {
        const char *reply;
        int official;
        double logprob;
    } of[ASKED][QUESTIONS];
    int finished;
    struct mn_token_counts counts;
};

static mn_status keep(void *user, const struct mn_spider_result *result)
{
    struct answers *answers = user;
    const size_t i = result->item->index / 5; /* every fifth is asked */
    answers->of[result->adapter][i].reply =
        mn_arena_strndup(answers->f->arena, result->reply, result->reply_length);
    answers->of[result->adapter][i].official = result->verdict.official;
    answers->of[result->adapter][i].logprob = result->logprob;
    answers->finished++;
    return MN_OK;
}

static mn_status keep_counts(void *user, const struct mn_token_counts *counts)
{
    ((struct answers *)user)->counts = *counts;
    return MN_OK;
}

static void ask(struct fixture *f, struct mn_adapters adapters, const bool *skip, bool apart,
                struct answers *out)
{
    size_t index[QUESTIONS];
    for (size_t i = 0; i < QUESTIONS; i++) index[i] = 5 * i;
    const struct mn_spider_evaluate_options options = {.prompt = f->prompt,
                                                       .max_new_tokens = 16,
                                                       .adapters = adapters,
                                                       .skip = skip,
                                                       .apart = apart,
                                                       .finished = keep,
                                                       .counted = keep_counts,
                                                       .user = out};
    *out = (struct answers){.f = f};
    OK(mn_spider_evaluate(f->model, NULL, f->tokenizer, f->spider, index, QUESTIONS, &options));
}

static void test_one_pass_asks_every_adapter_what_is_left(void **state)
{
    struct fixture *f = *state;
    struct answers together, part, apart, alone;
    const mn_adapter *list[ASKED] = {NULL, f->adapter};
    const struct mn_adapters adapters = {list, ASKED};
    bool skip[ASKED * QUESTIONS];
    int differ = 0;
    for (int i = 0; i < ASKED * QUESTIONS; i++) skip[i] = i % 3 != 0;
    ask(f, adapters, NULL, false, &together);
    ask(f, adapters, skip, false, &part);
    ask(f, adapters, NULL, true, &apart);
    assert_int_equal(together.finished, ASKED * QUESTIONS);
    assert_int_equal(part.finished, ASKED * QUESTIONS / 3);
    assert_true(together.counts.shared > together.counts.computed);
    assert_memory_equal(&part.counts, &together.counts, sizeof part.counts);
    for (int a = 0; a < ASKED; a++) {
        ask(f, (struct mn_adapters){&list[a], 1}, NULL, false, &alone);
        for (int i = 0; i < QUESTIONS; i++) {
            assert_string_equal(together.of[a][i].reply, alone.of[0][i].reply);
            assert_true(together.of[a][i].logprob == alone.of[0][i].logprob);
            assert_string_equal(together.of[a][i].reply, apart.of[a][i].reply);
            assert_int_equal(together.of[a][i].official, apart.of[a][i].official);
            if (!skip[a * QUESTIONS + i])
                assert_string_equal(part.of[a][i].reply, together.of[a][i].reply);
            differ += strcmp(together.of[a][i].reply, together.of[0][i].reply) != 0;
        }
    }
    assert_true(differ > 0); /* the adapter does something */
}

/* Prompts of the split that were made before, every fifth of them asked: as made on the spot. */
static void test_prompts_may_be_made_before(void **state)
{
    struct fixture *f = *state;
    struct answers before = {.f = f}, now;
    struct mn_spider_prompts prompts;
    size_t index[QUESTIONS];
    for (size_t i = 0; i < QUESTIONS; i++) index[i] = 5 * i;
    OK(mn_spider_prompts(f->spider, NULL, f->spider->count, &f->prompt, 0, f->tokenizer, f->arena,
                         &prompts));
    const struct mn_spider_evaluate_options options = {.prompt = f->prompt,
                                                       .prompts = &prompts,
                                                       .max_new_tokens = 16,
                                                       .finished = keep,
                                                       .user = &before};
    OK(mn_spider_evaluate(f->model, NULL, f->tokenizer, f->spider, index, QUESTIONS, &options));
    ask(f, (struct mn_adapters){0}, NULL, false, &now);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_string_equal(before.of[0][i].reply, now.of[0][i].reply);
        assert_true(before.of[0][i].logprob == now.of[0][i].logprob);
    }
}

struct stopping {
    pthread_t thread; /* that all results must be told on */
    int told, stop_after;
};

static mn_status stop(void *user, const struct mn_spider_result *result)
{
    struct stopping *stopping = user;
    assert_true(pthread_equal(pthread_self(), stopping->thread));
    assert_non_null(result->sql);
    if (++stopping->told == stopping->stop_after) return mn_fail(MN_IO, "disk full");
    return MN_OK;
}

/* Verdicts come from a thread of their own; they are told on the caller's, and an error of his ends
 * the run. */
static void test_results_are_told_on_the_callers_thread(void **state)
{
    struct fixture *f = *state;
    struct stopping stopping = {.thread = pthread_self(), .stop_after = QUESTIONS + 1};
    const struct mn_spider_evaluate_options options = {.prompt = f->prompt,
                                                       .max_new_tokens = 4,
                                                       .batch_sequences = 3,
                                                       .finished = stop,
                                                       .user = &stopping};
    OK(mn_spider_evaluate(f->model, NULL, f->tokenizer, f->spider, NULL, QUESTIONS, &options));
    assert_int_equal(stopping.told, QUESTIONS);
    stopping.told = 0;
    stopping.stop_after = 2;
    FAILS(mn_spider_evaluate(f->model, NULL, f->tokenizer, f->spider, NULL, QUESTIONS, &options),
          MN_IO, "disk full");
    assert_int_equal(stopping.told, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_pass_asks_every_adapter_what_is_left),
        cmocka_unit_test(test_prompts_may_be_made_before),
        cmocka_unit_test(test_results_are_told_on_the_callers_thread),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
