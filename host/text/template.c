/* template.c: the v3 chat template, and {name} templates. */
#include "minuano/text.h"

#include <stdlib.h>
#include <string.h>

/* --- the conversation as spans ---------------------------------------------------------------- */

/* What a conversation consists of: special tokens, and text that begins with its own space. */
enum span_kind { SPAN_BOS, SPAN_EOS, SPAN_INST, SPAN_END_INST, SPAN_TEXT };
static const char *const span_token[] = {"<s>", "</s>", "[INST]", "[/INST]"};

typedef mn_status span_fn(void *user, enum span_kind kind, const char *text, size_t length);

/* Length in bytes of the white space that `text` begins with; 0: none. As Python's str.isspace().
 */
static size_t space_at(const char *text, size_t length)
{
    const unsigned char *c = (const unsigned char *)text;
    if (length >= 1 && ((c[0] >= 0x09 && c[0] <= 0x0d) || (c[0] >= 0x1c && c[0] <= 0x20))) return 1;
    if (length >= 2 && c[0] == 0xc2 && (c[1] == 0x85 || c[1] == 0xa0)) return 2;
    if (length < 3) return 0;
    unsigned point = (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
    bool space = c[0] >= 0xe1 && c[0] <= 0xe3 &&
                 (point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
                  point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000);
    return space ? 3 : 0;
}

/* Moves *text and *length past white space on both sides. */
static void strip(const char **text, size_t *length)
{
    for (size_t n; (n = space_at(*text, *length)) > 0;) {
        *text += n;
        *length -= n;
    }
    for (size_t n = 1; n <= 3 && n <= *length; n++)
        if (space_at(*text + *length - n, n) == n) {
            *length -= n;
            n = 0;
        }
}

static mn_status check_roles(const struct mn_message *messages, size_t count, size_t first)
{
    if (first == count)
        return mn_fail(MN_INVALID, "messages: expected at least one with role \"user\", found %s",
                       count ? "a system message alone" : "none");
    for (size_t i = first; i < count; i++) {
        const char *expected = (i - first) % 2 == 0 ? "user" : "assistant";
        if (strcmp(messages[i].role, expected) != 0)
            return mn_fail(MN_INVALID, "message %zu: expected role \"%s\", found \"%s\"", i,
                           expected, messages[i].role);
    }
    return MN_OK;
}

static mn_status emit_text(span_fn *emit, void *user, const char *system, const char *content,
                           size_t length)
{
    struct mn_text text = {0};
    mn_text_puts(&text, " ");
    if (system) {
        mn_text_puts(&text, system);
        mn_text_puts(&text, "\n\n");
    }
    mn_text_add(&text, content, length);
    mn_status st = emit(user, SPAN_TEXT, text.data, text.length);
    mn_text_free(&text);
    return st;
}

/* Gives the conversation span by span, so that text and ids cannot disagree. */
static mn_status walk(const struct mn_message *messages, size_t count, span_fn *emit, void *user)
{
    size_t first = count > 0 && strcmp(messages[0].role, "system") == 0;
    MN_TRY(check_roles(messages, count, first));
    MN_TRY(emit(user, SPAN_BOS, NULL, 0));
    for (size_t i = first; i < count; i++) {
        const char *content = messages[i].content;
        size_t length = strlen(content);
        if ((i - first) % 2 == 0) {
            const char *system = first && i + 1 == count ? messages[0].content : NULL;
            MN_TRY(emit(user, SPAN_INST, NULL, 0));
            MN_TRY(emit_text(emit, user, system, content, length));
            MN_TRY(emit(user, SPAN_END_INST, NULL, 0));
        } else {
            strip(&content, &length);
            MN_TRY(emit_text(emit, user, NULL, content, length));
            MN_TRY(emit(user, SPAN_EOS, NULL, 0));
        }
    }
    return MN_OK;
}

static mn_status span_to_text(void *user, enum span_kind kind, const char *text, size_t length)
{
    if (kind == SPAN_TEXT)
        mn_text_add(user, text, length);
    else
        mn_text_puts(user, span_token[kind]);
    return MN_OK;
}

mn_status mn_chat_text(const struct mn_message *messages, size_t count, struct mn_text *out)
{
    return walk(messages, count, span_to_text, out);
}

struct id_sink {
    const mn_tokenizer *tokenizer;
    struct mn_ids *out;
};

static mn_status span_to_ids(void *user, enum span_kind kind, const char *text, size_t length)
{
    struct id_sink *sink = user;
    if (kind == SPAN_TEXT)
        return mn_tokenize(sink->tokenizer, text, length, MN_TOKENIZE_CONTINUE, sink->out);
    int id = kind == SPAN_BOS   ? mn_tokenizer_bos(sink->tokenizer)
             : kind == SPAN_EOS ? mn_tokenizer_eos(sink->tokenizer)
                                : mn_tokenizer_piece(sink->tokenizer, span_token[kind]);
    if (id < 0)
        return mn_fail(MN_UNSUPPORTED, "the tokenizer has no %s: it knows no chat template",
                       span_token[kind]);
    mn_ids_add(sink->out, id);
    return MN_OK;
}

mn_status mn_chat_tokenize(const mn_tokenizer *tokenizer, const struct mn_message *messages,
                           size_t count, struct mn_ids *out)
{
    struct id_sink sink = {.tokenizer = tokenizer, .out = out};
    size_t before = out->count;
    mn_status st = walk(messages, count, span_to_ids, &sink);
    if (st != MN_OK) out->count = before;
    return st;
}

mn_status mn_messages_read(mn_arena *arena, const json_t *array, const char *where,
                           struct mn_message **messages, size_t *count)
{
    if (!json_is_array(array))
        return mn_fail(MN_INVALID, "%s: messages: expected an array, found %s", where,
                       mn_json_kind(array));
    size_t n = json_array_size(array);
    struct mn_message *list = MN_NEW(arena, struct mn_message, n);
    for (size_t i = 0; i < n; i++) {
        const char *at = mn_arena_printf(arena, "%s: message %zu", where, i);
        MN_TRY(mn_json_string(json_array_get(array, i), at, "role", &list[i].role));
        MN_TRY(mn_json_string(json_array_get(array, i), at, "content", &list[i].content));
    }
    *messages = list;
    *count = n;
    return MN_OK;
}

/* --- {name} templates ------------------------------------------------------------------------- */

static const char *value_of(const char *const *pairs, const char *name, size_t length)
{
    for (; pairs[0]; pairs += 2)
        if (strlen(pairs[0]) == length && memcmp(pairs[0], name, length) == 0) return pairs[1];
    return NULL;
}

static mn_status fail_name(const char *const *pairs, const char *name, size_t length)
{
    struct mn_text known = {0};
    mn_text_puts(&known, pairs[0] ? "" : "none");
    for (size_t i = 0; pairs[i]; i += 2) mn_text_printf(&known, "%s{%s}", i ? ", " : "", pairs[i]);
    mn_status st =
        mn_fail(MN_INVALID, "template: unknown {%.*s}; known: %s", (int)length, name, known.data);
    mn_text_free(&known);
    return st;
}

mn_status mn_template_fill(const char *template_text, const char *const *pairs, struct mn_text *out)
{
    size_t before = out->length;
    mn_status st = MN_OK;
    mn_text_add(out, "", 0);
    for (const char *at = template_text; *at;) {
        size_t plain = strcspn(at, "{");
        mn_text_add(out, at, plain);
        at += plain;
        if (*at == '\0') break;
        if (at[1] == '{') {
            mn_text_puts(out, "{");
            at += 2;
            continue;
        }
        size_t length = strcspn(at + 1, "{}");
        const char *value = at[1 + length] == '}' ? value_of(pairs, at + 1, length) : NULL;
        if (!value) {
            st = at[1 + length] == '}'
                     ? fail_name(pairs, at + 1, length)
                     : mn_fail(MN_INVALID,
                               "template: \"{\" without \"}\" at byte %zu; {{ is a brace",
                               (size_t)(at - template_text));
            out->length = before;
            out->data[before] = '\0';
            return st;
        }
        mn_text_puts(out, value);
        at += length + 2;
    }
    return st;
}
