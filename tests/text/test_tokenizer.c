/* Token ids and text against Hugging Face's, by tests/oracle/tokenizer.py: a tiny model that is
 * always here, and Mistral's own where the machine has it. */
#include "minuano/text.h"
#include "support/support.h"

static mn_tokenizer *open_tokenizer(const char *folder)
{
    mn_tokenizer *tokenizer;
    OK(mn_tokenizer_open(&tokenizer, folder));
    return tokenizer;
}

static void check_ids(const struct mn_ids *found, const json_t *expected, const char *where)
{
    if (found->count != json_array_size(expected))
        fail_msg("%s: found %zu ids, expected %zu", where, found->count, json_array_size(expected));
    for (size_t i = 0; i < found->count; i++)
        if (found->item[i] != json_integer_value(json_array_get(expected, i)))
            fail_msg("%s: id %zu: found %d, expected %lld", where, i, found->item[i],
                     (long long)json_integer_value(json_array_get(expected, i)));
}

static void check_text_line(const mn_tokenizer *tokenizer, const json_t *line, const char *where)
{
    const json_t *text = json_object_get(line, "text");
    const json_t *decoded = json_object_get(line, "decoded");
    struct mn_ids plain = {0}, special = {0};
    struct mn_text back = {0};
    OK(mn_tokenize(tokenizer, json_string_value(text), json_string_length(text), 0, &plain));
    check_ids(&plain, json_object_get(line, "plain"), where);
    OK(mn_tokenize(tokenizer, json_string_value(text), json_string_length(text),
                   MN_TOKENIZE_PARSE_SPECIAL, &special));
    check_ids(&special, json_object_get(line, "special"), where);
    if (strcmp(json_string_value(text), "<unk>") != 0) { /* SentencePiece shows it as U+2047 */
        OK(mn_detokenize(tokenizer, special.item, special.count, &back));
        assert_int_equal(back.length, json_string_length(decoded));
        assert_memory_equal(back.data, json_string_value(decoded), back.length);
    }
    mn_ids_free(&plain);
    mn_ids_free(&special);
    mn_text_free(&back);
}

static void check_chat_line(const mn_tokenizer *tokenizer, const json_t *line, const char *where)
{
    mn_arena *arena;
    struct mn_message *messages;
    size_t count;
    struct mn_ids ids = {0}, parsed = {0};
    struct mn_text text = {0};
    OK(mn_arena_open(&arena));
    OK(mn_messages_read(arena, json_object_get(line, "messages"), where, &messages, &count));
    OK(mn_chat_text(messages, count, &text));
    assert_string_equal(text.data, json_string_value(json_object_get(line, "chat")));
    OK(mn_chat_tokenize(tokenizer, messages, count, &ids));
    check_ids(&ids, json_object_get(line, "ids"), where);
    OK(mn_tokenize(tokenizer, text.data, text.length, MN_TOKENIZE_PARSE_SPECIAL, &parsed));
    check_ids(&parsed, json_object_get(line, "ids"), where);
    mn_ids_free(&ids);
    mn_ids_free(&parsed);
    mn_text_free(&text);
    mn_arena_close(&arena);
}

static void check_golden(const char *folder, const char *golden)
{
    struct mn_jsonl file;
    json_t *line;
    mn_tokenizer *tokenizer = open_tokenizer(folder);
    OK(mn_jsonl_open(&file, golden));
    size_t lines = 0;
    for (;; lines++) {
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        if (json_object_get(line, "text"))
            check_text_line(tokenizer, line, file.where);
        else
            check_chat_line(tokenizer, line, file.where);
        json_decref(line);
    }
    assert_true(lines > 60);
    mn_jsonl_close(&file);
    mn_tokenizer_close(&tokenizer);
}

static void test_tiny_model_matches_hugging_face(void **state)
{
    (void)state;
    check_golden(test_fixture("tokenizer"), test_fixture("tokenizer/golden.jsonl"));
}

static void test_mistral_model_matches_hugging_face(void **state)
{
    (void)state;
    const char *folder = test_shared("tokenizer/seed");
    if (!folder) SKIP("no real data: ../shared/data is absent");
    check_golden(folder, test_fixture("tokenizer/golden_mistral.jsonl"));
}

static void test_pieces_and_special_ids(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    assert_int_equal(mn_tokenizer_vocab(t), 448);
    assert_int_equal(mn_tokenizer_bos(t), MN_BOS);
    assert_int_equal(mn_tokenizer_eos(t), MN_EOS);
    assert_int_equal(mn_tokenizer_piece(t, "[INST]"), MN_INST);
    assert_int_equal(mn_tokenizer_piece(t, "[/INST]"), MN_END_INST);
    assert_int_equal(mn_tokenizer_piece(t, "<unk>"), 0);
    assert_int_equal(mn_tokenizer_piece(t, "no such piece"), -1);
    assert_int_equal(mn_tokenizer_piece(t, ""), -1);
    mn_tokenizer_close(&t);
    mn_tokenizer_close(&t);
}

