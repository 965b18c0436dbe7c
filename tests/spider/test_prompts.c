/* test_prompts.c: prompts are the text they promise, and their ids those of Hugging Face; a shared
 * prefix changes nothing. */
#include "minuano/spider.h"
#include "support/support.h"

/* Real Spider and the real tokenizer, opened once. */
struct real {
    mn_spider *spider;
    mn_tokenizer *tokenizer;
};

static int open_real(void **state)
{
    static struct real real;
    if (test_shared("spider")) OK(mn_spider_open(&real.spider, test_shared("spider"), "dev"));
    if (test_shared("tokenizer"))
        OK(mn_tokenizer_open(&real.tokenizer, test_shared("tokenizer/seed")));
    *state = &real;
    return 0;
}

static int close_real(void **state)
{
    struct real *real = *state;
    mn_spider_close(&real->spider);
    mn_tokenizer_close(&real->tokenizer);
    return 0;
}

static void digest(const int32_t *ids, size_t count, char out[65])
{
    struct mn_text text = {0};
    for (size_t i = 0; i < count; i++) mn_text_printf(&text, "%s%d", i ? "," : "", ids[i]);
    mn_sha256(text.data, text.length, out);
    mn_text_free(&text);
}

/* The ids of prompt i: prefix, then its own. */
static void whole(const struct mn_spider_prompts *prompts, size_t i, struct mn_ids *out)
{
    const struct mn_prompt *prompt = &prompts->prompts[i];
    out->count = 0;
    if (prompt->prefix >= 0)
        for (int k = 0; k < prompts->prefixes[prompt->prefix].count; k++)
            mn_ids_add(out, prompts->prefixes[prompt->prefix].ids[k]);
    for (int k = 0; k < prompt->count; k++) mn_ids_add(out, prompt->ids[k]);
}

static void test_seed_prompts_have_the_ids_of_hugging_face(void **state)
{
    struct real *real = *state;
    struct mn_spider_prompt prompt;
    struct mn_spider_prompts prompts;
    struct mn_examples examples = {0};
    struct mn_ids ids = {0};
    struct mn_jsonl golden;
    mn_arena *arena;
    json_t *line;
    int checked = 0;
    if (!real->spider || !real->tokenizer) SKIP("no real data: ../shared/data is absent");
    OK(mn_arena_open(&arena));
    OK(mn_spider_prompt_read(&prompt, "seed_train"));
    OK(mn_spider_prompts(real->spider, NULL, real->spider->count, &prompt, 0, real->tokenizer,
                         arena, &prompts));
    OK(mn_spider_examples(real->spider, &prompt, real->tokenizer, MN_LOSS_ON_ALL, 1024, 0, arena,
                          &examples));
    OK(mn_jsonl_open(&golden, test_shared("golden_tokens.jsonl")));
    for (;;) {
        char found[65] = "";
        OK(mn_jsonl_next(&golden, &line));
        if (!line) break;
        const char *kind = json_string_value(json_object_get(line, "kind"));
        size_t i = (size_t)json_integer_value(json_object_get(line, "index"));
        if (strcmp(kind, "seed_eval") == 0) {
            whole(&prompts, i, &ids);
            digest(ids.item, ids.count, found);
        } else if (strcmp(kind, "seed_train") == 0) { /* the EOS behind is the trainer's */
            assert_int_equal(examples.item[i].ids[examples.item[i].count - 1], MN_EOS);
            digest(examples.item[i].ids, (size_t)examples.item[i].count - 1, found);
        }
        if (found[0]) {
            assert_string_equal(found, json_string_value(json_object_get(line, "sha256")));
            checked++;
        }
        json_decref(line);
    }
    mn_jsonl_close(&golden);
    assert_int_equal(checked, 200);
    mn_ids_free(&ids);
    mn_examples_free(&examples);
    mn_arena_close(&arena);
}

