/* mmlu.h: multiple choice on MMLU (Hendrycks et al. 2021): the data set, prompts of three formats,
 * answers by log-probability or by reply, and scores.
 *
 *   mn_mmlu_open        DIR, split           ->  subjects with shots and questions
 *   mn_mmlu_select      subjects, limit      ->  items, or the seed study's 150
 *   mn_mmlu_prompt_text subject, question    ->  the prompt's text
 *   mn_mmlu_evaluate    model, items         ->  an answer an item
 *   mn_mmlu_aggregate   answers              ->  by subject, by group, micro, macro */
#ifndef MINUANO_MMLU_H
#define MINUANO_MMLU_H

#include "minuano/infer.h"
#include "minuano/settings.h"
#include "minuano/text.h"

/* --- CSV as in RFC 4180 -------------------------------------------------------------------------
 * Fields split at commas; a field in quotes may hold commas, line ends and doubled quotes; records
 * end with LF, CRLF, CR or the file. Quotes inside a field without quotes are text, as is U+FEFF
 * anywhere and "N/A"; nothing is trimmed. Lines that are empty are no records. */

struct mn_csv_record {
    const char **field; /* (count), NUL-terminated */
    size_t count;
    long line; /* of the file, from 1: where the record begins */
};
struct mn_csv {
    struct mn_csv_record *record;
    size_t count;
};
/* Everything lives in the arena. NUL bytes, a quote that is never closed and text behind a closing
 * quote are errors; `where` (the file) and the line open the message. */
MN_CHECKED mn_status mn_csv_parse(mn_arena *arena, const char *bytes, size_t size,
                                  const char *where, struct mn_csv *out);
MN_CHECKED mn_status mn_csv_read(mn_arena *arena, const char *path, struct mn_csv *out);

/* --- the data set -------------------------------------------------------------------------------
 * DIR/dev/<subject>_dev.csv (the shots), DIR/<split>/<subject>_<split>.csv; six fields a record:
 * question, four choices, the answer's letter. No header. UTF-8.
 *
 * Or as Hugging Face has it: DIR/dev.jsonl, DIR/<split>.jsonl (val: or validation.jsonl), a line a
 * question with "question", "subject", "choices" and "answer". DIR may also hold either in data/,
 * as the original archive does. */

enum { MN_MMLU_CHOICES = 4 };
enum mn_mmlu_group {
    MN_MMLU_STEM,
    MN_MMLU_HUMANITIES,
    MN_MMLU_SOCIAL,
    MN_MMLU_OTHER,
    MN_MMLU_GROUPS
};
const char *mn_mmlu_group_name(enum mn_mmlu_group group); /* "STEM", "humanities", ... */
/* Of the 57 official subjects; any other belongs to "other". */
enum mn_mmlu_group mn_mmlu_group_of(const char *subject);

struct mn_mmlu_question {
    size_t index; /* position in its file */
    const char *text, *choice[MN_MMLU_CHOICES];
    int answer; /* 0 … 3 for A … D */
};
struct mn_mmlu_subject {
    const char *name; /* "high_school_physics" */
    enum mn_mmlu_group group;
    struct mn_mmlu_question *shots; /* (shot_count) of dev */
    size_t shot_count;
    struct mn_mmlu_question *questions; /* (count) of the split */
    size_t count;
};
typedef struct mn_mmlu mn_mmlu;
struct mn_mmlu {
    const char *folder, *split;       /* folder: where they were found */
    struct mn_mmlu_subject *subjects; /* (subject_count) sorted by name */
    size_t subject_count;
    size_t count; /* questions of all subjects */
    mn_arena *arena;
};
/* split: "dev", "val" or "test". */
MN_CHECKED mn_status mn_mmlu_open(mn_mmlu **out, const char *folder, const char *split);
void mn_mmlu_close(mn_mmlu **mmlu);

enum mn_mmlu_suite {
    MN_MMLU_ALL,
    MN_MMLU_SEED_SUITE /* three subjects, 50 questions each by numpy's permutation(seed 42) */
};
extern const char *const mn_mmlu_suites[]; /* "all", "seed", NULL */

struct mn_mmlu_item {
    const struct mn_mmlu_subject *subject;
    const struct mn_mmlu_question *question;
};
/* The first `limit` questions (0: all) of each named subject (count 0: every subject), in the order
 * of the files. The seed suite takes its own 150, less by `limit` a subject; subjects must be
 * empty. An unknown subject is an error that names it. */
MN_CHECKED mn_status mn_mmlu_select(const mn_mmlu *mmlu, enum mn_mmlu_suite suite,
                                    struct mn_strings subjects, size_t limit, mn_arena *arena,
                                    struct mn_mmlu_item **items, size_t *count);

/* numpy.random.default_rng(seed).permutation(count), bit for bit: SeedSequence, PCG64 (XSL-RR
 * 128/64, O'Neill 2014), bounded numbers by masked rejection, Fisher-Yates from the end. */
void mn_numpy_permutation(uint32_t seed, int64_t *out, int64_t count);

/* --- prompts ---------------------------------------------------------------------------------- */

enum mn_mmlu_format { MN_MMLU_LM_EVAL, MN_MMLU_HENDRYCKS, MN_MMLU_SEED };
extern const char *const mn_mmlu_formats[]; /* "lm-eval", "hendrycks", "seed", NULL */

/* Appends the whole prompt as UTF-8, without BOS. The seed format takes its shots in the order of
 * numpy's permutation, the others from the top; more shots than dev holds are an error. */
MN_CHECKED mn_status mn_mmlu_prompt_text(const struct mn_mmlu_subject *subject,
                                         const struct mn_mmlu_question *question,
                                         enum mn_mmlu_format format, int shots,
                                         struct mn_text *out);