static void test_every_byte_survives_a_round_trip(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_text text = {0}, back = {0};
    struct mn_ids ids = {0};
    for (char c = 0; c < 127; c++) mn_text_add(&text, &c, 1);
    mn_text_puts(&text, "  [INST] <s> é日😀   ");
    OK(mn_tokenize(t, text.data, text.length, 0, &ids));
    OK(mn_detokenize(t, ids.item, ids.count, &back));
    assert_int_equal(back.length, text.length);
    assert_memory_equal(back.data, text.data, text.length);
    for (size_t i = 0; i < ids.count; i++) assert_true(ids.item[i] > MN_END_INST);
    mn_ids_free(&ids);
    mn_text_free(&text);
    mn_text_free(&back);
    mn_tokenizer_close(&t);
}

static void test_bad_utf8_is_taken_as_replacement_characters(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_text back = {0};
    struct mn_ids ids = {0};
    OK(mn_tokenize(t, "a\xff\xc3z", 4, MN_TOKENIZE_PARSE_SPECIAL, &ids));
    OK(mn_detokenize(t, ids.item, ids.count, &back));
    assert_string_equal(back.data, "a\xef\xbf\xbd\xef\xbf\xbdz");
    mn_ids_free(&ids);
    mn_text_free(&back);
    mn_tokenizer_close(&t);
}

static void test_two_bos_only_when_spelled_out_and_parsed(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_ids ids = {0};
    OK(mn_tokenize(t, "<s>", 3, MN_TOKENIZE_ADD_BOS | MN_TOKENIZE_PARSE_SPECIAL, &ids));
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.item[1], MN_BOS);
    ids.count = 0;
    OK(mn_tokenize(t, "<s>", 3, MN_TOKENIZE_ADD_BOS, &ids));
    assert_int_equal(ids.item[0], MN_BOS);
    for (size_t i = 1; i < ids.count; i++) assert_int_not_equal(ids.item[i], MN_BOS);
    mn_ids_free(&ids);
    mn_tokenizer_close(&t);
}

static void test_continued_text_gets_no_space(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_ids whole = {0}, parts = {0};
    OK(mn_tokenize(t, "count(*)", 8, 0, &whole));
    OK(mn_tokenize(t, " count(*)", 9, MN_TOKENIZE_CONTINUE, &parts));
    assert_int_equal(whole.count, parts.count);
    assert_memory_equal(whole.item, parts.item, whole.count * sizeof *whole.item);
    mn_ids_free(&whole);
    mn_ids_free(&parts);
    mn_tokenizer_close(&t);
}

/* Cuts the text wherever that is promised to change nothing. Returns the number of cuts. */
static int check_cuts(const mn_tokenizer *t, const char *text, size_t length)
{
    struct mn_ids whole = {0}, parts = {0};
    int cuts = 0;
    OK(mn_tokenize(t, text, length, 0, &whole));
    for (size_t at = 1; at < length; at++) {
        if (!mn_tokenizer_may_cut(t, text[at - 1], text[at])) continue;
        parts.count = 0;
        OK(mn_tokenize(t, text, at, 0, &parts));
        OK(mn_tokenize(t, text + at, length - at, MN_TOKENIZE_CONTINUE, &parts));
        if (parts.count != whole.count ||
            memcmp(parts.item, whole.item, whole.count * sizeof *whole.item) != 0)
            fail_msg("cut at byte %zu, other ids: %s", at, text);
        cuts++;
    }
    mn_ids_free(&whole);
    mn_ids_free(&parts);
    return cuts;
}

static int check_cuts_in_file(const char *folder, const char *golden)
{
    struct mn_jsonl file;
    json_t *line;
    int cuts = 0;
    mn_tokenizer *tokenizer = open_tokenizer(folder);
    assert_true(mn_tokenizer_may_cut(tokenizer, '\n', 'A'));
    assert_false(mn_tokenizer_may_cut(tokenizer, 'A', (char)0x80)); /* inside a character */
    OK(mn_jsonl_open(&file, golden));
    for (;; json_decref(line)) {
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        const json_t *text = json_object_get(line, "text");
        if (text) cuts += check_cuts(tokenizer, json_string_value(text), json_string_length(text));
    }
    mn_jsonl_close(&file);
    mn_tokenizer_close(&tokenizer);
    return cuts;
}

static void test_text_cut_where_no_piece_joins_keeps_its_ids(void **state)
{
    (void)state;
    const char *folder = test_shared("tokenizer/seed");
    assert_true(check_cuts_in_file(test_fixture("tokenizer"),
                                   test_fixture("tokenizer/golden.jsonl")) > 1000);
    if (!folder) SKIP("no real data: ../shared/data is absent");
    assert_true(check_cuts_in_file(folder, test_fixture("tokenizer/golden_mistral.jsonl")) > 500);
}

