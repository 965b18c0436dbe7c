/* cmd_mmlu.c: `minuano mmlu`: a model answers MMLU. */
#include <math.h>
#include <string.h>

#include "dry_run.h"
#include "items.h"
#include "minuano/interrupt.h"
#include "minuano/mmlu.h"
#include "model_settings.h"

struct mmlu_settings {
    struct model_settings model;
    const char *mmlu, *split, *output;
    struct mn_strings subjects;
    int suite, format, answer;
    int64_t shots, limit, max_new_tokens;
};
static const struct mn_setting rows[] = {
    MODEL_ROWS(struct mmlu_settings, model),
    {"mmlu", MN_SETTING_PATH, offsetof(struct mmlu_settings, mmlu), NULL,
     "folder of MMLU: dev/, val/, test/", .required = true},
    {"split", MN_SETTING_STRING, offsetof(struct mmlu_settings, split), "test", "dev, val or test"},
    {"subjects", MN_SETTING_STRINGS, offsetof(struct mmlu_settings, subjects), NULL,
     "subjects; none: every one"},
    {"suite", MN_SETTING_CHOICE, offsetof(struct mmlu_settings, suite), "all",
     "seed: the seed study's 150 questions", .choices = mn_mmlu_suites},
    {"format", MN_SETTING_CHOICE, offsetof(struct mmlu_settings, format), "lm-eval",
     "form of the prompts", .choices = mn_mmlu_formats},
    {"answer", MN_SETTING_CHOICE, offsetof(struct mmlu_settings, answer), "logits",
     "logits: the likeliest of A to D; reply: the first letter of a greedy reply",
     .choices = mn_mmlu_answerings},
    {"shots", MN_SETTING_INT, offsetof(struct mmlu_settings, shots), "5",
     "solved questions before the question", .low = 0, .high = 100},
    {"limit", MN_SETTING_INT, offsetof(struct mmlu_settings, limit), "0",
     "first questions of a subject; 0: all", .low = 0, .high = 1e9},
    {"max_new_tokens", MN_SETTING_INT, offsetof(struct mmlu_settings, max_new_tokens), "10",
     "longest reply, when the answer is a reply", .low = 1, .high = 1e6},
    {"output", MN_SETTING_PATH, offsetof(struct mmlu_settings, output), NULL,
     "answers, JSONL, a line a question; a run goes on where it was", .required = true},
};
static const struct mn_settings table = {"minuano mmlu", rows, MN_COUNT(rows)};

struct mmlu_run {
    const struct mmlu_settings *settings;
    mn_arena *arena;
    mn_mmlu *mmlu;
    struct mn_mmlu_item *questions; /* (count) as they will be written */
    size_t count;
    struct mn_mmlu_prompts prompts; /* of all questions */
    struct items *items;            /* (count) */
    struct mn_mmlu_answer *answers; /* (count) */
};

static mn_status open_items(struct mmlu_run *run, const struct opened_model *opened)
{
    const char *const free_to_change[] = {"output", "keep_packed", "dry_run", NULL};
    json_t *identity;
    MN_TRY(settings_identity(&run->settings->model, opened, &table, run->settings, free_to_change,
                             &identity));
    mn_status st = items_open(&run->items, run->settings->output, identity, run->count);
    json_decref(identity);
    return st;
}

static json_t *line_json(const struct mn_mmlu_result *result, bool scored)
{
    const struct mn_mmlu_question *asked = result->item.question;
    const char *letters = "ABCD";
    json_t *line = json_object(), *logprobs = json_array();
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        json_array_append_new(logprobs, json_real((double)result->logprob[i]));
    json_object_set_new(line, "subject", json_string(result->item.subject->name));
    json_object_set_new(line, "index", json_integer((json_int_t)asked->index));
    json_object_set_new(line, "answer", json_stringn(letters + asked->answer, 1));
    json_object_set_new(line, "predicted",
                        result->predicted < 0 ? json_null()
                                              : json_stringn(letters + result->predicted, 1));
    json_object_set_new(line, "correct", json_boolean(result->predicted == asked->answer));
    json_object_set_new(line, "logprobs", scored ? json_incref(logprobs) : json_null());
    if (!scored)
        json_object_set_new(line, "reply", mn_json_text(result->reply, strlen(result->reply)));
    json_object_set_new(line, "shots", json_integer(result->shots));
    json_object_set_new(line, "cut", json_boolean(result->cut));
    json_decref(logprobs);
    return line;
}

static mn_status take_answer(struct mmlu_run *run, size_t i, const json_t *line)
{
    const char *predicted;
    const json_t *logprobs = json_object_get(line, "logprobs");
    struct mn_mmlu_answer *answer = &run->answers[i];
    MN_TRY(mn_json_string_or(line, run->settings->output, "predicted", "", &predicted));
    *answer = (struct mn_mmlu_answer){.subject = run->questions[i].subject->name,
                                      .answer = run->questions[i].question->answer,
                                      .predicted = predicted[0] ? predicted[0] - 'A' : -1,
                                      .mass = NAN};
    if (json_array_size(logprobs) == MN_MMLU_CHOICES) {
        float values[MN_MMLU_CHOICES];
        for (size_t k = 0; k < MN_MMLU_CHOICES; k++)
            values[k] = (float)json_number_value(json_array_get(logprobs, k));
        answer->mass = mn_mmlu_mass(values);
    }
    return MN_OK;
}

