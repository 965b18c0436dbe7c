/* cmd_spider_score.c: `minuano spider score`: judges the SQL that another system wrote.
 *
 * Line i of the predictions answers item i of the split. Lines are JSON objects, or queries up to
 * their first tab; space around either is nothing. */
#include <ctype.h>
#include <string.h>

#include "command.h"
#include "minuano/interrupt.h"
#include "minuano/log.h"
#include "spider_line.h"

struct score_settings {
    const char *spider, *split, *predictions, *output;
    struct mn_sql_limits limits;
};

static const struct mn_setting rows[] = {
    {"spider", MN_SETTING_STRING, offsetof(struct score_settings, spider), NULL,
     "folder of Spider: dev.json, tables.json, database/", .required = true},
    {"split", MN_SETTING_STRING, offsetof(struct score_settings, split), "dev",
     "dev, train or train+others"},
    {"predictions", MN_SETTING_STRING, offsetof(struct score_settings, predictions), NULL,
     "JSONL with \"pred\", \"sql\" or \"sql_gerado\" (null: no answer), or one query a line; in "
     "order",
     .required = true},
    {"output", MN_SETTING_STRING, offsetof(struct score_settings, output), NULL,
     "verdicts, JSONL, one line an item", .required = true},
    {"limit_seconds", MN_SETTING_REAL, offsetof(struct score_settings, limits.seconds), "60",
     "wall clock a query", .low = 0.001, .high = 86400},
    {"limit_steps", MN_SETTING_INT, offsetof(struct score_settings, limits.steps), "500000",
     "thousands of SQLite instructions a query", .low = 1, .high = 1e12},
};
static const struct mn_settings table = {"minuano spider score", rows, MN_COUNT(rows)};

struct score {
    const mn_spider *spider;
    mn_judge *judge;
    struct mn_spider_tally tally;
    FILE *out;
};

static mn_status judge_query(struct score *score, size_t index, const char *sql, size_t length)
{
    struct mn_verdict verdict;
    const struct mn_spider_item *item = &score->spider->items[index];
    MN_TRY(mn_judge_item(score->judge, index, sql, length, &verdict));
    json_t *line = spider_line(item, &verdict);
    mn_json_line(score->out, line);
    json_decref(line);
    mn_spider_tally_add(&score->tally, item->hardness, &verdict);
    return MN_OK;
}

/* An index that the line itself gives must be its place. */
static mn_status check_index(const json_t *object, const char *where, size_t expected)
{
    const char *const keys[] = {"index", "i"};
    for (size_t k = 0; k < MN_COUNT(keys); k++) {
        const json_t *value = json_object_get(object, keys[k]);
        if (json_is_integer(value) && json_integer_value(value) != (json_int_t)expected)
            return mn_fail(MN_INVALID, "%s: key \"%s\": expected %zu, the line's place, found %lld",
                           where, keys[k], expected, (long long)json_integer_value(value));
    }
    return MN_OK;
}

static mn_status judge_object(struct score *score, const json_t *object, const char *where,
                              size_t index)
{
    const char *const keys[] = {"pred", "sql", "sql_gerado"};
    MN_TRY(check_index(object, where, index));
    for (size_t k = 0; k < MN_COUNT(keys); k++) {
        const json_t *value = json_object_get(object, keys[k]);
        if (json_is_string(value))
            return judge_query(score, index, json_string_value(value), json_string_length(value));
        if (json_is_null(value)) return judge_query(score, index, "", 0); /* it had no answer */
    }
    return mn_fail(MN_INVALID, "%s: expected a string at key \"pred\", \"sql\" or \"sql_gerado\"",
                   where);
}

/* Where the reading of a file stands. */
struct reading {
    struct mn_lines lines;
    enum form { FORM_UNKNOWN, FORM_SQL, FORM_JSONL } form; /* as its first line with text says */
    size_t index;                                          /* items that have been answered */
    size_t blanks; /* lines without text behind the last one with text */
};

