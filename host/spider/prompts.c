/* prompts.c: questions as prompts and as training examples. */
#include <stdlib.h>
#include <string.h>

#include "minuano/parallel.h"
#include "minuano/spider.h"

static const char schema_message[] =
    "Given the schema, answer the question with one SQLite query.\n\n{schema}\n\n"
    "Question: {question}";

/* What the seed study trains on; the query follows after a line feed. */
static const char seed_train_text[] =
    "[INST] Traduza a pergunta a seguir para SQL.\n\n### Pergunta:\n{question} [/INST]";

/* Its first phase gave three worked examples in Portuguese and no schema. Its exact words are not
 * on record; these say the same. */
static const char seed_few_shot_message[] =
    "Traduza a pergunta a seguir para SQL. Responda apenas com a consulta SQL.\n\n"
    "Pergunta: How many singers do we have?\n"
    "SQL: SELECT count(*) FROM singer\n\n"
    "Pergunta: What are the names of the students older than 20?\n"
    "SQL: SELECT name FROM student WHERE age > 20\n\n"
    "Pergunta: Show the name of each department with its number of employees.\n"
    "SQL: SELECT T1.name, count(*) FROM department AS T1 JOIN employee AS T2 ON "
    "T1.department_id = T2.department_id GROUP BY T1.department_id\n\n"
    "Pergunta: {question}\n"
    "SQL:";

static const struct {
    const char *name, *text;
} known[] = {
    [MN_PROMPT_SCHEMA] = {"schema", schema_message},
    [MN_PROMPT_SEED_TRAIN] = {"seed_train", seed_train_text},
    [MN_PROMPT_SEED_FEW_SHOT] = {"seed_few_shot", seed_few_shot_message},
};

/* A prefix shorter than this is not worth its own row in the cache. */
enum { SHORTEST_PREFIX = 16 };

mn_status mn_spider_prompt_read(struct mn_spider_prompt *out, const char *name)
{
    for (size_t i = 0; i < MN_COUNT(known); i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        *out = (struct mn_spider_prompt){.kind = (enum mn_spider_prompt_kind)i};
        return MN_OK;
    }
    if (!strstr(name, "{question}"))
        return mn_fail(MN_INVALID,
                       "prompt: expected schema, seed_train, seed_few_shot or a template that "
                       "holds {question}, found \"%s\"",
                       name);
    *out = (struct mn_spider_prompt){.kind = MN_PROMPT_CUSTOM, .text = name};
    return MN_OK;
}

static const char *template_of(const struct mn_spider_prompt *prompt)
{
    return prompt->kind == MN_PROMPT_CUSTOM ? prompt->text : known[prompt->kind].text;
}

mn_status mn_spider_prompt_text(const struct mn_spider_prompt *prompt,
                                const struct mn_spider_item *item, struct mn_text *out)
{
    struct mn_text schema = {0};
    mn_text_puts(&schema, "");
    mn_spider_schema_text(item->database, &schema);
    const char *const pairs[] = {"schema", schema.data, "question", item->question, NULL};
    mn_status st = mn_template_fill(template_of(prompt), pairs, out);
    mn_text_free(&schema);
    return st;
}

/* The seed study's evaluation puts its text, [INST] included, through the chat template, and the
 * outcome through the tokenizer as plain text: two BOS, two [INST]. */
static mn_status tokenize_twice_wrapped(const mn_tokenizer *tokenizer, const char *text,
                                        struct mn_ids *out)
{
    const struct mn_message message = {"user", text};
    struct mn_text wrapped = {0};
    mn_status st;
    MN_GO(mn_chat_text(&message, 1, &wrapped));
    MN_GO(mn_tokenize(tokenizer, wrapped.data, wrapped.length,
                      MN_TOKENIZE_ADD_BOS | MN_TOKENIZE_PARSE_SPECIAL, out));
done:
    mn_text_free(&wrapped);
    return st;
}

/* Appends the ids of an item as the model is asked. */
static mn_status tokenize_prompt(const struct mn_spider_prompt *prompt,
                                 const struct mn_spider_item *item, const mn_tokenizer *tokenizer,
                                 struct mn_ids *out)
{
    struct mn_text text = {0};
    mn_status st;
    MN_GO(mn_spider_prompt_text(prompt, item, &text));
    const struct mn_message message = {"user", text.data};
    if (prompt->kind == MN_PROMPT_SEED_TRAIN)
        MN_GO(tokenize_twice_wrapped(tokenizer, text.data, out));
    else
        MN_GO(mn_chat_tokenize(tokenizer, &message, 1, out));
done:
    mn_text_free(&text);
    return st;
}

