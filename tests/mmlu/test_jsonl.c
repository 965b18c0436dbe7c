/* MMLU as lines of JSON is the data set that it is as CSV; what a line lacks is named. */
#include "support/support.h"

#include "minuano/mmlu.h"

static const char *path_in(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void add_line(struct mn_text *out, const char *subject,
                     const struct mn_mmlu_question *question, bool letter)
{
    json_t *choices = json_array();
    for (int c = 0; c < MN_MMLU_CHOICES; c++)
        json_array_append_new(choices, json_string(question->choice[c]));
    json_t *answer =
        letter ? json_stringn(&"ABCD"[question->answer], 1) : json_integer(question->answer);
    json_t *line = json_pack("{s:s,s:s,s:o,s:o}", "question", question->text, "subject", subject,
                             "choices", choices, "answer", answer);
    char *words = json_dumps(line, JSON_COMPACT);
    mn_text_printf(out, "%s\n", words);
    free(words);
    json_decref(line);
}

/* Writes a data set as JSONL: subjects take turns, so that none of their lines are neighbours. */
static void write_jsonl(const mn_mmlu *mmlu, const char *folder, const char *name)
{
    struct mn_text dev = {0}, split = {0};
    size_t longest = 0;
    for (size_t s = 0; s < mmlu->subject_count; s++) {
        const struct mn_mmlu_subject *subject = &mmlu->subjects[s];
        for (size_t i = 0; i < subject->shot_count; i++)
            add_line(&dev, subject->name, &subject->shots[i], i % 2);
        if (subject->count > longest) longest = subject->count;
    }
    for (size_t i = 0; i < longest; i++)
        for (size_t s = mmlu->subject_count; s > 0; s--)
            if (i < mmlu->subjects[s - 1].count)
                add_line(&split, mmlu->subjects[s - 1].name, &mmlu->subjects[s - 1].questions[i],
                         i % 2);
    OK(mn_make_directories(folder));
    OK(mn_file_write(path_in(folder, "dev.jsonl"), dev.data, dev.length));
    OK(mn_file_write(path_in(folder, name), split.data, split.length));
    mn_text_free(&dev);
    mn_text_free(&split);
}

static void check_questions(const struct mn_mmlu_question *a, size_t a_count,
                            const struct mn_mmlu_question *b, size_t b_count)
{
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_int_equal(a[i].index, b[i].index);
        assert_string_equal(a[i].text, b[i].text);
        for (int c = 0; c < MN_MMLU_CHOICES; c++)
            assert_string_equal(a[i].choice[c], b[i].choice[c]);
        assert_int_equal(a[i].answer, b[i].answer);
    }
}

static void check_same(const char *csv, const char *split, const char *file, const char *scratch)
{
    mn_mmlu *a, *b;
    const char *folder = test_scratch(scratch);
    OK(mn_mmlu_open(&a, csv, split));
    write_jsonl(a, folder, file);
    OK(mn_mmlu_open(&b, folder, split));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->subject_count, b->subject_count);
    for (size_t s = 0; s < a->subject_count; s++) {
        const struct mn_mmlu_subject *x = &a->subjects[s], *y = &b->subjects[s];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->group, y->group);
        check_questions(x->shots, x->shot_count, y->shots, y->shot_count);
        check_questions(x->questions, x->count, y->questions, y->count);
    }
    mn_mmlu_close(&a);
    mn_mmlu_close(&b);
}

static void test_lines_of_json_are_the_same_data_set(void **state)
{
    (void)state;
    check_same(test_fixture("mmlu"), "test", "test.jsonl", "jsonl-test");
    check_same(test_fixture("mmlu"), "val", "validation.jsonl", "jsonl-validation");
    if (test_shared("mmlu")) check_same(test_shared("mmlu"), "test", "test.jsonl", "jsonl-real");
}

/* As the archives unpack. */
static void test_a_data_folder_inside_is_found(void **state)
{
    mn_mmlu *mmlu, *nested;
    char folder[4000];
    (void)state;
    OK(mn_mmlu_open(&mmlu, test_fixture("mmlu"), "test"));
    snprintf(folder, sizeof folder, "%s", test_scratch("nested/data"));
    write_jsonl(mmlu, folder, "test.jsonl");
    OK(mn_mmlu_open(&nested, test_scratch("nested"), "test"));
    assert_int_equal(nested->count, mmlu->count);
    mn_mmlu_close(&nested);
    mn_mmlu_close(&mmlu);
}

static void test_wrong_lines_are_named(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"", "test.jsonl: expected questions, found none"},
        {"3", "test.jsonl:1: "},
        {"{\"subject\":\"s\",\"choices\":[],\"answer\":0}", "test.jsonl:1: key \"question\""},
        {"{\"question\":\"q\",\"choices\":[],\"answer\":0}", "test.jsonl:1: key \"subject\""},
        {"{\"question\":\"q\",\"subject\":\"\",\"answer\":0}", "key \"subject\": expected a name"},
        {"{\"question\":\"q\",\"subject\":\"s\",\"choices\":[\"a\",\"b\",\"c\"],\"answer\":0}",
         "key \"choices\": expected 4 strings, found 3"},
        {"{\"question\":\"q\",\"subject\":\"s\",\"choices\":[\"a\",1,\"c\",\"d\"],\"answer\":0}",
         "key \"choices\": expected strings without NUL, found an integer at 1"},
        {"{\"question\":\"q\",\"subject\":\"s\",\"choices\":[\"a\",\"b\",\"c\",\"d\"],\"answer\":"
         "4}",
         "key \"answer\": expected 0 to 3 or \"A\" to \"D\", found an integer"},
        {"{\"question\":\"q\",\"subject\":\"s\",\"choices\":[\"a\",\"b\",\"c\",\"d\"],"
         "\"answer\":\"E\"}",
         "key \"answer\": expected 0 to 3 or \"A\" to \"D\", found E"},
        {"{\"question\":\"q\",\"subject\":\"s\",\"choices\":[\"a\",\"b\",\"c\",\"d\"]}",
         "key \"answer\""},
    };
    const char *folder = test_scratch("wrong");
    mn_mmlu *mmlu;
    (void)state;
    OK(mn_make_directories(folder));
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_NOT_FOUND,
          "expected MMLU: a folder test of CSV files, or test.jsonl; found neither");
    OK(mn_file_write(path_in(folder, "test.jsonl"), "", 0));
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_NOT_FOUND, "dev.jsonl: expected beside");
    OK(mn_file_write(path_in(folder, "dev.jsonl"), "", 0));
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        OK(mn_file_write(path_in(folder, "test.jsonl"), cases[i].line, strlen(cases[i].line)));
        FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_INVALID, cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_json_are_the_same_data_set),
        cmocka_unit_test(test_a_data_folder_inside_is_found),
        cmocka_unit_test(test_wrong_lines_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
