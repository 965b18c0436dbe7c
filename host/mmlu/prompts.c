/* prompts.c: the text of a prompt in three formats, and prompts as ids with a subject's shots
 * shared. */
#include "minuano/mmlu.h"
#include "minuano/parallel.h"

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

/* What a prompt holds before its question. */
static mn_status add_head(struct mn_text *out, const struct mn_mmlu_subject *subject,
                          enum mn_mmlu_format format, int shots)
{
    const struct shape *shape = &shapes[format];
    mn_text_puts(out, shape->opening);
    if (format != MN_MMLU_SEED) {
        for (const char *c = subject->name; *c; c++) mn_text_add(out, *c == '_' ? " " : c, 1);
        mn_text_puts(out, ".\n\n");
    }
    return add_shots(out, shape, subject, format == MN_MMLU_SEED, shots);
}

static void add_tail(struct mn_text *out, const struct mn_mmlu_question *question,
                     enum mn_mmlu_format format)
{
    add_question(out, &shapes[format], question);
    mn_text_puts(out, shapes[format].closing);
}

mn_status mn_mmlu_prompt_text(const struct mn_mmlu_subject *subject,
                              const struct mn_mmlu_question *question, enum mn_mmlu_format format,
                              int shots, struct mn_text *out)
{
    MN_TRY(add_head(out, subject, format, shots));
    add_tail(out, question, format);
    return MN_OK;
}

/* --- ids ----------------------------------------------------------------------------------------
 */

/* Items of one subject that are tokenized together, by one thread. */
struct chunk {
    size_t from, to;
    struct mn_ids ids; /* of their prompts, one behind the other */
};
enum { CHUNK_ITEMS = 64 };

struct job {
    const struct mn_mmlu_item *items;
    enum mn_mmlu_format format;
    int shots, max_tokens;
    const mn_tokenizer *tokenizer;
    struct mn_mmlu_prompts *out;
    MN_LIST(struct chunk) chunks;
};

/* What one thread has in hands: the head that it tokenized last, which most prompts of a subject
 * have in common, and the prompt. */
struct builder {
    const struct job *job;
    const struct mn_mmlu_subject *subject; /* of the head; NULL: none yet */
    int shots;
    struct mn_text head, text;
    struct mn_ids head_ids, ids;
};

static mn_status need_head(struct builder *b, const struct mn_mmlu_subject *subject, int shots)
{
    const struct job *job = b->job;
    if (b->subject == subject && b->shots == shots) return MN_OK;
    b->subject = NULL;
    b->head_ids.count = 0;
    mn_text_clear(&b->head);
    MN_TRY(add_head(&b->head, subject, job->format, shots));
    if (job->format != MN_MMLU_SEED)
        MN_TRY(mn_tokenize(job->tokenizer, b->head.data, b->head.length, MN_TOKENIZE_ADD_BOS,
                           &b->head_ids));
    b->subject = subject;
    b->shots = shots;
    return MN_OK;
}

/* The ids of a whole prompt: the head's and the question's where the text may be cut between them,
 * which spares tokenizing the shots again for every question. */
static mn_status tokenize(struct builder *b, size_t i, int shots)
{
    const struct job *job = b->job;
    const struct mn_mmlu_item *item = &job->items[i];
    bool seed = job->format == MN_MMLU_SEED;
    MN_TRY(need_head(b, item->subject, shots));
    mn_text_clear(&b->text);
    b->ids.count = 0;
    add_tail(&b->text, item->question, job->format);
    if (!seed &&
        mn_tokenizer_may_cut(job->tokenizer, b->head.data[b->head.length - 1], b->text.data[0])) {
        for (size_t k = 0; k < b->head_ids.count; k++) mn_ids_add(&b->ids, b->head_ids.item[k]);
        return mn_tokenize(job->tokenizer, b->text.data, b->text.length, MN_TOKENIZE_CONTINUE,
                           &b->ids);
    }
    mn_text_clear(&b->text);
    mn_text_add(&b->text, b->head.data, b->head.length);
    add_tail(&b->text, item->question, job->format);
    return mn_tokenize(job->tokenizer, b->text.data, b->text.length,
                       MN_TOKENIZE_ADD_BOS | (seed ? MN_TOKENIZE_PARSE_SPECIAL : 0), &b->ids);
}

