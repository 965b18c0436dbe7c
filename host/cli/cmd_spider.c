/* cmd_spider.c: `minuano spider`: a model writes SQL for a split of Spider, which is executed and
 * judged.
 *
 * Finished items stand in OUTPUT.part, behind a line that says what was asked: a run that was
 * interrupted goes on from there, and two runs are never mixed. OUTPUT appears when all are done.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minuano/log.h"
#include "model_settings.h"
#include "spider_line.h"

struct spider_settings {
    struct model_settings model;
    const char *spider, *split, *prompt, *output;
    int extraction;
    int64_t limit, max_new_tokens, seed, batch;
    double temperature;
};

static const struct mn_setting rows[] = {
    MODEL_ROWS(struct spider_settings, model),
    {"spider", MN_SETTING_STRING, offsetof(struct spider_settings, spider), NULL,
     "folder of Spider: dev.json, tables.json, database/", .required = true},
    {"split", MN_SETTING_STRING, offsetof(struct spider_settings, split), "dev",
     "dev, train or train+others"},
    {"prompt", MN_SETTING_STRING, offsetof(struct spider_settings, prompt), "schema",
     "schema, seed_train, seed_few_shot, or text with {schema} and {question}"},
    {"extraction", MN_SETTING_CHOICE, offsetof(struct spider_settings, extraction), "plain",
     "how the query is found in the reply", .choices = mn_sql_extractions},
    {"limit", MN_SETTING_INT, offsetof(struct spider_settings, limit), "0",
     "only the first so many items; 0: all", .low = 0, .high = 1e9},
    {"max_new_tokens", MN_SETTING_INT, offsetof(struct spider_settings, max_new_tokens), "200",
     "longest reply", .low = 1, .high = 1e6},
    {"temperature", MN_SETTING_REAL, offsetof(struct spider_settings, temperature), "0",
     "0: greedy", .low = 0, .high = 100},
    {"seed", MN_SETTING_INT, offsetof(struct spider_settings, seed), "42", "of the sampling",
     .low = 0, .high = 9e15},
    {"batch", MN_SETTING_INT, offsetof(struct spider_settings, batch), "0",
     "sequences at once; 0: as many as fit", .low = 0, .high = 65536},
    {"output", MN_SETTING_STRING, offsetof(struct spider_settings, output), NULL,
     "replies, queries and verdicts, JSONL; a run goes on where it was", .required = true},
};
static const struct mn_settings table = {"minuano spider", rows, MN_COUNT(rows)};

struct spider_run {
    const struct spider_settings *settings;
    const mn_spider *spider;
    mn_arena *arena;
    size_t count; /* items asked for: the first of the split */
    const char *part;
    const char **lines; /* (count) as they will be written; NULL: not done yet */
    size_t done;
    FILE *out;
    struct mn_spider_tally tally;
};

/* --- the part file: what was asked, then finished items as they come ---------------------------
 */

/* What must be the same for two runs to be one. */
static json_t *question(const struct spider_run *run, const struct opened_model *opened)
{
    json_t *asked = mn_settings_json(&table, run->settings), *first = json_object();
    const char *const free_to_change[] = {"output", "batch", "keep_packed"};
    for (size_t i = 0; i < MN_COUNT(free_to_change); i++) json_object_del(asked, free_to_change[i]);
    json_object_set_new(asked, "model_fingerprint", json_string(opened->model->fingerprint));
    json_object_set_new(asked, "items", json_integer((json_int_t)run->count));
    json_object_set_new(first, "run", asked);
    return first;
}

static mn_status take_line(struct spider_run *run, const char *text, size_t length,
                           const char *where)
{
    json_t *line = NULL;
    int64_t index;
    struct mn_verdict verdict;
    mn_status st;
    MN_TRY(mn_json_parse(&line, text, length, where));
    MN_GO(mn_json_int(line, where, "index", 0, (int64_t)run->count - 1, &index));
    MN_GO(spider_line_read(line, where, &verdict));
    if (!run->lines[index]) {
        run->lines[index] = mn_arena_strndup(run->arena, text, length);
        run->done++;
        mn_spider_tally_add(&run->tally, run->spider->items[index].hardness, &verdict);
    }
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
static mn_status resume(struct spider_run *run, const json_t *asked)
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
    if (run->done) mn_info("%zu of %zu items were done before", run->done, run->count);
    return MN_OK;
}

