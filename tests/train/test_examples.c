/* Examples: ids and loss masks of the four forms, truncation, and lines that are refused. */
#include "minuano/train.h"
#include "support/support.h"

static mn_tokenizer *tokenizer;
static mn_arena *arena;

static int open_all(void **state)
{
    (void)state;
    return mn_arena_open(&arena) != MN_OK ||
           mn_tokenizer_open(&tokenizer, test_fixture("tokenizer")) != MN_OK;
}

static int close_all(void **state)
{
    (void)state;
    mn_tokenizer_close(&tokenizer);
    mn_arena_close(&arena);
    return 0;
}

static mn_status read_lines(struct mn_examples *out, const char *lines, enum mn_loss_on loss_on,
                            int max_length)
{
    const char *path = test_scratch("examples.jsonl");
    OK(mn_file_write(path, lines, strlen(lines)));
    return mn_examples_read(out, arena, tokenizer, path, loss_on, max_length);
}

/* Ids of pieces: text through the tokenizer, by itself. */
static struct mn_ids ids_of(const char *text, int flags)
{
    struct mn_ids ids = {0};
    OK(mn_tokenize(tokenizer, text, strlen(text), flags, &ids));
    return ids;
}

static void check_example(const struct mn_example *found, const struct mn_ids *ids,
                          size_t first_loss)
{
    assert_int_equal(found->count, ids->count);
    assert_memory_equal(found->ids, ids->item, ids->count * sizeof *ids->item);
    for (size_t i = 0; i < ids->count; i++) assert_int_equal(found->mask[i], i >= first_loss);
}

static void test_examples_text_gets_bos_and_eos_and_loss_everywhere(void **state)
{
    (void)state;
    struct mn_examples examples = {0};
    struct mn_ids ids =
        ids_of("[INST] ab cd[/INST] ef", MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS);
    mn_ids_add(&ids, mn_tokenizer_eos(tokenizer));
    OK(read_lines(&examples,
                  "{\"text\":\"[INST] ab cd[/INST] ef\"}\n"
                  "{\"text\":\"<s>[INST] ab cd[/INST] ef</s>\", \"source\": 1}\n",
                  MN_LOSS_ON_COMPLETION, 1000));
    assert_int_equal(examples.count, 2);
    check_example(&examples.item[0], &ids, 0);
    check_example(&examples.item[1], &ids, 0);
    mn_examples_free(&examples);
    mn_ids_free(&ids);
}

static void test_examples_completion_alone_carries_loss(void **state)
{
    (void)state;
    const char *line = "{\"prompt\":\"[INST] ab cd[/INST]\",\"completion\":\" ef gh\"}\n";
    struct mn_examples examples = {0}, all = {0};
    int flags = MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS;
    struct mn_ids ids = ids_of("[INST] ab cd[/INST] ef gh", flags);
    struct mn_ids prompt = ids_of("[INST] ab cd[/INST]", flags);
    mn_ids_add(&ids, mn_tokenizer_eos(tokenizer));
    OK(read_lines(&examples, line, MN_LOSS_ON_COMPLETION, 1000));
    check_example(&examples.item[0], &ids, prompt.count);
    OK(read_lines(&all, line, MN_LOSS_ON_ALL, 1000));
    check_example(&all.item[0], &ids, 0);
    mn_examples_free(&examples);
    mn_examples_free(&all);
    mn_ids_free(&ids);
    mn_ids_free(&prompt);
}

static void test_examples_messages_carry_loss_on_assistant_turns(void **state)
{
    (void)state;
    const struct mn_message messages[] = {
        {"user", "ab [/INST] cd"}, {"assistant", "ef"}, {"user", "gh"}, {"assistant", "ij kl"}};
    struct mn_examples examples = {0};
    struct mn_ids ids = {0};
    OK(mn_chat_tokenize(tokenizer, messages, 4, &ids));
    OK(read_lines(&examples,
                  "{\"messages\":[{\"role\":\"user\",\"content\":\"ab [/INST] cd\"},"
                  "{\"role\":\"assistant\",\"content\":\"ef\"},"
                  "{\"role\":\"user\",\"content\":\"gh\"},"
                  "{\"role\":\"assistant\",\"content\":\"ij kl\"}]}\n",
                  MN_LOSS_ON_COMPLETION, 1000));
    const struct mn_example *found = &examples.item[0];
    int turns = 0, inside = 0;
    assert_int_equal(found->count, ids.count);
    for (size_t i = 0; i < ids.count; i++) {
        assert_int_equal(found->ids[i], ids.item[i]);
        assert_int_equal(found->mask[i], inside);
        if (ids.item[i] == mn_tokenizer_piece(tokenizer, "[/INST]")) inside = 1;
        if (ids.item[i] == mn_tokenizer_eos(tokenizer)) {
            turns++;
            inside = 0;
        }
    }
    assert_int_equal(turns, 2);
    mn_examples_free(&examples);
    mn_ids_free(&ids);
}