static mn_status judge_text(struct score *score, struct reading *r, const char *text, size_t length)
{
    char where[4200];
    json_t *object = NULL;
    snprintf(where, sizeof where, "%s:%ld", r->lines.path, r->lines.number);
    if (r->index >= score->spider->count)
        return mn_fail(MN_INVALID, "%s: more lines than the split's %zu items", where,
                       score->spider->count);
    if (r->form == FORM_SQL) {
        const char *tab = memchr(text, '\t', length); /* a db_id may follow, as officially */
        return judge_query(score, r->index++, text, tab ? (size_t)(tab - text) : length);
    }
    MN_TRY(mn_json_parse(&object, text, length, where));
    mn_status st = judge_object(score, object, where, r->index++);
    json_decref(object);
    return st;
}

/* In a list of queries a line without text is an item without an answer, but for lines at the end
 * that no item is left for; between lines of JSON it is nothing. */
static mn_status judge_blanks(struct score *score, struct reading *r)
{
    while (r->form != FORM_JSONL && r->blanks > 0 && r->index < score->spider->count) {
        MN_TRY(judge_query(score, r->index++, "", 0));
        r->blanks--;
    }
    r->blanks = 0;
    return MN_OK;
}

static mn_status judge_line(struct score *score, struct reading *r, const char *line)
{
    size_t length = r->lines.length, spaces = 0;
    while (length > 0 && isspace((unsigned char)line[length - 1])) length--;
    while (spaces < length && isspace((unsigned char)line[spaces])) spaces++;
    if (spaces == length) {
        r->blanks++;
        return MN_OK;
    }
    if (r->form == FORM_UNKNOWN) r->form = line[spaces] == '{' ? FORM_JSONL : FORM_SQL;
    MN_TRY(judge_blanks(score, r));
    return judge_text(score, r, line + spaces, length - spaces);
}

static mn_status judge_file(struct score *score, const char *path)
{
    struct reading r = {0};
    struct mn_progress progress;
    const char *line;
    mn_status st = MN_OK;
    MN_TRY(mn_lines_open(&r.lines, path));
    mn_progress_start(&progress, "judging", "queries", (int64_t)score->spider->count, 0);
    for (;;) {
        MN_GO(mn_interrupt_check());
        MN_GO(mn_lines_next(&r.lines, &line));
        if (!line) break;
        MN_GO(judge_line(score, &r, line));
        mn_progress_step(&progress, (int64_t)r.index);
    }
    MN_GO(judge_blanks(score, &r));
    if (r.index != score->spider->count)
        st = mn_fail(MN_INVALID, "%s: expected %zu lines, one an item of the split, found %zu",
                     path, score->spider->count, r.index);
done:
    mn_progress_end(&progress);
    mn_lines_close(&r.lines);
    return st;
}

static mn_status run(const struct invocation *call)
{
    const struct score_settings *settings = call->settings;
    struct mn_sql_limits limits = mn_sql_limits_default;
    struct score score = {0};
    mn_spider *spider = NULL;
    mn_writer *writer = NULL;
    mn_status st = MN_OK;
    limits.seconds = settings->limits.seconds;
    limits.steps = settings->limits.steps;
    MN_GO(mn_spider_open(&spider, settings->spider, settings->split));
    MN_GO(mn_judge_open(&score.judge, spider, &limits));
    MN_GO(mn_writer_open(&writer, settings->output));
    score.spider = spider;
    score.out = mn_writer_stream(writer);
    MN_GO(judge_file(&score, settings->predictions));
    MN_GO(mn_writer_commit(writer));
    spider_summary(&score.tally, call->common.json);
done:
    mn_writer_close(&writer);
    mn_judge_close(&score.judge);
    mn_spider_close(&spider);
    return st;
}

const struct command command_spider_score = {
    .name = "spider score",
    .summary = "judge the SQL that another system wrote for a split of Spider",
    .usage = "--spider DIR --predictions FILE --output FILE [options]",
    .examples = "  minuano spider score --spider data/spider --split dev --predictions gpt4.jsonl "
                "--output verdicts.jsonl\n",
    .settings = &table,
    .settings_size = sizeof(struct score_settings),
    .run = run,
};
