/* results.h: one SQLite file that holds a study: what was run, and one row an item.
 *
 * Every row is committed as its item finishes, so whatever ends the process, the finished items
 * stay. Tables: meta (key, value), system, probe, spider_question, spider_item, mmlu_question,
 * mmlu_item; see host/study/store.c. */
#ifndef MINUANO_RESULTS_H
#define MINUANO_RESULTS_H

#include <string.h>

#include "minuano/mmlu.h"
#include "minuano/spider.h"
#include "minuano/train.h"

typedef struct mn_results mn_results;
/* create false: the file must be there, and is opened for reading. */
MN_CHECKED mn_status mn_results_open(mn_results **out, const char *path, bool create);
void mn_results_close(mn_results **results);

/* --- facts of the run ---------------------------------------------------------------------------
 */

MN_CHECKED mn_status mn_results_set(mn_results *results, const char *key, const char *value);
/* NULL where there is none. */
MN_CHECKED mn_status mn_results_get(mn_results *results, mn_arena *arena, const char *key,
                                    const char **value);
/* Keeps the value the first time; afterwards it must be the same, else MN_INVALID names key, file
 * and both values: items of another study must not mix with these. */
MN_CHECKED mn_status mn_results_agree(mn_results *results, const char *key, const char *value);

/* --- systems: the base, and every adapter that is evaluated
 * --------------------------------------- */

struct mn_system {
    int id; /* 0: the base */
    const char *name;
    const char *settings;                 /* of the training, as JSON; NULL: the base */
    const char *training;                 /* name of the training it comes from; NULL: the base */
    const char *folder;                   /* of the adapter; NULL: the base, or not trained yet */
    const char *fingerprint;              /* SHA-256 of the adapter's tensors; NULL likewise */
    double strength;                      /* of the adapter: λ */
    int64_t spider_planned, mmlu_planned; /* items */
    struct mn_train_result trained;       /* zero where not; .steps: those of the adapter */
    /* Of the prompts of the planned items; zero until they were counted, and for a point. */
    struct mn_token_counts spider_tokens, mmlu_tokens;
};
/* A point of a curve: a checkpoint of a training, or its adapter at another strength. What stands
 * for the training itself has its name. */
static inline bool mn_system_is_point(const struct mn_system *system)
{
    return system->training && strcmp(system->training, system->name) != 0;
}
/* A new name becomes the next id. A known one must have the same settings, training, strength and
 * number of items. */
MN_CHECKED mn_status mn_results_add_system(mn_results *results, const struct mn_system *system,
                                           int *id);
/* Sets folder, fingerprint and trained. An adapter whose fingerprint is no longer what its items
 * were made with is MN_INVALID. */
MN_CHECKED mn_status mn_results_set_trained(mn_results *results, int id,
                                            const struct mn_system *system);
MN_CHECKED mn_status mn_results_set_tokens(mn_results *results, int id, bool mmlu,
                                           const struct mn_token_counts *tokens);
MN_CHECKED mn_status mn_results_systems(mn_results *results, mn_arena *arena,
                                        struct mn_system **systems, size_t *count);

/* What a training was asked while it ran. A point that is there already is replaced. */
MN_CHECKED mn_status mn_results_add_probe(mn_results *results, int system,
                                          const struct mn_probe_point *point);
/* In order of step. */
MN_CHECKED mn_status mn_results_probes(mn_results *results, int system, mn_arena *arena,
                                       struct mn_probe_point **points, size_t *count);

/* --- items
 * ---------------------------------------------------------------------------------------- */

struct mn_spider_row {
    int64_t index;
    const char *db_id, *question, *gold;
    const char *reply, *sql; /* may hold any bytes */
    size_t reply_length, sql_length;
    enum mn_hardness hardness;
    struct mn_verdict verdict;
    int tokens;
    bool stopped; /* by EOS, not by the limit */
    bool cut;     /* the prompt was, at the left */
    double logprob;
    const char *gold_rows,
        *rows; /* what the queries returned, see mn_sql_show; NULL or "": nothing */
};
struct mn_mmlu_row {
    const char *subject;
    int64_t index;
    int answer, predicted; /* 0 … 3; predicted -1: none */
    bool scored;           /* the log-probabilities are there */
    float logprob[MN_MMLU_CHOICES];
    const char *reply; /* NULL: answered by logits */
    int asked_shots;   /* one question may be asked with several numbers of shots */
    int shots;         /* that the prompt holds: as many, unless it would be too long */
    bool cut;
    const char *question, *choice[MN_MMLU_CHOICES]; /* NULL: not known */
};
/* Question, gold query and rows, and the choices, are kept once, from whoever answers first. */
MN_CHECKED mn_status mn_results_add_spider(mn_results *results, int system,
                                           const struct mn_spider_row *row);
MN_CHECKED mn_status mn_results_add_mmlu(mn_results *results, int system,
                                         const struct mn_mmlu_row *row);
/* Answers that are there. */
MN_CHECKED mn_status mn_results_count(mn_results *results, int system, int64_t *spider,
                                      int64_t *mmlu);
/* In order of index; of subject and index. */
MN_CHECKED mn_status mn_results_spider(mn_results *results, int system, mn_arena *arena,
                                       struct mn_spider_row **rows, size_t *count);
MN_CHECKED mn_status mn_results_mmlu(mn_results *results, int system, int64_t asked_shots,
                                     mn_arena *arena, struct mn_mmlu_row **rows, size_t *count);

#endif
