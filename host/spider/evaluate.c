/* evaluate.c: a model's SQL for items of a split: prompts, generation, extraction, verdicts. */
#include <stdlib.h>

#include "judging.h"
#include "minuano/interrupt.h"
#include "minuano/log.h"

enum { MAX_NEW_TOKENS = 200 };

struct evaluation {
    const struct mn_spider_evaluate_options *options;
    const mn_spider *spider;
    const size_t *index; /* NULL: the first items */
    struct mn_spider_prompts prompts;
    struct mn_asked asked;
    const mn_tokenizer *tokenizer;
    mn_judge *judge;
    struct judging *judging;
};

/* In the split. */
static size_t place(const struct evaluation *e, size_t item)
{
    return e->index ? e->index[item] : item;
}

/* The items' prompts, out of those that were made before. */
static void pick(struct mn_spider_prompts *out, const struct evaluation *e, size_t count,
                 mn_arena *arena)
{
    *out = *e->options->prompts;
    out->prompts = MN_NEW(arena, struct mn_prompt, count);
    out->cut = MN_NEW(arena, bool, count);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        out->prompts[i] = e->options->prompts->prompts[place(e, i)];
        out->cut[i] = e->options->prompts->cut[place(e, i)];
    }
}

static int new_tokens_of(int asked)
{
    return asked ? asked : MAX_NEW_TOKENS;
}

int mn_spider_room(const struct mn_model_config *model, int new_tokens)
{
    const int positions = mn_longest_sequence(model), reply = new_tokens_of(new_tokens);
    return positions - (reply < positions / 2 ? reply : positions / 2);
}

static void tell_cut(const struct mn_spider_prompts *prompts, int room)
{
    size_t cut = 0;
    for (size_t i = 0; i < prompts->count; i++) cut += prompts->cut[i];
    if (cut)
        mn_warn("Spider: %zu of %zu prompts are cut at the left to %d tokens, for that is what the "
                "model's positions leave beside a reply",
                cut, prompts->count, room);
}

/* The prompts of all items, and which of them are asked of whom. */
static mn_status ask(struct evaluation *e, const mn_model *model, size_t count, mn_arena *arena)
{
    const struct mn_spider_evaluate_options *options = e->options;
    struct mn_spider_prompts *prompts = &e->prompts;
    const int room = mn_spider_room(&model->config, options->max_new_tokens);
    if (options->prompts)
        pick(prompts, e, count, arena);
    else
        MN_TRY(mn_spider_prompts(e->spider, e->index, count, &options->prompt, room, e->tokenizer,
                                 arena, prompts));
    tell_cut(prompts, room);
    const struct mn_token_counts counts =
        mn_prompts_count(prompts->prefixes, prompts->prefix_count, prompts->prompts, count);
    mn_prompts_ask(&e->asked, arena, &options->adapters, options->skip, prompts->prompts, count);
    return options->counted ? options->counted(options->user, &counts) : MN_OK;
}

/* One item has been generated: it is judged next, and what has been judged meanwhile is told. */
static mn_status finished(void *user, size_t i, const struct mn_generation *generation)
{
    struct evaluation *e = user;
    const struct judging_item item = {.index = place(e, e->asked.item[i]),
                                      .adapter = e->asked.prompts[i].adapter,
                                      .cut = e->prompts.cut[e->asked.item[i]],
                                      .generation = generation};
    judging_add(e->judging, &item);
    MN_TRY(judging_tell(e->judging, false));
    return mn_interrupt_check();
}

mn_status mn_spider_evaluate(mn_model *model, const mn_adapter *adapter,
                             const mn_tokenizer *tokenizer, const mn_spider *spider,
                             const size_t *index, size_t count,
                             const struct mn_spider_evaluate_options *options)
{
    struct evaluation e = {
        .options = options, .spider = spider, .index = index, .tokenizer = tokenizer};
    mn_arena *arena = NULL;
    mn_status st;
    if (count == 0) return MN_OK;
    MN_TRY(mn_arena_open(&arena));
    MN_GO(mn_judge_open(&e.judge, spider, options->limits.steps ? &options->limits : NULL));
    size_t *places = MN_NEW(arena, size_t, count);
    for (size_t i = 0; i < count; i++) places[i] = place(&e, i);
    MN_GO(ask(&e, model, count, arena));
    MN_GO(judging_open(&e.judging, e.judge, spider, tokenizer, options, places, count));
    int32_t *streams = MN_NEW(arena, int32_t, e.asked.count + 1); /* an item's place in the split */
    for (size_t i = 0; i < e.asked.count; i++) streams[i] = (int32_t)place(&e, e.asked.item[i]);
    const struct mn_generate_options generate = {
        .max_new_tokens = new_tokens_of(options->max_new_tokens),
        .eos = model->config.eos >= 0 ? model->config.eos : mn_tokenizer_eos(tokenizer),
        .temperature = options->temperature,
        .seed = options->seed,
        .streams = streams,
        .batch_sequences = options->batch_sequences,
        .memory = options->memory,
        .adapters = options->adapters,
        .apart = options->apart,
        .plan = options->plan,
        .finished = finished,
        .user = &e,
        .title = options->title,
    };
    struct mn_generation *generations = MN_NEW(arena, struct mn_generation, e.asked.count + 1);
    st = mn_generate(model, adapter, e.prompts.prefixes, e.prompts.prefix_count, e.asked.prompts,
                     e.asked.count, &generate, arena, generations);
    if (st == MN_OK) MN_GO(judging_tell(e.judging, true));
    if (st == MN_INTERRUPTED) { /* what is judged counts all the same */
        MN_GO(judging_tell(e.judging, false));
        st = mn_interrupt_check();
    }
done:
    judging_close(&e.judging);
    mn_judge_close(&e.judge);
    mn_arena_close(&arena);
    return st;
}
