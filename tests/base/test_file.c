/* Files are whole or untouched; lines, folders and JSON keep their contracts; the arena and the
 * text grow. */
#include "support/support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

static void test_arena_memory_is_zeroed_aligned_and_survives_growth(void **state)
{
    (void)state;
    mn_arena *arena;
    OK(mn_arena_open(&arena));
    for (int round = 0; round < 2; round++) {
        unsigned char *previous = NULL;
        for (size_t size = 1; size < 5000000; size = size * 3 + 1) {
            unsigned char *memory = mn_arena_alloc(arena, size, 1);
            assert_int_equal((uintptr_t)memory % 64, 0);
            for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
            memset(memory, 0xa5, size);
            if (previous) assert_int_equal(previous[0], 0xa5);
            previous = memory;
        }
        mn_arena_reset(arena);
    }
    mn_arena_close(&arena);
    assert_null(arena);
}

static void test_text_grows_and_keeps_its_end(void **state)
{
    (void)state;
    struct mn_text text = {0};
    mn_text_puts(&text, "");
    assert_string_equal(text.data, "");
    for (int i = 0; i < 1000; i++) mn_text_printf(&text, "%d,", i);
    assert_int_equal(text.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(text.data), text.length);
    mn_text_clear(&text);
    mn_text_add(&text, "a\0b", 3);
    assert_memory_equal(text.data, "a\0b", 4);
    mn_text_free(&text);
}

static void test_a_write_that_is_not_committed_changes_nothing(void **state)
{
    const char *path = test_scratch("kept");
    char *found;
    size_t size;
    mn_writer *writer;
    OK(mn_file_write(path, "before", 6));
    OK(mn_writer_open(&writer, path));
    fputs("half", mn_writer_stream(writer));
    mn_writer_close(&writer);
    OK(mn_file_read(*state, path, &found, &size));
    assert_int_equal(size, 6);
    assert_string_equal(found, "before");
    char **names;
    size_t count;
    OK(mn_directory_list(*state, test_scratch("."), &names, &count));
    for (size_t i = 0; i < count; i++) assert_null(strstr(names[i], ".tmp."));
}

static void test_a_committed_write_replaces_the_file(void **state)
{
    const char *path = test_scratch("replaced");
    char *found;
    OK(mn_file_write(path, "before", 6));
    OK(mn_file_write(path, "", 0));
    assert_int_equal(mn_file_size(path), 0);
    OK(mn_file_write(path, "after", 5));
    OK(mn_file_read(*state, path, &found, NULL));
    assert_string_equal(found, "after");
}

static void test_a_write_through_a_link_leaves_the_link(void **state)
{
    const char *target = test_scratch("target"), *link = test_scratch("link");
    char *found;
    OK(mn_file_write(target, "before", 6));
    unlink(link);
    assert_int_equal(symlink(target, link), 0);
    OK(mn_file_write(link, "after", 5));
    OK(mn_file_read(*state, target, &found, NULL));
    assert_string_equal(found, "after");
    char leads_to[4096] = "";
    assert_true(readlink(link, leads_to, sizeof leads_to - 1) > 0);
    assert_string_equal(leads_to, target);
}

/* A pipe stands for every device: what is no file must not be replaced by one. */
static void test_a_stream_is_written_to_and_stays(void **state)
{
    (void)state;
    const char *path = test_scratch("pipe");
    char found[16] = "";
    struct stat info;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(mn_is_stream(path));
    OK(mn_file_write(path, "through", 7));
    assert_int_equal(read(reader, found, sizeof found), 7);
    assert_string_equal(found, "through");
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    close(reader);
    assert_true(mn_is_stream("/dev/stdout"));
    assert_false(mn_is_stream(test_scratch("none")));
    assert_false(mn_is_stream("/tmp"));
}

static void test_errors_name_the_path(void **state)
{
    char *found;
    mn_writer *writer;
    struct mn_lines lines;
    FAILS(mn_file_read(*state, "/nowhere/at/all", &found, NULL), MN_NOT_FOUND, "/nowhere/at/all");
    FAILS(mn_file_read(*state, "/tmp", &found, NULL), MN_INVALID, "/tmp: expected a regular file");
    FAILS(mn_writer_open(&writer, "/nowhere/file"), MN_NOT_FOUND, "/nowhere/file");
    FAILS(mn_writer_open(&writer, "/tmp"), MN_INVALID, "/tmp: expected a file, found a folder");
    FAILS(mn_lines_open(&lines, "/nowhere/file"), MN_NOT_FOUND, "/nowhere/file");
    FAILS(mn_make_directories("/dev/null/folder"), MN_IO, "/dev/null");
}

