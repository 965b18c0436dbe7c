/* The demo model's answers do not depend on which questions are asked together, and are those of
 * whole prompts without a shared prefix. */
#include "support/support.h"

#include "minuano/mmlu.h"

enum { QUESTIONS = 30, SHOTS = 2 };

struct fixture {
    mn_arena *arena;
    mn_device *device;
    mn_model *model;
    mn_tokenizer *tokenizer;
    mn_mmlu *mmlu;
    struct mn_mmlu_item *items;
    size_t count;
};

static int open_fixture(void **state)
{
    static struct fixture f;
    const char *folder = test_source("checkpoints/demo");
    const struct mn_model_options options = {0};
    static const char *const subjects[] = {"animal_classes", "world_capitals"};
    OK(mn_arena_open(&f.arena));
    OK(mn_reference_device_open(&f.device, 1));
    OK(mn_model_open(&f.model, f.device, folder, &options));
    OK(mn_tokenizer_open(&f.tokenizer, folder));
    OK(mn_mmlu_open(&f.mmlu, test_source("checkpoints/demo/mmlu"), "test"));
    OK(mn_mmlu_select(f.mmlu, MN_MMLU_ALL, (struct mn_strings){subjects, 2}, QUESTIONS / 2, f.arena,
                      &f.items, &f.count));
    assert_int_equal(f.count, QUESTIONS);
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    mn_mmlu_close(&f->mmlu);
    mn_tokenizer_close(&f->tokenizer);
    mn_model_close(&f->model);
    mn_device_close(&f->device);
    mn_arena_close(&f->arena);
    return 0;
}

struct answers {
    struct mn_mmlu_result result[QUESTIONS];
    size_t at, finished, stop_after; /* item of the run's first question; 0: never */
};

static mn_status keep(void *user, size_t index, const struct mn_mmlu_result *result)
{
    struct answers *answers = user;
    answers->result[answers->at + index] = *result;
    answers->finished++;
    if (answers->finished == answers->stop_after) return mn_fail(MN_INTERRUPTED, "enough");
    return MN_OK;
}

static mn_status ask(struct fixture *f, enum mn_mmlu_answering answering, size_t from, size_t count,
                     struct answers *out)
{
    const struct mn_mmlu_evaluate_options options = {.format = MN_MMLU_LM_EVAL,
                                                     .answering = answering,
                                                     .shots = SHOTS,
                                                     .finished = keep,
                                                     .user = out};
    out->at = from;
    return mn_mmlu_evaluate(f->model, NULL, f->tokenizer, f->items + from, count, &options);
}

static void test_answers_do_not_depend_on_what_is_asked_together(void **state)
{
    struct answers whole = {0}, pieces = {0};
    OK(ask(*state, MN_MMLU_BY_LOGITS, 0, QUESTIONS, &whole));
    assert_int_equal(whole.finished, QUESTIONS);
    for (size_t from = 0; from < QUESTIONS; from += 10)
        OK(ask(*state, MN_MMLU_BY_LOGITS, from, 10, &pieces));
    for (size_t i = 0; i < QUESTIONS; i++) {
        assert_memory_equal(whole.result[i].logprob, pieces.result[i].logprob,
                            sizeof whole.result[i].logprob);
        assert_int_equal(whole.result[i].predicted, pieces.result[i].predicted);
        assert_int_equal(whole.result[i].shots, SHOTS);
    }
}

