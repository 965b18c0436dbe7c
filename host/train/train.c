/* train.c: a training from its beginning, or where it was stopped, to its result. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "minuano/audit.h"
#include "run.h"

/* What an adapter says about its base: a hub name where the folder is a snapshot of the hub cache
 * (.../models--owner--name/snapshots/...), else the folder itself. */
static void name_base(const char *folder, char *out, size_t size)
{
    static const char opens[] = "models--", closes[] = "/snapshots/";
    const char *name = strstr(folder, opens), *end = name ? strstr(name, closes) : NULL;
    char *whole = end ? NULL : realpath(folder, NULL);
    if (end) {
        name += strlen(opens);
        snprintf(out, size, "%.*s", (int)(end - name), name);
        char *dashes = strstr(out, "--");
        if (dashes) {
            dashes[0] = '/';
            memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        }
    } else {
        snprintf(out, size, "%s", whole ? whole : folder);
    }
    free(whole);
}

static mn_status fresh_adapter(struct run *run)
{
    struct mn_lora_config lora;
    struct mn_audit audit;
    if (run->settings->initial) { /* one that changes nothing is as good a start as a fresh one */
        MN_TRY(mn_adapter_audit(run->arena, run->settings->initial, &audit));
        MN_TRY(mn_audit_check(&audit, run->model->fingerprint, true));
        return mn_adapter_open(&run->adapter, run->model, run->settings->initial, true);
    }
    MN_TRY(mn_train_lora(run->settings, &lora));
    if (run->model->folder) name_base(run->model->folder, lora.base_model, sizeof lora.base_model);
    return mn_adapter_new(&run->adapter, run->model, &lora, (uint64_t)run->settings->seed);
}

/* Where rank 0 found a checkpoint, all ranks go on from it. */
static mn_status resume_or_begin(struct run *run)
{
    int64_t steps = 0;
    if (run->ranks->rank == 0) MN_TRY(checkpoint_find(run->folder, &steps));
    MN_TRY(mn_ranks_sum_i64(run->ranks, &steps, 1));
    if (steps > 0) {
        MN_TRY(checkpoint_load(run->folder, steps, run->model, run->identity, &run->adapter,
                               &run->optimizer, &run->position));
        if (run->position.first_row != row_of_step(run, steps))
            return mn_fail(MN_INVALID,
                           "%s/checkpoints/step-%lld: key \"first_row\": expected %lld, found %lld",
                           run->folder, (long long)steps, (long long)row_of_step(run, steps),
                           (long long)run->position.first_row);
        mn_info("train: going on after step %lld of %lld", (long long)steps,
                (long long)run->plan.steps);
    } else {
        MN_TRY(fresh_adapter(run));
        MN_TRY(optimizer_open(&run->optimizer, run->model->device, run->adapter->count));
    }
    if (run->ranks->rank == 0) MN_TRY(metrics_open(&run->metrics, run->folder, steps));
    if (run->ranks->rank == 0) MN_TRY(open_run_probes(run, steps));
    run->plan.limits.lora_rank = lora_rank_of(&run->adapter->config);
    return mn_context_open(&run->context, run->model, &run->plan.limits);
}

/* Different examples or settings on some rank would train nonsense without an error. */
static mn_status check_ranks_agree(struct run *run)
{
    char digest[65];
    char *text = json_dumps(run->identity, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!text) return mn_fail(MN_INVALID, "the settings cannot be written as JSON");
    mn_sha256(text, strlen(text), digest);
    free(text);
    digest[10] = '\0'; /* 40 bits: their sum cannot overflow */
    int64_t mine = strtoll(digest, NULL, 16), sum = mine;
    MN_TRY(mn_ranks_sum_i64(run->ranks, &sum, 1));
    if (sum != mine * run->ranks->size)
        return mn_fail(MN_INVALID,
                       "rank %d of %d: settings, examples or model are not those of every rank",
                       run->ranks->rank, run->ranks->size);
    return MN_OK;
}

/* *done: the run was complete before it began. */
static mn_status read_result(struct run *run, struct mn_train_result *out, bool *done)
{
    const char *path = mn_path(run->arena, run->folder, "result.json");
    json_t *result = NULL;
    struct position position;
    mn_status st = MN_OK;
    *done = mn_file_exists(path) &&
            mn_file_exists(mn_path(run->arena, run->folder, "final_adapter/adapter_config.json"));
    if (!*done) return MN_OK;
    MN_GO(mn_json_load(&result, path));
    MN_GO(check_identity(json_object_get(result, "run"), run->identity, path));
    MN_GO(position_read(&position, result, path));
    *out = position.result;
done:
    json_decref(result);
    return st;
}

static mn_status write_result(struct run *run)
{
    json_t *result;
    mn_status st = MN_OK;
    if (run->ranks->rank == 0) {
        MN_TRY(mn_adapter_save(run->adapter, mn_path(run->arena, run->folder, "final_adapter")));
        result = position_json(&run->position, run->identity);
        st = mn_json_write(mn_path(run->arena, run->folder, "result.json"), result);
        json_decref(result);
    }
    return st == MN_OK ? mn_ranks_barrier(run->ranks) : st;
}

static void report_begin(const struct run *run)
{
    const struct mn_examples *examples = run->examples;
    if (run->ranks->rank > 0) return;
    mn_info("train: %zu examples (%lld cut, %lld dropped), %lld steps of up to %lld sequences, "
            "%lld tokens of which %lld carry loss",
            examples->count, (long long)examples->truncated, (long long)examples->dropped,
            (long long)run->plan.steps,
            (long long)(run->settings->batch * run->settings->accumulation * run->ranks->size),
            (long long)run->plan.tokens, (long long)run->plan.loss_tokens);
}

mn_status mn_train(mn_model *model, const struct mn_examples *examples,
                   const struct mn_train_settings *settings, const struct mn_probe *probe,
                   mn_ranks *ranks, const char *folder, struct mn_train_result *out)
{
    struct run run = {.model = model,
                      .examples = examples,
                      .settings = settings,
                      .probe = probe,
                      .ranks = ranks,
                      .folder = folder};
    bool done;
    mn_status st;
    MN_GO(mn_probe_check(settings));
    if (settings->probe_every && !probe) {
        st = mn_fail(MN_INVALID, "probe.every: nothing is there to ask: expected 0, found %lld",
                     (long long)settings->probe_every);
        goto done;
    }
    MN_GO(mn_arena_open(&run.arena));
    run.identity = run_identity(model, examples, settings, ranks->size);
    MN_GO(check_ranks_agree(&run));
    MN_GO(read_result(&run, out, &done));
    if (done) { /* whoever asked may have lost what was probed */
        if (ranks->rank == 0) st = open_run_probes(&run, out->steps);
        goto done;
    }
    MN_GO(mn_make_directories(folder));
    MN_GO(check_examples(examples, &model->config));
    MN_GO(packing_open(&run.packing, examples, settings, ranks->size));
    MN_GO(measure_run(&run.packing, settings, &run.plan));
    packing_reserve(&run.packing, run.plan.limits.tokens, run.plan.limits.sequences);
    MN_GO(resume_or_begin(&run));
    report_begin(&run);
    MN_GO(run_steps(&run));
    MN_GO(write_result(&run));
    *out = run.position.result;
done:
    if (run.metrics) fclose(run.metrics);
    probes_close(&run.probes);
    mn_context_close(&run.context);
    optimizer_close(&run.optimizer);
    mn_adapter_close(&run.adapter);
    packing_close(&run.packing);
    json_decref(run.identity);
    mn_arena_close(&run.arena);
    return st;
}
