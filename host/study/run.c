/* run.c: drives a study: opens what it needs, does what is not done yet, writes the reports.
 *
 * What is done is asked of the results file and of each training's folder; nothing else remembers
 * it. */
#include "minuano/study.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "minuano/interrupt.h"
#include "minuano/log.h"

struct run {
    const struct mn_study *study;
    const struct mn_study_settings *settings;
    mn_arena *arena;
    int lock; /* file descriptor of the output folder; -1: none */
    mn_results *results;
    mn_model *model;
    mn_tokenizer *tokenizer;
    mn_spider *spider, *train; /* NULL: not asked for */
    mn_mmlu *mmlu;
    struct mn_spider_prompt prompt;
    size_t spider_count; /* first items of spider */
    struct mn_mmlu_item *mmlu_items;
    size_t mmlu_count;
    struct mn_study_training *trainings;
    size_t training_count;
    int system; /* whose items are being evaluated */
};

/* --- what must be the same when a study goes on --------------------------------------------------
 */

static const char *compact(mn_arena *arena, json_t *take)
{
    char *text = json_dumps(take, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    const char *kept = mn_arena_strdup(arena, text ? text : "null");
    free(text);
    json_decref(take);
    return kept;
}

/* Questions and answers, so that a data set that was changed is noticed wherever it lies. */
static const char *digest(mn_arena *arena, const struct mn_text *text)
{
    char hex[65];
    mn_sha256(text->data ? text->data : "", text->length, hex);
    hex[16] = '\0';
    return mn_arena_strdup(arena, hex);
}

static const char *spider_identity(struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_text items = {0};
    if (!run->spider) return "null";
    for (size_t i = 0; i < run->spider_count; i++)
        mn_text_printf(&items, "%s\n%s\n%s\n", run->spider->items[i].db_id,
                       run->spider->items[i].question, run->spider->items[i].query);
    json_t *identity =
        json_pack("{s:s,s:s,s:s,s:I,s:f,s:I,s:I,s:s}", "split", s->spider.split, "prompt",
                  s->spider.prompt, "extraction", mn_sql_extractions[s->spider.extraction],
                  "max_new_tokens", (json_int_t)s->spider.max_new_tokens, "temperature",
                  s->spider.temperature, "seed", (json_int_t)s->spider.seed, "items",
                  (json_int_t)run->spider_count, "digest", digest(run->arena, &items));
    mn_text_free(&items);
    return compact(run->arena, identity);
}

static const char *mmlu_identity(struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_text items = {0};
    if (!run->mmlu) return "null";
    for (size_t i = 0; i < run->mmlu_count; i++) {
        const struct mn_mmlu_question *question = run->mmlu_items[i].question;
        mn_text_printf(&items, "%s %zu %s %d\n", run->mmlu_items[i].subject->name, question->index,
                       question->text, question->answer);
    }
    json_t *identity = json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:I,s:s}", "split", s->mmlu.split, "format",
        mn_mmlu_formats[s->mmlu.format], "answer", mn_mmlu_answerings[s->mmlu.answer], "shots",
        (json_int_t)s->mmlu.shots, "max_new_tokens", (json_int_t)s->mmlu.max_new_tokens, "items",
        (json_int_t)run->mmlu_count, "digest", digest(run->arena, &items));
    mn_text_free(&items);
    return compact(run->arena, identity);
}

/* The first value stays. */
static mn_status set_once(struct run *run, const char *key, const char *value)
{
    const char *kept;
    MN_TRY(mn_results_get(run->results, run->arena, key, &kept));
    return kept ? MN_OK : mn_results_set(run->results, key, value);
}

static mn_status set_now(struct run *run, const char *key)
{
    char text[32];
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return set_once(run, key, text);
}

static mn_status record_run(struct run *run)
{
    const struct mn_study *study = run->study;
    bool cuda = study->device->kind == MN_DEVICE_CUDA;
    json_t *config = mn_settings_json(&mn_study_settings_table, run->settings);
    const char *text = compact(run->arena, config);
    MN_TRY(mn_results_agree(run->results, "model_fingerprint", run->model->fingerprint));
    MN_TRY(mn_results_agree(run->results, "quantization",
                            mn_study_quantizations[run->settings->quantization]));
    MN_TRY(mn_results_agree(run->results, "kind of device", cuda ? "cuda" : "reference"));
    MN_TRY(mn_results_agree(run->results, "spider", spider_identity(run)));
    MN_TRY(mn_results_agree(run->results, "mmlu", mmlu_identity(run)));
    MN_TRY(set_once(run, "name", run->settings->name));
    MN_TRY(set_once(run, "version", study->version));
    MN_TRY(set_once(run, "model", run->settings->model));
    MN_TRY(set_once(run, "device", study->device->name));
    MN_TRY(set_once(run, "config", text));
    return set_now(run, "started");
}