static void test_logits_are_those_of_the_whole_prompt(void **state)
{
    struct fixture *f = *state;
    struct answers answers = {0};
    OK(ask(f, MN_MMLU_BY_LOGITS, 0, QUESTIONS, &answers));
    for (size_t i = 0; i < QUESTIONS; i += 7) {
        struct mn_text text = {0};
        struct mn_ids ids = {0};
        struct mn_completion completion[MN_MMLU_CHOICES] = {0};
        const struct mn_score_options options = {0};
        static const char *const pieces[] = {"▁A", "▁B", "▁C", "▁D"};
        int32_t letter[MN_MMLU_CHOICES];
        float logprob[MN_MMLU_CHOICES];
        OK(mn_mmlu_prompt_text(f->items[i].subject, f->items[i].question, MN_MMLU_LM_EVAL, SHOTS,
                               &text));
        OK(mn_tokenize(f->tokenizer, text.data, text.length, MN_TOKENIZE_ADD_BOS, &ids));
        for (int k = 0; k < MN_MMLU_CHOICES; k++) {
            letter[k] = mn_tokenizer_piece(f->tokenizer, pieces[k]);
            completion[k] = (struct mn_completion){
                .prompt = {.ids = ids.item, .count = (int)ids.count, .prefix = -1},
                .ids = &letter[k],
                .count = 1,
                .logprobs = &logprob[k]};
        }
        OK(mn_score(f->model, NULL, NULL, 0, completion, MN_MMLU_CHOICES, &options));
        /* fp32 activations: a prefix splits sums of attention elsewhere */
        check_close(answers.result[i].logprob, logprob, MN_MMLU_CHOICES, 1e-4, "log-probabilities");
        mn_text_free(&text);
        mn_ids_free(&ids);
    }
}

static void test_a_base_that_knows_the_facts_answers_most(void **state)
{
    struct answers by_logits = {0}, by_reply = {0};
    int right = 0, same = 0;
    OK(ask(*state, MN_MMLU_BY_LOGITS, 0, QUESTIONS, &by_logits));
    OK(ask(*state, MN_MMLU_BY_REPLY, 0, QUESTIONS, &by_reply));
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct mn_mmlu_result *result = &by_logits.result[i];
        right += result->predicted == result->item.question->answer;
        same += result->predicted == by_reply.result[i].predicted;
        assert_in_range((int64_t)(1e6 * mn_mmlu_mass(result->logprob)), 0, 1000001);
        assert_null(result->reply);
    }
    assert_true(right > QUESTIONS / 2); /* a guess gives a quarter */
    assert_true(same > QUESTIONS * 8 / 10);
}

static void test_an_error_of_the_callback_stops_the_run(void **state)
{
    struct answers answers = {.stop_after = 3};
    FAILS(ask(*state, MN_MMLU_BY_LOGITS, 0, QUESTIONS, &answers), MN_INTERRUPTED, "enough");
    assert_int_equal(answers.finished, 3);
}

/* --- several adapters in one pass --- */

enum { ASKED = 3 };

struct pass {
    struct mn_mmlu_result result[ASKED][QUESTIONS];
    size_t finished;
    struct mn_token_counts counts;
};

static mn_status keep_pass(void *user, size_t index, const struct mn_mmlu_result *result)
{
    struct pass *pass = user;
    pass->result[result->adapter][index] = *result;
    pass->finished++;
    return MN_OK;
}

static mn_status keep_counts(void *user, const struct mn_token_counts *counts)
{
    struct pass *pass = user;
    assert_int_equal(pass->finished, 0);
    pass->counts = *counts;
    return MN_OK;
}

static void run_pass(struct fixture *f, struct mn_adapters adapters, const bool *skip, bool apart,
                     struct pass *out)
{
    const struct mn_mmlu_evaluate_options options = {.format = MN_MMLU_LM_EVAL,
                                                     .shots = SHOTS,
                                                     .adapters = adapters,
                                                     .skip = skip,
                                                     .apart = apart,
                                                     .finished = keep_pass,
                                                     .counted = keep_counts,
                                                     .user = out};
    *out = (struct pass){0};
    OK(mn_mmlu_evaluate(f->model, NULL, f->tokenizer, f->items, QUESTIONS, &options));
}

/* Base, an adapter and half of it, each as if alone, to the last bit; what is skipped is not asked;
 * and without shared prefixes every question is answered alike. */
