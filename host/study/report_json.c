/* report_json.c: the report as one JSON object. Shares are fractions of one; what cannot be said is
 * null. */
#include "protocol.h"
#include "report_format.h"

#include <math.h>

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text(const char *value)
{
    return value ? json_string(value) : json_null();
}

static json_t *interval_json(const struct mn_interval *interval)
{
    return json_pack("[o,o]", number(interval->low), number(interval->high));
}

static json_t *change_json(const struct mn_change *change)
{
    return json_pack("{s:I,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:i}", "items",
                     (json_int_t)change->items, "before", number(change->before), "after",
                     number(change->after), "change", number(change->change), "interval",
                     interval_json(&change->interval), "gained", (json_int_t)change->gained, "lost",
                     (json_int_t)change->lost, "mcnemar_p", number(change->p), "holm_p",
                     number(change->holm_p), "design_effect", number(change->design_effect),
                     "detectable", number(change->detectable), "clusters", change->clusters);
}

static json_t *steps_json(const struct mn_report_system *system)
{
    json_t *step = json_array(), *loss = json_array(), *rate = json_array();
    for (size_t i = 0; i < system->step_count; i++) {
        json_array_append_new(step, json_integer(system->steps[i].step));
        json_array_append_new(loss, number(system->steps[i].loss));
        json_array_append_new(rate, number(system->steps[i].learning_rate));
    }
    return json_pack("{s:o,s:o,s:o}", "step", step, "loss", loss, "learning_rate", rate);
}

/* Without the seconds they took: those are the clock's. */
static json_t *probes_json(const struct mn_report_system *system)
{
    json_t *list = json_array();
    for (size_t i = 0; i < system->probe_count; i++)
        json_array_append_new(list, mn_probe_point_json(&system->probes[i]));
    return list;
}

static json_t *training_json(const struct mn_report_system *of)
{
    const struct mn_system *system = &of->system;
    const struct mn_train_result *trained = &system->trained;
    json_t *settings = NULL, *out = json_object();
    if (!system->settings) {
        json_decref(out);
        return json_null();
    }
    settings = json_loads(system->settings, JSON_DECODE_ANY, NULL);
    json_object_set_new(out, "settings", settings ? settings : json_null());
    json_object_set_new(out, "fingerprint", text(system->fingerprint));
    json_object_set_new(out, "steps", json_integer(trained->steps));
    json_object_set_new(out, "tokens", json_integer(trained->tokens));
    json_object_set_new(out, "loss_tokens", json_integer(trained->loss_tokens));
    json_object_set_new(out, "first_loss", number(trained->first_loss));
    json_object_set_new(out, "last_loss", number(trained->last_loss));
    json_object_set_new(out, "by_step", steps_json(of));
    json_object_set_new(out, "planned_steps", json_integer(trained->planned_steps));
    json_object_set_new(out, "stopped_by",
                        trained->stop ? json_string(mn_stop_names[trained->stop]) : json_null());
    json_object_set_new(out, "probes", probes_json(of));
    return out;
}

static json_t *misses_json(const int64_t misses[MN_MISSES])
{
    json_t *out = json_object();
    for (int e = 0; e < MN_MISSES; e++)
        json_object_set_new(out, report_miss_words(e), json_integer(misses[e]));
    return out;
}

static json_t *calibration_json(const struct mn_calibration *calibration)
{
    json_t *bins = json_array();
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) {
        const struct mn_calibration_bin *bin = &calibration->bins[b];
        json_array_append_new(bins, json_pack("{s:I,s:I,s:o}", "items", (json_int_t)bin->items,
                                              "correct", (json_int_t)bin->correct, "confidence",
                                              number(bin->confidence)));
    }
    return json_pack("{s:I,s:o,s:o,s:o}", "items", (json_int_t)calibration->items, "confidence",
                     number(calibration->confidence), "error", number(calibration->error), "bins",
                     bins);
}

static json_t *tokens_json(const struct mn_token_counts *tokens)
{
    return json_pack("{s:I,s:I}", "computed", (json_int_t)tokens->computed, "shared",
                     (json_int_t)tokens->shared);
}

static json_t *stop_json(const struct mn_report_stop *stop)
{
    return json_pack("{s:s,s:I,s:f,s:o,s:o,s:o,s:o,s:b}", "system", stop->system, "step",
                     (json_int_t)stop->step, "strength", stop->strength, "spider",
                     change_json(&stop->spider), "spider_interval",
                     interval_json(&stop->spider_interval), "mmlu", change_json(&stop->mmlu),
                     "mmlu_interval", interval_json(&stop->mmlu_interval), "front", stop->front);
}

static json_t *curves_json(const struct mn_report *report)
{
    json_t *out = json_array();
    for (size_t c = 0; c < report->curve_count; c++) {
        const struct mn_report_curve *curve = &report->curves[c];
        json_t *stops = json_array();
        for (size_t i = 0; i < curve->count; i++)
            json_array_append_new(stops, stop_json(&curve->stops[i]));
        json_array_append_new(out,
                              json_pack("{s:s,s:s,s:o}", "training", curve->training, "over",
                                        curve->by_strength ? "strength" : "step", "points", stops));
    }
    return out;
}

