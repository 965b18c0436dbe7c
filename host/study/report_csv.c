/* report_csv.c: one row a system, task and slice. Shares are fractions of one; what cannot be said
 * is empty. Slices: all, hardness and miss of spider; micro, macro, shots, group, subject and
 * calibration of mmlu; strength and step, the points of an adapter's curves, and prompt tokens of
 * both. A row of slice miss or prompt tokens only counts its items; one of calibration is a bin of
 * answers by confidence. */
#include "report_format.h"

#include <math.h>

static void number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, ",%.17g", value);
    else
        fputc(',', out);
}

/* A name from a config may hold anything. */
static void field(FILE *out, const char *value)
{
    fputc('"', out);
    for (const char *c = value; *c; c++) {
        if (*c == '"') fputc('"', out);
        fputc(*c, out);
    }
    fputs("\",", out);
}

struct slice {
    const char *task, *kind, *name;
    int64_t items, missing, correct;
    double accuracy, error, mass, confidence, calibration;
    const struct mn_change *change; /* NULL: the base */
};

static void write_row(FILE *out, const char *system, const struct slice *slice)
{
    const struct mn_change *change = slice->change;
    field(out, system);
    fprintf(out, "%s,%s,", slice->task, slice->kind);
    field(out, slice->name);
    fprintf(out, "%lld,%lld,%lld", (long long)slice->items, (long long)slice->missing,
            (long long)slice->correct);
    number(out, slice->accuracy);
    number(out, slice->error);
    number(out, slice->mass);
    number(out, change ? change->change : NAN);
    number(out, change ? change->interval.low : NAN);
    number(out, change ? change->interval.high : NAN);
    if (change)
        fprintf(out, ",%lld,%lld", (long long)change->gained, (long long)change->lost);
    else
        fputs(",,", out);
    number(out, change ? change->p : NAN);
    number(out, change ? change->holm_p : NAN);
    number(out, change ? change->design_effect : NAN);
    number(out, change ? change->detectable : NAN);
    number(out, slice->confidence);
    number(out, slice->calibration);
    fputs(",,\n", out);
}

/* A row that counts and says no more. */
static void write_count(FILE *out, const char *system, const char *slice, const char *name,
                        int64_t count)
{
    field(out, system);
    fprintf(out, "%s,", slice);
    field(out, name);
    fprintf(out, "%lld,,,,,,,,,,,,,,,,,,\n", (long long)count);
}

static void write_tokens(FILE *out, const struct mn_system *system)
{
    if (system->spider_tokens.computed) {
        write_count(out, system->name, "spider,prompt tokens", "computed",
                    system->spider_tokens.computed);
        write_count(out, system->name, "spider,prompt tokens", "shared",
                    system->spider_tokens.shared);
    }
    if (system->mmlu_tokens.computed) {
        write_count(out, system->name, "mmlu,prompt tokens", "computed",
                    system->mmlu_tokens.computed);
        write_count(out, system->name, "mmlu,prompt tokens", "shared", system->mmlu_tokens.shared);
    }
}

static void write_steps(FILE *out, const struct mn_report_system *system)
{
    for (size_t i = 0; i < system->step_count; i++) {
        const struct mn_report_step *step = &system->steps[i];
        field(out, system->system.name);
        fprintf(out, "training,step,\"%lld\",,,,,,,,,,,,,,,,,", (long long)step->step);
        number(out, step->loss);
        number(out, step->learning_rate);
        fputc('\n', out);
    }
}

static void write_stop(FILE *out, const struct mn_report_curve *curve,
                       const struct mn_report_stop *stop, const char *task,
                       const struct mn_change *change)
{
    const int64_t correct = llround(change->after * (double)change->items);
    char name[32];
    snprintf(name, sizeof name, "%g", curve->by_strength ? stop->strength : (double)stop->step);
    const struct slice slice = {.task = task,
                                .kind = curve->by_strength ? "strength" : "step",
                                .name = name,
                                .items = change->items,
                                .correct = correct,
                                .accuracy = change->after,
                                .error = mn_standard_error(correct, change->items),
                                .mass = NAN,
                                .confidence = NAN,
                                .calibration = NAN,
                                .change = change};
    if (change->items) write_row(out, curve->training, &slice);
}

