/* Prompts equal, byte for byte, those of the programs they come from; the seed study's order is
 * numpy's; prompts as ids share their shots without changing an id. */
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

static const struct mn_mmlu_subject *subject_of(const mn_mmlu *mmlu, const char *name)
{
    for (size_t i = 0; i < mmlu->subject_count; i++)
        if (strcmp(mmlu->subjects[i].name, name) == 0) return &mmlu->subjects[i];
    fail_msg("no subject %s", name);
    return NULL;
}

static int format_of(const char *name)
{
    for (int i = 0; mn_mmlu_formats[i]; i++)
        if (strcmp(mn_mmlu_formats[i], name) == 0) return i;
    fail_msg("no format %s", name);
    return -1;
}

static void test_prompts_match_every_golden_line(void **state)
{
    (void)state;
    const char *golden = test_shared("golden_mmlu_prompts.jsonl"), *folder = test_shared("mmlu");
    if (!golden || !folder) SKIP("no real data: ../shared/data is absent");
    mn_mmlu *mmlu;
    struct mn_jsonl file;
    struct mn_text text = {0};
    json_t *line;
    int checked = 0;
    OK(mn_mmlu_open(&mmlu, folder, "test"));
    assert_int_equal(mmlu->subject_count, 57);
    assert_int_equal(mmlu->count, 14042);
    OK(mn_jsonl_open(&file, golden));
    for (;; json_decref(line), checked++) {
        const char *format, *name, *expected;
        int64_t index;
        char found[65];
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        OK(mn_json_string(line, file.where, "format", &format));
        OK(mn_json_string(line, file.where, "subject", &name));
        OK(mn_json_string(line, file.where, "sha256", &expected));
        OK(mn_json_int(line, file.where, "index", 0, 100000, &index));
        const struct mn_mmlu_subject *subject = subject_of(mmlu, name);
        enum mn_mmlu_format which = (enum mn_mmlu_format)format_of(format);
        mn_text_clear(&text);
        OK(mn_mmlu_prompt_text(subject, &subject->questions[index], which,
                               which == MN_MMLU_SEED ? 4 : 5, &text));
        mn_sha256(text.data, text.length, found);
        if (strcmp(found, expected) != 0)
            fail_msg("%s: %s %lld: another prompt:\n%s", format, name, (long long)index, text.data);
    }
    assert_int_equal(checked, 1056);
    mn_text_free(&text);
    mn_jsonl_close(&file);
    mn_mmlu_close(&mmlu);
}

static void test_prompt_text_strips_only_for_lm_eval(void **state)
{
    (void)state;
    static const struct mn_mmlu_question question = {
        .text = " \xc2\xa0Why?\n\xe3\x80\x80", .choice = {"a ", "b", "c", "d"}, .answer = 1};
    static const struct mn_mmlu_subject subject = {.name = "zoo_facts"};
    struct mn_text text = {0};
    OK(mn_mmlu_prompt_text(&subject, &question, MN_MMLU_LM_EVAL, 0, &text));
    assert_string_equal(text.data,
                        "The following are multiple choice questions (with answers) about zoo "
                        "facts.\n\nWhy?\nA. a \nB. b\nC. c\nD. d\nAnswer:");
    mn_text_clear(&text);
    OK(mn_mmlu_prompt_text(&subject, &question, MN_MMLU_HENDRYCKS, 0, &text));
    assert_string_equal(text.data,
                        "The following are multiple choice questions (with answers) about  zoo "
                        "facts.\n\n \xc2\xa0Why?\n\xe3\x80\x80\nA. a \nB. b\nC. c\nD. d\nAnswer:");
    FAILS(mn_mmlu_prompt_text(&subject, &question, MN_MMLU_LM_EVAL, 1, &text), MN_INVALID,
          "\"zoo_facts\": 1 shots asked for, dev has 0");
    mn_text_free(&text);
}