static mn_status finished(void *user, size_t i, const struct mn_mmlu_result *result)
{
    struct mmlu_run *run = user;
    MN_TRY(items_put(run->items, i, line_json(result, run->settings->answer == MN_MMLU_BY_LOGITS)));
    MN_TRY(take_answer(run, i, items_get(run->items, i)));
    return mn_interrupt_check();
}

static struct mn_mmlu_evaluate_options options_of(const struct mmlu_run *run)
{
    const struct mmlu_settings *settings = run->settings;
    return (struct mn_mmlu_evaluate_options){.format = (enum mn_mmlu_format)settings->format,
                                             .answering = (enum mn_mmlu_answering)settings->answer,
                                             .shots = (int)settings->shots,
                                             .max_new_tokens = (int)settings->max_new_tokens,
                                             .prompts = &run->prompts,
                                             .title = "MMLU"};
}

static mn_status read_questions(void *user)
{
    struct mmlu_run *run = user;
    const struct mmlu_settings *settings = run->settings;
    MN_TRY(mn_mmlu_open(&run->mmlu, settings->mmlu, settings->split));
    MN_TRY(mn_mmlu_select(run->mmlu, (enum mn_mmlu_suite)settings->suite, settings->subjects,
                          (size_t)settings->limit, run->arena, &run->questions, &run->count));
    run->answers = MN_NEW(run->arena, struct mn_mmlu_answer, run->count + 1);
    return MN_OK;
}

static mn_status make_prompts(void *user, const struct mn_model_config *config,
                              const mn_tokenizer *tokenizer)
{
    struct mmlu_run *run = user;
    const struct mn_mmlu_evaluate_options options = options_of(run);
    return mn_mmlu_prepare(config, tokenizer, run->questions, run->count, &options, run->arena,
                           &run->prompts);
}

/* Every question, as if none were answered yet. */
static mn_status plan(const struct invocation *call, const struct mmlu_run *run,
                      const struct opened_model *opened)
{
    struct mn_mmlu_evaluate_options options = options_of(run);
    struct mn_infer_plan found = {0};
    struct mn_token_counts counts = {0};
    options.counted = keep_counts;
    options.user = &counts;
    options.plan = &found;
    MN_TRY(mn_mmlu_evaluate(opened->model, opened->adapter, opened->tokenizer, run->questions,
                            run->count, &options));
    return print_infer_plan(
        call, opened, &found, &counts,
        options.answering == MN_MMLU_BY_LOGITS ? -1 : (int64_t)run->count * options.max_new_tokens);
}

static mn_status evaluate(struct mmlu_run *run, const struct opened_model *opened)
{
    bool *done = MN_NEW(run->arena, bool, run->count + 1);
    struct mn_mmlu_evaluate_options options = options_of(run);
    options.skip = done;
    options.finished = finished;
    options.user = run;
    for (size_t i = 0; i < run->count; i++) {
        done[i] = items_get(run->items, i) != NULL;
        if (done[i]) MN_TRY(take_answer(run, i, items_get(run->items, i)));
    }
    return mn_mmlu_evaluate(opened->model, opened->adapter, opened->tokenizer, run->questions,
                            run->count, &options);
}

static void print_summary(const struct mmlu_run *run, bool as_json)
{
    struct mn_mmlu_scores scores;
    mn_mmlu_aggregate(run->arena, run->answers, run->count, &scores);
    if (!as_json) {
        mn_mmlu_scores_print(&scores, stdout);
        return;
    }
    json_t *json = mn_mmlu_scores_json(&scores);
    mn_json_line(stdout, json);
    json_decref(json);
}

static mn_status run_mmlu(const struct invocation *call)
{
    const struct mmlu_settings *settings = call->settings;
    struct mmlu_run run = {.settings = settings};
    struct opened_model opened = {0};
    const struct preparation preparation = {read_questions, make_prompts, &run};
    mn_status st;
    MN_GO(mn_arena_open(&run.arena));
    MN_GO(open_model(call, &settings->model, &preparation, &opened));
    if (settings->model.dry_run) {
        MN_GO(plan(call, &run, &opened));
        goto done;
    }
    MN_GO(open_items(&run, &opened));
    MN_GO(evaluate(&run, &opened));
    MN_GO(items_commit(run.items));
    print_summary(&run, call->common.json);
done:
    items_close(&run.items);
    close_model(&opened);
    mn_mmlu_close(&run.mmlu);
    mn_arena_close(&run.arena);
    return st;
}

const struct command command_mmlu = {
    .name = "mmlu",
    .summary = "multiple choice on MMLU: by subject, by group, micro and macro",
    .usage = "--model DIR --mmlu DIR --output FILE [options]",
    .examples =
        "  minuano mmlu --model checkpoints/demo --mmlu checkpoints/demo/mmlu --output mmlu.jsonl\n"
        "  minuano mmlu --model mistralai/Mistral-7B-Instruct-v0.3 --mmlu data/mmlu --suite seed "
        "--format seed --answer reply --shots 4 --output seed.jsonl\n",
    .settings = &table,
    .settings_size = sizeof(struct mmlu_settings),
    .run = run_mmlu,
};
