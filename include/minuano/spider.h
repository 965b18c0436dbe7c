/* spider.h: text-to-SQL on Spider: the data set, prompts from its schemas, and verdicts on SQL.
 *
 *   mn_spider_open       DIR, split          ->  items and databases
 *   mn_spider_prompts    items, tokenizer    ->  token ids, the schema as a shared prefix
 *   mn_spider_examples   items, tokenizer    ->  training examples
 *   mn_judge_*           item, query         ->  verdicts of three metrics
 *   mn_spider_evaluate   model, items        ->  all of it, item by item */
#ifndef MINUANO_SPIDER_H
#define MINUANO_SPIDER_H

#include "minuano/infer.h"
#include "minuano/sql.h"
#include "minuano/text.h"
#include "minuano/train.h"

/* --- the data set, in its official layout ------------------------------------------------------
 * DIR/tables.json, DIR/dev.json, DIR/train_spider.json, DIR/train_others.json (optional),
 * DIR/database/<db_id>/<any>.sqlite. DIR may also be where the archive was unpacked: all of it then
 * lies in spider_data/ or spider/. */

enum mn_hardness { MN_EASY, MN_MEDIUM, MN_HARD, MN_EXTRA, MN_HARDNESS_UNKNOWN, MN_HARDNESSES };
/* "easy", "medium", "hard", "extra"; NULL for MN_HARDNESS_UNKNOWN: an item without a parse. */
const char *mn_hardness_name(enum mn_hardness hardness);
/* From an item's parsed `sql`, by the official rules. `where` opens messages. */
MN_CHECKED mn_status mn_hardness_read(const json_t *sql, const char *where, enum mn_hardness *out);

struct mn_spider_column {
    const char *name; /* original spelling */
    const char *type; /* "text", "number", "time", "boolean", "others" */
    int table;        /* -1 for the column `*`, which is always column 0 */
    bool primary;     /* part of its table's primary key */
};
struct mn_spider_reference {
    int from, to; /* columns: FOREIGN KEY (from) REFERENCES table of to (to) */
};
struct mn_spider_database {
    const char *db_id;
    const char **tables; /* (table_count) original spelling */
    size_t table_count;
    struct mn_spider_column *columns; /* (column_count) */
    size_t column_count;
    struct mn_spider_reference *references; /* (reference_count) */
    size_t reference_count;
    const char *
        *files;        /* (file_count) its .sqlite files: all must agree; <db_id>.sqlite is first */
    size_t file_count; /* 0: the database is missing */
};
struct mn_spider_item {
    size_t index; /* position in the split */
    const char *db_id, *question, *query;
    enum mn_hardness hardness;
    const struct mn_spider_database *database;
};

typedef struct mn_spider mn_spider;
struct mn_spider {
    const char *folder, *split;   /* folder: where tables.json was found */
    struct mn_spider_item *items; /* (count) */
    size_t count;
    struct mn_spider_database *databases; /* (database_count) in the order of tables.json */
    size_t database_count;
    mn_arena *arena;
};
/* split: "dev", "train" or "train+others". Whatever is wrong is an error that names file and item;
 * a missing database is none: its items are judged as missing. */
MN_CHECKED mn_status mn_spider_open(mn_spider **out, const char *folder, const char *split);
void mn_spider_close(mn_spider **spider);

/* --- prompts ---------------------------------------------------------------------------------- */

/* One line a table, in order: CREATE TABLE name (column type PRIMARY KEY, ..., FOREIGN KEY (a)
 * REFERENCES other (b)); Lines are separated by "\n"; there is none behind the last. */
void mn_spider_schema_text(const struct mn_spider_database *database, struct mn_text *out);

enum mn_spider_prompt_kind {
    MN_PROMPT_SCHEMA,        /* CREATE TABLE lines and the question, through the chat template */
    MN_PROMPT_SEED_TRAIN,    /* the seed study's training text; wrapped twice in evaluation */
    MN_PROMPT_SEED_FEW_SHOT, /* its phase 1: three worked examples in Portuguese, no schema */
    MN_PROMPT_CUSTOM,        /* a user message with {schema} and {question} */
};
struct mn_spider_prompt {
    enum mn_spider_prompt_kind kind;
    const char *text; /* CUSTOM: the template, borrowed */
};
/* "schema", "seed_train", "seed_few_shot", or a template: anything that holds "{question}". */
MN_CHECKED mn_status mn_spider_prompt_read(struct mn_spider_prompt *out, const char *name);
/* The user message (SCHEMA, SEED_FEW_SHOT, CUSTOM) or the text before the template's second wrap
 * (SEED_TRAIN), as the model is asked: for people and tests. */
MN_CHECKED mn_status mn_spider_prompt_text(const struct mn_spider_prompt *prompt,
                                           const struct mn_spider_item *item, struct mn_text *out);

/* Evaluation prompts of items[index[0 … count)]; index NULL: the first count. Ids of a prefix
 * followed by a prompt's own are exactly the ids of the whole prompt. One of more than `room`
 * tokens loses those on its left, as MMLU's do; room 0: none does. Lives in the arena. */
struct mn_spider_prompts {
    struct mn_prefix *prefixes; /* (prefix_count) at most one a database */
    size_t prefix_count;
    struct mn_prompt *prompts; /* (count) */
    bool *cut;                 /* (count) ids were lost on the left */
    size_t count;
};
/* What a model leaves of its positions beside the reply (new_tokens; 0: the default), at least half
 * of them. */