static mn_status begin(struct spider_run *run, const struct opened_model *opened)
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

/* --- items ------------------------------------------------------------------------------------ */

static json_t *result_json(const struct mn_spider_result *result)
{
    const char *finish = result->finish == MN_FINISH_STOP ? "stop" : "length";
    json_t *line = spider_line(result->item, &result->verdict);
    json_object_set_new(line, "question", json_string(result->item->question));
    json_object_set_new(line, "gold", json_string(result->item->query));
    json_object_set_new(line, "reply", mn_json_text(result->reply, result->reply_length));
    json_object_set_new(line, "sql", mn_json_text(result->sql, result->sql_length));
    json_object_set_new(line, "tokens", json_integer(result->tokens));
    json_object_set_new(line, "finish_reason", json_string(finish));
    json_object_set_new(line, "logprob", json_real(result->logprob));
    return line;
}

static mn_status finished(void *user, const struct mn_spider_result *result)
{
    struct spider_run *run = user;
    json_t *line = result_json(result);
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text) return mn_fail(MN_NO_MEMORY, "item %zu: no line", result->item->index);
    run->lines[result->item->index] = mn_arena_strdup(run->arena, text);
    free(text);
    run->done++;
    mn_spider_tally_add(&run->tally, result->item->hardness, &result->verdict);
    fprintf(run->out, "%s\n", run->lines[result->item->index]);
    return fflush(run->out) == 0 ? MN_OK : mn_fail(MN_IO, "%s: cannot be written", run->part);
}

static mn_status evaluate(struct spider_run *run, const struct opened_model *opened)
{
    const struct spider_settings *settings = run->settings;
    struct mn_spider_evaluate_options options = {
        .extraction = (enum mn_sql_extraction)settings->extraction,
        .max_new_tokens = (int)settings->max_new_tokens,
        .temperature = settings->temperature,
        .seed = (uint64_t)settings->seed,
        .batch_sequences = (int)settings->batch,
        .finished = finished,
        .user = run,
        .title = "writing SQL",
    };
    size_t *index = MN_NEW(run->arena, size_t, run->count + 1), left = 0;
    MN_TRY(mn_spider_prompt_read(&options.prompt, settings->prompt));
    for (size_t i = 0; i < run->count; i++)
        if (!run->lines[i]) index[left++] = i;
    return mn_spider_evaluate(opened->model, opened->adapter, opened->tokenizer, run->spider, index,
                              left, &options);
}

/* The finished file, in the order of the split; the part file has served its turn. */
static mn_status write_output(const struct spider_run *run)
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

static mn_status run_spider(const struct invocation *call)
{
    const struct spider_settings *settings = call->settings;
    struct spider_run run = {.settings = settings, .arena = call->arena};
    struct opened_model opened = {0};
    struct mn_spider_prompt prompt;
    mn_spider *spider = NULL;
    mn_status st;
    MN_GO(mn_spider_prompt_read(&prompt, settings->prompt)); /* before a model is loaded */
    MN_GO(mn_spider_open(&spider, settings->spider, settings->split));
    MN_GO(open_model(call, &settings->model, &opened));
    MN_GO(need_tokenizer(&opened));
    run.spider = spider;
    run.count = settings->limit && (size_t)settings->limit < spider->count ? (size_t)settings->limit
                                                                           : spider->count;
    run.part = mn_arena_printf(call->arena, "%s.part", settings->output);
    run.lines = MN_NEW(call->arena, const char *, run.count + 1);
    MN_GO(begin(&run, &opened));
    MN_GO(evaluate(&run, &opened));
    MN_GO(write_output(&run));
    spider_summary(&run.tally, call->common.json);
done:
    if (run.out) fclose(run.out);
    close_model(&opened);
    mn_spider_close(&spider);
    return st;
}

const struct command command_spider = {
    .name = "spider",
    .summary = "write SQL for a split of Spider with a model, execute it, judge it",
    .usage = "--model DIR --spider DIR --output FILE [options]",
    .examples =
        "  minuano spider --model checkpoints/demo --spider spider_db/demo --output sql.jsonl\n"
        "  minuano spider --model mistralai/Mistral-7B-Instruct-v0.3 --adapter run/final_adapter "
        "--spider data/spider --output sql.jsonl --limit 100\n",
    .settings = &table,
    .settings_size = sizeof(struct spider_settings),
    .run = run_spider,
};