static void test_numpy_permutation_matches_numpy(void **state)
{
    json_t *orders, *order;
    const char *key;
    OK(mn_json_load(&orders, test_fixture("mmlu/numpy_permutations.json")));
    assert_int_equal(json_object_size(orders), 8);
    json_object_foreach (orders, key, order) {
        unsigned seed, count;
        assert_int_equal(sscanf(key, "%u,%u", &seed, &count), 2);
        int64_t *found = MN_NEW(*state, int64_t, count);
        mn_numpy_permutation(seed, found, count);
        for (unsigned i = 0; i < count; i++)
            if (found[i] != json_integer_value(json_array_get(order, i)))
                fail_msg("default_rng(%u).permutation(%u)[%u] is %lld", seed, count, i,
                         (long long)found[i]);
    }
    json_decref(orders);
}

static void test_seed_suite_is_the_seed_studys_150_questions(void **state)
{
    static const size_t expected[3][10] = {{59, 21, 56, 18, 33, 42, 50, 27, 92, 71},
                                           {68, 134, 288, 201, 38, 249, 0, 61, 26, 33},
                                           {26, 241, 307, 368, 378, 115, 107, 335, 131, 261}};
    const char *folder = test_shared("mmlu");
    if (!folder) SKIP("no real data: ../shared/data is absent");
    mn_mmlu *mmlu;
    struct mn_mmlu_item *items;
    size_t count;
    OK(mn_mmlu_open(&mmlu, folder, "test"));
    OK(mn_mmlu_select(mmlu, MN_MMLU_SEED_SUITE, (struct mn_strings){0}, 0, *state, &items, &count));
    assert_int_equal(count, 150);
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(items[50 * s + i].question->index, expected[s][i]);
    mn_mmlu_close(&mmlu);
}

static void test_data_set_keeps_what_stands_in_the_fields(void **state)
{
    (void)state;
    mn_mmlu *mmlu;
    OK(mn_mmlu_open(&mmlu, test_fixture("mmlu"), "test"));
    assert_int_equal(mmlu->subject_count, 2);
    const struct mn_mmlu_subject *philosophy = &mmlu->subjects[0];
    assert_string_equal(philosophy->name, "philosophy");
    assert_int_equal(philosophy->group, MN_MMLU_HUMANITIES);
    assert_int_equal(mmlu->subjects[1].group, MN_MMLU_OTHER);
    assert_string_equal(philosophy->questions[0].text, "Which of these, if any, is\na virtue?");
    assert_string_equal(philosophy->questions[0].choice[1], "N/A");
    assert_string_equal(philosophy->questions[1].text, "  He said: \"no\"  ");
    assert_string_equal(philosophy->questions[1].choice[0], "\xef\xbb\xbfone");
    assert_string_equal(philosophy->questions[1].choice[3], "four\r\nfive");
    assert_int_equal(philosophy->questions[1].answer, 3);
    mn_mmlu_close(&mmlu);
}

static void write_csv(const char *folder, const char *split, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, split);
    OK(mn_make_directories(path));
    snprintf(path, sizeof path, "%s/%s/x_%s.csv", folder, split, split);
    OK(mn_file_write(path, text, strlen(text)));
}

static void test_data_set_errors_name_file_and_line(void **state)
{
    (void)state;
    const char *folder = test_scratch("broken");
    mn_mmlu *mmlu;
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_NOT_FOUND,
          "broken: expected MMLU: a folder test of CSV files");
    FAILS(mn_mmlu_open(&mmlu, folder, "train"), MN_INVALID, "\"train\"");
    write_csv(folder, "dev", "q,a,b,c,d,A\n");
    write_csv(folder, "test", "q,a,b,c,d,A\nq,a,b,c,A\n");
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_INVALID,
          "x_test.csv:2: expected 6 fields (question, four choices, answer), found 5");
    write_csv(folder, "test", "q,a,b,c,d,E\n");
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_INVALID,
          "x_test.csv:1: expected A, B, C or D as the answer, found \"E\"");
    write_csv(folder, "test", "q,a,\xff,c,d,A\n");
    FAILS(mn_mmlu_open(&mmlu, folder, "test"), MN_INVALID, "x_test.csv:1: field 3 is not UTF-8");
    FAILS(mn_mmlu_open(&mmlu, folder, "val"), MN_NOT_FOUND,
          "broken: expected MMLU: a folder val of CSV files");
}

