/* prompts.c: from JSONL lines to token ids. */
#include "prompts.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct prompt_rules *rules;
    mn_arena *arena, *line;
    const char *where;
    const json_t *object;
    struct mn_ids prompt, completion, whole;
};

static mn_status need_tokenizer(const struct reader *r, const char *key)
{
    if (r->rules->tokenizer) return MN_OK;
    return mn_fail(MN_NOT_FOUND, "%s: key \"%s\" is text, but there is no %s", r->where, key,
                   r->rules->tokenizer_path);
}

/* The key's string, which may hold NUL bytes. */
static mn_status get_text(const struct reader *r, const char *key, const char **text,
                          size_t *length)
{
    const json_t *value = json_object_get(r->object, key);
    if (!json_is_string(value))
        return mn_fail(MN_INVALID, "%s: key \"%s\": expected a string, found %s", r->where, key,
                       mn_json_kind(value));
    *text = json_string_value(value);
    *length = json_string_length(value);
    return need_tokenizer(r, key);
}

static mn_status get_ids(const struct reader *r, const char *key, struct mn_ids *out)
{
    const json_t *array;
    MN_TRY(mn_json_array(r->object, r->where, key, &array));
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= r->rules->model->vocab)
            return mn_fail(MN_INVALID, "%s: key \"%s\": element %zu: expected an id from 0 to %d",
                           r->where, key, i, r->rules->model->vocab - 1);
        mn_ids_add(out, (int32_t)json_integer_value(id));
    }
    return MN_OK;
}

/* Hugging Face's tokenizer(text), but never with a second BOS. */
static mn_status tokenize(const struct reader *r, const char *text, size_t length,
                          struct mn_ids *out)
{
    int flags = r->rules->parse_special ? MN_TOKENIZE_PARSE_SPECIAL : 0;
    int bos = mn_tokenizer_bos(r->rules->tokenizer);
    if (bos >= 0) mn_ids_add(out, bos);
    MN_TRY(mn_tokenize(r->rules->tokenizer, text, length, flags, out));
    if (bos >= 0 && out->count > 1 && out->item[1] == bos)
        memmove(out->item, out->item + 1, --out->count * sizeof *out->item);
    return MN_OK;
}

static mn_status read_messages(struct reader *r)
{
    struct mn_message *messages;
    size_t count;
    struct mn_text text = {0};
    mn_status st;
    MN_TRY(need_tokenizer(r, "messages"));
    MN_TRY(mn_messages_read(r->line, json_object_get(r->object, "messages"), r->where, &messages,
                            &count));
    if (r->rules->parse_special) {
        st = mn_chat_text(messages, count, &text);
        if (st == MN_OK)
            st = mn_tokenize(r->rules->tokenizer, text.data, text.length, MN_TOKENIZE_PARSE_SPECIAL,
                             &r->prompt);
    } else {
        st = mn_chat_tokenize(r->rules->tokenizer, messages, count, &r->prompt);
    }
    mn_text_free(&text);
    return st == MN_OK ? MN_OK : mn_fail_in(st, "%s", r->where);
}

/* Which of the keys the line has: exactly one. */
static mn_status find_key(const struct reader *r, const char *const *keys, const char **out)
{
    struct mn_text names = {0};
    const char *found = NULL;
    size_t count = 0;
    for (size_t k = 0; keys[k]; k++) {
        mn_text_printf(&names, "%s\"%s\"", k ? ", " : "", keys[k]);
        if (!mn_json_has(r->object, keys[k])) continue;
        found = keys[k];
        count++;
    }
    mn_status st = MN_OK;
    if (count != 1)
        st = mn_fail(MN_INVALID, "%s: expected an object with one key of %s, found %s", r->where,
                     names.data,
                     !json_is_object(r->object) ? mn_json_kind(r->object)
                     : count == 0               ? "none of them"
                                                : "more than one");
    mn_text_free(&names);
    *out = found;
    return st;
}