static void check_prefixes(const struct real *real, const char *name, size_t prefixes)
{
    struct mn_spider_prompt prompt;
    struct mn_spider_prompts prompts, some;
    struct mn_text text = {0};
    struct mn_ids ids = {0}, expected = {0};
    mn_arena *arena;
    OK(mn_arena_open(&arena));
    OK(mn_spider_prompt_read(&prompt, name));
    OK(mn_spider_prompts(real->spider, NULL, real->spider->count, &prompt, 0, real->tokenizer,
                         arena, &prompts));
    assert_int_equal(prompts.prefix_count, prefixes);
    for (size_t i = 0; i < prompts.count; i++) {
        mn_text_clear(&text);
        expected.count = 0;
        OK(mn_spider_prompt_text(&prompt, &real->spider->items[i], &text));
        const struct mn_message message = {"user", text.data};
        OK(mn_chat_tokenize(real->tokenizer, &message, 1, &expected));
        whole(&prompts, i, &ids);
        assert_int_equal(ids.count, expected.count);
        assert_memory_equal(ids.item, expected.item, ids.count * sizeof *ids.item);
        assert_true(prompts.prompts[i].count > 0);
    }
    const size_t left[] = {700}; /* what a resumed run asks for is split as in the whole */
    OK(mn_spider_prompts(real->spider, left, 1, &prompt, 0, real->tokenizer, arena, &some));
    assert_int_equal(some.prompts[0].count, prompts.prompts[700].count);
    mn_text_free(&text);
    mn_ids_free(&ids);
    mn_ids_free(&expected);
    mn_arena_close(&arena);
}

static void test_prefix_and_rest_are_the_ids_of_the_whole(void **state)
{
    struct real *real = *state;
    if (!real->spider || !real->tokenizer) SKIP("no real data: ../shared/data is absent");
    check_prefixes(real, "schema", 20);
    check_prefixes(real, "seed_few_shot", 1);
    check_prefixes(real, "{question}", 0);
    check_prefixes(real, "Q: {question}\n{schema}\nSQL:", 0);
}

static void test_a_prompt_without_room_loses_its_left(void **state)
{
    enum { ROOM = 400 };
    struct real *real = *state;
    struct mn_spider_prompt prompt;
    struct mn_spider_prompts full, cut;
    struct mn_ids expected = {0}, found = {0};
    mn_arena *arena;
    size_t lost = 0;
    if (!real->spider || !real->tokenizer) SKIP("no real data: ../shared/data is absent");
    OK(mn_arena_open(&arena));
    OK(mn_spider_prompt_read(&prompt, "schema"));
    OK(mn_spider_prompts(real->spider, NULL, real->spider->count, &prompt, 0, real->tokenizer,
                         arena, &full));
    OK(mn_spider_prompts(real->spider, NULL, real->spider->count, &prompt, ROOM, real->tokenizer,
                         arena, &cut));
    for (size_t i = 0; i < full.count; i++) {
        whole(&full, i, &expected);
        whole(&cut, i, &found);
        const size_t skip = expected.count > ROOM ? expected.count - ROOM : 0;
        assert_int_equal(found.count, expected.count - skip);
        assert_memory_equal(found.item, expected.item + skip, found.count * sizeof *found.item);
        assert_true(cut.cut[i] == (skip > 0));
        assert_false(full.cut[i]);
        lost += skip > 0;
    }
    assert_true(lost > 0 && lost < full.count);
    mn_ids_free(&expected);
    mn_ids_free(&found);
    mn_arena_close(&arena);
}

static void test_room_is_what_a_reply_leaves_of_the_positions(void **state)
{
    (void)state;
    struct mn_model_config config = {.max_positions = 1000};
    assert_int_equal(mn_spider_room(&config, 300), 700);
    assert_int_equal(mn_spider_room(&config, 900), 500);
    assert_int_equal(mn_spider_room(&config, 0), 800);
    config.sliding_window = 100;
    assert_int_equal(mn_spider_room(&config, 30), 70);
}

