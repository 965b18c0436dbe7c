/* examples.c: training examples from JSONL: which ids, and which of them carry loss. */
#include <stdlib.h>
#include <string.h>

#include "minuano/train.h"

void mn_examples_add(struct mn_examples *examples, mn_arena *arena, const int32_t *ids,
                     const uint8_t *mask, size_t count, int max_length)
{
    if (count > (size_t)max_length) {
        count = (size_t)max_length;
        examples->truncated++;
    }
    /* The first token is predicted by nothing. */
    if (count < 2 || !memchr(mask + 1, 1, count - 1)) {
        examples->dropped++;
        return;
    }
    int32_t *kept_ids = MN_NEW(arena, int32_t, count);
    uint8_t *kept_mask = MN_NEW(arena, uint8_t, count);
    memcpy(kept_ids, ids, count * sizeof *ids);
    memcpy(kept_mask, mask, count);
    *MN_PUSH(examples) =
        (struct mn_example){.ids = kept_ids, .mask = kept_mask, .count = (int)count};
}

void mn_examples_free(struct mn_examples *examples)
{
    free(examples->item);
    *examples = (struct mn_examples){0};
}

/* A file as it is read, with the buffers that all its lines share. */
struct reader {
    const mn_tokenizer *tokenizer;
    enum mn_loss_on loss_on;
    mn_arena *line; /* of one line */
    struct mn_ids ids, prompt;
    uint8_t *mask;
    size_t mask_capacity;
};

/* mask as long as the ids, all `value`. */
static void set_mask(struct reader *reader, uint8_t value)
{
    if (reader->mask_capacity < reader->ids.count) {
        reader->mask_capacity = 2 * reader->ids.count;
        reader->mask = mn_realloc(reader->mask, reader->mask_capacity, 1);
    }
    if (reader->ids.count) memset(reader->mask, value, reader->ids.count);
}

/* Text that may hold NUL bytes. */
struct span {
    const char *bytes;
    size_t length;
};

static mn_status get_text(const json_t *line, const char *where, const char *key, struct span *out)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_string(value))
        return mn_fail(MN_INVALID, "%s: key \"%s\": expected a string, found %s", where, key,
                       mn_json_kind(value));
    *out = (struct span){json_string_value(value), json_string_length(value)};
    return MN_OK;
}

/* As Hugging Face's tokenizer, but a text that spells out its own BOS does not get a second one. */
static mn_status tokenize_with_bos(const mn_tokenizer *tokenizer, struct span text,
                                   struct mn_ids *out)
{
    MN_TRY(mn_tokenize(tokenizer, text.bytes, text.length,
                       MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS, out));
    int bos = mn_tokenizer_bos(tokenizer);
    if (out->count > 1 && out->item[0] == bos && out->item[1] == bos) {
        out->count--;
        memmove(out->item, out->item + 1, out->count * sizeof *out->item);
    }
    return MN_OK;
}

static void end_with_eos(struct reader *reader)
{
    int eos = mn_tokenizer_eos(reader->tokenizer);
    struct mn_ids *ids = &reader->ids;
    if (ids->count == 0 || ids->item[ids->count - 1] != eos) mn_ids_add(ids, eos);
}

static mn_status read_text(struct reader *reader, const json_t *line, const char *where)
{
    struct span text = {0};
    MN_TRY(get_text(line, where, "text", &text));
    MN_TRY(tokenize_with_bos(reader->tokenizer, text, &reader->ids));
    end_with_eos(reader);
    set_mask(reader, 1);
    return MN_OK;
}

/* Prompt and completion are tokenized as one text, for a piece may depend on its neighbour; loss
 * begins where the ids leave those of the prompt alone. */
static mn_status read_completion(struct reader *reader, const json_t *line, const char *where)
{
    struct span prompt = {0}, completion = {0}, whole;
    size_t shared = 0;
    MN_TRY(get_text(line, where, "prompt", &prompt));
    MN_TRY(get_text(line, where, "completion", &completion));
    whole.length = prompt.length + completion.length;
    char *bytes = mn_arena_alloc(reader->line, whole.length + 1, 1);
    memcpy(bytes, prompt.bytes, prompt.length);
    memcpy(bytes + prompt.length, completion.bytes, completion.length);
    whole.bytes = bytes;
    MN_TRY(tokenize_with_bos(reader->tokenizer, prompt, &reader->prompt));
    MN_TRY(tokenize_with_bos(reader->tokenizer, whole, &reader->ids));
    const struct mn_ids *a = &reader->prompt, *b = &reader->ids;
    while (shared < a->count && shared < b->count && a->item[shared] == b->item[shared]) shared++;
    end_with_eos(reader);
    set_mask(reader, 1);
    if (reader->loss_on == MN_LOSS_ON_COMPLETION) memset(reader->mask, 0, shared);
    return MN_OK;
}

