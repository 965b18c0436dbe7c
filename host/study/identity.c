/* identity.c: what a study is, in its results: facts that must be the same when it goes on, and
 * facts that are only told. */
#include <stdlib.h>
#include <time.h>

#include "run.h"

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
    if (s->spider.merged) json_object_set_new(identity, "merged", json_true());
    mn_text_free(&items);
    return compact(run->arena, identity);
}

static const char *baseline_identity(struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    if (!run->baseline_count) return "null";
    return compact(run->arena,
                   json_pack("{s:s,s:s,s:I,s:f,s:I,s:I}", "prompt", s->baseline.prompt,
                             "extraction", mn_sql_extractions[s->baseline.extraction],
                             "max_new_tokens", (json_int_t)s->baseline.max_new_tokens,
                             "temperature", s->baseline.temperature, "seed",
                             (json_int_t)s->spider.seed, "items", (json_int_t)run->baseline_count));
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
    for (size_t i = 0; i < s->mmlu.also_shots.count; i++) {
        if (i == 0) json_object_set_new(identity, "also_shots", json_array());
        json_array_append_new(json_object_get(identity, "also_shots"),
                              json_integer(s->mmlu.also_shots.item[i]));
    }
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

mn_status study_record_time(struct run *run, const char *key)
{
    char text[32];
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return set_once(run, key, text);
}

mn_status study_record(struct run *run)
{
    const struct mn_study *study = run->study;
    bool cuda = study->device->kind == MN_DEVICE_CUDA;
    json_t *config = mn_settings_json(&mn_study_settings_table, run->settings);
    json_object_del(config, "phases"); /* the study's parts may come one by one */
    json_object_del(config, "dry_run");
    const char *text = compact(run->arena, config);
    MN_TRY(mn_results_agree(run->results, "model_fingerprint", run->model->fingerprint));
    MN_TRY(mn_results_agree(run->results, "quantization",
                            mn_study_quantizations[run->settings->quantization]));
    MN_TRY(mn_results_agree(run->results, "kind of device", cuda ? "cuda" : "reference"));
    MN_TRY(mn_results_agree(run->results, "attention", study->device->attention));
    MN_TRY(mn_results_agree(run->results, "spider", spider_identity(run)));
    MN_TRY(mn_results_agree(run->results, "baseline", baseline_identity(run)));
    MN_TRY(mn_results_agree(run->results, "mmlu", mmlu_identity(run)));
    MN_TRY(set_once(run, "name", run->settings->name));
    MN_TRY(set_once(run, "version", study->version));
    MN_TRY(set_once(run, "model", run->settings->model));
    MN_TRY(set_once(run, "device", study->device->name));
    MN_TRY(set_once(run, "config", text));
    return study_record_time(run, "started");
}