/* --- evaluation prompts, with their shared prefixes ------------------------------------------- */

/* Prompts that share what they begin with. */
struct group {
    const struct mn_spider_item *item; /* the first of it in the split */
    bool asked;                        /* some item of it is */
    size_t members, length;            /* of the shared ids; 0: none */
    int prefix;                        /* in the list of prefixes, -1: none */
};

struct builder {
    const mn_spider *spider;
    const struct mn_spider_prompt *prompt;
    size_t room; /* 0: any length */
    const mn_tokenizer *tokenizer;
    struct group *groups;
    size_t group_count;
    size_t *group_of;     /* (spider->count) */
    struct mn_ids *whole; /* (spider->count) of the items of the groups asked for */
    struct mn_spider_prompts *out;
};

/* Questions share a prefix by database where the prompt holds the schema, else all of them. */
static bool same_group(const struct mn_spider_prompt *prompt, const struct mn_spider_item *a,
                       const struct mn_spider_item *b)
{
    return a->database == b->database || !strstr(template_of(prompt), "{schema}");
}

static void find_groups(struct builder *b)
{
    for (size_t i = 0; i < b->spider->count; i++) {
        const struct mn_spider_item *item = &b->spider->items[i];
        size_t g = 0;
        while (g < b->group_count && !same_group(b->prompt, b->groups[g].item, item)) g++;
        if (g == b->group_count)
            b->groups[b->group_count++] = (struct group){.item = item, .prefix = -1};
        b->group_of[i] = g;
        b->groups[g].members++;
    }
}

static mn_status tokenize_item(void *user, size_t i)
{
    struct builder *b = user;
    if (!b->groups[b->group_of[i]].asked) return MN_OK;
    return tokenize_prompt(b->prompt, &b->spider->items[i], b->tokenizer, &b->whole[i]);
}

/* Length of what the prompts of a group have in common, at least one token of each left over. It
 * depends on the split alone, not on which items are asked for, so a resumed run splits its prompts
 * as the whole one. */
static void find_prefix(struct builder *b, size_t g)
{
    struct group *group = &b->groups[g];
    const struct mn_ids *first = &b->whole[group->item->index];
    size_t length = first->count - 1;
    if (group->members < 2) return;
    for (size_t i = 0; i < b->spider->count; i++) {
        const struct mn_ids *other = &b->whole[i];
        size_t same = 0;
        if (b->group_of[i] != g) continue;
        while (same < length && same + 1 < other->count && first->item[same] == other->item[same])
            same++;
        length = same;
    }
    if (length >= SHORTEST_PREFIX) group->length = length;
}

static void build_prompt(struct builder *b, size_t i, mn_arena *arena, struct mn_prompt *out,
                         bool *cut)
{
    struct group *group = &b->groups[b->group_of[i]];
    const struct mn_ids *whole = &b->whole[i];
    int32_t *ids = MN_NEW(arena, int32_t, whole->count);
    memcpy(ids, whole->item, whole->count * sizeof *ids);
    *cut = b->room && whole->count > b->room;
    if (*cut) {
        *out = (struct mn_prompt){ids + whole->count - b->room, (int)b->room, -1};
        return;
    }
    if (group->length && group->prefix < 0) {
        group->prefix = (int)b->out->prefix_count++;
        b->out->prefixes[group->prefix] = (struct mn_prefix){ids, (int)group->length};
    }
    *out =
        (struct mn_prompt){ids + group->length, (int)(whole->count - group->length), group->prefix};
}

