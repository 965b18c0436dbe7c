/* evaluate.c: asks all systems what they have not answered yet, in one pass over the items of a
 * task, and keeps each answer as it comes. */
#include <string.h>

#include "minuano/interrupt.h"
#include "minuano/log.h"
#include "run.h"

/* Systems that a pass can take. */
struct pass {
    struct run *run;
    const struct study_asked *asked; /* (count) */
    size_t count;
    struct mn_adapters adapters;
    int64_t shots; /* of MMLU */
    struct score {
        int64_t answered, right;
    } * scores;      /* (count) of this run, for those who watch it */
    mn_arena *arena; /* of the pass */
};

static const char *title_of(const struct pass *pass, const char *task)
{
    if (pass->count == 1) return mn_arena_printf(pass->arena, "%s: %s", pass->asked->name, task);
    return mn_arena_printf(pass->arena, "%s, %zu systems", task, pass->count);
}

static mn_status keep_tokens(const struct pass *pass, bool mmlu,
                             const struct mn_token_counts *counts)
{
    for (size_t s = 0; s < pass->count; s++)
        if (!pass->asked[s].point)
            MN_TRY(mn_results_set_tokens(pass->run->results, pass->asked[s].system, mmlu, counts));
    return MN_OK;
}

static void show_score(const struct pass *pass, int system, bool right)
{
    struct score *score = &pass->scores[system];
    score->answered++;
    score->right += right;
    mn_progress_post(pass->asked[system].name, "%.1f %%",
                     100 * (double)score->right / (double)score->answered);
}

static void clear_scores(struct pass *pass)
{
    pass->scores = MN_NEW(pass->arena, struct score, pass->count);
}

/* --- Spider --- */

mn_status study_keep_spider(struct run *run, int system, const struct mn_spider_result *result)
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
                                      .cut = result->cut,
                                      .logprob = result->logprob,
                                      .gold_rows = result->gold_rows,
                                      .rows = result->rows};
    return mn_results_add_spider(run->results, system, &row); /* all that is judged is kept */
}

static mn_status keep_spider(void *user, const struct mn_spider_result *result)
{
    const struct pass *pass = user;
    if (result->verdict.official >= 0)
        show_score(pass, result->adapter, result->verdict.official > 0);
    return study_keep_spider(pass->run, pass->asked[result->adapter].system, result);
}