static void test_examples_carry_loss_on_the_query_alone(void **state)
{
    struct real *real = *state;
    struct mn_spider_prompt prompt;
    struct mn_examples examples = {0};
    struct mn_text query = {0};
    mn_arena *arena;
    if (!real->spider || !real->tokenizer) SKIP("no real data: ../shared/data is absent");
    OK(mn_arena_open(&arena));
    OK(mn_spider_prompt_read(&prompt, "schema"));
    OK(mn_spider_examples(real->spider, &prompt, real->tokenizer, MN_LOSS_ON_COMPLETION, 4096, 5,
                          arena, &examples));
    assert_int_equal(examples.count, 5);
    for (size_t i = 0; i < examples.count; i++) {
        const struct mn_example *example = &examples.item[i];
        int first = 0;
        while (first < example->count && !example->mask[first]) first++;
        assert_int_equal(example->ids[first - 1], MN_END_INST);
        assert_int_equal(example->ids[example->count - 1], MN_EOS);
        mn_text_clear(&query);
        OK(mn_detokenize(real->tokenizer, example->ids + first, (size_t)(example->count - first),
                         &query));
        assert_string_equal(query.data + (query.data[0] == ' '), real->spider->items[i].query);
    }
    mn_text_free(&query);
    mn_examples_free(&examples);
    mn_arena_close(&arena);
}

static void test_schema_is_create_table_lines(void **state)
{
    (void)state;
    const char *tables[] = {"singer", "2 of us"};
    struct mn_spider_column columns[] = {
        {"*", "text", -1, false},     {"Singer_ID", "number", 0, true},
        {"Name", "text", 0, false},   {"a b", "number", 1, true},
        {"c", "time", 1, true},       {"d\"e", "others", 1, false},
        {"1st", "boolean", 1, false},
    };
    struct mn_spider_reference references[] = {{4, 1}, {5, 1}};
    const struct mn_spider_database database = {
        .db_id = "x",
        .tables = tables,
        .table_count = 2,
        .columns = columns,
        .column_count = MN_COUNT(columns),
        .references = references,
        .reference_count = MN_COUNT(references),
    };
    struct mn_text text = {0};
    mn_spider_schema_text(&database, &text);
    assert_string_equal(
        text.data,
        "CREATE TABLE singer (Singer_ID number PRIMARY KEY, Name text);\n"
        "CREATE TABLE \"2 of us\" (\"a b\" number, c time, \"d\"\"e\" others, \"1st\" boolean, "
        "PRIMARY KEY (\"a b\", c), FOREIGN KEY (c) REFERENCES singer (Singer_ID), "
        "FOREIGN KEY (\"d\"\"e\") REFERENCES singer (Singer_ID));");
    mn_text_free(&text);
}

static void test_an_unknown_prompt_is_refused(void **state)
{
    struct mn_spider_prompt prompt;
    (void)state;
    FAILS(mn_spider_prompt_read(&prompt, "scheme"), MN_INVALID, "found \"scheme\"");
    OK(mn_spider_prompt_read(&prompt, "{schema} {question}"));
    assert_int_equal(prompt.kind, MN_PROMPT_CUSTOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_is_create_table_lines),
        cmocka_unit_test(test_an_unknown_prompt_is_refused),
        cmocka_unit_test(test_seed_prompts_have_the_ids_of_hugging_face),
        cmocka_unit_test(test_prefix_and_rest_are_the_ids_of_the_whole),
        cmocka_unit_test(test_a_prompt_without_room_loses_its_left),
        cmocka_unit_test(test_room_is_what_a_reply_leaves_of_the_positions),
        cmocka_unit_test(test_examples_carry_loss_on_the_query_alone),
    };
    return cmocka_run_group_tests(tests, open_real, close_real);
}
