/* prompts.c: the text of a prompt in three formats, and prompts as ids with a subject's shots
 * shared. */
#include "minuano/mmlu.h"

#include <stdlib.h>
#include <string.h>

enum { SEED = 42, HENDRYCKS_TOKENS = 2048 };

const char *const mn_mmlu_formats[] = {"lm-eval", "hendrycks", "seed", NULL};

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

/* Bytes of the white space beyond ASCII that begins at text: what Python's str.strip() takes. */
static size_t wide_space(const char *text, size_t length)
{
    static const char *const spaces[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    for (size_t i = 0; i < MN_COUNT(spaces); i++) {
        size_t size = strlen(spaces[i]);
        if (length >= size && memcmp(text, spaces[i], size) == 0) return size;
    }
    return 0;
}

static void add_stripped(struct mn_text *out, const char *text)
{
    size_t length = strlen(text), wide;
    for (;;) {
        if (length && is_space((unsigned char)text[0]))
            wide = 1;
        else if ((wide = wide_space(text, length)) == 0)
            break;
        text += wide;
        length -= wide;
    }
    for (;;) {
        if (length && is_space((unsigned char)text[length - 1]))
            length--;
        else if (length >= 2 && wide_space(text + length - 2, 2))
            length -= 2;
        else if (length >= 3 && wide_space(text + length - 3, 3) == 3)
            length -= 3;
        else
            break;
    }
    mn_text_add(out, text, length);
}

/* What differs between the formats. */
struct shape {
    bool strip; /* white space around the question */
    const char *opening, *question, *answer, *closing;
};
static const struct shape shapes[] = {
    [MN_MMLU_LM_EVAL] = {true, "The following are multiple choice questions (with answers) about ",
                         "", "Answer:", ""},
    [MN_MMLU_HENDRYCKS] = {false,
                           "The following are multiple choice questions (with answers) about  ", "",
                           "Answer:", ""},
    [MN_MMLU_SEED] = {false,
                      "[INST] A seguir estão perguntas de múltipla escolha. Responda apenas com a "
                      "letra da opção correta.\n\n",
                      "Pergunta: ", "Resposta:", " [/INST]"},
};

static void add_question(struct mn_text *out, const struct shape *shape,
                         const struct mn_mmlu_question *question)
{
    mn_text_puts(out, shape->question);
    if (shape->strip)
        add_stripped(out, question->text);
    else
        mn_text_puts(out, question->text);
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        mn_text_printf(out, "\n%c. %s", 'A' + i, question->choice[i]);
    mn_text_printf(out, "\n%s", shape->answer);
}

static mn_status add_shots(struct mn_text *out, const struct shape *shape,
                           const struct mn_mmlu_subject *subject, bool shuffled, int shots)
{
    if (shots < 0 || (size_t)shots > subject->shot_count)
        return mn_fail(MN_INVALID, "subject \"%s\": %d shots asked for, dev has %zu", subject->name,
                       shots, subject->shot_count);
    int64_t *order = mn_realloc(NULL, subject->shot_count + 1, sizeof *order);
    for (size_t i = 0; i < subject->shot_count; i++) order[i] = (int64_t)i;
    if (shuffled) mn_numpy_permutation(SEED, order, (int64_t)subject->shot_count);
    for (int i = 0; i < shots; i++) {
        const struct mn_mmlu_question *shot = &subject->shots[order[i]];
        add_question(out, shape, shot);
        mn_text_printf(out, " %c\n\n", 'A' + shot->answer);
    }
    free(order);
    return MN_OK;
}

mn_status mn_mmlu_prompt_text(const struct mn_mmlu_subject *subject,
                              const struct mn_mmlu_question *question, enum mn_mmlu_format format,
                              int shots, struct mn_text *out)
{
    const struct shape *shape = &shapes[format];
    mn_text_puts(out, shape->opening);
    if (format != MN_MMLU_SEED) {
        for (const char *c = subject->name; *c; c++) mn_text_add(out, *c == '_' ? " " : c, 1);
        mn_text_puts(out, ".\n\n");
    }
    MN_TRY(add_shots(out, shape, subject, format == MN_MMLU_SEED, shots));
    add_question(out, shape, question);
    mn_text_puts(out, shape->closing);
    return MN_OK;
}

/* --- ids ----------------------------------------------------------------------------------------
 */

struct builder {
    const struct mn_mmlu_item *items;
    enum mn_mmlu_format format;
    int shots, max_tokens;
    const mn_tokenizer *tokenizer;
    mn_arena *arena;
    struct mn_mmlu_prompts *out;
    struct mn_text text; /* scratch */
    struct mn_ids ids;
};

static mn_status tokenize(struct builder *b, size_t i, int shots)
{
    int flags = MN_TOKENIZE_ADD_BOS | (b->format == MN_MMLU_SEED ? MN_TOKENIZE_PARSE_SPECIAL : 0);
    mn_text_clear(&b->text);
    b->ids.count = 0;
    MN_TRY(
        mn_mmlu_prompt_text(b->items[i].subject, b->items[i].question, b->format, shots, &b->text));
    return mn_tokenize(b->tokenizer, b->text.data, b->text.length, flags, &b->ids);
}

static mn_status build_prompt(struct builder *b, size_t i)
{
    size_t limit = (size_t)b->max_tokens, skip = 0;
    int shots = b->shots;
    MN_TRY(tokenize(b, i, shots));
    if (b->format == MN_MMLU_HENDRYCKS) {
        if (limit > HENDRYCKS_TOKENS) limit = HENDRYCKS_TOKENS;
        while (b->ids.count > limit && shots > 0) MN_TRY(tokenize(b, i, --shots));
    }
    if (b->ids.count > limit) skip = b->ids.count - limit;
    size_t count = b->ids.count - skip;
    int32_t *ids = MN_NEW(b->arena, int32_t, count);
    memcpy(ids, b->ids.item + skip, count * sizeof *ids);
    b->out->prompts[i] = (struct mn_prompt){.ids = ids, .count = (int)count, .prefix = -1};
    b->out->shots[i] = shots;
    b->out->cut[i] = skip > 0;
    b->out->tokens += (int64_t)count;
    return MN_OK;
}

/* A prompt that was shortened begins otherwise than its neighbours. */
static bool may_share(const struct builder *b, size_t i)
{
    return b->out->shots[i] == b->shots && !b->out->cut[i];
}

/* Gives items[from … to), all of one subject, what their ids begin with in common as a prefix. Each
 * keeps at least one id of its own, whose logits are wanted. */
static void share_prefix(struct builder *b, size_t from, size_t to)
{
    struct mn_prompt *prompts = b->out->prompts;
    const struct mn_prompt *first = NULL;
    int common = 0, sharing = 0;
    for (size_t i = from; i < to; i++) {
        if (!may_share(b, i)) continue;
        sharing++;
        if (!first) {
            first = &prompts[i];
            common = first->count - 1;
            continue;
        }
        int same = 0;
        while (same < common && same < prompts[i].count - 1 &&
               prompts[i].ids[same] == first->ids[same])
            same++;
        common = same;
    }
    if (sharing < 2 || common < 1) return;
    int prefix = (int)b->out->prefix_count++;
    b->out->prefixes[prefix] = (struct mn_prefix){.ids = first->ids, .count = common};
    b->out->tokens_shared += (int64_t)common * (sharing - 1);
    for (size_t i = from; i < to; i++) {
        if (!may_share(b, i)) continue;
        prompts[i].ids += common;
        prompts[i].count -= common;
        prompts[i].prefix = prefix;
    }
}

mn_status mn_mmlu_prompts(const struct mn_mmlu_item *items, size_t count,
                          enum mn_mmlu_format format, int shots, int max_tokens,
                          const mn_tokenizer *tokenizer, mn_arena *arena,
                          struct mn_mmlu_prompts *out)
{
    struct builder b = {.items = items,
                        .format = format,
                        .shots = shots,
                        .max_tokens = max_tokens,
                        .tokenizer = tokenizer,
                        .arena = arena,
                        .out = out};
    mn_status st = MN_OK;
    *out = (struct mn_mmlu_prompts){.prefixes = MN_NEW(arena, struct mn_prefix, count),
                                    .prompts = MN_NEW(arena, struct mn_prompt, count),
                                    .shots = MN_NEW(arena, int, count),
                                    .cut = MN_NEW(arena, bool, count),
                                    .count = count};
    for (size_t i = 0; i < count; i++) MN_GO(build_prompt(&b, i));
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && items[to].subject == items[from].subject;) to++;
        share_prefix(&b, from, to);
    }
done:
    mn_text_free(&b.text);
    mn_ids_free(&b.ids);
    return st;
}