static void test_selection_takes_the_first_of_named_subjects(void **state)
{
    static const char *const one[] = {"zoo_facts"}, *const twice[] = {"zoo_facts", "zoo_facts"},
                             *const unknown[] = {"alchemy"};
    mn_mmlu *mmlu;
    struct mn_mmlu_item *items;
    size_t count;
    OK(mn_mmlu_open(&mmlu, test_fixture("mmlu"), "val"));
    OK(mn_mmlu_select(mmlu, MN_MMLU_ALL, (struct mn_strings){0}, 0, *state, &items, &count));
    assert_int_equal(count, 12);
    OK(mn_mmlu_select(mmlu, MN_MMLU_ALL, (struct mn_strings){one, 1}, 3, *state, &items, &count));
    assert_int_equal(count, 3);
    assert_string_equal(items[2].subject->name, "zoo_facts");
    assert_int_equal(items[2].question->index, 2);
    FAILS(
        mn_mmlu_select(mmlu, MN_MMLU_ALL, (struct mn_strings){twice, 2}, 0, *state, &items, &count),
        MN_INVALID, "named twice");
    FAILS(mn_mmlu_select(mmlu, MN_MMLU_ALL, (struct mn_strings){unknown, 1}, 0, *state, &items,
                         &count),
          MN_NOT_FOUND, "no subject \"alchemy\"");
    mn_mmlu_close(&mmlu);
}

/* --- prompts as ids, by the real tokenizer -----------------------------------------------------
 */

struct fixture {
    mn_tokenizer *tokenizer;
    mn_mmlu *mmlu;
    struct mn_mmlu_item *items;
    size_t count;
};

static bool open_fixture(mn_arena *arena, struct fixture *f)
{
    const char *folder = test_shared("tokenizer/seed");
    if (!folder) return false;
    OK(mn_tokenizer_open(&f->tokenizer, folder));
    OK(mn_mmlu_open(&f->mmlu, test_fixture("mmlu"), "test"));
    OK(mn_mmlu_select(f->mmlu, MN_MMLU_ALL, (struct mn_strings){0}, 0, arena, &f->items,
                      &f->count));
    return true;
}

static void close_fixture(struct fixture *f)
{
    mn_mmlu_close(&f->mmlu);
    mn_tokenizer_close(&f->tokenizer);
}

/* prefix + own ids of prompt i against the ids of the whole text, less `cut` on the left. */
static void check_ids(const struct fixture *f, const struct mn_mmlu_prompts *prompts, size_t i,
                      enum mn_mmlu_format format, int flags)
{
    struct mn_text text = {0};
    struct mn_ids whole = {0}, found = {0};
    const struct mn_prompt *prompt = &prompts->prompts[i];
    OK(mn_mmlu_prompt_text(f->items[i].subject, f->items[i].question, format, prompts->shots[i],
                           &text));
    OK(mn_tokenize(f->tokenizer, text.data, text.length, flags, &whole));
    for (int k = 0; prompt->prefix >= 0 && k < prompts->prefixes[prompt->prefix].count; k++)
        mn_ids_add(&found, prompts->prefixes[prompt->prefix].ids[k]);
    for (int k = 0; k < prompt->count; k++) mn_ids_add(&found, prompt->ids[k]);
    assert_true(prompt->count >= 1);
    assert_true(prompts->cut[i] ? found.count < whole.count : found.count == whole.count);
    assert_memory_equal(found.item, whole.item + (whole.count - found.count),
                        found.count * sizeof *found.item);
    mn_text_free(&text);
    mn_ids_free(&whole);
    mn_ids_free(&found);
}

static void test_prefix_and_rest_are_the_ids_of_the_whole_prompt(void **state)
{
    struct fixture f;
    if (!open_fixture(*state, &f)) SKIP("no real data: ../shared/data is absent");
    for (int format = 0; mn_mmlu_formats[format]; format++) {
        int flags = MN_TOKENIZE_ADD_BOS | (format == MN_MMLU_SEED ? MN_TOKENIZE_PARSE_SPECIAL : 0);
        struct mn_mmlu_prompts prompts;
        OK(mn_mmlu_prompts(f.items, f.count, (enum mn_mmlu_format)format, 4, 4096, f.tokenizer,
                           *state, &prompts));
        assert_int_equal(prompts.prefix_count, 2);
        const struct mn_token_counts tokens =
            mn_prompts_count(prompts.prefixes, prompts.prefix_count, prompts.prompts, f.count);
        assert_true(tokens.shared > tokens.computed);
        for (size_t i = 0; i < f.count; i++) {
            assert_int_equal(prompts.shots[i], 4);
            assert_true(prompts.prompts[i].prefix >= 0);
            check_ids(&f, &prompts, i, (enum mn_mmlu_format)format, flags);
        }
    }
    close_fixture(&f);
}

