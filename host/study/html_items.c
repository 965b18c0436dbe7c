/* html_items.c: the browser of single items.
 *
 * The items travel as compact JSON and are drawn some at a time by page/items.js; without script a
 * list of flips remains. Everything data-borne reaches the document as text nodes, never as
 * markup. */
#include "html.h"

#include <math.h>
#include <string.h>

enum { ITEMS_SHOWN = 20000, TEXT_SHOWN = 4000, FLIPS_SHOWN = 20 };

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
static json_int_t name_number(json_t *names, json_t *numbers, const char *name)
{
    json_t *known = json_object_get(numbers, name);
    if (known) return json_integer_value(known);
    json_int_t number = (json_int_t)json_array_size(names);
    json_array_append_new(names, short_string(name));
    json_object_set_new(numbers, name, json_integer(number));
    return number;
}

/* [verdict, sql] or [verdict, sql, error's number, message]. */
static json_t *spider_answer(const struct mn_spider_row *row)
{
    json_t *out = json_array();
    json_array_append_new(out, json_integer(row->verdict.official));
    json_array_append_new(out, short_text(row->sql, row->sql_length));
    if (row->verdict.error == MN_SQL_NONE) return out;
    json_array_append_new(out, json_integer((json_int_t)row->verdict.error));
    json_array_append_new(out, short_string(row->verdict.message));
    return out;
}

/* {"names": databases, "items": [[index, database, hardness, question, gold, answers], ...]};
 * every list of rows is in order of index. *left: items that did not fit. */
static json_t *spider_items(const struct page *page, bool *left)
{
    const struct mn_report *report = page->report;
    size_t *next = MN_NEW(page->arena, size_t, report->system_count);
    json_t *names = json_array(), *numbers = json_object(), *items = json_array();
    for (size_t shown = 0;; shown++) {
        const struct mn_spider_row *first = NULL;
        for (size_t s = 0; s < report->system_count; s++) {
            const struct mn_report_system *system = &report->systems[s];
            if (next[s] == system->spider_count) continue;
            const struct mn_spider_row *row = &system->spider_rows[next[s]];
            if (!first || row->index < first->index) first = row;
        }
        if (!first) break;
        if (shown == ITEMS_SHOWN) {
            *left = true;
            break;
        }
        json_t *answers = json_array(), *item = json_array();
        for (size_t s = 0; s < report->system_count; s++) {
            const struct mn_spider_row *row = &report->systems[s].spider_rows[next[s]];
            bool has = next[s] < report->systems[s].spider_count && row->index == first->index;
            json_array_append_new(answers, has ? spider_answer(row) : json_null());
            next[s] += has;
        }
        json_array_append_new(item, json_integer(first->index));
        json_array_append_new(item, json_integer(name_number(names, numbers, first->db_id)));
        json_array_append_new(item, json_integer(first->hardness));
        json_array_append_new(item, short_string(first->question));
        json_array_append_new(item, short_string(first->gold));
        json_array_append_new(item, answers);
        json_array_append_new(items, item);
    }
    json_decref(numbers);
    return json_pack("{s:o,s:o}", "names", names, "items", items);
}

/* predicted; [predicted, its probability in percent]; [predicted, reply]. */
static json_t *mmlu_answer(const struct mn_mmlu_row *row)
{
    json_t *out = json_integer(row->predicted), *pair;
    if (!row->scored && !row->reply) return out;
    pair = json_array();
    json_array_append_new(pair, out);
    if (row->scored && row->predicted >= 0)
        json_array_append_new(pair, json_integer(lround(100 * exp(row->logprob[row->predicted]))));
    else
        json_array_append_new(pair, short_string(row->reply));
    return pair;
}

