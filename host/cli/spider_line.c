/* spider_line.c: judged items as JSON, both ways, and their summary. */
#include "spider_line.h"

#include <string.h>

static json_t *verdict_json(int verdict)
{
    return verdict < 0 ? json_null() : json_boolean(verdict);
}

static json_t *error_json(const struct mn_verdict *verdict)
{
    struct mn_text text = {0};
    if (verdict->error == MN_SQL_NONE) return json_null();
    mn_text_printf(&text, "%s: %s", mn_sql_error_words(verdict->error), verdict->message);
    json_t *value = mn_json_text(text.data, text.length); /* SQLite repeats the query's bytes */
    mn_text_free(&text);
    return value;
}

json_t *spider_line(const struct mn_spider_item *item, const struct mn_verdict *verdict)
{
    const char *hardness = mn_hardness_name(item->hardness);
    json_t *line = json_object();
    json_object_set_new(line, "index", json_integer((json_int_t)item->index));
    json_object_set_new(line, "db_id", json_string(item->db_id));
    json_object_set_new(line, "hardness", hardness ? json_string(hardness) : json_null());
    json_object_set_new(line, "official", verdict_json(verdict->official));
    json_object_set_new(line, "distinct", verdict_json(verdict->distinct));
    json_object_set_new(line, "seed", verdict_json(verdict->seed));
    json_object_set_new(line, "error", error_json(verdict));
    return line;
}

static mn_status read_verdict(const json_t *line, const char *where, const char *key, int *out)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_boolean(value) && !json_is_null(value))
        return mn_fail(MN_INVALID, "%s: key \"%s\": expected true, false or null, found %s", where,
                       key, mn_json_kind(value));
    *out = json_is_null(value) ? -1 : json_is_true(value);
    return MN_OK;
}

static enum mn_sql_error read_error(const char *text)
{
    for (int e = MN_SQL_NONE + 1; text && e < MN_SQL_ERRORS; e++) {
        const char *words = mn_sql_error_words((enum mn_sql_error)e);
        size_t length = strlen(words);
        if (strncmp(text, words, length) == 0 && text[length] == ':') return (enum mn_sql_error)e;
    }
    return text ? MN_SQL_OTHER : MN_SQL_NONE;
}

mn_status spider_line_read(const json_t *line, const char *where, struct mn_verdict *out)
{
    struct mn_verdict verdict = {0};
    MN_TRY(read_verdict(line, where, "official", &verdict.official));
    MN_TRY(read_verdict(line, where, "distinct", &verdict.distinct));
    MN_TRY(read_verdict(line, where, "seed", &verdict.seed));
    verdict.error = read_error(json_string_value(json_object_get(line, "error")));
    *out = verdict;
    return MN_OK;
}

void spider_summary(const struct mn_spider_tally *tally, bool json)
{
    if (!json) {
        mn_spider_tally_print(tally, stdout);
        return;
    }
    json_t *summary = mn_spider_tally_json(tally);
    mn_json_line(stdout, summary);
    json_decref(summary);
}
