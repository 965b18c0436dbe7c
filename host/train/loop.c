/* loop.c: from examples to an adapter: steps, checkpoints, metrics, over one rank or many. */
#include "loop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "metrics.h"
#include "minuano/audit.h"
#include "minuano/interrupt.h"
#include "minuano/log.h"
#include "probe.h"

struct run {
    mn_model *model;
    const struct mn_examples *examples;
    const struct mn_train_settings *settings;
    mn_ranks *ranks;
    const char *folder;
    json_t *identity;
    struct packing packing;
    struct mn_train_plan plan;
    mn_adapter *adapter;
    mn_context *context;
    struct optimizer optimizer;
    struct position position;
    FILE *metrics; /* of rank 0 */
    struct mn_progress progress;
    const struct mn_probe *probe;
    struct probes probes; /* of rank 0 */
    mn_arena *arena;
};

/* --- one step --------------------------------------------------------------------------------- */

/* Puts the step and the examples of a pass before the message of what went wrong there. */
static mn_status fail_pass(const struct run *run, mn_status st, int64_t step,
                           const struct pass *pass)
{
    struct mn_text examples = {0};
    for (int64_t i = pass->begin; i < pass->end; i++)
        mn_text_printf(&examples, "%s%lld", i > pass->begin ? ", " : "",
                       (long long)run->packing.order[i]);
    st = mn_fail_in(st, "step %lld, batch of examples %s", (long long)step + 1, examples.data);
    mn_text_free(&examples);
    return st;
}

/* Adds this rank's share of the gradient and of the loss. */
static mn_status run_passes(struct run *run, const struct step_plan *plan, double *loss_sum)
{
    for (struct pass pass = {0}; packing_next_pass(&run->packing, plan, run->ranks->rank, &pass);) {
        struct pass_batch filled;
        double sum = 0;
        packing_fill(&run->packing, plan, &pass, &filled);
        struct mn_loss loss = {.targets = filled.targets,
                               .scale = 1.0 / (double)plan->loss_tokens,
                               .dropout_seed = (uint64_t)run->settings->seed,
                               .first_row = filled.first_row};
        mn_status st = mn_loss_backward(run->context, run->adapter, &filled.batch, &loss, &sum);
        if (st == MN_OK && !isfinite(sum)) st = mn_fail(MN_NUMERIC, "the loss is %g", sum);
        if (st != MN_OK) return fail_pass(run, st, plan->step, &pass);
        *loss_sum += sum;
    }
    return MN_OK;
}

/* Step number `step`, counted from 0. *stop: some rank was signalled; all ranks learn it here, so
 * that they stop after the same step. */
static mn_status run_step(struct run *run, int64_t step, struct step_record *record, bool *stop)
{
    const struct mn_train_settings *settings = run->settings;
    mn_device *device = run->model->device;
    mn_adapter *adapter = run->adapter;
    struct step_plan plan;
    double started = mn_seconds(), shared[2] = {0}, norm;
    packing_step(&run->packing, step, &plan);
    MN_TRY(device->calls->fill(device, adapter->gradient, 0,
                               (size_t)adapter->count * sizeof *adapter->gradient));
    MN_TRY(run_passes(run, &plan, &shared[0]));
    shared[1] = mn_interrupt_check() != MN_OK;
    MN_TRY(mn_ranks_sum_f64(run->ranks, shared, 2));
    double loss = shared[0] / (double)plan.loss_tokens;
    MN_TRY(mn_ranks_sum_device(run->ranks, device, adapter->gradient, adapter->count));
    double lr =
        settings->learning_rate *
        mn_schedule_factor(settings->schedule, step, settings->warmup_steps, run->plan.steps);
    device->calls->range_begin(device, "optimizer");
    mn_status st = optimizer_step(&run->optimizer, adapter, settings, lr, step + 1, &norm);
    device->calls->range_end(device);
    if (st == MN_NUMERIC) return mn_fail_in(st, "step %lld", (long long)step + 1);
    if (st != MN_OK) return st;
    double seconds = mn_seconds() - started;
    *record = (struct step_record){.step = step + 1,
                                   .loss = loss,
                                   .learning_rate = lr,
                                   .grad_norm = norm,
                                   .tokens = plan.tokens,
                                   .loss_tokens = plan.loss_tokens,
                                   .tokens_per_second = (double)plan.tokens / seconds};
    *stop = shared[1] > 0;
    return MN_OK;
}