static int mmlu_order(const struct mn_mmlu_row *a, const struct mn_mmlu_row *b)
{
    int order = strcmp(a->subject, b->subject);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* {"names": subjects, "items": [[index, subject, answer, answers], ...]} */
static json_t *mmlu_items(const struct page *page, bool *left)
{
    const struct mn_report *report = page->report;
    size_t *next = MN_NEW(page->arena, size_t, report->system_count);
    json_t *names = json_array(), *numbers = json_object(), *items = json_array();
    for (size_t shown = 0;; shown++) {
        const struct mn_mmlu_row *first = NULL;
        for (size_t s = 0; s < report->system_count; s++) {
            const struct mn_report_system *system = &report->systems[s];
            if (next[s] == system->mmlu_count) continue;
            const struct mn_mmlu_row *row = &system->mmlu_rows[next[s]];
            if (!first || mmlu_order(row, first) < 0) first = row;
        }
        if (!first) break;
        if (shown == ITEMS_SHOWN) {
            *left = true;
            break;
        }
        json_t *answers = json_array(), *item = json_array();
        for (size_t s = 0; s < report->system_count; s++) {
            const struct mn_mmlu_row *row = &report->systems[s].mmlu_rows[next[s]];
            bool has = next[s] < report->systems[s].mmlu_count && mmlu_order(row, first) == 0;
            json_array_append_new(answers, has ? mmlu_answer(row) : json_null());
            next[s] += has;
        }
        json_array_append_new(item, json_integer(first->index));
        json_array_append_new(item, json_integer(name_number(names, numbers, first->subject)));
        json_array_append_new(item, json_integer(first->answer));
        json_array_append_new(item, answers);
        json_array_append_new(items, item);
    }
    json_decref(numbers);
    return json_pack("{s:o,s:o}", "names", names, "items", items);
}

/* What the script says. */
static json_t *words(const struct page *page)
{
    json_t *out = json_object(), *hardness = json_array(), *errors = json_array();
    const struct {
        const char *key;
        enum phrase phrase;
    } own[] = {{"right", SAY_RIGHT},
               {"wrong", SAY_WRONG},
               {"missing", SAY_MISSING},
               {"not_done", SAY_NOT_DONE},
               {"gold", SAY_GOLD},
               {"of", SAY_OF},
               {"shown", SAY_SHOWN},
               {"any", SAY_ANY},
               {"probability", SAY_PROBABILITY},
               {"no_letter", SAY_NO_LETTER},
               {"database", SAY_DATABASE},
               {"subject", SAY_SUBJECT},
               {"won", SAY_WON},
               {"lost", SAY_LOST}};
    for (size_t i = 0; i < MN_COUNT(own); i++)
        json_object_set_new(out, own[i].key, json_string(say(page->language, own[i].phrase)));
    for (int h = 0; h < MN_HARDNESSES; h++)
        json_array_append_new(hardness, json_string(say_hardness(page->language, h)));
    for (int e = 0; e < MN_SQL_ERRORS; e++)
        json_array_append_new(errors, json_string(say_error(page->language, (enum mn_sql_error)e)));
    json_object_set_new(out, "hardness", hardness);
    json_object_set_new(out, "errors", errors);
    return out;
}

static void write_select(const struct page *page, const char *id, const char *label,
                         const char *const *options)
{
    fprintf(page->out, "<label>%s <select id=\"%s\">", label, id);
    for (; options && *options; options += 2)
        fprintf(page->out, "<option value=\"%s\">%s</option>", options[0], options[1]);
    fputs("</select></label>\n", page->out);
}

static void write_filters(const struct page *page)
{
    const char *const tasks[] = {"spider", "Spider", "mmlu", "MMLU", NULL};
    const char *const verdicts[] = {"",      SAY(page, ANY),   "right", SAY(page, RIGHT),
                                    "wrong", SAY(page, WRONG), NULL};
    const char *const flips[] = {"",     SAY(page, ANY),  "won", SAY(page, WON),
                                 "lost", SAY(page, LOST), NULL};
    fputs("<form id=\"filters\" hidden>\n", page->out);
    write_select(page, "task", SAY(page, TASK), tasks);
    write_select(page, "system", SAY(page, SYSTEM), NULL);
    write_select(page, "verdict", SAY(page, VERDICT), verdicts);
    write_select(page, "flip", SAY(page, FLIP), flips);
    write_select(page, "hardness", SAY(page, HARDNESS), NULL);
    write_select(page, "name", SAY(page, DATABASE), NULL);
    fprintf(page->out,
            "<label>%s <input id=\"search\" type=\"search\"></label>\n</form>\n"
            "<p id=\"shown\" role=\"status\"></p><div id=\"list\"></div>\n"
            "<button id=\"more\" type=\"button\" hidden>%s</button>\n",
            SAY(page, SEARCH), SAY(page, MORE));
}

static void write_flip(const struct page *page, const struct mn_spider_row *before,
                       const struct mn_spider_row *after, const char *name)
{
    FILE *out = page->out;
    fprintf(out, "<article class=\"item\"><h3>%lld · ", (long long)after->index);
    html_string(out, after->db_id);
    fputs("</h3><p>", out);
    html_string(out, after->question);
    fprintf(out, "</p><p>%s</p><pre>", SAY(page, GOLD));
    html_string(out, after->gold);
    fprintf(out, "</pre><p>base: %s</p><pre>",
            before->verdict.official ? SAY(page, RIGHT) : SAY(page, WRONG));
    html_text(out, before->sql, before->sql_length);
    fputs("</pre><p>", out);
    html_string(out, name);
    fprintf(out, ": %s</p><pre>", after->verdict.official ? SAY(page, RIGHT) : SAY(page, WRONG));
    html_text(out, after->sql, after->sql_length);
    fputs("</pre></article>\n", out);
}

/* The first flips of each adapter. */
static void write_without_script(const struct page *page)
{
    const struct mn_report_system *base = page->report->systems;
    fprintf(page->out, "<noscript><p>%s</p>\n", SAY(page, NO_SCRIPT));
    for (size_t s = 1; s < page->report->system_count; s++) {
        const struct mn_report_system *system = &base[s];
        size_t shown = 0;
        for (size_t i = 0, j = 0; i < base->spider_count && j < system->spider_count;) {
            const struct mn_spider_row *a = &base->spider_rows[i], *b = &system->spider_rows[j];
            bool both = a->verdict.official >= 0 && b->verdict.official >= 0;
            if (a->index == b->index && both && a->verdict.official != b->verdict.official &&
                shown++ < FLIPS_SHOWN)
                write_flip(page, a, b, system->system.name);
            bool first = a->index <= b->index, second = b->index <= a->index;
            i += first;
            j += second;
        }
    }
    fputs("</noscript>\n", page->out);
}

void html_items(const struct page *page)
{
    bool left = false;
    json_t *systems = json_array();
    for (size_t s = 0; s < page->report->system_count; s++)
        json_array_append_new(systems, short_string(page->report->systems[s].system.name));
    json_t *spider = spider_items(page, &left), *mmlu = mmlu_items(page, &left);
    json_t *data = json_pack("{s:o,s:o,s:o,s:o}", "systems", systems, "spider", spider, "mmlu",
                             mmlu, "say", words(page));
    if (left) fprintf(page->out, "<p>%s</p>\n", SAY(page, ITEMS_CAPPED));
    write_filters(page);
    write_without_script(page);
    fputs("<script type=\"application/json\" id=\"data\">", page->out);
    html_json(page->out, data);
    fputs("</script>\n<script>\n", page->out);
    fputs(page_script, page->out);
    fputs("</script>\n", page->out);
    json_decref(data);
}
