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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_do_not_depend_on_what_is_asked_together),
        cmocka_unit_test(test_logits_are_those_of_the_whole_prompt),
        cmocka_unit_test(test_a_base_that_knows_the_facts_answers_most),
        cmocka_unit_test(test_an_error_of_the_callback_stops_the_run),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