/* Fields appended to a model change one setting each: what then tokenizes otherwise is not cut. */
static void test_other_kinds_of_models_are_never_cut(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "\x12\x02\x18\x01",     /* trainer: unigram */
        "\x12\x03\xc0\x01\x01", /* trainer: spaces behind words */
        "\x1a\x02\x20\x01",     /* normalizer: takes extra spaces away */
    };
    static const size_t lengths[] = {4, 5, 4};
    for (size_t i = 0; i < MN_COUNT(fields); i++) {
        struct mn_mapping model;
        struct mn_text changed = {0};
        const char *folder = test_scratch("changed");
        OK(mn_mapping_open(&model, test_fixture("tokenizer/tokenizer.model")));
        mn_text_add(&changed, (const char *)model.data, model.size);
        mn_text_add(&changed, fields[i], lengths[i]);
        OK(mn_make_directories(folder));
        OK(mn_file_write(test_scratch("changed/tokenizer.model"), changed.data, changed.length));
        mn_tokenizer *t = open_tokenizer(folder);
        assert_false(mn_tokenizer_may_cut(t, '\n', 'A'));
        mn_tokenizer_close(&t);
        mn_text_free(&changed);
        mn_mapping_close(&model);
    }
}

static void test_a_million_characters(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_text text = {0}, back = {0};
    struct mn_ids ids = {0};
    for (int i = 0; i < 100000; i++) mn_text_puts(&text, "[ SELECT <");
    OK(mn_tokenize(t, text.data, text.length, MN_TOKENIZE_PARSE_SPECIAL, &ids));
    OK(mn_detokenize(t, ids.item, ids.count, &back));
    assert_string_equal(back.data, text.data);
    mn_ids_free(&ids);
    mn_text_free(&text);
    mn_text_free(&back);
    mn_tokenizer_close(&t);
}

static void test_ids_beyond_the_pieces_have_no_text(void **state)
{
    (void)state;
    mn_tokenizer *t = open_tokenizer(test_fixture("tokenizer"));
    struct mn_ids ids = {0}, padded = {0};
    struct mn_text expected = {0}, found = {0};
    OK(mn_tokenize(t, "a padded vocabulary", 19, 0, &ids));
    for (size_t i = 0; i < ids.count; i++) {
        mn_ids_add(&padded, mn_tokenizer_vocab(t) + (int32_t)i);
        mn_ids_add(&padded, ids.item[i]);
    }
    OK(mn_detokenize(t, ids.item, ids.count, &expected));
    OK(mn_detokenize(t, padded.item, padded.count, &found));
    assert_string_equal(found.data, expected.data);
    mn_ids_free(&ids);
    mn_ids_free(&padded);
    mn_text_free(&expected);
    mn_text_free(&found);
    mn_tokenizer_close(&t);
}

static void test_bad_models_and_ids_are_named(void **state)
{
    (void)state;
    mn_tokenizer *t;
    struct mn_text out = {0};
    const char *folder = test_scratch("bad");
    FAILS(mn_tokenizer_open(&t, folder), MN_NOT_FOUND, "bad/tokenizer.model");
    OK(mn_make_directories(folder));
    OK(mn_file_write(test_scratch("bad/tokenizer.model"), "", 0));
    FAILS(mn_tokenizer_open(&t, folder), MN_INVALID, "not a SentencePiece model");
    OK(mn_file_write(test_scratch("bad/tokenizer.model"), "not a model at all", 18));
    FAILS(mn_tokenizer_open(&t, folder), MN_INVALID, "bad/tokenizer.model: not a SentencePiece");
    t = open_tokenizer(test_fixture("tokenizer"));
    int32_t ids[] = {5, -1};
    FAILS(mn_detokenize(t, ids, 2, &out), MN_INVALID,
          "token 1: expected an id of at least 0, found -1");
    mn_text_free(&out);
    mn_tokenizer_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_model_matches_hugging_face),
        cmocka_unit_test(test_mistral_model_matches_hugging_face),
        cmocka_unit_test(test_pieces_and_special_ids),
        cmocka_unit_test(test_every_byte_survives_a_round_trip),
        cmocka_unit_test(test_bad_utf8_is_taken_as_replacement_characters),
        cmocka_unit_test(test_two_bos_only_when_spelled_out_and_parsed),
        cmocka_unit_test(test_continued_text_gets_no_space),
        cmocka_unit_test(test_text_cut_where_no_piece_joins_keeps_its_ids),
        cmocka_unit_test(test_other_kinds_of_models_are_never_cut),
        cmocka_unit_test(test_a_million_characters),
        cmocka_unit_test(test_ids_beyond_the_pieces_have_no_text),
        cmocka_unit_test(test_bad_models_and_ids_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
