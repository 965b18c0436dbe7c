/* Every line of the real golden_tokens.jsonl: ids by Hugging Face's tokenizer for texts made from
 * Spider and MMLU. */
#include "minuano/text.h"
#include "support/support.h"

static const char *const seed_text[] = {
    "[INST] Traduza a pergunta a seguir para SQL.\n\n### Pergunta:\n", " [/INST]"};

struct sources {
    mn_tokenizer *tokenizer;
    json_t *dev; /* of Spider */
    struct mn_text *mmlu;
    size_t mmlu_count;
};

/* Reads one CSV record (RFC 4180) into fields, and gives what is behind it; NULL at the end. */
static const char *read_record(const char *at, struct mn_text fields[6])
{
    if (*at == '\0') return NULL;
    for (int f = 0; f < 6; f++) {
        bool quoted = *at == '"';
        mn_text_clear(&fields[f]);
        mn_text_puts(&fields[f], "");
        at += quoted;
        for (;; at++) {
            if (quoted && *at == '"' && at[1] != '"') break;
            if (!quoted && (*at == ',' || *at == '\r' || *at == '\n' || *at == '\0')) break;
            if (quoted && *at == '"') at++;
            mn_text_add(&fields[f], at, 1);
        }
        at += quoted;
        if (*at == ',') at++;
    }
    if (*at == '\r') at++;
    return *at == '\n' ? at + 1 : at;
}

/* The first `count` questions, by name of the subject's file. */
static void read_mmlu(struct sources *sources, mn_arena *arena, size_t count)
{
    char **names;
    size_t files;
    struct mn_text f[6] = {0};
    const char *folder = test_shared("mmlu/test");
    assert_non_null(folder);
    OK(mn_directory_list(arena, folder, &names, &files));
    sources->mmlu = MN_NEW(arena, struct mn_text, count);
    for (size_t i = 0; i < files && sources->mmlu_count < count; i++) {
        char *data;
        OK(mn_file_read(arena, mn_path(arena, folder, names[i]), &data, NULL));
        for (const char *at = data;
             sources->mmlu_count < count && (at = read_record(at, f)) != NULL;)
            mn_text_printf(&sources->mmlu[sources->mmlu_count++],
                           "%s\nA. %s\nB. %s\nC. %s\nD. %s\nAnswer:", f[0].data, f[1].data,
                           f[2].data, f[3].data, f[4].data);
    }
    for (int i = 0; i < 6; i++) mn_text_free(&f[i]);
}

static void make_ids(const struct sources *sources, const char *kind, size_t index,
                     struct mn_ids *ids)
{
    const json_t *item = json_array_get(sources->dev, index);
    const char *question = json_string_value(json_object_get(item, "question"));
    const char *query = json_string_value(json_object_get(item, "query"));
    struct mn_text text = {0};
    int flags = 0;
    if (strcmp(kind, "mmlu") == 0) {
        assert_true(index < sources->mmlu_count);
        mn_text_puts(&text, sources->mmlu[index].data);
    } else if (strcmp(kind, "plain") == 0) {
        mn_text_printf(&text, "%s\n%s", question, query);
    } else if (strcmp(kind, "seed_train") == 0) {
        flags = MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS;
        mn_text_printf(&text, "%s%s%s\n%s", seed_text[0], question, seed_text[1], query);
    } else {
        bool eval = strcmp(kind, "seed_eval") == 0;
        mn_text_printf(&text, "%s%s%s", seed_text[0] + (eval ? 0 : strlen("[INST] ")), question,
                       eval ? seed_text[1] : "");
        const struct mn_message message = {"user", text.data};
        struct mn_text chat = {0};
        if (eval) {
            flags = MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS;
            OK(mn_chat_text(&message, 1, &chat));
            mn_text_free(&text);
            text = chat;
        } else {
            OK(mn_chat_tokenize(sources->tokenizer, &message, 1, ids));
        }
    }
    if (ids->count == 0) OK(mn_tokenize(sources->tokenizer, text.data, text.length, flags, ids));
    mn_text_free(&text);
}

static void check_line(const struct sources *sources, const json_t *line, const char *where)
{
    struct mn_ids ids = {0};
    struct mn_text joined = {0};
    char digest[65];
    make_ids(sources, json_string_value(json_object_get(line, "kind")),
             (size_t)json_integer_value(json_object_get(line, "index")), &ids);
    for (size_t i = 0; i < ids.count; i++)
        mn_text_printf(&joined, "%s%d", i ? "," : "", ids.item[i]);
    mn_sha256(joined.data, joined.length, digest);
    if (strcmp(digest, json_string_value(json_object_get(line, "sha256"))) != 0)
        fail_msg("%s: other ids: %s", where, joined.data);
    mn_ids_free(&ids);
    mn_text_free(&joined);
}

static void test_every_golden_line_matches(void **state)
{
    (void)state;
    struct sources sources = {0};
    struct mn_jsonl file;
    mn_arena *arena;
    json_t *line;
    size_t lines = 0;
    const char *golden = test_shared("golden_tokens.jsonl");
    if (!golden) SKIP("no real data: ../shared/data is absent");
    OK(mn_arena_open(&arena));
    OK(mn_tokenizer_open(&sources.tokenizer, test_shared("tokenizer/seed")));
    OK(mn_json_load(&sources.dev, test_shared("spider/dev.json")));
    read_mmlu(&sources, arena, 400);
    OK(mn_jsonl_open(&file, golden));
    for (;; lines++) {
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        check_line(&sources, line, file.where);
        json_decref(line);
    }
    assert_int_equal(lines, 800);
    mn_jsonl_close(&file);
    for (size_t i = 0; i < sources.mmlu_count; i++) mn_text_free(&sources.mmlu[i]);
    json_decref(sources.dev);
    mn_tokenizer_close(&sources.tokenizer);
    mn_arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_golden_line_matches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