/* The template puts [/INST] before each assistant turn and EOS behind it, and neither can come from
 * a message's own text. */
static mn_status read_messages(struct reader *reader, const json_t *line, const char *where)
{
    struct mn_message *messages;
    size_t count;
    bool assistant = false;
    int end_inst = mn_tokenizer_piece(reader->tokenizer, "[/INST]");
    int eos = mn_tokenizer_eos(reader->tokenizer);
    MN_TRY(mn_messages_read(reader->line, json_object_get(line, "messages"), where, &messages,
                            &count));
    mn_status st = mn_chat_tokenize(reader->tokenizer, messages, count, &reader->ids);
    if (st != MN_OK) return mn_fail_in(st, "%s", where);
    set_mask(reader, reader->loss_on == MN_LOSS_ON_ALL);
    if (end_inst < 0)
        return mn_fail(MN_UNSUPPORTED, "%s: the tokenizer has no piece [/INST]", where);
    for (size_t i = 0; i < reader->ids.count; i++) {
        if (assistant) reader->mask[i] = 1;
        assistant = reader->ids.item[i] == end_inst || (assistant && reader->ids.item[i] != eos);
    }
    return MN_OK;
}

static mn_status read_ids(struct reader *reader, const json_t *line, const char *where)
{
    const json_t *ids, *mask;
    int64_t vocab = reader->tokenizer ? mn_tokenizer_vocab(reader->tokenizer) : INT32_MAX;
    MN_TRY(mn_json_array(line, where, "ids", &ids));
    MN_TRY(mn_json_array(line, where, "loss_mask", &mask));
    if (json_array_size(ids) != json_array_size(mask))
        return mn_fail(MN_INVALID,
                       "%s: key \"loss_mask\": expected %zu elements, as in \"ids\", "
                       "found %zu",
                       where, json_array_size(ids), json_array_size(mask));
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= vocab)
            return mn_fail(MN_INVALID,
                           "%s: key \"ids\": element %zu: expected an integer from 0 to %lld",
                           where, i, (long long)vocab - 1);
        mn_ids_add(&reader->ids, (int32_t)json_integer_value(id));
    }
    set_mask(reader, 0);
    for (size_t i = 0; i < json_array_size(mask); i++) {
        const json_t *one = json_array_get(mask, i);
        bool number = json_is_integer(one);
        if (!json_is_boolean(one) &&
            !(number && (json_integer_value(one) == 0 || json_integer_value(one) == 1)))
            return mn_fail(MN_INVALID, "%s: key \"loss_mask\": element %zu: expected 0 or 1", where,
                           i);
        reader->mask[i] = number ? json_integer_value(one) == 1 : json_is_true(one);
    }
    return MN_OK;
}

typedef mn_status read_form_fn(struct reader *reader, const json_t *line, const char *where);

static mn_status read_line(struct reader *reader, const json_t *line, const char *where)
{
    static const struct {
        const char *key;
        read_form_fn *read;
    } forms[] = {{"text", read_text},
                 {"prompt", read_completion},
                 {"messages", read_messages},
                 {"ids", read_ids}};
    read_form_fn *read = NULL;
    int found = 0;
    for (size_t i = 0; i < MN_COUNT(forms); i++)
        if (mn_json_has(line, forms[i].key)) {
            read = forms[i].read;
            found++;
        }
    if (found != 1)
        return mn_fail(MN_INVALID,
                       "%s: expected an object in one of the forms {\"text\"}, {\"prompt\", "
                       "\"completion\"}, {\"messages\"}, {\"ids\", \"loss_mask\"}, found %s",
                       where, found ? "more than one" : "none of them");
    if (read != read_ids && !reader->tokenizer)
        return mn_fail(MN_INVALID, "%s: only ids can be read without a tokenizer", where);
    reader->ids.count = reader->prompt.count = 0;
    mn_arena_reset(reader->line);
    return read(reader, line, where);
}

mn_status mn_examples_read(struct mn_examples *examples, mn_arena *arena,
                           const mn_tokenizer *tokenizer, const char *path, enum mn_loss_on loss_on,
                           int max_length)
{
    struct reader reader = {.tokenizer = tokenizer, .loss_on = loss_on};
    struct mn_jsonl file = {0};
    json_t *line = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&reader.line));
    MN_GO(mn_jsonl_open(&file, path));
    for (;;) {
        MN_GO(mn_jsonl_next(&file, &line));
        if (!line) break;
        MN_GO(read_line(&reader, line, file.where));
        mn_examples_add(examples, arena, reader.ids.item, reader.mask, reader.ids.count,
                        max_length);
        json_decref(line);
        line = NULL;
    }
done:
    json_decref(line);
    mn_jsonl_close(&file);
    mn_ids_free(&reader.ids);
    mn_ids_free(&reader.prompt);
    free(reader.mask);
    mn_arena_close(&reader.line);
    return st;
}