/* --- opening -------------------------------------------------------------------------------------
 */

/* Two processes must not work on one output. The lock goes with the process, whatever ends it. */
static mn_status lock_output(struct run *run)
{
    const char *output = run->settings->output;
    MN_TRY(mn_make_directories(output));
    run->lock = open(output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0) return mn_fail(MN_IO, "%s: cannot open: %s", output, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) != 0)
        return mn_fail(MN_INVALID, "%s: another process is at work on this study", output);
    return MN_OK;
}

static mn_status open_data(struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    if (!s->spider.folder && !s->mmlu.folder)
        return mn_fail(MN_INVALID, "%s: expected spider.folder, mmlu.folder, or both",
                       run->study->where);
    if (run->training_count && !s->spider.folder)
        return mn_fail(MN_INVALID, "%s: trainings need spider.folder", run->study->where);
    if (s->spider.folder) {
        MN_TRY(mn_spider_prompt_read(&run->prompt, s->spider.prompt));
        MN_TRY(mn_spider_open(&run->spider, s->spider.folder, s->spider.split));
        size_t limit = (size_t)s->spider.limit, count = run->spider->count;
        run->spider_count = limit > 0 && limit < count ? limit : count;
    }
    if (run->training_count)
        MN_TRY(mn_spider_open(&run->train, s->spider.folder, s->spider.train_split));
    if (s->mmlu.folder) {
        MN_TRY(mn_mmlu_open(&run->mmlu, s->mmlu.folder, s->mmlu.split));
        MN_TRY(mn_mmlu_select(run->mmlu, (enum mn_mmlu_suite)s->mmlu.suite, s->mmlu.subjects,
                              (size_t)s->mmlu.limit, run->arena, &run->mmlu_items,
                              &run->mmlu_count));
    }
    return MN_OK;
}

static mn_status open_run(struct run *run)
{
    const struct mn_study *study = run->study;
    const struct mn_model_options options = {.quantization =
                                                 (enum mn_quantization)run->settings->quantization,
                                             .keep_packed = run->settings->keep_packed};
    MN_TRY(mn_arena_open(&run->arena));
    MN_TRY(mn_study_trainings(run->arena, run->settings, study->where, &run->trainings,
                              &run->training_count));
    MN_TRY(open_data(run));
    MN_TRY(lock_output(run));
    MN_TRY(mn_tokenizer_open(&run->tokenizer, study->model_folder));
    MN_TRY(mn_model_open(&run->model, study->device, study->model_folder, &options));
    MN_TRY(mn_results_open(&run->results,
                           mn_path(run->arena, run->settings->output, "results.sqlite"), true));
    return record_run(run);
}

static void close_run(struct run *run)
{
    mn_results_close(&run->results);
    mn_model_close(&run->model);
    mn_tokenizer_close(&run->tokenizer);
    mn_mmlu_close(&run->mmlu);
    mn_spider_close(&run->train);
    mn_spider_close(&run->spider);
    if (run->lock >= 0) close(run->lock);
    mn_arena_close(&run->arena);
}

/* --- evaluation: what has no row yet
 * --------------------------------------------------------------- */

static mn_status keep_spider(void *user, const struct mn_spider_result *result)
{
    struct run *run = user;
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
                                      .logprob = result->logprob};
    MN_TRY(mn_results_add_spider(run->results, run->system, &row));
    return mn_interrupt_check();
}

static mn_status evaluate_spider(struct run *run, const char *name, const mn_adapter *adapter,
                                 mn_arena *scratch)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_spider_row *rows;
    size_t done, left = 0, *index = MN_NEW(scratch, size_t, run->spider_count);
    bool *has = MN_NEW(scratch, bool, run->spider_count);
    MN_TRY(mn_results_spider(run->results, run->system, scratch, &rows, &done));
    for (size_t i = 0; i < done; i++)
        if ((size_t)rows[i].index < run->spider_count) has[rows[i].index] = true;
    for (size_t i = 0; i < run->spider_count; i++)
        if (!has[i]) index[left++] = i;
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
                              .cut = result->cut};
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