/* --- the course of a run ---------------------------------------------------------------------- */

static int64_t row_of_step(struct run *run, int64_t step)
{
    struct step_plan plan;
    packing_step(&run->packing, step, &plan);
    return step / run->packing.steps_per_epoch * run->packing.rows_before[run->examples->count] +
           run->packing.rows_before[plan.begin];
}

static mn_status save(struct run *run)
{
    if (run->ranks->rank == 0) {
        mn_status st = mn_adapter_check_finite(run->adapter, run->adapter->master, "the adapter's");
        if (st != MN_OK) return mn_fail_in(st, "step %lld", (long long)run->position.result.steps);
        MN_TRY(metrics_sync(run->metrics, run->folder));
        MN_TRY(checkpoint_save(run->folder, run->adapter, &run->optimizer, &run->position,
                               run->identity, run->settings->keep_checkpoints));
    }
    return mn_ranks_barrier(run->ranks);
}

static void advance(struct run *run, const struct step_record *record, double seconds)
{
    struct mn_train_result *result = &run->position.result;
    if (result->steps == 0) result->first_loss = record->loss;
    result->steps = record->step;
    result->planned_steps = run->plan.steps;
    result->last_loss = record->loss;
    result->tokens += record->tokens;
    result->loss_tokens += record->loss_tokens;
    result->seconds += seconds;
    run->position.first_row = row_of_step(run, record->step);
    if (run->metrics) metrics_write(run->metrics, record);
}

static mn_status stopped(struct run *run)
{
    MN_TRY(save(run));
    mn_status st = mn_interrupt_check();
    if (st == MN_OK) st = mn_fail(MN_INTERRUPTED, "stopped: another rank was signalled");
    return mn_fail(st, "%s; %s/checkpoints/step-%lld is saved: the same command goes on from there",
                   mn_error(), run->folder, (long long)run->position.result.steps);
}

/* Opens the profiler's window before step profile_from and closes it after step profile_to. */
static mn_status profile_window(struct run *run, int64_t step)
{
    const struct mn_train_settings *settings = run->settings;
    mn_device *device = run->model->device;
    if (settings->profile_from == 0) return MN_OK;
    if (step + 1 == settings->profile_from) MN_TRY(device->calls->profile(device, true));
    if (step == settings->profile_to) MN_TRY(device->calls->profile(device, false));
    return MN_OK;
}

/* --- probes ----------------------------------------------------------------------------------- */

static mn_status keep_point(const struct run *run, const struct mn_probe_point *point)
{
    return run->probe->keep ? run->probe->keep(run->probe->user, point) : MN_OK;
}

static void show_point(struct run *run, const struct mn_probe_point *point)
{
    static const char *const names[MN_PROBE_TASKS] = {"Spider", "MMLU"};
    for (int t = 0; t < MN_PROBE_TASKS; t++)
        if (point->items[t])
            mn_progress_figure(&run->progress, names[t], "%.1f %%",
                               100 * mn_probe_accuracy(point, (enum mn_probe_task)t));
}

static mn_status ask(struct run *run, int64_t steps)
{
    const struct mn_probe_point *known = probes_find(&run->probes, steps);
    struct mn_probe_point point = {.step = steps};
    const double started = mn_seconds();
    if (known) {
        show_point(run, known);
        return keep_point(run, known);
    }
    mn_progress_note(&run->progress, "asking the probe");
    mn_progress_now(&run->progress);
    MN_TRY(run->probe->ask(run->probe->user, run->adapter, &point));
    point.seconds = mn_seconds() - started;
    mn_progress_note(&run->progress, "%s", "");
    show_point(run, &point);
    MN_TRY(probes_add(&run->probes, &point));
    return keep_point(run, &point);
}

/* The point after `steps`, where one is due, and whether a rule ends the run there. All ranks learn
 * it. A signal in the midst of it leaves the point to be asked when the run goes on. */
