/* items_json.c: the items of both tasks as compact JSON for the browser of single items. What
 * systems share (questions, queries and rows that are alike) is there once. */
#include <math.h>
#include <string.h>

#include "html.h"

enum { ITEMS_SHOWN = 20000, TEXT_SHOWN = 4000 };

/* Long text is cut, with an ellipsis that says so. */
static json_t *short_text(const char *bytes, size_t length)
{
    struct mn_text text = {0};
    if (length <= TEXT_SHOWN) return mn_json_text(bytes, length);
    mn_text_add(&text, bytes, TEXT_SHOWN);
    mn_text_puts(&text, " …");
    json_t *out = mn_json_text(text.data, text.length);
    mn_text_free(&text);
    return out;
}

static json_t *short_string(const char *string)
{
    return string ? short_text(string, strlen(string)) : json_null();
}

/* Numbers names as they appear, and lists them. */
struct names {
    json_t *list, *numbers;
};

static json_int_t name_number(struct names *names, const char *name)
{
    json_t *known = json_object_get(names->numbers, name);
    if (known) return json_integer_value(known);
    json_int_t number = (json_int_t)json_array_size(names->list);
    json_array_append_new(names->list, short_string(name));
    json_object_set_new(names->numbers, name, json_integer(number));
    return number;
}

/* The place of a value in a list, where it is put unless it is there. Steals the value. */
static json_int_t place_of(json_t *list, json_t *take)
{
    size_t i;
    json_t *known;
    json_array_foreach (list, i, known) {
        if (!json_equal(known, take)) continue;
        json_decref(take);
        return (json_int_t)i;
    }
    json_array_append_new(list, take);
    return (json_int_t)json_array_size(list) - 1;
}

/* Walks the rows of all systems side by side: both lists are in the same order. */
struct walk {
    const struct page *page;
    size_t *next; /* (system_count) */
    size_t shown;
    bool *left; /* items did not fit */
};

/* --- Spider ----------------------------------------------------------------------------------- */

/* [rows, columns, [[value, ...], ...]], see mn_sql_show; null where nothing is known. */
static json_t *rows_json(const char *shown)
{
    json_t *parsed = shown && *shown ? json_loads(shown, JSON_ALLOW_NUL, NULL) : NULL;
    if (!parsed) return json_null();
    json_t *out = json_pack("[O,O,O]", json_object_get(parsed, "rows"),
                            json_object_get(parsed, "columns"), json_object_get(parsed, "first"));
    json_decref(parsed);
    return out ? out : json_null();
}

/* What the model said, where that is more than its query; else NULL. */
static json_t *reply_json(const struct mn_spider_row *row)
{
    const char *reply = row->reply;
    size_t length = row->reply_length;
    while (length && strchr(" \n\t;", reply[length - 1])) length--;
    while (length && strchr(" \n\t", *reply)) reply++, length--;
    bool same = length == row->sql_length && memcmp(reply, row->sql, length) == 0;
    return same || !length ? NULL : short_text(reply, length);
}

/* [verdict, its query, its rows (-1: none, -2: those of gold), its reply (-1: the query alone),
 * class of miss, message, 1: right with DISTINCT kept]; of a hit only the first four. Query, rows
 * and reply are places in the item's lists. */
static json_t *spider_answer(const struct mn_spider_row *row, json_t *texts, json_t *rows,
                             const json_t *gold_rows)
{
    const struct mn_verdict *verdict = &row->verdict;
    json_t *found = rows_json(row->rows), *reply = reply_json(row);
    json_int_t place = json_is_null(found)            ? -1
                       : json_equal(found, gold_rows) ? -2
                                                      : place_of(rows, json_incref(found));
    json_decref(found);
    json_int_t query = place_of(texts, short_text(row->sql, row->sql_length));
    json_t *out = json_pack("[i,I,I,I]", verdict->official, query, place,
                            reply ? place_of(texts, reply) : (json_int_t)-1);
    if (verdict->official != 0) return out;
    json_array_append_new(out, json_integer(report_miss(verdict)));
    if (!verdict->message[0] && !verdict->distinct) return out;
    json_array_append_new(out, short_string(verdict->message));
    if (verdict->distinct) json_array_append_new(out, json_integer(1));
    return out;
}

static const struct mn_spider_row *spider_row(const struct walk *w, size_t system)
{
    const struct mn_report_system *s = &w->page->report->systems[system];
    return w->next[system] < s->spider_count ? &s->spider_rows[w->next[system]] : NULL;
}

static const struct mn_spider_row *first_spider(const struct walk *w)
{
    const struct mn_spider_row *first = NULL;
    for (size_t s = 0; s < w->page->report->system_count; s++) {
        const struct mn_spider_row *row = spider_row(w, s);
        if (row && (!first || row->index < first->index)) first = row;
    }
    return first;
}