static json_t *also_json(const struct mn_report_system *system)
{
    json_t *list = json_array();
    for (size_t i = 0; i < system->also_count; i++) {
        const struct mn_report_shots *also = &system->also[i];
        json_array_append_new(
            list, json_pack("{s:I,s:o,s:o}", "shots", (json_int_t)also->shots, "scores",
                            mn_mmlu_scores_json(&also->scores), "change",
                            also->change.items ? change_json(&also->change) : json_null()));
    }
    return list;
}

/* The baseline is the base as well, asked with another prompt. */
static const char *kind_of(const struct mn_system *system)
{
    return system->id == 0 ? "base" : system->settings ? "adapter" : "baseline";
}

static json_t *system_json(const struct mn_report_system *system)
{
    json_t *spider = mn_spider_tally_json(&system->spider);
    json_object_set_new(spider, "prompt_tokens", tokens_json(&system->system.spider_tokens));
    json_object_set_new(spider, "planned", json_integer(system->system.spider_planned));
    json_object_set_new(spider, "official_interval", interval_json(&system->spider_interval));
    json_object_set_new(spider, "exact_text", json_integer(system->exact));
    json_object_set_new(spider, "misses", misses_json(system->misses));
    json_t *mmlu = mn_mmlu_scores_json(&system->mmlu);
    json_object_set_new(mmlu, "calibration", calibration_json(&system->calibration));
    json_object_set_new(mmlu, "prompt_tokens", tokens_json(&system->system.mmlu_tokens));
    json_object_set_new(mmlu, "also_shots", also_json(system));
    json_object_set_new(mmlu, "planned", json_integer(system->system.mmlu_planned));
    return json_pack("{s:s,s:s,s:f,s:o,s:o,s:o}", "name", system->system.name, "kind",
                     kind_of(&system->system), "strength", system->system.strength, "training",
                     training_json(system), "spider", spider, "mmlu", mmlu);
}

static json_t *comparison_json(const struct mn_report_comparison *c)
{
    json_t *hardness = json_object(), *groups = json_object(), *subjects = json_object();
    for (int h = 0; h < MN_HARDNESSES; h++) {
        const char *name = mn_hardness_name((enum mn_hardness)h);
        if (c->spider[h].items)
            json_object_set_new(hardness, name ? name : "unknown", change_json(&c->spider[h]));
    }
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        if (c->mmlu_groups[g].items)
            json_object_set_new(groups, mn_mmlu_group_name((enum mn_mmlu_group)g),
                                change_json(&c->mmlu_groups[g]));
    for (size_t s = 0; s < c->base->mmlu.subject_count; s++)
        if (c->mmlu_subjects[s].items)
            json_object_set_new(subjects, c->base->mmlu.subjects[s].subject,
                                change_json(&c->mmlu_subjects[s]));
    json_t *spider =
        json_pack("{s:o,s:o}", "all", change_json(&c->spider[MN_HARDNESSES]), "hardness", hardness);
    json_t *mmlu = json_pack("{s:o,s:o,s:o,s:o,s:o}", "micro", change_json(&c->mmlu_micro), "macro",
                             change_json(&c->mmlu_macro), "mass_change", number(c->mass_change),
                             "groups", groups, "subjects", subjects);
    return json_pack("{s:s,s:s,s:o,s:o}", "base", c->base->system.name, "system",
                     c->system->system.name, "spider", spider, "mmlu", mmlu);
}

/* English sentences, as the other forms of the report have them. */
static json_t *protocol_json(const struct mn_report *report)
{
    mn_arena *arena;
    json_t *sentences = json_array();
    if (mn_arena_open(&arena) != MN_OK) return sentences;
    for (const char **remark = protocol_remarks(report, MN_ENGLISH, arena); *remark; remark++)
        json_array_append_new(sentences, json_string(*remark));
    mn_arena_close(&arena);
    return sentences;
}

json_t *mn_report_json(const struct mn_report *report)
{
    json_t *systems = json_array(), *comparisons = json_array(), *seconds = json_object();
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        json_array_append_new(systems, system_json(&report->systems[i]));
        if (system->settings)
            json_object_set_new(seconds, system->name, number(system->trained.seconds));
        if (i > 0) json_array_append_new(comparisons, comparison_json(&report->comparisons[i - 1]));
    }
    json_t *times = json_pack("{s:s,s:s,s:o}", "started", report->started, "finished",
                              report->finished, "training_seconds", seconds);
    json_t *run = json_pack("{s:s,s:s,s:s,s:s,s:O}", "minuano", report->version, "model",
                            report->model, "model_fingerprint", report->model_fingerprint, "device",
                            report->device, "config", report->config);
    return json_pack("{s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "study", report->name, "complete",
                     report->complete, "items_done", (json_int_t)report->items_done,
                     "items_planned", (json_int_t)report->items_planned, "run", run, "systems",
                     systems, "comparisons", comparisons, "curves", curves_json(report), "protocol",
                     protocol_json(report), "times", times);
}