/* Every seventh question of all 57 subjects, shots and question tokenized apart. */
static void test_real_prompts_have_the_ids_of_their_whole_text(void **state)
{
    const char *folder = test_shared("tokenizer/seed"), *mmlu = test_shared("mmlu");
    if (!folder || !mmlu) SKIP("no real data: ../shared/data is absent");
    static const enum mn_mmlu_format formats[] = {MN_MMLU_LM_EVAL, MN_MMLU_HENDRYCKS};
    struct fixture f;
    struct mn_mmlu_item *all;
    size_t count;
    OK(mn_tokenizer_open(&f.tokenizer, folder));
    OK(mn_mmlu_open(&f.mmlu, mmlu, "test"));
    OK(mn_mmlu_select(f.mmlu, MN_MMLU_ALL, (struct mn_strings){0}, 0, *state, &all, &count));
    f.items = MN_NEW(*state, struct mn_mmlu_item, count);
    for (size_t k = 0; k < MN_COUNT(formats); k++) {
        struct mn_mmlu_prompts prompts;
        f.count = 0;
        for (size_t i = k; i < count; i += 7 * MN_COUNT(formats)) f.items[f.count++] = all[i];
        OK(mn_mmlu_prompts(f.items, f.count, formats[k], 5, 32768, f.tokenizer, *state, &prompts));
        for (size_t i = 0; i < f.count; i++)
            check_ids(&f, &prompts, i, formats[k], MN_TOKENIZE_ADD_BOS);
    }
    close_fixture(&f);
}

static void test_too_long_prompts_are_cut_or_lose_shots(void **state)
{
    enum { ROOM = 150 };
    struct fixture f;
    if (!open_fixture(*state, &f)) SKIP("no real data: ../shared/data is absent");
    struct mn_mmlu_prompts prompts;
    OK(mn_mmlu_prompts(f.items, f.count, MN_MMLU_LM_EVAL, 5, ROOM, f.tokenizer, *state, &prompts));
    for (size_t i = 0; i < f.count; i++) {
        assert_true(prompts.cut[i]);
        assert_int_equal(prompts.prompts[i].count, ROOM);
        check_ids(&f, &prompts, i, MN_MMLU_LM_EVAL, MN_TOKENIZE_ADD_BOS);
    }
    OK(mn_mmlu_prompts(f.items, f.count, MN_MMLU_HENDRYCKS, 5, ROOM, f.tokenizer, *state,
                       &prompts));
    for (size_t i = 0; i < f.count; i++) {
        assert_false(prompts.cut[i]);
        assert_in_range(prompts.shots[i], 0, 4);
        assert_true(prompts.prompts[i].prefix == -1 && prompts.prompts[i].count <= ROOM);
        check_ids(&f, &prompts, i, MN_MMLU_HENDRYCKS, MN_TOKENIZE_ADD_BOS);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompts_match_every_golden_line),
        cmocka_unit_test(test_prompt_text_strips_only_for_lm_eval),
        cmocka_unit_test(test_numpy_permutation_matches_numpy),
        cmocka_unit_test(test_seed_suite_is_the_seed_studys_150_questions),
        cmocka_unit_test(test_data_set_keeps_what_stands_in_the_fields),
        cmocka_unit_test(test_data_set_errors_name_file_and_line),
        cmocka_unit_test(test_selection_takes_the_first_of_named_subjects),
        cmocka_unit_test(test_prefix_and_rest_are_the_ids_of_the_whole_prompt),
        cmocka_unit_test(test_real_prompts_have_the_ids_of_their_whole_text),
        cmocka_unit_test(test_too_long_prompts_are_cut_or_lose_shots),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
