/* report.html: whatever data and models wrote stays text, the page is well-formed and needs nothing
 * from elsewhere, and its numbers are those of report.json. */
#include "support/support.h"

#include <ctype.h>
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

/* Ends the data's script and opens one, leaves attributes and comments, and holds a NUL, an escape
 * sequence, bytes that are not UTF-8, and a mark that turns text around. */
#define HOSTILE                                                                                    \
    "</script><script>alert(1)</script><!--<script>\"'><img src=x onerror=alert(2)>"               \
    "&amp;]]>\x1B[2J\xFF\xC3\xE2\x80\xAE"
static const char hostile_reply[] = "Sure! " HOSTILE "\0</details>";
static const char hostile_sql[] = "SELECT '" HOSTILE "\0</pre></noscript>";

static void add_spider(mn_results *results, int system, int64_t index, int verdict)
{
    struct mn_spider_row row = {.index = index,
                                .db_id = index % 2 ? "farm" : "f<b>erry",
                                .question = "Who? " HOSTILE,
                                .gold = "SELECT 1 -- " HOSTILE,
                                .reply = system ? hostile_reply : hostile_sql,
                                .sql = hostile_sql,
                                .reply_length =
                                    system ? sizeof hostile_reply - 1 : sizeof hostile_sql - 1,
                                .sql_length = sizeof hostile_sql - 1,
                                .gold_rows = "{\"rows\":0,\"columns\":1,\"first\":[]}",
                                .rows = "{\"rows\":1,\"columns\":3,\"first\":[[null,\"</script>\","
                                        "{\"blob\":4}]]}",
                                .hardness = index % 2 ? MN_EASY : MN_EXTRA,
                                .verdict = {.official = verdict,
                                            .distinct = verdict,
                                            .seed = verdict,
                                            .error = MN_SQL_SYNTAX,
                                            .message = "near \"</script>\""}};
    OK(mn_results_add_spider(results, system, &row));
}

/* The base answers by replies, the adapter by logits. */
static void add_mmlu(mn_results *results, int system, const char *subject, int64_t index,
                     bool right)
{
    struct mn_mmlu_row row = {.subject = subject,
                              .index = index,
                              .answer = 1,
                              .predicted = right ? 1 : system - 1,
                              .reply = system ? NULL : HOSTILE,
                              .scored = system > 0,
                              .logprob = {-2, right ? -0.5f : -1.5f, -3, -4},
                              .question = "What? " HOSTILE,
                              .choice = {"one", "two", "three", "<b>four</b>"}};
    OK(mn_results_add_mmlu(results, system, &row));
}

static const char metrics[] = "{\"step\":1,\"loss\":2,\"learning_rate\":0.1}\n"
                              "{\"step\":2,\"loss\":1,\"learning_rate\":0.2}\n"
                              "{\"step\":3,\"loss\":";

static const char *make_run(void)
{
    const char *folder = test_scratch("html");
    mn_results *results;
    struct mn_system system = {
        .name = "base", .strength = 1, .spider_planned = 8, .mmlu_planned = 6};
    int id;
    OK(mn_make_directories(test_scratch("html/trainings/a<i>b")));
    OK(mn_file_write(test_scratch("html/trainings/a<i>b/metrics.jsonl"), metrics,
                     sizeof metrics - 1));
    OK(mn_results_open(&results, test_scratch("html/results.sqlite"), true));
    OK(mn_results_set(results, "name", "by </title> hand"));
    OK(mn_results_set(results, "config", "{\"key\":\"</pre><script>\"}"));
    OK(mn_results_add_system(results, &system, &id));
    system = (struct mn_system){.name = "a<i>b",
                                .training = "a<i>b",
                                .settings = "{}",
                                .strength = 1,
                                .spider_planned = 8,
                                .mmlu_planned = 6,
                                .folder = "f",
                                .fingerprint = "abcdef",
                                .trained = {.steps = 2, .first_loss = 2, .last_loss = 1}};
    OK(mn_results_add_system(results, &system, &id));
    OK(mn_results_set_trained(results, 1, &system));
    for (int i = 0; i < 8; i++) {
        add_spider(results, 0, i, i % 3 == 0);
        add_spider(results, 1, i, i == 7 ? -1 : i % 4 != 0);
    }
    for (int i = 0; i < 6; i++) {
        add_mmlu(results, 0, i < 4 ? "anatomy" : "vir</td>ology", i, i != 2);
        add_mmlu(results, 1, i < 4 ? "anatomy" : "vir</td>ology", i, i == 2 || i == 5);
    }
    mn_results_close(&results);
    return folder;
}