static mn_status keep_spider_tokens(void *user, const struct mn_token_counts *counts)
{
    return keep_tokens(user, false, counts);
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

/* skip (spider_count) of one system; *left grows by what is asked. */
static mn_status mark_spider(const struct pass *pass, const struct study_asked *asked, bool *skip,
                             size_t *left)
{
    struct run *run = pass->run;
    const size_t all = run->spider_count;
    size_t *items, count;
    MN_TRY(study_spider_left(run, asked->system, all, pass->arena, &items, &count));
    for (size_t i = 0; i < all; i++) skip[i] = true;
    for (size_t i = 0; i < count; i++) {
        if (asked->point && !study_is_asked(items[i], all, run->settings->evaluate.limit)) continue;
        skip[items[i]] = false;
        ++*left;
    }
    return MN_OK;
}

static mn_status evaluate_spider(struct pass *pass)
{
    const struct run *run = pass->run;
    const struct mn_study_settings *s = run->settings;
    bool *skip = MN_NEW(pass->arena, bool, pass->count * run->spider_count);
    size_t left = 0;
    for (size_t i = 0; i < pass->count; i++)
        MN_TRY(mark_spider(pass, &pass->asked[i], skip + i * run->spider_count, &left));
    if (left == 0) return MN_OK;
    clear_scores(pass);
    const struct mn_spider_evaluate_options options = {
        .prompt = run->prompt,
        .extraction = (enum mn_sql_extraction)s->spider.extraction,
        .max_new_tokens = (int)s->spider.max_new_tokens,
        .temperature = s->spider.temperature,
        .seed = (uint64_t)s->spider.seed,
        .adapters = pass->adapters,
        .skip = skip,
        .finished = keep_spider,
        .counted = keep_spider_tokens,
        .user = pass,
        .title = title_of(pass, "Spider")};
    return mn_spider_evaluate(run->model, NULL, run->tokenizer, run->spider, NULL,
                              run->spider_count, &options);
}

/* --- MMLU --- */

static mn_status keep_mmlu(void *user, size_t index, const struct mn_mmlu_result *result)
{
    const struct pass *pass = user;
    (void)index;
    struct mn_mmlu_row row = {.subject = result->item.subject->name,
                              .index = (int64_t)result->item.question->index,
                              .answer = result->item.question->answer,
                              .predicted = result->predicted,
                              .scored = pass->run->settings->mmlu.answer == MN_MMLU_BY_LOGITS,
                              .reply = result->reply,
                              .asked_shots = (int)pass->shots,
                              .shots = result->shots,
                              .cut = result->cut,
                              .question = result->item.question->text};
    memcpy(row.choice, result->item.question->choice, sizeof row.choice);
    memcpy(row.logprob, result->logprob, sizeof row.logprob);
    show_score(pass, result->adapter, result->predicted == result->item.question->answer);
    MN_TRY(mn_results_add_mmlu(pass->run->results, pass->asked[result->adapter].system, &row));
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

/* Told of the study's own number of shots alone. */
static mn_status keep_mmlu_tokens(void *user, const struct mn_token_counts *counts)
{
    const struct pass *pass = user;
    if (pass->shots != pass->run->settings->mmlu.shots) return MN_OK;
    return keep_tokens(pass, true, counts);
}

/* Points of curves are asked with the study's own number of shots alone. */
static mn_status mark_mmlu(const struct pass *pass, const struct study_asked *asked, bool *skip,
                           size_t *left)
{
    const struct run *run = pass->run;
    const bool own = pass->shots == run->settings->mmlu.shots;
    struct mn_mmlu_row *rows;
    size_t done;
    MN_TRY(mn_results_mmlu(run->results, asked->system, pass->shots, pass->arena, &rows, &done));
    for (size_t i = 0; i < run->mmlu_count; i++) {
        skip[i] = has_answer(rows, done, &run->mmlu_items[i]) ||
                  (asked->point &&
                   (!own || !study_is_asked(i, run->mmlu_count, run->settings->evaluate.limit)));
        *left += !skip[i];
    }
    return MN_OK;
}

static mn_status evaluate_mmlu(struct pass *pass, int64_t shots)
{
    const struct run *run = pass->run;
    const struct mn_study_settings *s = run->settings;
    bool *skip = MN_NEW(pass->arena, bool, pass->count * run->mmlu_count);
    size_t left = 0;
    pass->shots = shots;
    for (size_t i = 0; i < pass->count; i++)
        MN_TRY(mark_mmlu(pass, &pass->asked[i], skip + i * run->mmlu_count, &left));
    if (left == 0) return MN_OK;
    clear_scores(pass);
    const char *task = s->mmlu.also_shots.count == 0
                           ? "MMLU"
                           : mn_arena_printf(pass->arena, "MMLU %lld-shot", (long long)shots);
    const struct mn_mmlu_evaluate_options options = {.format = (enum mn_mmlu_format)s->mmlu.format,
                                                     .answering =
                                                         (enum mn_mmlu_answering)s->mmlu.answer,
                                                     .shots = (int)shots,
                                                     .max_new_tokens = (int)s->mmlu.max_new_tokens,
                                                     .adapters = pass->adapters,
                                                     .skip = skip,
                                                     .finished = keep_mmlu,
                                                     .counted = keep_mmlu_tokens,
                                                     .user = pass,
                                                     .title = title_of(pass, task)};
    return mn_mmlu_evaluate(run->model, NULL, run->tokenizer, run->mmlu_items, run->mmlu_count,
                            &options);
}

static mn_status evaluate_all_mmlu(struct pass *pass)
{
    const struct mn_study_settings *s = pass->run->settings;
    MN_TRY(evaluate_mmlu(pass, s->mmlu.shots));
    for (size_t i = 0; i < s->mmlu.also_shots.count; i++)
        MN_TRY(evaluate_mmlu(pass, s->mmlu.also_shots.item[i]));
    return MN_OK;
}

static mn_status evaluate(struct run *run, const struct study_asked *asked, size_t count,
                          bool only_spider)
{
    struct pass pass = {.run = run, .asked = asked, .count = count};
    const mn_adapter *adapters[MN_ADAPTER_GROUPS];
    mn_status st;
    for (size_t i = 0; i < count; i++) adapters[i] = asked[i].adapter;
    pass.adapters = (struct mn_adapters){adapters, (int)count};
    MN_GO(mn_arena_open(&pass.arena));
    if (run->spider && run->phase[MN_PHASE_SPIDER]) MN_GO(evaluate_spider(&pass));
    if (run->mmlu && run->phase[MN_PHASE_MMLU] && !only_spider) MN_GO(evaluate_all_mmlu(&pass));
done:
    mn_arena_close(&pass.arena);
    return st;
}

mn_status study_evaluate(struct run *run)
{
    for (size_t first = 0; first < run->asked.count; first += MN_ADAPTER_GROUPS) {
        const size_t left = run->asked.count - first;
        MN_TRY(evaluate(run, run->asked.item + first,
                        left < MN_ADAPTER_GROUPS ? left : (size_t)MN_ADAPTER_GROUPS, false));
    }
    return MN_OK;
}

mn_status study_evaluate_merged(struct run *run, int system, const char *name, const char *folder)
{
    const struct study_asked merged = {.system = system, .name = name};
    mn_arena *scratch;
    size_t *items, left;
    if (!run->phase[MN_PHASE_SPIDER]) return MN_OK;
    MN_TRY(mn_arena_open(&scratch));
    mn_status st = study_spider_left(run, system, run->spider_count, scratch, &items, &left);
    mn_arena_close(&scratch);
    if (st != MN_OK || left == 0) return st;
    MN_TRY(mn_model_merge(run->model, folder));
    MN_TRY(evaluate(run, &merged, 1, true));
    return mn_model_reload(run->model);
}