static void test_one_pass_asks_every_adapter_what_is_left(void **state)
{
    struct fixture *f = *state;
    static struct pass together, part, apart, alone;
    struct mn_lora_config lora = {.rank = 4, .alpha = 4};
    lora.target[MN_V] = lora.target[MN_DOWN] = true;
    mn_adapter *adapter;
    bool skip[ASKED * QUESTIONS];
    int answers_differ = 0;
    OK(mn_adapter_new(&adapter, f->model, &lora, 1));
    randomize_adapter(adapter, 3);
    const mn_adapter *list[ASKED] = {adapter, NULL, mn_adapter_at_strength(f->arena, adapter, 0.1)};
    const struct mn_adapters adapters = {list, ASKED};
    for (int i = 0; i < ASKED * QUESTIONS; i++) skip[i] = i % 4 != 0;
    run_pass(f, adapters, NULL, false, &together);
    run_pass(f, adapters, skip, false, &part);
    run_pass(f, adapters, NULL, true, &apart);
    assert_int_equal(together.finished, ASKED * QUESTIONS);
    assert_int_equal(part.finished, (ASKED * QUESTIONS + 3) / 4);
    assert_true(together.counts.shared > together.counts.computed);
    assert_memory_equal(&part.counts, &together.counts, sizeof part.counts);
    for (int a = 0; a < ASKED; a++) {
        run_pass(f, (struct mn_adapters){&list[a], 1}, NULL, false, &alone);
        for (int i = 0; i < QUESTIONS; i++) {
            const struct mn_mmlu_result *found = &together.result[a][i];
            assert_memory_equal(found->logprob, alone.result[0][i].logprob, sizeof found->logprob);
            assert_int_equal(found->predicted, apart.result[a][i].predicted);
            check_close(found->logprob, apart.result[a][i].logprob, MN_MMLU_CHOICES, 1e-4, "apart");
            answers_differ += found->predicted != together.result[1][i].predicted;
            if (!skip[a * QUESTIONS + i])
                assert_memory_equal(part.result[a][i].logprob, found->logprob,
                                    sizeof found->logprob);
        }
    }
    assert_true(answers_differ > 0);
    mn_adapter_close(&adapter);
}

/* Prompts of all questions that were made before, and a part that is asked: as made on the spot. */
static void test_prompts_may_be_made_before(void **state)
{
    struct fixture *f = *state;
    struct answers whole = {0}, part = {0};
    struct mn_mmlu_prompts prompts;
    bool skip[QUESTIONS];
    OK(ask(f, MN_MMLU_BY_LOGITS, 0, QUESTIONS, &whole));
    for (size_t i = 0; i < QUESTIONS; i++) skip[i] = i % 5 != 2;
    struct mn_mmlu_evaluate_options options = {
        .format = MN_MMLU_LM_EVAL, .shots = SHOTS, .skip = skip, .finished = keep, .user = &part};
    OK(mn_mmlu_prepare(&f->model->config, f->tokenizer, f->items, QUESTIONS, &options, f->arena,
                       &prompts));
    options.prompts = &prompts;
    OK(mn_mmlu_evaluate(f->model, NULL, f->tokenizer, f->items, QUESTIONS, &options));
    for (size_t i = 0; i < QUESTIONS; i++)
        if (!skip[i])
            assert_memory_equal(part.result[i].logprob, whole.result[i].logprob,
                                sizeof whole.result[i].logprob);
    assert_int_equal(part.finished, (QUESTIONS + 2) / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_do_not_depend_on_what_is_asked_together),
        cmocka_unit_test(test_logits_are_those_of_the_whole_prompt),
        cmocka_unit_test(test_a_base_that_knows_the_facts_answers_most),
        cmocka_unit_test(test_one_pass_asks_every_adapter_what_is_left),
        cmocka_unit_test(test_prompts_may_be_made_before),
        cmocka_unit_test(test_an_error_of_the_callback_stops_the_run),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