static mn_status evaluate(struct run *run, int system, const char *name, const mn_adapter *adapter)
{
    mn_arena *scratch = NULL;
    mn_status st;
    run->system = system;
    MN_GO(mn_arena_open(&scratch));
    if (run->spider) MN_GO(evaluate_spider(run, name, adapter, scratch));
    if (run->mmlu) MN_GO(evaluate_mmlu(run, name, adapter, scratch));
done:
    mn_arena_close(&scratch);
    return st;
}

/* --- training
 * -------------------------------------------------------------------------------------- */

static mn_status fingerprint(mn_arena *arena, const char *folder, const char **out)
{
    struct mn_mapping mapping;
    char hex[65];
    MN_TRY(mn_mapping_open(&mapping, mn_path(arena, folder, "adapter_model.safetensors")));
    mn_sha256(mapping.data, mapping.size, hex);
    mn_mapping_close(&mapping);
    *out = mn_arena_strdup(arena, hex);
    return MN_OK;
}

static mn_status train(struct run *run, const struct mn_study_training *training,
                       const char *folder, struct mn_train_result *out)
{
    struct mn_examples examples = {0};
    mn_arena *scratch = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&scratch));
    MN_GO(mn_spider_examples(run->train, &run->prompt, run->tokenizer,
                             (enum mn_loss_on)training->settings.loss_on,
                             (int)training->settings.max_length,
                             (size_t)run->settings->spider.train_limit, scratch, &examples));
    if (examples.truncated || examples.dropped)
        mn_warn("%s: %lld of %zu examples were cut at %lld tokens, %lld had no loss token left",
                training->name, (long long)examples.truncated, examples.count,
                (long long)training->settings.max_length, (long long)examples.dropped);
    MN_GO(mn_train(run->model, &examples, &training->settings, run->study->ranks, folder, out));
done:
    mn_examples_free(&examples);
    mn_arena_close(&scratch);
    return st;
}

static mn_status do_training(struct run *run, const struct mn_study_training *training, int system)
{
    const char *base = mn_path(run->arena, run->settings->output, "trainings");
    const char *folder = mn_path(run->arena, base, training->name);
    struct mn_system trained = {.folder = mn_path(run->arena, folder, "final_adapter")};
    mn_adapter *adapter = NULL;
    mn_status st;
    MN_GO(mn_make_directories(folder));
    mn_info("%s: training", training->name);
    MN_GO(train(run, training, folder, &trained.trained));
    MN_GO(fingerprint(run->arena, trained.folder, &trained.fingerprint));
    MN_GO(mn_results_set_trained(run->results, system, &trained));
    MN_GO(mn_adapter_open(&adapter, run->model, trained.folder, false));
    MN_GO(evaluate(run, system, training->name, adapter));
done:
    mn_adapter_close(&adapter);
    return st;
}

/* Every system has its row before the first item, so that a report of an unfinished study knows
 * what is missing. */
static mn_status add_systems(struct run *run, int *ids)
{
    struct mn_system system = {.name = "base",
                               .strength = 1,
                               .spider_planned = (int64_t)run->spider_count,
                               .mmlu_planned = (int64_t)run->mmlu_count};
    int base;
    MN_TRY(mn_results_add_system(run->results, &system, &base));
    for (size_t i = 0; i < run->training_count; i++) {
        system.name = run->trainings[i].name;
        system.settings = run->trainings[i].json;
        MN_TRY(mn_results_add_system(run->results, &system, &ids[i]));
    }
    return MN_OK;
}

static mn_status write_reports(struct run *run)
{
    struct mn_report report = {0};
    mn_status st;
    MN_GO(mn_report_load(run->arena, run->settings->output, &report));
    MN_GO(mn_report_write(&report, MN_ENGLISH, run->settings->output));
done:
    mn_report_close(&report);
    return st;
}

mn_status mn_study_run(const struct mn_study *study)
{
    struct run run = {.study = study, .settings = study->settings, .lock = -1};
    mn_status st;
    MN_GO(open_run(&run));
    int *ids = MN_NEW(run.arena, int, run.training_count);
    MN_GO(add_systems(&run, ids));
    MN_GO(evaluate(&run, 0, "base", NULL));
    for (size_t i = 0; i < run.training_count; i++)
        MN_GO(do_training(&run, &run.trainings[i], ids[i]));
    MN_GO(set_now(&run, "finished"));
    MN_GO(write_reports(&run));
done:
    close_run(&run);
    return st;
}