static void write_curves(FILE *out, const struct mn_report *report)
{
    for (size_t c = 0; c < report->curve_count; c++) {
        const struct mn_report_curve *curve = &report->curves[c];
        for (size_t i = 0; i < curve->count; i++) {
            write_stop(out, curve, &curve->stops[i], "spider", &curve->stops[i].spider);
            write_stop(out, curve, &curve->stops[i], "mmlu", &curve->stops[i].mmlu);
        }
    }
}

static void write_spider(FILE *out, const struct mn_report_system *system,
                         const struct mn_report_comparison *c)
{
    for (int h = 0; h <= MN_HARDNESSES; h++) {
        const struct mn_spider_count *count = &system->spider.by[h];
        const char *name = h == MN_HARDNESSES ? "all" : mn_hardness_name((enum mn_hardness)h);
        struct slice slice = {.task = "spider",
                              .kind = h == MN_HARDNESSES ? "all" : "hardness",
                              .name = name ? name : "unknown",
                              .items = count->judged,
                              .missing = count->missing,
                              .correct = count->official,
                              .accuracy = (double)count->official / (double)count->judged,
                              .error = mn_standard_error(count->official, count->judged),
                              .mass = NAN,
                              .confidence = NAN,
                              .calibration = NAN,
                              .change = c ? &c->spider[h] : NULL};
        if (count->total) write_row(out, system->system.name, &slice);
    }
    for (int e = 0; e < MN_MISSES && system->spider_count; e++)
        write_count(out, system->system.name, "spider,miss", report_miss_words(e),
                    system->misses[e]);
}

static void write_calibration(FILE *out, const struct mn_report_system *system)
{
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) {
        const struct mn_calibration_bin *bin = &system->calibration.bins[b];
        struct slice slice = {.task = "mmlu",
                              .kind = "calibration",
                              .items = bin->items,
                              .correct = bin->correct,
                              .accuracy = (double)bin->correct / (double)bin->items,
                              .error = mn_standard_error(bin->correct, bin->items),
                              .mass = NAN,
                              .confidence = bin->confidence,
                              .calibration = NAN};
        char name[24];
        snprintf(name, sizeof name, "%.1f to %.1f", b / 10.0, (b + 1) / 10.0);
        slice.name = name;
        if (bin->items) write_row(out, system->system.name, &slice);
    }
}

static void write_mmlu(FILE *out, const struct mn_report_system *system, const char *kind,
                       const char *name, const struct mn_mmlu_score *score,
                       const struct mn_change *change)
{
    struct slice slice = {.task = "mmlu",
                          .kind = kind,
                          .name = name,
                          .items = score->total,
                          .correct = score->correct,
                          .accuracy = score->accuracy,
                          .error = score->standard_error,
                          .mass = score->mass,
                          .confidence = NAN,
                          .calibration = NAN,
                          .change = change};
    if (score == &system->mmlu.micro) {
        slice.confidence = system->calibration.confidence;
        slice.calibration = system->calibration.error;
    }
    if (score->total) write_row(out, system->system.name, &slice);
}

void mn_report_csv(const struct mn_report *report, FILE *out)
{
    fputs("system,task,slice,name,items,missing,correct,accuracy,standard_error,mass,change,"
          "change_low,change_high,gained,lost,mcnemar_p,holm_p,design_effect,detectable,"
          "confidence,calibration_error,loss,learning_rate\n",
          out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_report_comparison *c = i ? &report->comparisons[i - 1] : NULL;
        write_spider(out, system, c);
        write_mmlu(out, system, "micro", "all", &system->mmlu.micro, c ? &c->mmlu_micro : NULL);
        write_mmlu(out, system, "macro", "all", &system->mmlu.macro, c ? &c->mmlu_macro : NULL);
        for (size_t k = 0; k < system->also_count; k++) {
            char shots[24];
            snprintf(shots, sizeof shots, "%lld", (long long)system->also[k].shots);
            write_mmlu(out, system, "shots", shots, &system->also[k].scores.micro,
                       c ? &system->also[k].change : NULL);
        }
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            write_mmlu(out, system, "group", mn_mmlu_group_name((enum mn_mmlu_group)g),
                       &system->mmlu.groups[g], c ? &c->mmlu_groups[g] : NULL);
        for (size_t s = 0; s < system->mmlu.subject_count; s++)
            write_mmlu(out, system, "subject", system->mmlu.subjects[s].subject,
                       &system->mmlu.subjects[s].score,
                       c ? mn_report_subject_change(c, system->mmlu.subjects[s].subject) : NULL);
        write_calibration(out, system);
        write_tokens(out, &system->system);
        write_steps(out, system);
    }
    write_curves(out, report);
}