/* A piece may depend on its neighbour: prompt and completion are tokenized as one text. */
static mn_status read_completion_text(struct reader *r, bool prompt_is_text)
{
    const char *prompt, *completion;
    size_t prompt_length, length, shared = 0;
    MN_TRY(get_text(r, "completion", &completion, &length));
    if (!prompt_is_text)
        return mn_tokenize(r->rules->tokenizer, completion, length, MN_TOKENIZE_CONTINUE,
                           &r->completion);
    MN_TRY(get_text(r, "prompt", &prompt, &prompt_length));
    char *both = mn_arena_alloc(r->line, prompt_length + length + 1, 1);
    memcpy(both, prompt, prompt_length);
    memcpy(both + prompt_length, completion, length);
    MN_TRY(tokenize(r, both, prompt_length + length, &r->whole));
    while (shared < r->prompt.count && shared < r->whole.count &&
           r->prompt.item[shared] == r->whole.item[shared])
        shared++;
    r->prompt.count = shared;
    for (size_t i = shared; i < r->whole.count; i++) mn_ids_add(&r->completion, r->whole.item[i]);
    return MN_OK;
}

static mn_status read_line(struct reader *r)
{
    static const char *const prompt_keys[] = {"prompt", "prompt_ids", "messages", NULL};
    static const char *const scored_keys[] = {"prompt", "prompt_ids", NULL};
    static const char *const completion_keys[] = {"completion", "completion_ids", NULL};
    const char *key, *completion_key, *text;
    size_t length;
    MN_TRY(find_key(r, r->rules->completions ? scored_keys : prompt_keys, &key));
    if (strcmp(key, "prompt") == 0) {
        MN_TRY(get_text(r, key, &text, &length));
        MN_TRY(tokenize(r, text, length, &r->prompt));
    } else {
        MN_TRY(strcmp(key, "messages") == 0 ? read_messages(r) : get_ids(r, key, &r->prompt));
    }
    if (!r->rules->completions) return MN_OK;
    MN_TRY(find_key(r, completion_keys, &completion_key));
    return strcmp(completion_key, "completion") == 0
               ? read_completion_text(r, strcmp(key, "prompt") == 0)
               : get_ids(r, completion_key, &r->completion);
}

static int32_t *keep(mn_arena *arena, const struct mn_ids *ids)
{
    int32_t *copy = MN_NEW(arena, int32_t, ids->count);
    if (ids->count) memcpy(copy, ids->item, ids->count * sizeof *copy);
    return copy;
}

static mn_status add_line(struct reader *r, struct prompt_lines *out)
{
    size_t last = r->completion.count > 0; /* never fed */
    size_t more = r->rules->completions ? r->completion.count - last : 1;
    if (r->prompt.count == 0) return mn_fail(MN_INVALID, "%s: the prompt has no tokens", r->where);
    if (r->prompt.count + more > (size_t)mn_longest_sequence(r->rules->model))
        return mn_fail(MN_INVALID,
                       "%s: %zu tokens, but the model takes %d (max_position_embeddings, "
                       "sliding_window)",
                       r->where, r->prompt.count + more, mn_longest_sequence(r->rules->model));
    *MN_PUSH(out) = (struct prompt_line){.ids = keep(r->arena, &r->prompt),
                                         .count = (int)r->prompt.count,
                                         .completion = keep(r->arena, &r->completion),
                                         .completion_count = (int)r->completion.count};
    return MN_OK;
}

mn_status read_prompts(struct prompt_lines *out, mn_arena *arena, const char *path,
                       const struct prompt_rules *rules)
{
    struct reader r = {.rules = rules, .arena = arena};
    struct mn_jsonl file = {0};
    json_t *line = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&r.line));
    MN_GO(mn_jsonl_open(&file, path));
    for (;;) {
        MN_GO(mn_jsonl_next(&file, &line));
        if (!line) break;
        r.object = line;
        r.where = file.where;
        r.prompt.count = r.completion.count = r.whole.count = 0;
        mn_arena_reset(r.line);
        MN_GO(read_line(&r));
        MN_GO(add_line(&r, out));
        json_decref(line);
        line = NULL;
    }
done:
    json_decref(line);
    mn_jsonl_close(&file);
    mn_ids_free(&r.prompt);
    mn_ids_free(&r.completion);
    mn_ids_free(&r.whole);
    mn_arena_close(&r.line);
    return st;
}

void free_prompts(struct prompt_lines *lines)
{
    free(lines->item);
    *lines = (struct prompt_lines){0};
}