static mn_status build_prompt(struct builder *b, struct chunk *chunk, size_t i)
{
    const struct job *job = b->job;
    size_t limit = (size_t)job->max_tokens, skip = 0;
    int shots = job->shots;
    MN_TRY(tokenize(b, i, shots));
    if (job->format == MN_MMLU_HENDRYCKS) {
        if (limit > HENDRYCKS_TOKENS) limit = HENDRYCKS_TOKENS;
        while (b->ids.count > limit && shots > 0) MN_TRY(tokenize(b, i, --shots));
    }
    if (b->ids.count > limit) skip = b->ids.count - limit;
    for (size_t k = skip; k < b->ids.count; k++) mn_ids_add(&chunk->ids, b->ids.item[k]);
    job->out->prompts[i] = (struct mn_prompt){.count = (int)(b->ids.count - skip), .prefix = -1};
    job->out->shots[i] = shots;
    job->out->cut[i] = skip > 0;
    return MN_OK;
}

static mn_status build_chunk(void *user, size_t c)
{
    const struct job *job = user;
    struct chunk *chunk = &job->chunks.item[c];
    struct builder b = {.job = job};
    mn_status st = MN_OK;
    for (size_t i = chunk->from; i < chunk->to; i++) MN_GO(build_prompt(&b, chunk, i));
done:
    mn_text_free(&b.head);
    mn_text_free(&b.text);
    mn_ids_free(&b.head_ids);
    mn_ids_free(&b.ids);
    return st;
}

static void cut_into_chunks(struct job *job, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && to < from + CHUNK_ITEMS &&
                            job->items[to].subject == job->items[from].subject;)
            to++;
        *MN_PUSH(&job->chunks) = (struct chunk){.from = from, .to = to};
    }
}

/* Gives the ids of a chunk's prompts a place in the arena. */
static void keep_chunk(struct job *job, const struct chunk *chunk, mn_arena *arena)
{
    int32_t *ids = MN_NEW(arena, int32_t, chunk->ids.count + 1);
    if (chunk->ids.count) memcpy(ids, chunk->ids.item, chunk->ids.count * sizeof *ids);
    for (size_t i = chunk->from; i < chunk->to; i++) {
        job->out->prompts[i].ids = ids;
        ids += job->out->prompts[i].count;
    }
}

/* A prompt that was shortened begins otherwise than its neighbours. */
static bool may_share(const struct job *job, size_t i)
{
    return job->out->shots[i] == job->shots && !job->out->cut[i];
}

/* Gives items[from … to), all of one subject, what their ids begin with in common as a prefix. Each
 * keeps at least one id of its own, whose logits are wanted. */
static void share_prefix(struct job *job, size_t from, size_t to)
{
    struct mn_prompt *prompts = job->out->prompts;
    const struct mn_prompt *first = NULL;
    int common = 0, sharing = 0;
    for (size_t i = from; i < to; i++) {
        if (!may_share(job, i)) continue;
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
    int prefix = (int)job->out->prefix_count++;
    job->out->prefixes[prefix] = (struct mn_prefix){.ids = first->ids, .count = common};
    for (size_t i = from; i < to; i++) {
        if (!may_share(job, i)) continue;
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
    struct job job = {.items = items,
                      .format = format,
                      .shots = shots,
                      .max_tokens = max_tokens,
                      .tokenizer = tokenizer,
                      .out = out};
    mn_status st;
    *out = (struct mn_mmlu_prompts){.prefixes = MN_NEW(arena, struct mn_prefix, count),
                                    .prompts = MN_NEW(arena, struct mn_prompt, count),
                                    .shots = MN_NEW(arena, int, count),
                                    .cut = MN_NEW(arena, bool, count),
                                    .count = count};
    cut_into_chunks(&job, count);
    MN_GO(mn_parallel(0, job.chunks.count, build_chunk, &job));
    for (size_t c = 0; c < job.chunks.count; c++) keep_chunk(&job, &job.chunks.item[c], arena);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && items[to].subject == items[from].subject;) to++;
        share_prefix(&job, from, to);
    }
done:
    for (size_t c = 0; c < job.chunks.count; c++) mn_ids_free(&job.chunks.item[c].ids);
    free(job.chunks.item);
    return st;
}
