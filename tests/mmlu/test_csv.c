/* The CSV reader reads what RFC 4180 writes and names the line of what it cannot read. */
#include "support/support.h"

#include "minuano/mmlu.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

static mn_status parse(void **state, const char *text, struct mn_csv *out)
{
    return mn_csv_parse(*state, text, strlen(text), "some.csv", out);
}

static void check_record(const struct mn_csv *csv, size_t i, long line, size_t count,
                         const char *const *fields)
{
    assert_true(i < csv->count);
    assert_int_equal(csv->record[i].line, line);
    assert_int_equal(csv->record[i].count, count);
    for (size_t f = 0; f < count; f++) assert_string_equal(csv->record[i].field[f], fields[f]);
}

static void test_csv_records_end_with_any_line_end(void **state)
{
    struct mn_csv csv;
    OK(parse(state, "a,b\r\nc,d\n\n\re,f", &csv));
    assert_int_equal(csv.count, 3);
    check_record(&csv, 0, 1, 2, (const char *[]){"a", "b"});
    check_record(&csv, 1, 2, 2, (const char *[]){"c", "d"});
    check_record(&csv, 2, 5, 2, (const char *[]){"e", "f"});
}

static void test_csv_quoted_fields_span_lines_and_keep_their_bytes(void **state)
{
    struct mn_csv csv;
    OK(parse(state, "\"one\r\ntwo\nthree\",\"a \"\"b\"\", c\",\"\"\nx,y,z\n", &csv));
    assert_int_equal(csv.count, 2);
    check_record(&csv, 0, 1, 3, (const char *[]){"one\r\ntwo\nthree", "a \"b\", c", ""});
    check_record(&csv, 1, 4, 3, (const char *[]){"x", "y", "z"});
}

static void test_csv_text_is_taken_as_it_stands(void **state)
{
    struct mn_csv csv;
    OK(parse(state, "\xef\xbb\xbfq, N/A ,nan,a \"b\" c,\n", &csv));
    assert_int_equal(csv.count, 1);
    check_record(&csv, 0, 1, 5, (const char *[]){"\xef\xbb\xbfq", " N/A ", "nan", "a \"b\" c", ""});
}

static void test_csv_of_nothing_has_no_records(void **state)
{
    struct mn_csv csv;
    OK(parse(state, "", &csv));
    assert_int_equal(csv.count, 0);
    OK(parse(state, "\n\r\n", &csv));
    assert_int_equal(csv.count, 0);
}

static void test_csv_errors_name_file_and_line(void **state)
{
    struct mn_csv csv;
    FAILS(parse(state, "a\n\"b\nc", &csv), MN_INVALID, "some.csv:2: a quote is opened here");
    FAILS(parse(state, "a\n\"", &csv), MN_INVALID, "some.csv:2: a quote is opened here");
    FAILS(parse(state, "a\n\"b\n\"c", &csv), MN_INVALID, "some.csv:3: expected a comma");
    FAILS(mn_csv_parse(*state, "a\nb\0c", 5, "some.csv", &csv), MN_INVALID,
          "some.csv:2: expected text, found a NUL byte");
    FAILS(mn_csv_read(*state, "/nowhere.csv", &csv), MN_NOT_FOUND, "/nowhere.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_records_end_with_any_line_end),
        cmocka_unit_test(test_csv_quoted_fields_span_lines_and_keep_their_bytes),
        cmocka_unit_test(test_csv_text_is_taken_as_it_stands),
        cmocka_unit_test(test_csv_of_nothing_has_no_records),
        cmocka_unit_test(test_csv_errors_name_file_and_line),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