/* [index, database, hardness, question, gold query, its rows, texts, rows, answers] */
static json_t *spider_item(struct walk *w, const struct mn_spider_row *first, struct names *names)
{
    json_t *answers = json_array(), *texts = json_array(), *rows = json_array();
    json_t *gold_rows = rows_json(first->gold_rows);
    for (size_t s = 0; s < w->page->report->system_count; s++) {
        const struct mn_spider_row *row = spider_row(w, s);
        bool has = row && row->index == first->index;
        json_array_append_new(answers,
                              has ? spider_answer(row, texts, rows, gold_rows) : json_null());
        w->next[s] += has;
    }
    return json_pack("[I,I,i,o,o,o,o,o,o]", (json_int_t)first->index,
                     name_number(names, first->db_id), (int)first->hardness,
                     short_string(first->question), short_string(first->gold), gold_rows, texts,
                     rows, answers);
}

/* --- MMLU ------------------------------------------------------------------------------------- */

/* predicted; [predicted, [a, b, c, d] in thousandths]; [predicted, reply]. */
static json_t *mmlu_answer(const struct mn_mmlu_row *row)
{
    if (!row->scored && !row->reply) return json_integer(row->predicted);
    if (!row->scored) return json_pack("[i,o]", row->predicted, short_string(row->reply));
    json_t *shares = json_array();
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        json_array_append_new(shares, json_integer(lround(1000 * exp((double)row->logprob[i]))));
    return json_pack("[i,o]", row->predicted, shares);
}

static int mmlu_order(const struct mn_mmlu_row *a, const struct mn_mmlu_row *b)
{
    int order = strcmp(a->subject, b->subject);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static const struct mn_mmlu_row *mmlu_row(const struct walk *w, size_t system)
{
    const struct mn_report_system *s = &w->page->report->systems[system];
    return w->next[system] < s->mmlu_count ? &s->mmlu_rows[w->next[system]] : NULL;
}

static const struct mn_mmlu_row *first_mmlu(const struct walk *w)
{
    const struct mn_mmlu_row *first = NULL;
    for (size_t s = 0; s < w->page->report->system_count; s++) {
        const struct mn_mmlu_row *row = mmlu_row(w, s);
        if (row && (!first || mmlu_order(row, first) < 0)) first = row;
    }
    return first;
}

/* [index, subject, answer, question, choices, answers] */
static json_t *mmlu_item(struct walk *w, const struct mn_mmlu_row *first, struct names *names)
{
    json_t *answers = json_array(), *choices = json_array();
    for (size_t s = 0; s < w->page->report->system_count; s++) {
        const struct mn_mmlu_row *row = mmlu_row(w, s);
        bool has = row && mmlu_order(row, first) == 0;
        json_array_append_new(answers, has ? mmlu_answer(row) : json_null());
        w->next[s] += has;
    }
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        json_array_append_new(choices, short_string(first->choice[i]));
    return json_pack("[I,I,i,o,o,o]", (json_int_t)first->index, name_number(names, first->subject),
                     first->answer, short_string(first->question), choices, answers);
}

/* --- the whole -------------------------------------------------------------------------------- */

static struct walk begin(const struct page *page, bool *left)
{
    return (struct walk){.page = page,
                         .next = MN_NEW(page->arena, size_t, page->report->system_count),
                         .left = left};
}

static bool is_full(struct walk *w)
{
    if (w->shown++ < ITEMS_SHOWN) return false;
    return *w->left = true;
}

static json_t *task_json(struct names *names, json_t *items)
{
    json_decref(names->numbers);
    return json_pack("{s:o,s:o}", "names", names->list, "items", items);
}

json_t *items_json(const struct page *page, bool *left)
{
    json_t *systems = json_array(), *spider = json_array(), *mmlu = json_array();
    struct names databases = {json_array(), json_object()};
    struct names subjects = {json_array(), json_object()};
    *left = false;
    for (size_t s = 0; s < page->report->system_count; s++)
        json_array_append_new(systems, short_string(page->report->systems[s].system.name));
    struct walk w = begin(page, left);
    for (const struct mn_spider_row *row; (row = first_spider(&w)) && !is_full(&w);)
        json_array_append_new(spider, spider_item(&w, row, &databases));
    w = begin(page, left);
    for (const struct mn_mmlu_row *row; (row = first_mmlu(&w)) && !is_full(&w);)
        json_array_append_new(mmlu, mmlu_item(&w, row, &subjects));
    return json_pack("{s:o,s:o,s:o}", "systems", systems, "spider", task_json(&databases, spider),
                     "mmlu", task_json(&subjects, mmlu));
}
