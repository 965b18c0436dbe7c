/* html_items.c: the browser of single items.
 *
 * The items travel as compact JSON (items_json.c) and are drawn some at a time by page/items.js;
 * without script a list of flips remains. Everything data-borne reaches the document as text nodes,
 * never as markup. */
#include "html.h"

enum { FLIPS_SHOWN = 20 };

/* What the script says. */
static json_t *words(const struct page *page)
{
    json_t *out = json_object(), *hardness = json_array(), *misses = json_array();
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
               {"nothing", SAY_NOTHING_FOUND},
               {"any", SAY_ANY},
               {"no_letter", SAY_NO_LETTER},
               {"no_query", SAY_NO_QUERY},
               {"database", SAY_DATABASE},
               {"subject", SAY_SUBJECT},
               {"won", SAY_WON},
               {"lost", SAY_LOST},
               {"row", SAY_ONE_ROW},
               {"rows", SAY_ROWS},
               {"no_rows", SAY_NO_ROWS},
               {"same_rows", SAY_SAME_ROWS},
               {"columns", SAY_COLUMNS},
               {"bytes", SAY_BYTES},
               {"only_distinct", SAY_ONLY_DISTINCT},
               {"answer", SAY_ANSWER},
               {"reply", SAY_REPLY}};
    for (size_t i = 0; i < MN_COUNT(own); i++)
        json_object_set_new(out, own[i].key, json_string(say(page->language, own[i].phrase)));
    for (int h = 0; h < MN_HARDNESSES; h++)
        json_array_append_new(hardness, json_string(say_hardness(page->language, h)));
    for (int m = 0; m < MN_MISSES; m++)
        json_array_append_new(misses, json_string(say_miss(page->language, m)));
    json_object_set_new(out, "hardness", hardness);
    json_object_set_new(out, "misses", misses);
    return out;
}

static void write_select(const struct page *page, const char *id, const char *label,
                         const char *const *options)
{
    fprintf(page->out, "<label><span>%s</span> <select id=\"%s\">", label, id);
    for (; options && *options; options += 2)
        fprintf(page->out, "<option value=\"%s\">%s</option>", options[0], options[1]);
    fputs("</select></label>\n", page->out);
}

static void write_filters(const struct page *page)
{
    const char *const tasks[] = {"spider", "Spider", "mmlu", "MMLU", NULL};
    const char *const verdicts[] = {"",      SAY(page, ANY),   "right",   SAY(page, RIGHT),
                                    "wrong", SAY(page, WRONG), "missing", SAY(page, MISSING),
                                    NULL};
    const char *const flips[] = {"",    SAY(page, ANY), "any",  SAY(page, FLIPPED),
                                 "won", SAY(page, WON), "lost", SAY(page, LOST),
                                 NULL};
    fputs("<form id=\"filters\" hidden>\n", page->out);
    write_select(page, "task", SAY(page, TASK), tasks);
    write_select(page, "system", SAY(page, SYSTEM), NULL);
    write_select(page, "flip", SAY(page, FLIP), flips);
    write_select(page, "verdict", SAY(page, VERDICT), verdicts);
    write_select(page, "name", SAY(page, DATABASE), NULL);
    write_select(page, "hardness", SAY(page, HARDNESS), NULL);
    write_select(page, "miss", SAY(page, MISS), NULL);
    fprintf(page->out,
            "<label><span>%s</span> <input id=\"search\" type=\"search\"></label>\n</form>\n"
            "<p id=\"shown\"><span role=\"status\"></span> <button id=\"reset\" type=\"button\" "
            "hidden>%s</button> <span class=\"keys\">%s</span></p>\n"
            "<div id=\"list\"></div>\n<button id=\"more\" type=\"button\" hidden>%s</button>\n",
            SAY(page, SEARCH), SAY(page, RESET), SAY(page, KEYS), SAY(page, MORE));
}

static void write_answer(const struct page *page, const char *name, const struct mn_spider_row *row)
{
    fputs("<p>", page->out);
    html_string(page->out, name);
    fprintf(page->out, ": %s</p><pre>",
            row->verdict.official ? SAY(page, RIGHT) : SAY(page, WRONG));
    html_text(page->out, row->sql, row->sql_length);
    fputs("</pre>", page->out);
}

static void write_flip(const struct page *page, const struct mn_spider_row *before,
                       const struct mn_spider_row *after, const char *name)
{
    fprintf(page->out, "<article class=\"item\"><h3>%lld · ", (long long)after->index);
    html_string(page->out, after->db_id);
    fputs("</h3><p>", page->out);
    html_string(page->out, after->question);
    fprintf(page->out, "</p><p>%s</p><pre>", SAY(page, GOLD));
    html_string(page->out, after->gold);
    fputs("</pre>", page->out);
    write_answer(page, SAY(page, BASE), before);
    write_answer(page, name, after);
    fputs("</article>\n", page->out);
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
    bool left;
    json_t *data = items_json(page, &left);
    json_object_set_new(data, "say", words(page));
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