static void test_examples_are_cut_and_dropped_and_counted(void **state)
{
    (void)state;
    struct mn_examples examples = {0};
    OK(read_lines(&examples,
                  "{\"ids\":[5,6,7,8],\"loss_mask\":[0,0,1,1]}\n"
                  "\n"
                  "{\"ids\":[5,6,7,8],\"loss_mask\":[0,0,0,1]}\n" /* its loss is cut off */
                  "{\"ids\":[5],\"loss_mask\":[1]}\n"             /* predicted by nothing */
                  "{\"ids\":[5,6],\"loss_mask\":[true,false]}\n"
                  "{\"ids\":[5,6],\"loss_mask\":[false,true]}\n",
                  MN_LOSS_ON_ALL, 3));
    assert_int_equal(examples.count, 2);
    assert_int_equal(examples.truncated, 2);
    assert_int_equal(examples.dropped, 3);
    assert_int_equal(examples.item[0].count, 3);
    assert_int_equal(examples.item[0].ids[2], 7);
    assert_int_equal(examples.item[0].mask[1], 0);
    assert_int_equal(examples.item[1].ids[1], 6);
    mn_examples_free(&examples);
}

static void test_examples_name_the_line_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } wrong[] = {
        {"{\"tekst\":\"a\"}", "found none of them"},
        {"{\"text\":\"a\",\"prompt\":\"b\",\"completion\":\"c\"}", "found more than one"},
        {"[1]", "found none of them"},
        {"{\"text\":3}", "expected a string, found an integer"},
        {"{\"prompt\":\"a\"}", "key \"completion\""},
        {"{\"messages\":[]}", "messages"},
        {"{\"ids\":[1,2],\"loss_mask\":[1]}", "expected 2 elements"},
        {"{\"ids\":[1,100000],\"loss_mask\":[0,1]}", "element 1: expected an integer from 0"},
        {"{\"ids\":[1,-1],\"loss_mask\":[0,1]}", "element 1"},
        {"{\"ids\":[1,2],\"loss_mask\":[0,2]}", "element 1: expected 0 or 1"},
        {"{\"text\":\"a\"", "not JSON"},
    };
    for (size_t i = 0; i < MN_COUNT(wrong); i++) {
        struct mn_examples examples = {0};
        char lines[256];
        snprintf(lines, sizeof lines, "{\"text\":\"fine\"}\n%s\n", wrong[i].line);
        FAILS(read_lines(&examples, lines, MN_LOSS_ON_ALL, 10), MN_INVALID, wrong[i].words);
        if (!strstr(mn_error(), "examples.jsonl:2")) fail_msg("no line in: %s", mn_error());
        mn_examples_free(&examples);
    }
}

static void test_examples_of_ids_need_no_tokenizer(void **state)
{
    (void)state;
    struct mn_examples examples = {0};
    const char *path = test_scratch("ids.jsonl");
    const char *lines = "{\"ids\":[70000,1],\"loss_mask\":[0,1]}\n{\"text\":\"a\"}\n";
    OK(mn_file_write(path, lines, strlen(lines)));
    FAILS(mn_examples_read(&examples, arena, NULL, path, MN_LOSS_ON_ALL, 10), MN_INVALID,
          "without a tokenizer");
    assert_int_equal(examples.count, 1);
    mn_examples_free(&examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_text_gets_bos_and_eos_and_loss_everywhere),
        cmocka_unit_test(test_examples_completion_alone_carries_loss),
        cmocka_unit_test(test_examples_messages_carry_loss_on_assistant_turns),
        cmocka_unit_test(test_examples_are_cut_and_dropped_and_counted),
        cmocka_unit_test(test_examples_name_the_line_that_is_wrong),
        cmocka_unit_test(test_examples_of_ids_need_no_tokenizer),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
