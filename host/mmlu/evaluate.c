/* evaluate.c: a model's answers: from the logits behind the prompt, or from its reply. */
#include "minuano/mmlu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_TOKENS = 10 };

const char *const mn_mmlu_answerings[] = {"logits", "reply", NULL};

struct evaluation {
    const struct mn_mmlu_item *items;
    const struct mn_mmlu_evaluate_options *options;
    const mn_tokenizer *tokenizer;
    struct mn_mmlu_prompts prompts;
    struct mn_asked asked;
    float *logprobs; /* (asked, MN_MMLU_CHOICES) */
    struct mn_text reply;
};

static mn_status hand_over(struct evaluation *e, size_t asked, struct mn_mmlu_result *result)
{
    const size_t index = e->asked.item[asked];
    result->adapter = e->asked.prompts[asked].adapter;
    result->item = e->items[index];
    result->shots = e->prompts.shots[index];
    result->cut = e->prompts.cut[index];
    return e->options->finished ? e->options->finished(e->options->user, index, result) : MN_OK;
}

static mn_status scored(void *user, size_t asked)
{
    struct evaluation *e = user;
    struct mn_mmlu_result result = {.predicted = 0};
    const size_t index = e->asked.item[asked];
    memcpy(result.logprob, e->logprobs + asked * MN_MMLU_CHOICES, sizeof result.logprob);
    for (int i = 0; i < MN_MMLU_CHOICES; i++) {
        if (!isfinite(result.logprob[i]))
            return mn_fail(MN_NUMERIC, "MMLU %s, question %zu: the log-probability of %c is %g",
                           e->items[index].subject->name, e->items[index].question->index, 'A' + i,
                           (double)result.logprob[i]);
        if (result.logprob[i] > result.logprob[result.predicted]) result.predicted = i;
    }
    return hand_over(e, asked, &result);
}

static mn_status generated(void *user, size_t asked, const struct mn_generation *generation)
{
    struct evaluation *e = user;
    struct mn_mmlu_result result = {0};
    mn_text_clear(&e->reply);
    MN_TRY(mn_detokenize(e->tokenizer, generation->ids, (size_t)generation->count, &e->reply));
    result.reply = e->reply.data ? e->reply.data : "";
    result.predicted = mn_mmlu_parse_reply(result.reply);
    return hand_over(e, asked, &result);
}

static mn_status answer_by_logits(struct evaluation *e, mn_model *model, const mn_adapter *adapter,
                                  mn_arena *arena)
{
    static const char *const pieces[MN_MMLU_CHOICES] = {"▁A", "▁B", "▁C", "▁D"};
    int32_t ids[MN_MMLU_CHOICES];
    for (int i = 0; i < MN_MMLU_CHOICES; i++) {
        ids[i] = mn_tokenizer_piece(e->tokenizer, pieces[i]);
        if (ids[i] < 0)
            return mn_fail(MN_UNSUPPORTED,
                           "the tokenizer has no piece \"%s\": answers cannot be read from logits",
                           pieces[i]);
    }
    e->logprobs = MN_NEW(arena, float, e->asked.count *MN_MMLU_CHOICES);
    struct mn_score_options options = {.memory = e->options->memory,
                                       .adapters = e->options->adapters,
                                       .apart = e->options->apart,
                                       .plan = e->options->plan,
                                       .title = e->options->title,
                                       .finished = scored,
                                       .user = e};
    return mn_score_options_at_end(model, adapter, e->prompts.prefixes, e->prompts.prefix_count,
                                   e->asked.prompts, e->asked.count, ids, MN_MMLU_CHOICES, &options,
                                   e->logprobs);
}

static int new_tokens(const struct mn_mmlu_evaluate_options *options)
{
    return options->max_new_tokens > 0 ? options->max_new_tokens : REPLY_TOKENS;
}

static mn_status answer_by_reply(struct evaluation *e, mn_model *model, const mn_adapter *adapter,
                                 mn_arena *arena)
{
    struct mn_generate_options options = {.max_new_tokens = new_tokens(e->options),
                                          .eos = mn_tokenizer_eos(e->tokenizer),
                                          .memory = e->options->memory,
                                          .adapters = e->options->adapters,
                                          .apart = e->options->apart,
                                          .plan = e->options->plan,
                                          .finished = generated,
                                          .user = e,
                                          .title = e->options->title};
    struct mn_generation *out = MN_NEW(arena, struct mn_generation, e->asked.count);
    return mn_generate(model, adapter, e->prompts.prefixes, e->prompts.prefix_count,
                       e->asked.prompts, e->asked.count, &options, arena, out);
}

mn_status mn_mmlu_prepare(const struct mn_model_config *config, const mn_tokenizer *tokenizer,
                          const struct mn_mmlu_item *items, size_t count,
                          const struct mn_mmlu_evaluate_options *options, mn_arena *arena,
                          struct mn_mmlu_prompts *out)
{
    const int reply = options->answering == MN_MMLU_BY_REPLY ? new_tokens(options) : 0;
    const int positions = mn_longest_sequence(config);
    if (reply >= positions)
        return mn_fail(MN_INVALID, "MMLU: %d new tokens leave no room for a prompt: %d positions",
                       reply, positions);
    return mn_mmlu_prompts(items, count, options->format, options->shots, positions - reply,
                           tokenizer, arena, out);
}

/* The prompts of all items, and which of them are asked of whom. */
static mn_status ask(struct evaluation *e, const mn_model *model, size_t count, mn_arena *arena)
{
    const struct mn_mmlu_evaluate_options *options = e->options;
    const struct mn_mmlu_prompts *prompts = &e->prompts;
    if (options->prompts)
        e->prompts = *options->prompts;
    else
        MN_TRY(mn_mmlu_prepare(&model->config, e->tokenizer, e->items, count, options, arena,
                               &e->prompts));
    const struct mn_token_counts counts =
        mn_prompts_count(prompts->prefixes, prompts->prefix_count, prompts->prompts, count);
    mn_prompts_ask(&e->asked, arena, &options->adapters, options->skip, prompts->prompts, count);
    return options->counted ? options->counted(options->user, &counts) : MN_OK;
}

mn_status mn_mmlu_evaluate(mn_model *model, const mn_adapter *adapter,
                           const mn_tokenizer *tokenizer, const struct mn_mmlu_item *items,
                           size_t count, const struct mn_mmlu_evaluate_options *options)
{
    struct evaluation e = {.items = items, .options = options, .tokenizer = tokenizer};
    mn_arena *arena = NULL;
    mn_status st = MN_OK;
    if (count == 0) return MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(ask(&e, model, count, arena));
    if (options->answering == MN_MMLU_BY_REPLY)
        MN_GO(answer_by_reply(&e, model, adapter, arena));
    else
        MN_GO(answer_by_logits(&e, model, adapter, arena));
done:
    mn_text_free(&e.reply);
    mn_arena_close(&arena);
    return st;
}
