/* loop.c: the steps of a training, over one rank or many: passes, update, metrics, checkpoints,
 * probes. */
#include <math.h>
#include <string.h>

#include "minuano/interrupt.h"
#include "run.h"

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

int64_t row_of_step(struct run *run, int64_t step)
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

mn_status open_run_probes(struct run *run, int64_t steps)
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

mn_status run_steps(struct run *run)
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