static mn_status probe(struct run *run, int64_t steps, bool *over)
{
    double shared[2] = {0}; /* the rule; stopped by a signal */
    if (!probes_due(run->settings, steps, run->plan.steps)) return MN_OK;
    if (run->ranks->rank == 0) {
        mn_status st = ask(run, steps);
        if (st != MN_OK && (st != MN_INTERRUPTED || steps == 0)) return st;
        shared[0] = st == MN_OK ? probes_stop(&run->probes, run->settings, steps) : MN_STOP_NONE;
        shared[1] = st == MN_INTERRUPTED;
    }
    MN_TRY(mn_ranks_sum_f64(run->ranks, shared, 2));
    if (shared[1] > 0) return stopped(run);
    if (shared[0] == 0 || steps == run->plan.steps) return MN_OK;
    *over = true;
    run->position.result.stop = (int64_t)shared[0];
    if (run->ranks->rank == 0)
        mn_info("train: stopped by stop.%s after step %lld of %lld",
                mn_stop_names[run->position.result.stop], (long long)steps,
                (long long)run->plan.steps);
    return MN_OK;
}

static mn_status open_probes(struct run *run, int64_t steps)
{
    MN_TRY(probes_open(&run->probes, run->arena, run->folder, steps));
    for (size_t i = 0; i < run->probes.points.count; i++)
        if (run->probe && run->probes.points.item[i].step <= steps)
            MN_TRY(keep_point(run, &run->probes.points.item[i]));
    return MN_OK;
}

/* --- all steps -------------------------------------------------------------------------------- */

/* "gentle: training", by the last part of the folder. */
static const char *title_of(const struct run *run)
{
    size_t end = strlen(run->folder), begin;
    while (end > 1 && run->folder[end - 1] == '/') end--;
    for (begin = end; begin > 0 && run->folder[begin - 1] != '/';) begin--;
    return mn_arena_printf(run->arena, "%.*s: training", (int)(end - begin), run->folder + begin);
}

static void show_step(struct run *run, const struct step_record *record)
{
    struct mn_progress *progress = &run->progress;
    mn_progress_figure(progress, "loss", "%.4f", record->loss);
    mn_progress_figure(progress, "lr", "%.3g", record->learning_rate);
    mn_progress_figure(progress, "gradient", "%.3g", record->grad_norm);
    mn_progress_figure(progress, "tokens/s", "%.4g", record->tokens_per_second);
    mn_progress_step(progress, record->step);
}

static mn_status run_steps(struct run *run)
{
    mn_device *device = run->model->device;
    const int64_t total = run->plan.steps, every = run->settings->checkpoint_every;
    bool shown = run->ranks->rank == 0, over = run->position.result.stop != MN_STOP_NONE;
    if (shown)
        mn_progress_start(&run->progress, title_of(run), "steps", total,
                          run->position.result.steps);
    if (!over) MN_TRY(probe(run, run->position.result.steps, &over));
    for (int64_t step = run->position.result.steps; step < total && !over; step++) {
        struct step_record record;
        bool stop = false;
        double started = mn_seconds();
        MN_TRY(profile_window(run, step));
        device->calls->range_begin(device, "step");
        MN_TRY(run_step(run, step, &record, &stop));
        device->calls->range_end(device);
        advance(run, &record, mn_seconds() - started);
        if (shown) show_step(run, &record);
        bool last = step + 1 == total;
        if (stop && !last) return stopped(run);
        MN_TRY(probe(run, step + 1, &over));
        if (last || over || (every > 0 && (step + 1) % every == 0)) MN_TRY(save(run));
    }
    if (shown) mn_progress_end(&run->progress);
    return MN_OK;
}

/* --- beginning and end ------------------------------------------------------------------------ */

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
    if (run->ranks->rank == 0) MN_TRY(open_probes(run, steps));
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
    MN_GO(probes_check(settings, probe));
    MN_GO(mn_arena_open(&run.arena));
    run.identity = run_identity(model, examples, settings, ranks->size);
    MN_GO(check_ranks_agree(&run));
    MN_GO(read_result(&run, out, &done));
    if (done) goto done;
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
