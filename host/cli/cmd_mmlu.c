/* cmd_mmlu.c: `minuano mmlu`: a model answers MMLU.
 *
 * Finished questions stand in OUTPUT.part, behind a line that says what was asked: a run that was
 * interrupted goes on from there, and two runs are never mixed. OUTPUT appears when all are done.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minuano/interrupt.h"
#include "minuano/log.h"
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
    const struct mn_mmlu_item *items; /* (count) as they will be written */
    size_t count, done;
    const char *part;
    const char **lines;             /* (count) NULL: not done yet */
    struct mn_mmlu_answer *answers; /* (count) */
    size_t *left;                   /* (count - done) the items that are evaluated now */
    FILE *out;
};

/* --- the part file: what was asked, then answers as they come ------------------------------------
 */

/* What must be the same for two runs to be one. */
static json_t *question(const struct mmlu_run *run, const struct opened_model *opened)
{
    json_t *asked = mn_settings_json(&table, run->settings), *first = json_object();
    json_object_del(asked, "output");
    json_object_del(asked, "keep_packed");
    json_object_set_new(asked, "model_fingerprint", json_string(opened->model->fingerprint));
    json_object_set_new(asked, "items", json_integer((json_int_t)run->count));
    json_object_set_new(first, "run", asked);
    return first;
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

static mn_status take_answer(struct mmlu_run *run, size_t i, const json_t *line, const char *where)
{
    const char *predicted;
    const json_t *logprobs = json_object_get(line, "logprobs");
    struct mn_mmlu_answer *answer = &run->answers[i];
    MN_TRY(mn_json_string_or(line, where, "predicted", "", &predicted));
    *answer = (struct mn_mmlu_answer){.subject = run->items[i].subject->name,
                                      .answer = run->items[i].question->answer,
                                      .predicted = predicted[0] ? predicted[0] - 'A' : -1,
                                      .mass = NAN};
    if (json_array_size(logprobs) == MN_MMLU_CHOICES) {
        float values[MN_MMLU_CHOICES];
        for (size_t k = 0; k < MN_MMLU_CHOICES; k++)
            values[k] = (float)json_number_value(json_array_get(logprobs, k));
        answer->mass = mn_mmlu_mass(values);
    }
    run->done++;
    return MN_OK;
}

static mn_status take_line(struct mmlu_run *run, const char *text, size_t length, const char *where)
{
    json_t *line = NULL;
    const char *subject;
    int64_t index;
    mn_status st;
    MN_TRY(mn_json_parse(&line, text, length, where));
    MN_GO(mn_json_string(line, where, "subject", &subject));
    MN_GO(mn_json_int(line, where, "index", 0, INT32_MAX, &index));
    for (size_t i = 0; i < run->count; i++) {
        const struct mn_mmlu_item *item = &run->items[i];
        if ((int64_t)item->question->index != index || strcmp(item->subject->name, subject) != 0 ||
            run->lines[i])
            continue;
        run->lines[i] = mn_arena_strndup(run->arena, text, length);
        st = take_answer(run, i, line, where);
        goto done;
    }
    st = mn_fail(MN_INVALID, "%s: %s, question %lld, is not asked for", where, subject,
                 (long long)index);
done:
    json_decref(line);
    return st;
}

static mn_status check_question(const json_t *asked, const char *text, size_t length,
                                const char *where)
{
    json_t *found = NULL;
    MN_TRY(mn_json_parse(&found, text, length, where));
    bool same = json_equal(found, asked);
    json_decref(found);
    if (same) return MN_OK;
    return mn_fail(MN_INVALID,
                   "%s: was begun with another model or other settings; remove it, or give another "
                   "--output",
                   where);
}

/* Reads what an interrupted run left. A last line without its line feed was being written: it is
 * cut off. */
static mn_status resume(struct mmlu_run *run, const json_t *asked)
{
    char *text, where[4200];
    size_t size, number = 1;
    MN_TRY(mn_file_read(run->arena, run->part, &text, &size));
    while (size > 0 && text[size - 1] != '\n') size--;
    if (truncate(run->part, (off_t)size) != 0)
        return mn_fail(MN_IO, "%s: cannot be shortened", run->part);
    for (const char *at = text, *end; at < text + size; at = end + 1, number++) {
        end = memchr(at, '\n', (size_t)(text + size - at));
        snprintf(where, sizeof where, "%s:%zu", run->part, number);
        if (number == 1)
            MN_TRY(check_question(asked, at, (size_t)(end - at), where));
        else
            MN_TRY(take_line(run, at, (size_t)(end - at), where));
    }
    if (run->done) mn_info("%zu of %zu questions were answered before", run->done, run->count);
    return MN_OK;
}

static mn_status begin(struct mmlu_run *run, const struct opened_model *opened)
{
    json_t *asked = question(run, opened);
    mn_status st = MN_OK;
    if (mn_file_exists(run->part)) MN_GO(resume(run, asked));
    run->out = fopen(run->part, "a");
    if (!run->out) {
        st = mn_fail(MN_IO, "%s: cannot be written", run->part);
    } else if (mn_file_size(run->part) == 0) {
        mn_json_line(run->out, asked);
        if (fflush(run->out) != 0) st = mn_fail(MN_IO, "%s: cannot be written", run->part);
    }
done:
    json_decref(asked);
    return st;
}

/* --- questions
 * ------------------------------------------------------------------------------------ */

static mn_status finished(void *user, size_t at, const struct mn_mmlu_result *result)
{
    struct mmlu_run *run = user;
    size_t i = run->left[at];
    json_t *line = line_json(result, run->settings->answer == MN_MMLU_BY_LOGITS);
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17));
    mn_status st = text ? take_answer(run, i, line, "answer")
                        : mn_fail(MN_NO_MEMORY, "question %zu: no line", i);
    json_decref(line);
    if (st != MN_OK) return st;
    run->lines[i] = mn_arena_strdup(run->arena, text);
    free(text);
    fprintf(run->out, "%s\n", run->lines[i]);
    if (fflush(run->out) != 0) return mn_fail(MN_IO, "%s: cannot be written", run->part);
    return mn_interrupt_check();
}