mn_status mn_spider_prompts(const mn_spider *spider, const size_t *index, size_t count,
                            const struct mn_spider_prompt *prompt, int room,
                            const mn_tokenizer *tokenizer, mn_arena *arena,
                            struct mn_spider_prompts *out)
{
    struct mn_spider_prompts prompts = {.prompts = MN_NEW(arena, struct mn_prompt, count + 1),
                                        .cut = MN_NEW(arena, bool, count + 1),
                                        .count = count};
    struct builder b = {.spider = spider,
                        .prompt = prompt,
                        .room = (size_t)room,
                        .tokenizer = tokenizer,
                        .groups = MN_NEW(arena, struct group, spider->count + 1),
                        .group_of = MN_NEW(arena, size_t, spider->count + 1),
                        .whole = MN_NEW(arena, struct mn_ids, spider->count + 1),
                        .out = &prompts};
    mn_status st;
    find_groups(&b);
    prompts.prefixes = MN_NEW(arena, struct mn_prefix, b.group_count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t at = index ? index[i] : i;
        if (at >= spider->count)
            return mn_fail(MN_INVALID, "Spider item %zu: the split has %zu", at, spider->count);
        b.groups[b.group_of[at]].asked = true;
    }
    MN_GO(mn_parallel(0, spider->count, tokenize_item, &b));
    for (size_t g = 0; g < b.group_count; g++)
        if (b.groups[g].asked) find_prefix(&b, g);
    for (size_t i = 0; i < count; i++)
        build_prompt(&b, index ? index[i] : i, arena, &prompts.prompts[i], &prompts.cut[i]);
    *out = prompts;
done:
    for (size_t i = 0; i < spider->count; i++) mn_ids_free(&b.whole[i]);
    return st;
}

/* --- training examples ------------------------------------------------------------------------ */

/* Text as the seed study trains on it: control tokens spelled out, the query behind. */
static mn_status tokenize_seed_example(const struct mn_spider_prompt *prompt,
                                       const struct mn_spider_item *item,
                                       const mn_tokenizer *tokenizer, struct mn_ids *out)
{
    struct mn_text text = {0};
    mn_status st;
    MN_GO(mn_spider_prompt_text(prompt, item, &text));
    mn_text_printf(&text, "\n%s", item->query);
    MN_GO(mn_tokenize(tokenizer, text.data, text.length,
                      MN_TOKENIZE_ADD_BOS | MN_TOKENIZE_PARSE_SPECIAL, out));
    if (mn_tokenizer_eos(tokenizer) < 0)
        st = mn_fail(MN_UNSUPPORTED, "the tokenizer has no token that ends a sequence");
    else
        mn_ids_add(out, mn_tokenizer_eos(tokenizer));
done:
    mn_text_free(&text);
    return st;
}

/* The question as it is asked in evaluation, the query as the model's turn; *prompt_ids: where that
 * begins. */
static mn_status tokenize_chat_example(const struct mn_spider_prompt *prompt,
                                       const struct mn_spider_item *item,
                                       const mn_tokenizer *tokenizer, struct mn_ids *out,
                                       size_t *prompt_ids)
{
    struct mn_text text = {0};
    struct mn_ids asked = {0};
    mn_status st;
    MN_GO(mn_spider_prompt_text(prompt, item, &text));
    const struct mn_message turns[] = {{"user", text.data}, {"assistant", item->query}};
    MN_GO(mn_chat_tokenize(tokenizer, turns, 1, &asked));
    MN_GO(mn_chat_tokenize(tokenizer, turns, 2, out));
    *prompt_ids = asked.count;
done:
    mn_ids_free(&asked);
    mn_text_free(&text);
    return st;
}

static mn_status add_example(const struct mn_spider_prompt *prompt,
                             const struct mn_spider_item *item, const mn_tokenizer *tokenizer,
                             enum mn_loss_on loss_on, int max_length, mn_arena *arena,
                             struct mn_examples *out)
{
    struct mn_ids ids = {0};
    uint8_t *mask = NULL;
    size_t prompt_ids = 0;
    mn_status st;
    if (prompt->kind == MN_PROMPT_SEED_TRAIN)
        MN_GO(tokenize_seed_example(prompt, item, tokenizer, &ids));
    else
        MN_GO(tokenize_chat_example(prompt, item, tokenizer, &ids, &prompt_ids));
    mask = mn_realloc(NULL, ids.count, 1);
    for (size_t i = 0; i < ids.count; i++) mask[i] = loss_on == MN_LOSS_ON_ALL || i >= prompt_ids;
    mn_examples_add(out, arena, ids.item, mask, ids.count, max_length);
done:
    free(mask);
    mn_ids_free(&ids);
    return st;
}

mn_status mn_spider_examples(const mn_spider *spider, const struct mn_spider_prompt *prompt,
                             const mn_tokenizer *tokenizer, enum mn_loss_on loss_on, int max_length,
                             size_t limit, mn_arena *arena, struct mn_examples *out)
{
    size_t count = limit && limit < spider->count ? limit : spider->count;
    for (size_t i = 0; i < count; i++)
        MN_TRY(add_example(prompt, &spider->items[i], tokenizer, loss_on, max_length, arena, out));
    return MN_OK;
}