int mn_spider_room(const struct mn_model_config *model, int new_tokens);
MN_CHECKED mn_status mn_spider_prompts(const mn_spider *spider, const size_t *index, size_t count,
                                       const struct mn_spider_prompt *prompt, int room,
                                       const mn_tokenizer *tokenizer, mn_arena *arena,
                                       struct mn_spider_prompts *out);

/* Every item of the split as a training example, in order: prompt, query, EOS. limit 0: all.
 * SEED_TRAIN is a `text` example: loss on every token, whatever loss_on says. */
MN_CHECKED mn_status mn_spider_examples(const mn_spider *spider,
                                        const struct mn_spider_prompt *prompt,
                                        const mn_tokenizer *tokenizer, enum mn_loss_on loss_on,
                                        int max_length, size_t limit, mn_arena *arena,
                                        struct mn_examples *out);

/* --- verdicts; the queries themselves are sql.h -------------------------------------------------
 */

/* Of one item: 1 hit, 0 miss, -1 its database is missing. */
struct mn_verdict {
    int official;            /* official test-suite evaluator: DISTINCT stripped */
    int distinct;            /* the same with DISTINCT kept */
    int seed;                /* the seed study's: sets of rows */
    enum mn_sql_error error; /* of the query as written, on the first file */
    char message[160];       /* SQLite's words; "" without an error */
    bool no_rows;            /* it ran there, and gave none */
};

/* Runs and compares. Gold results are computed once a question and kept for every later prediction
 * of the same item. Not for several threads at once. */
typedef struct mn_judge mn_judge;
MN_CHECKED mn_status mn_judge_open(mn_judge **out, const mn_spider *spider,
                                   const struct mn_sql_limits *limits);
void mn_judge_close(mn_judge **judge);
/* sql may hold any bytes. Fails only for what is not a query's fault: a database file that cannot
 * be opened. Where the gold query itself does not run, the item is a miss with the error
 * MN_SQL_GOLD. */
MN_CHECKED mn_status mn_judge_item(mn_judge *judge, size_t index, const char *sql, size_t length,
                                   struct mn_verdict *out);
/* Runs the item's gold query now, so that judging it is quick later. */
MN_CHECKED mn_status mn_judge_prepare(mn_judge *judge, size_t index);
/* What the gold query and the last judged one returned on the first file, as written, see
 * mn_sql_show; "" where there is nothing to show. Valid until the next call. */
const char *mn_judge_gold_rows(const mn_judge *judge);
const char *mn_judge_rows(const mn_judge *judge);

/* Counts of verdicts: [MN_HARDNESSES] is over all. */
struct mn_spider_count {
    int64_t total, judged, missing, official, distinct, seed;
    int64_t errors[MN_SQL_ERRORS]; /* of the judged */
};
struct mn_spider_tally {
    struct mn_spider_count by[MN_HARDNESSES + 1];
};
void mn_spider_tally_add(struct mn_spider_tally *tally, enum mn_hardness hardness,
                         const struct mn_verdict *verdict);
/* {"total","judged","missing","official","distinct","seed","accuracy":{...},"errors":{...},
 * "hardness":{"easy":{...}}}; the caller owns it. Accuracies are over the judged. */
json_t *mn_spider_tally_json(const struct mn_spider_tally *tally);
/* The same as a table for people. */
void mn_spider_tally_print(const struct mn_spider_tally *tally, FILE *out);

/* --- a model's SQL, judged -------------------------------------------------------------------- */

struct mn_spider_result {
    const struct mn_spider_item *item;
    int adapter;             /* which of the options' adapters answered */
    const char *reply, *sql; /* as generated, as extracted; valid during the call */
    size_t reply_length, sql_length;
    struct mn_verdict verdict;
    const char *gold_rows, *rows; /* mn_judge_gold_rows, mn_judge_rows */
    bool cut;                     /* the prompt was */
    int tokens;                   /* generated, EOS not counted */
    enum mn_finish finish;
    double logprob;
};
struct mn_spider_evaluate_options {
    struct mn_spider_prompt prompt;
    enum mn_sql_extraction extraction;
    int max_new_tokens; /* 0: 200 */
    double temperature; /* 0: greedy */
    uint64_t seed;
    int batch_sequences;         /* 0: as many as fit */
    size_t memory;               /* 0: see infer.h */
    struct mn_adapters adapters; /* several in one pass; count 0: the call's */
    const bool *skip;            /* (adapters, count) true: is not asked; NULL: everything is */
    bool apart;                  /* no shared prefixes: to compare with */
    /* Of the first items of the split, made before; an item's place finds its own. NULL: made now.
     */
    const struct mn_spider_prompts *prompts;
    struct mn_sql_limits limits; /* all zero: the defaults */
    /* Called as each item is judged, in order of completion; an error stops the run. */
    mn_status (*finished)(void *user, const struct mn_spider_result *result);
    /* Called before the first: tokens of the prompts of all `count` items, asked of one adapter.
     * May be NULL. */
    mn_status (*counted)(void *user, const struct mn_token_counts *counts);
    void *user;
    struct mn_infer_plan *plan; /* out, in place of asking; NULL: ask */
    const char *title;          /* of the progress bar; NULL: no bar */
};
/* Generates, extracts, executes and judges items[index[0 … count)]; index NULL: the first count.
 * Judging has a thread of its own beside generation; `finished` is called on the caller's, and no
 * query of a model runs meanwhile.
 * An interrupted run goes on when the items already finished are left out of index. */
MN_CHECKED mn_status mn_spider_evaluate(mn_model *model, const mn_adapter *adapter,
                                        const mn_tokenizer *tokenizer, const mn_spider *spider,
                                        const size_t *index, size_t count,
                                        const struct mn_spider_evaluate_options *options);

#endif
