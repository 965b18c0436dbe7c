/* points.c: the points of a training's curves: its checkpoints, and its adapter at other strengths.
 *
 * Strength 0 is the base, strength 1 the adapter itself, and the last checkpoint likewise: those
 * have their answers already and are no systems of their own. */
#include "minuano/audit.h"
#include "minuano/log.h"
#include "run.h"

bool study_is_asked(size_t i, size_t count, int64_t limit)
{
    if (limit <= 0 || (uint64_t)limit >= count) return true;
    return (i + 1) * (uint64_t)limit / count != i * (uint64_t)limit / count;
}

int64_t study_point_items(const struct run *run, size_t count)
{
    const int64_t limit = run->settings->evaluate.limit;
    return limit > 0 && (uint64_t)limit < count ? limit : (int64_t)count;
}

/* `of` holds steps, folder and fingerprint of the adapter. */
static mn_status add_point(struct run *run, const struct mn_study_training *training,
                           const struct mn_system *of, const char *name, double strength,
                           const mn_adapter *adapter)
{
    const struct mn_system point = {.name = name,
                                    .training = training->name,
                                    .settings = training->json,
                                    .strength = strength,
                                    .spider_planned = study_point_items(run, run->spider_count),
                                    .mmlu_planned = study_point_items(run, run->mmlu_count)};
    int id;
    MN_TRY(mn_results_add_system(run->results, &point, &id));
    MN_TRY(mn_results_set_trained(run->results, id, of));
    *MN_PUSH(&run->asked) = (struct study_asked){id, name, adapter, true};
    return MN_OK;
}

/* The ends of the curve are the base and the adapter itself. */
static bool is_point(double strength)
{
    return strength != 0 && strength != 1;
}

int64_t study_count_points(const struct run *run, const struct mn_study_training *training,
                           int64_t steps)
{
    const struct mn_reals *strengths = &run->settings->evaluate.strengths;
    const int64_t every = training->settings.checkpoint_every;
    int64_t points = 0;
    for (size_t i = 0; i < strengths->count; i++) points += is_point(strengths->item[i]);
    if (run->settings->evaluate.checkpoints && every > 0 && steps > 0)
        points += (steps - 1) / every;
    return points;
}

static mn_status add_strengths(struct run *run, const struct mn_study_training *training,
                               const struct mn_system *trained, const mn_adapter *adapter)
{
    const struct mn_reals *strengths = &run->settings->evaluate.strengths;
    for (size_t i = 0; i < strengths->count; i++) {
        const double strength = strengths->item[i];
        if (!is_point(strength)) continue;
        MN_TRY(add_point(run, training, trained,
                         mn_arena_printf(run->arena, "%s@%g", training->name, strength), strength,
                         mn_adapter_at_strength(run->arena, adapter, strength)));
    }
    return MN_OK;
}

static mn_status add_checkpoint(struct run *run, const struct mn_study_training *training,
                                const char *folder, int64_t step)
{
    struct mn_system at = {.trained = {.steps = step}};
    mn_adapter *adapter;
    at.folder =
        mn_arena_printf(run->arena, "%s/checkpoints/step-%lld/adapter", folder, (long long)step);
    if (!mn_file_exists(mn_path(run->arena, at.folder, "adapter_config.json"))) {
        mn_warn("%s: no checkpoint of step %lld is left: its curve is without that point",
                training->name, (long long)step);
        return MN_OK;
    }
    MN_TRY(study_fingerprint(run->arena, at.folder, &at.fingerprint));
    /* One that changes nothing is a point of the curve, of a first step without a learning rate. */
    MN_TRY(mn_adapter_open_audited(&adapter, run->model, at.folder, true));
    *MN_PUSH(&run->adapters) = adapter;
    return add_point(run, training, &at,
                     mn_arena_printf(run->arena, "%s@step-%lld", training->name, (long long)step),
                     1, adapter);
}

mn_status study_add_points(struct run *run, const struct mn_study_training *training,
                           const struct mn_system *trained, const mn_adapter *adapter,
                           const char *folder)
{
    const int64_t every = training->settings.checkpoint_every;
    MN_TRY(add_strengths(run, training, trained, adapter));
    if (!run->settings->evaluate.checkpoints || every == 0) return MN_OK;
    for (int64_t step = every; step < trained->trained.steps; step += every)
        MN_TRY(add_checkpoint(run, training, folder, step));
    return MN_OK;
}
