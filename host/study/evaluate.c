/* evaluate.c: asks a system what it has not answered yet, and keeps each answer as it comes. */
#include <string.h>

#include "minuano/interrupt.h"
#include "run.h"

mn_status study_keep_spider(struct run *run, const struct mn_spider_result *result)
{
    const struct mn_spider_row row = {.index = (int64_t)result->item->index,
                                      .db_id = result->item->db_id,
                                      .question = result->item->question,
                                      .gold = result->item->query,
                                      .reply = result->reply,
                                      .sql = result->sql,
                                      .reply_length = result->reply_length,
                                      .sql_length = result->sql_length,
                                      .hardness = result->item->hardness,
                                      .verdict = result->verdict,
                                      .tokens = result->tokens,
                                      .stopped = result->finish == MN_FINISH_STOP,
                                      .logprob = result->logprob,
                                      .gold_rows = result->gold_rows,
                                      .rows = result->rows};
    MN_TRY(mn_results_add_spider(run->results, run->system, &row));
    return mn_interrupt_check();
}

static mn_status keep_spider(void *user, const struct mn_spider_result *result)
{
    return study_keep_spider(user, result);
}

mn_status study_spider_left(struct run *run, int system, size_t planned, mn_arena *arena,
                            size_t **left, size_t *count)
{
    struct mn_spider_row *rows;
    size_t done;
    bool *has = MN_NEW(arena, bool, planned);
    MN_TRY(mn_results_spider(run->results, system, arena, &rows, &done));
    for (size_t i = 0; i < done; i++)
        if ((size_t)rows[i].index < planned) has[rows[i].index] = true;
    *left = MN_NEW(arena, size_t, planned);
    *count = 0;
    for (size_t i = 0; i < planned; i++)
        if (!has[i]) (*left)[(*count)++] = i;
    return MN_OK;
}

static mn_status evaluate_spider(struct run *run, const char *name, const mn_adapter *adapter,
                                 mn_arena *scratch)
{
    const struct mn_study_settings *s = run->settings;
    size_t left, *index;
    MN_TRY(study_spider_left(run, run->system, run->spider_count, scratch, &index, &left));
    if (left == 0) return MN_OK;
    const struct mn_spider_evaluate_options options = {
        .prompt = run->prompt,
        .extraction = (enum mn_sql_extraction)s->spider.extraction,
        .max_new_tokens = (int)s->spider.max_new_tokens,
        .temperature = s->spider.temperature,
        .seed = (uint64_t)s->spider.seed,
        .finished = keep_spider,
        .user = run,
        .title = mn_arena_printf(scratch, "%s: Spider", name)};
    return mn_spider_evaluate(run->model, adapter, run->tokenizer, run->spider, index, left,
                              &options);
}

static mn_status keep_mmlu(void *user, size_t index, const struct mn_mmlu_result *result)
{
    struct run *run = user;
    (void)index;
    struct mn_mmlu_row row = {.subject = result->item.subject->name,
                              .index = (int64_t)result->item.question->index,
                              .answer = result->item.question->answer,
                              .predicted = result->predicted,
                              .scored = run->settings->mmlu.answer == MN_MMLU_BY_LOGITS,
                              .reply = result->reply,
                              .shots = result->shots,
                              .cut = result->cut,
                              .question = result->item.question->text};
    memcpy(row.choice, result->item.question->choice, sizeof row.choice);
    memcpy(row.logprob, result->logprob, sizeof row.logprob);
    MN_TRY(mn_results_add_mmlu(run->results, run->system, &row));
    return mn_interrupt_check();
}

/* Rows are in order of subject and index. */
static bool has_answer(const struct mn_mmlu_row *rows, size_t count,
                       const struct mn_mmlu_item *item)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(rows[middle].subject, item->subject->name);
        int64_t index = (int64_t)item->question->index;
        if (order == 0) order = (rows[middle].index > index) - (rows[middle].index < index);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static mn_status evaluate_mmlu(struct run *run, const char *name, const mn_adapter *adapter,
                               mn_arena *scratch)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_mmlu_item *left = MN_NEW(scratch, struct mn_mmlu_item, run->mmlu_count);
    struct mn_mmlu_row *rows;
    size_t done, count = 0;
    MN_TRY(mn_results_mmlu(run->results, run->system, scratch, &rows, &done));
    for (size_t i = 0; i < run->mmlu_count; i++)
        if (!has_answer(rows, done, &run->mmlu_items[i])) left[count++] = run->mmlu_items[i];
    if (count == 0) return MN_OK;
    const struct mn_mmlu_evaluate_options options = {
        .format = (enum mn_mmlu_format)s->mmlu.format,
        .answering = (enum mn_mmlu_answering)s->mmlu.answer,
        .shots = (int)s->mmlu.shots,
        .max_new_tokens = (int)s->mmlu.max_new_tokens,
        .finished = keep_mmlu,
        .user = run,
        .title = mn_arena_printf(scratch, "%s: MMLU", name)};
    return mn_mmlu_evaluate(run->model, adapter, run->tokenizer, left, count, &options);
}

mn_status study_evaluate(struct run *run, int system, const char *name, const mn_adapter *adapter)
{
    mn_arena *scratch = NULL;
    mn_status st;
    run->system = system;
    MN_GO(mn_arena_open(&scratch));
    if (run->spider && run->phase[MN_PHASE_SPIDER])
        MN_GO(evaluate_spider(run, name, adapter, scratch));
    if (run->mmlu && run->phase[MN_PHASE_MMLU]) MN_GO(evaluate_mmlu(run, name, adapter, scratch));
done:
    mn_arena_close(&scratch);
    return st;
}