/* The page of the run; made once. */
static const char *page_in(mn_arena *arena, enum mn_language language)
{
    const char *folder = test_scratch("html");
    struct mn_report report;
    char *text;
    if (!mn_file_exists(test_scratch("html/results.sqlite"))) make_run();
    OK(mn_report_load(arena, folder, &report));
    OK(mn_report_write(&report, language, folder));
    mn_report_close(&report);
    OK(mn_file_read(arena, test_scratch("html/report.html"), &text, NULL));
    return text;
}

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;
    for (; (text = strstr(text, of)); text += strlen(of)) count++;
    return count;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

/* The end of a tag that begins at `tag`; quoted values may hold '>'. */
static const char *tag_end(const char *tag)
{
    bool quoted = false;
    for (; *tag && (quoted || *tag != '>'); tag++) quoted ^= *tag == '"';
    return tag;
}

/* Every element that is opened is closed, inner ones first. */
static void check_well_formed(const char *page)
{
    static const char *const empty[] = {"meta", "input", "!DOCTYPE", NULL};
    char open[64][16], name[16];
    size_t depth = 0;
    for (const char *at = strchr(page, '<'); at; at = strchr(at, '<')) {
        bool closes = at[1] == '/';
        const char *end = tag_end(at);
        size_t length = 0;
        assert_int_equal(*end, '>');
        for (at += 1 + closes; length < 15 && (isalnum((unsigned char)*at) || *at == '!'); at++)
            name[length++] = *at;
        name[length] = '\0';
        assert_true(length > 0);
        if (closes) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
        } else if (end[-1] != '/' && !is_one_of(name, empty)) {
            assert_true(depth < MN_COUNT(open));
            strcpy(open[depth++], name);
            if (strcmp(name, "script") == 0) end = strstr(end, "</script>") - 1;
            if (strcmp(name, "style") == 0) end = strstr(end, "</style>") - 1;
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static void test_page_is_well_formed_whatever_data_holds(void **state)
{
    check_well_formed(page_in(*state, MN_ENGLISH));
    check_well_formed(page_in(*state, MN_PORTUGUESE));
}

static void test_hostile_text_stays_text(void **state)
{
    const char *page = page_in(*state, MN_ENGLISH);
    assert_int_equal(occurrences(page, "<script"), 2);
    assert_int_equal(occurrences(page, "</script"), 2);
    assert_int_equal(occurrences(page, "<img"), 0);
    assert_int_equal(occurrences(page, "<!--"), 0);
    assert_int_equal(occurrences(page, "<i>"), 0);
    assert_int_equal(occurrences(page, "\x1B"), 0);
    assert_int_equal(occurrences(page, "\xE2\x80\xAE"), 0);
    assert_true(occurrences(page, "&lt;script&gt;alert(1)") > 0);
    size_t length = strlen(page); /* up to the first NUL, which must be the end */
    assert_int_equal(length, (size_t)mn_file_size(test_scratch("html/report.html")));
    for (size_t i = 0, size; i < length; i += size) {
        size = mn_utf8_at(page + i, length - i);
        assert_true(size > 0);
    }
}

static json_t *page_data(const char *page)
{
    const char *begin = strstr(page, "<script type=\"application/json\" id=\"data\">");
    assert_non_null(begin);
    begin = strchr(begin, '>') + 1;
    json_t *data =
        json_loadb(begin, (size_t)(strstr(begin, "</script>") - begin), JSON_ALLOW_NUL, NULL);
    assert_non_null(data);
    return data;
}

static void test_items_arrive_as_they_were_written(void **state)
{
    json_t *data = page_data(page_in(*state, MN_ENGLISH));
    json_t *items = json_object_get(json_object_get(data, "spider"), "items");
    assert_int_equal(json_array_size(items), 8);
    json_t *item = json_array_get(items, 7), *answer = json_array_get(json_array_get(item, 8), 1);
    assert_int_equal(json_integer_value(json_array_get(answer, 0)), -1);
    /* Both systems wrote the same: the query is there once, and so are the rows; what the adapter
     * said around it follows. */
    assert_int_equal(json_array_size(json_array_get(item, 6)), 2);
    assert_int_equal(json_integer_value(json_array_get(answer, 3)), 1);
    json_t *base = json_array_get(json_array_get(item, 8), 0);
    assert_int_equal(json_integer_value(json_array_get(base, 3)), -1);
    json_t *reply = mn_json_text(hostile_reply, sizeof hostile_reply - 1);
    assert_true(json_equal(json_array_get(json_array_get(item, 6), 1), reply));
    json_decref(reply);
    assert_int_equal(json_array_size(json_array_get(item, 7)), 1);
    json_t *sql = mn_json_text(hostile_sql, sizeof hostile_sql - 1);
    assert_true(json_equal(json_array_get(json_array_get(item, 6), 0), sql));
    json_decref(sql);
    json_t *rows = json_pack("[i,i,[[n,s,{s:i}]]]", 1, 3, "</script>", "blob", 4);
    assert_true(json_equal(json_array_get(json_array_get(item, 7), 0), rows));
    json_decref(rows);
    items = json_object_get(json_object_get(data, "mmlu"), "items");
    assert_int_equal(json_array_size(items), 6);
    item = json_array_get(items, 0);
    assert_string_equal(json_string_value(json_array_get(json_array_get(item, 4), 3)),
                        "<b>four</b>");
    json_decref(data);
}

static void test_page_needs_nothing_from_elsewhere(void **state)
{
    const char *page = page_in(*state, MN_ENGLISH);
    static const char *const foreign[] = {"://", "src=\"", "url(", "@import", "<link", "fetch("};
    for (size_t i = 0; i < MN_COUNT(foreign); i++)
        assert_int_equal(occurrences(page, foreign[i]), 0);
    assert_int_equal(occurrences(page, "href="), occurrences(page, "href=\"#"));
}

/* "+12.5", with a minus as wide as the plus. */
static const char *points(char text[32], const json_t *value)
{
    double number = 100 * json_number_value(value);
    snprintf(text, 32, "%s%.1f", number < 0 ? "−" : number > 0 ? "+" : "", fabs(number));
    return text;
}

static void check_cell(const char *page, const char *cell)
{
    if (!strstr(page, cell)) fail_msg("the page has no cell %s", cell);
}

static void check_change(const char *page, const json_t *change)
{
    char cell[128], value[32], low[32], high[32];
    const json_t *interval = json_object_get(change, "interval");
    snprintf(cell, sizeof cell, ">%s [%s, %s]<", points(value, json_object_get(change, "change")),
             points(low, json_array_get(interval, 0)), points(high, json_array_get(interval, 1)));
    check_cell(page, cell);
    snprintf(cell, sizeof cell, ">%lld / %lld<",
             (long long)json_integer_value(json_object_get(change, "gained")),
             (long long)json_integer_value(json_object_get(change, "lost")));
    check_cell(page, cell);
}

static void check_number(const char *page, const char *format, const json_t *value, double scale)
{
    char cell[64] = ">-<"; /* what cannot be said */
    assert_non_null(value);
    if (json_is_number(value))
        snprintf(cell, sizeof cell, format, scale * json_number_value(value));
    check_cell(page, cell);
}

static void test_page_and_json_carry_the_same_numbers(void **state)
{
    const char *page = page_in(*state, MN_ENGLISH), *name;
    json_t *report, *system, *part;
    size_t i;
    OK(mn_json_load(&report, test_scratch("html/report.json")));
    json_array_foreach (json_object_get(report, "systems"), i, system) {
        const json_t *spider = json_object_get(system, "spider");
        check_number(page, ">%.1f %%<",
                     json_object_get(json_object_get(spider, "accuracy"), "official"), 100);
        json_object_foreach (json_object_get(spider, "misses"), name, part)
            if (json_integer_value(part)) check_number(page, ">%.0f<", part, 1);
        const json_t *mmlu = json_object_get(system, "mmlu");
        const json_t *calibration = json_object_get(mmlu, "calibration");
        if (i == 0) continue; /* replies have no probabilities */
        check_number(page, ">%.1f %%<", json_object_get(calibration, "confidence"), 100);
        check_number(page, ">%.1f %%<", json_object_get(calibration, "error"), 100);
        check_number(page, ">%.1f %%<", json_object_get(json_object_get(mmlu, "micro"), "mass"),
                     100);
    }
    json_t *comparison = json_array_get(json_object_get(report, "comparisons"), 0);
    json_t *spider = json_object_get(comparison, "spider");
    json_t *mmlu = json_object_get(comparison, "mmlu");
    check_change(page, json_object_get(spider, "all"));
    check_change(page, json_object_get(mmlu, "micro"));
    check_number(page, ">%.1f<", json_object_get(json_object_get(spider, "all"), "detectable"),
                 100);
    check_number(page, ">%.2f<", json_object_get(json_object_get(spider, "all"), "design_effect"),
                 1);
    json_object_foreach (json_object_get(mmlu, "subjects"), name, part) {
        check_change(page, part);
        check_number(page, ">%.3f<", json_object_get(part, "holm_p"), 1);
    }
    json_decref(report);
}

/* The same in JSON and CSV, whose rows all have as many columns. */
static void test_steps_are_those_of_the_metrics(void **state)
{
    char *text;
    json_t *json;
    page_in(*state, MN_ENGLISH); /* the files are written beside it */
    OK(mn_json_load(&json, test_scratch("html/report.json")));
    const json_t *adapter = json_array_get(json_object_get(json, "systems"), 1);
    const json_t *steps = json_object_get(json_object_get(adapter, "training"), "by_step");
    assert_int_equal(json_array_size(json_object_get(steps, "loss")), 2);
    assert_float_equal(
        json_number_value(json_array_get(json_object_get(steps, "learning_rate"), 1)), 0.2, 0);
    json_decref(json);
    OK(mn_file_read(*state, test_scratch("html/report.csv"), &text, NULL));
    assert_non_null(strstr(text, "\"a<i>b\",training,step,\"2\",,,,,,,,,,,,,,,,,,1,0.2"));
    for (const char *row = text; *row; row = strchr(row, '\n') + 1) {
        int commas = 0;
        for (const char *c = row; *c != '\n'; c++) commas += *c == ',';
        assert_int_equal(commas, 22); /* no name here holds one */
    }
}

/* Two whole lines and a torn one: both curves have two points. */
static void test_curves_are_those_of_the_metrics(void **state)
{
    const char *page = page_in(*state, MN_ENGLISH);
    const char *loss = strstr(page, "<figcaption>Training loss");
    assert_non_null(loss);
    const char *curve = strstr(strstr(loss, "class=\"plot\""), "<path class=\"l ");
    assert_non_null(curve);
    const char *end = strchr(curve, '>');
    const char *next = strchr(curve, 'L');
    assert_true(next && next < end);
    next = strchr(next + 1, 'L');
    assert_true(!next || next > end);
}

static void test_page_speaks_portuguese(void **state)
{
    const char *page = page_in(*state, MN_PORTUGUESE);
    assert_non_null(strstr(page, "<html lang=\"pt-BR\">"));
    assert_non_null(strstr(page, "Ganhos e perdas"));
    assert_non_null(strstr(page, ">71,4 %<")); /* 5 of 7 judged */
    assert_null(strstr(page, ">71.4 %<"));
}

static void test_interval_within_a_subject_is_agresti_and_mins(void **state)
{
    (void)state;
    /* By hand: up 3.5, down 9.5, n 102: change -6/102, se = sqrt(13 - 36/102)/102. */
    struct mn_interval interval = mn_paired_interval(3, 9, 100);
    double half = 1.959963984540054 * sqrt(13 - 36.0 / 102) / 102;
    assert_float_equal(interval.low, -6.0 / 102 - half, 1e-15);
    assert_float_equal(interval.high, -6.0 / 102 + half, 1e-15);
    assert_true(isnan(mn_paired_interval(0, 0, 0).low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_is_well_formed_whatever_data_holds),
        cmocka_unit_test(test_hostile_text_stays_text),
        cmocka_unit_test(test_items_arrive_as_they_were_written),
        cmocka_unit_test(test_page_needs_nothing_from_elsewhere),
        cmocka_unit_test(test_page_and_json_carry_the_same_numbers),
        cmocka_unit_test(test_curves_are_those_of_the_metrics),
        cmocka_unit_test(test_steps_are_those_of_the_metrics),
        cmocka_unit_test(test_page_speaks_portuguese),
        cmocka_unit_test(test_interval_within_a_subject_is_agresti_and_mins),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
