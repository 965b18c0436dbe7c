/* What stands where on the page: names in the scatter overlap nothing, and what all systems share
 * is there once. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/report.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

enum { ITEMS = 60, TEXT = 3000 };

/* The share of right answers of a system on either task falls as its number grows; systems of one
 * pair are alike but for a few items. */
static void add_items(mn_results *results, int system, const char *text)
{
    int right = system ? 40 + system / 2 * 3 : 10;
    for (int i = 0; i < ITEMS; i++) {
        struct mn_spider_row row = {.index = i,
                                    .db_id = i % 2 ? "farm" : "ferry",
                                    .question = text,
                                    .gold = text,
                                    .reply = "SELECT 1",
                                    .sql = "SELECT 1",
                                    .reply_length = 8,
                                    .sql_length = 8,
                                    .hardness = MN_EASY,
                                    .gold_rows = "{\"rows\":0,\"columns\":1,\"first\":[]}",
                                    .rows = "{\"rows\":0,\"columns\":1,\"first\":[]}",
                                    .verdict = {.official = i * 7 % ITEMS < right}};
        struct mn_mmlu_row answer = {.subject = i % 2 ? "anatomy" : "virology",
                                     .index = i,
                                     .predicted = i * 11 % ITEMS < 50 - system * 2 ? 0 : 1,
                                     .scored = true,
                                     .logprob = {-1, -1, -2, -3},
                                     .question = text,
                                     .choice = {"1", "2", "3", "4"}};
        OK(mn_results_add_spider(results, system, &row));
        OK(mn_results_add_mmlu(results, system, &answer));
    }
}

/* The page of a study of so many systems. */
static void make_page(mn_arena *arena, int systems, char **page)
{
    const char *folder = test_scratch(mn_arena_printf(arena, "page-%d", systems));
    const char *path = mn_path(arena, folder, "results.sqlite");
    struct mn_report report;
    mn_results *results;
    char *text = MN_NEW(arena, char, TEXT + 1);
    int id;
    memset(text, 'q', TEXT);
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, path, true));
    for (int s = 0; s < systems; s++) {
        const struct mn_system system = {.name = mn_arena_printf(arena, "system-%d", s),
                                         .strength = 1,
                                         .spider_planned = ITEMS,
                                         .mmlu_planned = ITEMS};
        OK(mn_results_add_system(results, &system, &id));
        add_items(results, id, text);
    }
    mn_results_close(&results);
    OK(mn_report_load(arena, folder, &report));
    OK(mn_report_write(&report, MN_ENGLISH, folder));
    mn_report_close(&report);
    OK(mn_file_read(arena, mn_path(arena, folder, "report.html"), page, NULL));
}

/* --- boxes ------------------------------------------------------------------------------------ */

struct box {
    double left, top, right, bottom;
    bool name;
};

static double attribute(const char *tag, const char *name)
{
    const char *end = strchr(tag, '>'), *at = strstr(tag, name);
    assert_true(at && at < end);
    return strtod(at + strlen(name), NULL);
}

/* Of text of 11 units, whose characters are at most 7 wide when bold, 6 when not. */
static struct box text_box(const char *tag)
{
    const char *begin = strchr(tag, '>') + 1, *end = strchr(begin, '<');
    bool name = strncmp(tag, "<text class=\"name\"", 18) == 0;
    double x = attribute(tag, " x=\""), y = attribute(tag, " y=\""), width = 0;
    for (const char *c = begin; c < end; c++)
        if (((unsigned char)*c & 0xC0) != 0x80) width += name ? 7 : 6;
    const char *anchor = strstr(tag, "text-anchor=\"") + 13;
    double left = *anchor == 's' ? x : *anchor == 'e' ? x - width : x - width / 2;
    return (struct box){left, y - 8, left + width, y + 2, name};
}

static bool overlap(const struct box *a, const struct box *b)
{
    return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

static size_t read_boxes(const char *page, struct box *boxes, size_t room)
{
    const char *plot = strstr(page, "<svg class=\"plot\""), *end = strstr(plot, "</svg>");
    size_t count = 0;
    for (const char *at = plot; (at = strchr(at + 1, '<')) && at < end;) {
        assert_true(count < room);
        if (strncmp(at, "<text ", 6) == 0)
            boxes[count++] = text_box(at);
        else if (strncmp(at, "<circle class=\"m ", 17) == 0) {
            double x = attribute(at, " cx=\""), y = attribute(at, " cy=\"");
            boxes[count++] = (struct box){x - 5, y - 5, x + 5, y + 5, false};
        } else if (strncmp(at, "<rect class=\"m ", 15) == 0) {
            double x = attribute(at, " x=\""), y = attribute(at, " y=\"");
            boxes[count++] = (struct box){x, y, x + 9, y + 9, false};
        } else if (strncmp(at, "<line class=\"w ", 15) == 0) {
            double x1 = attribute(at, " x1=\""), y1 = attribute(at, " y1=\"");
            double x2 = attribute(at, " x2=\""), y2 = attribute(at, " y2=\"");
            boxes[count++] = (struct box){fmin(x1, x2), fmin(y1, y2), fmax(x1, x2) + 0.1,
                                          fmax(y1, y2) + 0.1, false};
        }
    }
    return count;
}

static void test_names_in_the_scatter_overlap_nothing(void **state)
{
    static const int systems[] = {2, 3, 5, 9, 20};
    for (size_t s = 0; s < MN_COUNT(systems); s++) {
        struct box boxes[400];
        char *page;
        make_page(*state, systems[s], &page);
        size_t count = read_boxes(page, boxes, MN_COUNT(boxes));
        int names = 0;
        for (size_t i = 0; i < count; i++) {
            if (!boxes[i].name) continue;
            names++;
            assert_true(boxes[i].left >= 48 && boxes[i].right <= 380 && boxes[i].top >= 0);
            for (size_t j = 0; j < count; j++)
                if (i != j && overlap(&boxes[i], &boxes[j]))
                    fail_msg("%d systems: a name at %.0f, %.0f overlaps what is at %.0f, %.0f",
                             systems[s], boxes[i].left, boxes[i].top, boxes[j].left, boxes[j].top);
        }
        assert_true(names >= 1);
        if (systems[s] <= 3) assert_int_equal(names, systems[s] - 1); /* there is room */
    }
}

/* Question and gold query of Spider, question of MMLU: three texts an item, however many systems
 * answered. */
static void test_what_systems_share_is_in_the_page_once(void **state)
{
    char *few, *many;
    make_page(*state, 4, &few);
    make_page(*state, 8, &many);
    size_t few_bytes = strlen(strstr(few, "id=\"data\"")), room = (size_t)ITEMS * TEXT;
    assert_true(few_bytes > 3 * room && few_bytes < 4 * room);
    assert_true(strlen(strstr(many, "id=\"data\"")) < few_bytes + room / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_in_the_scatter_overlap_nothing),
        cmocka_unit_test(test_what_systems_share_is_in_the_page_once),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