static mn_status evaluate(struct mmlu_run *run, const struct opened_model *opened)
{
    const struct mmlu_settings *settings = run->settings;
    struct mn_mmlu_item *items = MN_NEW(run->arena, struct mn_mmlu_item, run->count);
    const struct mn_mmlu_evaluate_options options = {
        .format = (enum mn_mmlu_format)settings->format,
        .answering = (enum mn_mmlu_answering)settings->answer,
        .shots = (int)settings->shots,
        .max_new_tokens = (int)settings->max_new_tokens,
        .finished = finished,
        .user = run,
        .title = "MMLU"};
    size_t left = 0;
    run->left = MN_NEW(run->arena, size_t, run->count);
    for (size_t i = 0; i < run->count; i++) {
        if (run->lines[i]) continue;
        items[left] = run->items[i];
        run->left[left++] = i;
    }
    return mn_mmlu_evaluate(opened->model, opened->adapter, opened->tokenizer, items, left,
                            &options);
}

/* The finished file, in the order of the questions; the part file has served its turn. */
static mn_status write_output(const struct mmlu_run *run)
{
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_writer_open(&writer, run->settings->output));
    for (size_t i = 0; i < run->count; i++)
        fprintf(mn_writer_stream(writer), "%s\n", run->lines[i]);
    MN_GO(mn_writer_commit(writer));
    unlink(run->part);
done:
    mn_writer_close(&writer);
    return st;
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
    struct mmlu_run run = {.settings = settings, .arena = call->arena};
    struct opened_model opened = {0};
    struct mn_mmlu_item *items;
    mn_mmlu *mmlu = NULL;
    mn_status st;
    MN_GO(mn_mmlu_open(&mmlu, settings->mmlu, settings->split));
    MN_GO(mn_mmlu_select(mmlu, (enum mn_mmlu_suite)settings->suite, settings->subjects,
                         (size_t)settings->limit, call->arena, &items, &run.count));
    run.items = items;
    run.part = mn_arena_printf(call->arena, "%s.part", settings->output);
    run.lines = MN_NEW(call->arena, const char *, run.count);
    run.answers = MN_NEW(call->arena, struct mn_mmlu_answer, run.count);
    MN_GO(open_model(call, &settings->model, &opened));
    MN_GO(need_tokenizer(&opened));
    MN_GO(begin(&run, &opened));
    MN_GO(evaluate(&run, &opened));
    MN_GO(write_output(&run));
    print_summary(&run, call->common.json);
done:
    if (run.out) fclose(run.out);
    close_model(&opened);
    mn_mmlu_close(&mmlu);
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
