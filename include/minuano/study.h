/* study.h: the whole experiment from one config: base, trainings, evaluations, report.
 *
 * OUTPUT/results.sqlite       every finished item, see results.h
 * OUTPUT/baseline.jsonl       the baseline's replies, where the config has one
 * OUTPUT/trainings/NAME/      one training each, see mn_train
 * OUTPUT/report.html, .md, .json, .csv
 *
 * A study that was interrupted goes on where it was, item by item and step by step, and ends with
 * the same report, times apart. */
#ifndef MINUANO_STUDY_H
#define MINUANO_STUDY_H

#include "minuano/report.h"

/* What a study does, in order; a config may ask for some of it. */
enum mn_study_phase {
    MN_PHASE_BASELINE, /* the base on Spider with a prompt of its own */
    MN_PHASE_TRAIN,
    MN_PHASE_SPIDER,
    MN_PHASE_MMLU,
    MN_PHASES
};
extern const char *const mn_study_phases[]; /* "baseline", "train", "spider", "mmlu", NULL */

#define MN_STUDY_BASELINE "baseline" /* its name as a system */

enum mn_study_protocol { MN_PROTOCOL_NONE, MN_PROTOCOL_SEED };
extern const char *const mn_study_protocols[]; /* "none", "seed", NULL */

struct mn_study_settings {
    const char *name, *note, *output, *model;
    int language;             /* enum mn_language, of the reports */
    struct mn_strings phases; /* count 0: all */
    bool dry_run;             /* print the forecast, do nothing */
    int protocol;             /* enum mn_study_protocol */
    const char *adapters;     /* folder of the trainings, below output */
    int quantization;         /* enum mn_quantization */
    bool keep_packed, allow_dead_adapter;
    struct {
        const char *prompt; /* NULL: no baseline */
        int64_t limit, max_new_tokens;
        int extraction;
        double temperature;
    } baseline;
    struct {
        const char *folder, *split, *train_split, *prompt;
        int64_t limit, train_limit; /* items; 0: all */
        int extraction;             /* enum mn_sql_extraction */
        int64_t max_new_tokens, seed;
        double temperature;
        bool merged; /* adapters answer Spider merged into the weights */
    } spider;
    struct {
        const char *folder, *split;
        struct mn_strings subjects;
        int suite, format, answer; /* enum mn_mmlu_suite, _format, _answering */
        int64_t shots, limit, max_new_tokens;
        struct mn_ints also_shots; /* the same questions once more with so many */
    } mmlu;
    struct {
        struct mn_reals strengths;
        bool checkpoints;
        int64_t limit;
    } evaluate;
    json_t *defaults;  /* lora.* and train.* of every training; NULL: none */
    json_t *trainings; /* [{"name": ..., "lora": {...}, "train": {...}}, ...]; NULL: none */
    json_t *sweep;     /* {"lora": {key: [...], ...}, "train": {...}}: a grid of more; NULL: none */
};
extern const struct mn_settings mn_study_settings_table;
extern const char *const mn_study_quantizations[]; /* "none", "nf4", "nf4-double", NULL */

/* One entry of `trainings`, or one combination of `sweep`, over the defaults. */
struct mn_study_training {
    const char *name;
    struct mn_train_settings settings;
    const char *json; /* all of settings, compact */
};
/* Those of `trainings`, then the grid of `sweep`, named by what differs. Names are letters, digits,
 * '.', '_' and '-', and unique; `where` is the config's path. */
MN_CHECKED mn_status mn_study_trainings(mn_arena *arena, const struct mn_study_settings *settings,
                                        const char *where, struct mn_study_training **trainings,
                                        size_t *count);

struct mn_study {
    const struct mn_study_settings *settings;
    const char *where;        /* the config's path, for messages */
    const char *model_folder; /* settings->model resolved */
    const char *version;      /* of minuano */
    mn_device *device;
    mn_ranks *ranks; /* size 1 */
};
/* Runs, or goes on with, the study and writes its reports. MN_INTERRUPTED after a signal: what is
 * finished is kept. A config that contradicts what OUTPUT was begun with is MN_INVALID; trainings
 * may be added. */
MN_CHECKED mn_status mn_study_run(const struct mn_study *study);

/* What a run of these phases would do and take, without weights and without writing anything: for
 * --dry-run. Items that are there already are not counted out. */
struct mn_study_forecast_system {
    const char *name;
    int64_t steps, tokens, loss_tokens; /* of its training; 0: none */
    int64_t parameters;                 /* of the adapter */
    int64_t spider, mmlu;               /* items that it is asked */
    int64_t points;                     /* of its curves: systems more */
};
struct mn_study_forecast {
    struct mn_study_forecast_system *systems; /* (count) */
    size_t count;
    int64_t point_spider, point_mmlu; /* items that each point is asked */
    int64_t steps, items;             /* of all systems and points */
    size_t training[MN_MEMORY_USES];  /* bytes of the largest training; zeros: none */
    size_t answering[MN_MEMORY_USES]; /* of the larger task, for the base alone */
    const char *largest;              /* training; NULL: none */
};
/* MN_NO_MEMORY where a training cannot fit, with *out filled. Lives in the arena. */
MN_CHECKED mn_status mn_study_forecast(const struct mn_study *study, mn_arena *arena,
                                       struct mn_study_forecast *out);

#endif