static void test_lines_end_with_lf_crlf_or_the_file(void **state)
{
    (void)state;
    static const char text[] =
        "\xef\xbb\xbfone\r\n\ntwo\0more\nlast"; /* behind a byte order mark */
    static const struct {
        const char *bytes;
        size_t length;
    } expected[] = {{"one", 3}, {"", 0}, {"two\0more", 8}, {"last", 4}};
    const char *path = test_scratch("lines"), *line;
    struct mn_lines lines;
    OK(mn_file_write(path, text, sizeof text - 1));
    OK(mn_lines_open(&lines, path));
    for (size_t i = 0; i < MN_COUNT(expected); i++) {
        OK(mn_lines_next(&lines, &line));
        assert_int_equal(lines.number, i + 1);
        assert_int_equal(lines.length, expected[i].length);
        assert_memory_equal(line, expected[i].bytes, expected[i].length);
    }
    OK(mn_lines_next(&lines, &line));
    assert_null(line);
    mn_lines_close(&lines);
}

static void test_jsonl_names_the_line_that_is_not_json(void **state)
{
    (void)state;
    const char *path = test_scratch("some.jsonl");
    struct mn_jsonl file;
    json_t *value;
    OK(mn_file_write(path, "{\"a\":1}\n \t\r\n{\"a\":", 17));
    OK(mn_jsonl_open(&file, path));
    OK(mn_jsonl_next(&file, &value));
    json_decref(value);
    FAILS(mn_jsonl_next(&file, &value), MN_INVALID, "some.jsonl:3: not JSON");
    mn_jsonl_close(&file);
}

static void test_json_keys_are_checked_by_type_and_range(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:i,s:s,s:n,s:f}", "int", 7, "text", "x", "null", "real", 0.5);
    int64_t number;
    double real;
    const char *text;
    OK(mn_json_int(object, "f", "int", 0, 7, &number));
    FAILS(mn_json_int(object, "f", "int", 0, 6, &number), MN_INVALID,
          "f: key \"int\": expected an integer from 0 to 6, found 7");
    FAILS(mn_json_int(object, "f", "real", 0, 6, &number), MN_INVALID,
          "expected an integer, found a real number");
    FAILS(mn_json_string(object, "f", "absent", &text), MN_INVALID,
          "expected a string, found nothing");
    FAILS(mn_json_string(object, "f", "int", &text), MN_INVALID,
          "expected a string, found an integer");
    OK(mn_json_string_or(object, "f", "null", "fallback", &text));
    assert_string_equal(text, "fallback");
    OK(mn_json_real_or(object, "f", "int", 0, &real));
    assert_float_equal(real, 7, 0);
    json_decref(object);
}

static void test_sha256_matches_fips_180(void **state)
{
    (void)state;
    char hex[65];
    mn_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_paths_join_and_folders_are_made(void **state)
{
    assert_string_equal(mn_path(*state, "a", "b"), "a/b");
    assert_string_equal(mn_path(*state, "a/", "b"), "a/b");
    assert_string_equal(mn_path(*state, "a", "/b"), "/b");
    const char *deep = test_scratch("x/y/z");
    OK(mn_make_directories(deep));
    OK(mn_make_directories(deep));
    assert_true(mn_is_directory(deep));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_memory_is_zeroed_aligned_and_survives_growth),
        cmocka_unit_test(test_text_grows_and_keeps_its_end),
        cmocka_unit_test(test_a_write_that_is_not_committed_changes_nothing),
        cmocka_unit_test(test_a_committed_write_replaces_the_file),
        cmocka_unit_test(test_a_write_through_a_link_leaves_the_link),
        cmocka_unit_test(test_a_stream_is_written_to_and_stays),
        cmocka_unit_test(test_errors_name_the_path),
        cmocka_unit_test(test_lines_end_with_lf_crlf_or_the_file),
        cmocka_unit_test(test_jsonl_names_the_line_that_is_not_json),
        cmocka_unit_test(test_json_keys_are_checked_by_type_and_range),
        cmocka_unit_test(test_sha256_matches_fips_180),
        cmocka_unit_test(test_paths_join_and_folders_are_made),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