/* Prompts of items as ids: BOS and the text; control tokens spelled out in the seed format are
 * parsed. Longer than max_tokens: lm-eval and seed lose ids on the left, hendrycks drops shots
 * until it fits (its own 2048 is a further limit), and then loses ids on the left. What the prompts
 * of a subject begin with in common is their prefix; prefix + ids are exactly the ids of the whole
 * prompt. */
struct mn_mmlu_prompts {
    struct mn_prefix *prefixes; /* (prefix_count) at most one a subject */
    size_t prefix_count;
    struct mn_prompt *prompts; /* (count) */
    int *shots;                /* (count) that the prompt holds */
    bool *cut;                 /* (count) ids were lost on the left */
    size_t count;
};
MN_CHECKED mn_status mn_mmlu_prompts(const struct mn_mmlu_item *items, size_t count,
                                     enum mn_mmlu_format format, int shots, int max_tokens,
                                     const mn_tokenizer *tokenizer, mn_arena *arena,
                                     struct mn_mmlu_prompts *out);

/* --- a model's answers ------------------------------------------------------------------------ */

enum mn_mmlu_answering {
    MN_MMLU_BY_LOGITS, /* the most probable of " A" … " D" as the next token: one forward a question
                        */
    MN_MMLU_BY_REPLY   /* the first of A … D in the upper-cased greedy reply, as the seed study */
};
extern const char *const mn_mmlu_answerings[]; /* "logits", "reply", NULL */

struct mn_mmlu_result {
    struct mn_mmlu_item item;
    int adapter;                    /* which of the options' adapters answered */
    int predicted;                  /* 0 … 3; -1: the reply names none */
    float logprob[MN_MMLU_CHOICES]; /* of " A" … " D" over the whole vocabulary; BY_REPLY: zeros */
    const char *reply;              /* BY_REPLY; valid during the call; else NULL */
    int shots;
    bool cut;
};
struct mn_mmlu_evaluate_options {
    enum mn_mmlu_format format;
    enum mn_mmlu_answering answering;
    int shots;
    int max_new_tokens;          /* BY_REPLY; 0: 10 */
    size_t memory;               /* 0: see infer.h */
    struct mn_adapters adapters; /* several in one pass; count 0: the call's */
    const bool *skip;            /* (adapters, count) true: is not asked; NULL: everything is */
    bool apart;                  /* no shared prefixes: to compare with */
    const struct mn_mmlu_prompts *prompts; /* of all items, by mn_mmlu_prepare; NULL: made now */
    /* Called as each item finishes, in order of completion; an error stops the run. */
    mn_status (*finished)(void *user, size_t index, const struct mn_mmlu_result *result);
    /* Called before the first: tokens of the prompts of all `count` items, asked of one adapter.
     * May be NULL. */
    mn_status (*counted)(void *user, const struct mn_token_counts *counts);
    void *user;
    struct mn_infer_plan *plan; /* out, in place of asking; NULL: ask */
    const char *title;          /* of the progress bar; NULL: no bar */
};
/* The prompts that a model of this shape is asked. It takes no device: they can be made while a
 * model is opened. */
MN_CHECKED mn_status mn_mmlu_prepare(const struct mn_model_config *config,
                                     const mn_tokenizer *tokenizer,
                                     const struct mn_mmlu_item *items, size_t count,
                                     const struct mn_mmlu_evaluate_options *options,
                                     mn_arena *arena, struct mn_mmlu_prompts *out);
/* An interrupted run goes on when the items already finished are left out, or skipped. */
MN_CHECKED mn_status mn_mmlu_evaluate(mn_model *model, const mn_adapter *adapter,
                                      const mn_tokenizer *tokenizer,
                                      const struct mn_mmlu_item *items, size_t count,
                                      const struct mn_mmlu_evaluate_options *options);
/* 0 … 3 for the first A … D in the upper-cased text, -1 for none. */
int mn_mmlu_parse_reply(const char *reply);

/* --- scores -------------------------------------------------------------------------------------
 * Standard errors are s/sqrt(n) with n-1 in s. Groups and micro weigh subjects by their size, and
 * pool the subjects' variances as lm-eval does: s^2 = sum((n_i - 1) s_i^2) / sum(n_i - 1), where
 * s_i^2 = n_i se_i^2. Macro is the mean over subjects, its error sqrt(sum se_i^2) / subjects. NaN
 * where n is too small to say. */

struct mn_mmlu_score {
    int64_t total, correct, unparsed;
    double accuracy, standard_error;
    double mass; /* mean probability of A, B, C and D together; NaN for answers by reply */
};
struct mn_mmlu_subject_score {
    const char *subject;
    enum mn_mmlu_group group;
    struct mn_mmlu_score score;
};
struct mn_mmlu_scores {
    struct mn_mmlu_subject_score *subjects; /* (subject_count) in order of appearance */
    size_t subject_count;
    struct mn_mmlu_score groups[MN_MMLU_GROUPS], micro, macro;
};
struct mn_mmlu_answer {
    const char *subject;
    int answer, predicted;
    double mass; /* NaN: unknown */
};
void mn_mmlu_aggregate(mn_arena *arena, const struct mn_mmlu_answer *answers, size_t count,
                       struct mn_mmlu_scores *out);
double mn_mmlu_mass(const float logprob[MN_MMLU_CHOICES]);
/* {"micro":{...},"macro":{...},"groups":{...},"subjects":{...}}; the caller owns it. */
json_t *mn_mmlu_scores_json(const struct mn_mmlu_scores *scores);
/* The same as a table for people. */
void mn_mmlu_scores_print(const struct mn_mmlu_scores *scores, FILE *out);

#endif
