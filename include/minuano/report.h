/* report.h: what a study found, as numbers, and those numbers for people and machines.
 *
 * mn_report_load computes everything once; terminal, Markdown, HTML, CSV and JSON only write it
 * down, so they cannot disagree. */
#ifndef MINUANO_REPORT_H
#define MINUANO_REPORT_H

#include "minuano/language.h"
#include "minuano/results.h"
#include "minuano/statistics.h"

/* Classes of misses: enum mn_sql_error, where MN_SQL_NONE stands for wrong rows, and one more. */
enum { MN_MISS_NO_ROWS = MN_SQL_ERRORS /* the query ran, and returned nothing */, MN_MISSES };

/* MMLU asked once more, with another number of shots. */
struct mn_report_shots {
    int64_t shots;
    struct mn_mmlu_scores scores;
    struct mn_change change; /* micro, against the base with as many; of the base: no items */
    const struct mn_mmlu_row *rows; /* (count) */
    size_t count;
};

struct mn_report_step {
    int64_t step;
    double loss, learning_rate; /* NaN where the line has none */
};

struct mn_report_system {
    struct mn_system system;
    struct mn_spider_tally spider;      /* by hardness, [MN_HARDNESSES] over all */
    struct mn_interval spider_interval; /* of the official accuracy over all, Wilson */
    int64_t exact; /* of spider: the gold query as text, see mn_sql_same_text */
    struct mn_mmlu_scores mmlu;
    int64_t misses[MN_MISSES];         /* of spider, official metric, by class */
    struct mn_calibration calibration; /* of mmlu: the four probabilities made to sum to one */
    const struct mn_spider_row *spider_rows; /* (spider_count) */
    const struct mn_mmlu_row *mmlu_rows;     /* (mmlu_count) */
    size_t spider_count, mmlu_count;
    const struct mn_report_step *steps; /* (step_count) of the training; none for the base */
    size_t step_count;
    struct mn_report_shots *also; /* (also_count) as the config's mmlu.also_shots; the others are of
                                     its mmlu.shots */
    size_t also_count;
    const struct mn_probe_point *probes; /* (probe_count) of its training, in order of step */
    size_t probe_count;
};

/* A system against the base, on the items that both have finished. Spider by the official metric,
 * items whose database is missing left out (they are counted in the tally); clustered by database.
 * MMLU clustered by subject; within one subject the interval is
 * mn_paired_interval's. */
struct mn_report_comparison {
    const struct mn_report_system *base, *system;
    struct mn_change spider[MN_HARDNESSES + 1];
    struct mn_change mmlu_micro, mmlu_macro, mmlu_groups[MN_MMLU_GROUPS];
    struct mn_change
        *mmlu_subjects; /* (base->mmlu.subject_count), in that order; holm_p over all */
    double mass_change; /* of A–D, micro; NaN for answers by reply */
};

/* NULL where the base has not answered the subject. */
const struct mn_change *mn_report_subject_change(const struct mn_report_comparison *comparison,
                                                 const char *subject);

/* A training's adapter at one step and strength against the base, on the items that the points of
 * curves are asked (evaluate.limit): changes as in mn_report_comparison, after is the accuracy. */
struct mn_report_stop {
    const char *system;
    int64_t step;    /* 0: the base */
    double strength; /* 0: the base, on a curve over strengths */
    struct mn_change spider, mmlu;
    struct mn_interval spider_interval, mmlu_interval; /* of the accuracies, Wilson */
    bool front; /* no other stop of any curve is as good in both tasks, and better in one */
};
/* Over strengths, or over the steps of the training: from the base to the adapter, or beyond. */
struct mn_report_curve {
    const char *training;
    bool by_strength;
    struct mn_report_stop *stops; /* (count) by strength or step */
    size_t count;
};

struct mn_report {
    const char *folder; /* of the run */
    const char *name, *version, *model, *model_fingerprint, *device, *started, *finished;
    json_t *config;                   /* as it was run; owned: mn_report_close */
    struct mn_report_system *systems; /* (system_count), the base first */
    size_t system_count;
    struct mn_report_system *points; /* (point_count) of curves */
    size_t point_count;
    struct mn_report_curve *curves; /* (curve_count) */
    size_t curve_count;
    struct mn_report_comparison *comparisons; /* (system_count - 1) */
    bool complete;                            /* every planned item is there */
    int64_t items_done, items_planned;
};
/* folder holds results.sqlite. Everything but config lives in the arena. */
MN_CHECKED mn_status mn_report_load(mn_arena *arena, const char *folder, struct mn_report *out);
void mn_report_close(struct mn_report *report);

void mn_report_terminal(const struct mn_report *report, enum mn_language language, FILE *out);
void mn_report_markdown(const struct mn_report *report, enum mn_language language, FILE *out);
/* One page that needs nothing but itself: plots, tables, and a browser of single items. Reads the
 * trainings' metrics.jsonl in the folder. Whatever data, models and names hold stays text. */
MN_CHECKED mn_status mn_report_html(const struct mn_report *report, enum mn_language language,
                                    FILE *out);
/* One row a system, task and slice: tidy, for a spreadsheet or a data frame. */
void mn_report_csv(const struct mn_report *report, FILE *out);
/* Everything that depends on a clock is under the key "times". The caller owns it. */
json_t *mn_report_json(const struct mn_report *report);
/* report.html, .md, .json and .csv in the folder, each whole or not at all. */
MN_CHECKED mn_status mn_report_write(const struct mn_report *report, enum mn_language language,
                                     const char *folder);

#endif
