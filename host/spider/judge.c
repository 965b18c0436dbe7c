/* judge.c: verdicts on predictions: each query runs as written and as the official evaluator
 * rewrites it, on every file of its database, against gold results that are kept. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "minuano/spider.h"

/* The three texts of a query. Those that are equal run once. */
enum variant { AS_WRITTEN, DISTINCT_KEPT, DISTINCT_STRIPPED, VARIANTS };

struct answer { /* of one query on one file */
    struct mn_sql_result result[VARIANTS];
    bool done[VARIANTS];
};

struct query {
    struct mn_text text[VARIANTS];
};

struct gold {
    struct query query;
    bool ordered;        /* it says ORDER BY somewhere: the order of rows counts */
    struct answer *file; /* (file_count); NULL: not met yet */
};

struct mn_judge {
    const mn_spider *spider;
    struct mn_sql_limits limits;
    struct gold *gold;                         /* (spider->count) */
    const struct mn_spider_database *database; /* whose files are open; NULL: none */
    mn_sql **open;                             /* (database->file_count) */
    struct mn_text gold_rows, rows;            /* of the last item, to be shown */
};

static void query_write(struct query *out, const char *sql, size_t length, enum mn_sql_role role)
{
    *out = (struct query){0};
    mn_text_add(&out->text[AS_WRITTEN], sql, length);
    mn_sql_official(sql, length, role, true, &out->text[DISTINCT_KEPT]);
    mn_sql_official(sql, length, role, false, &out->text[DISTINCT_STRIPPED]);
}

static void query_free(struct query *query)
{
    for (int v = 0; v < VARIANTS; v++) mn_text_free(&query->text[v]);
}

static void answer_free(struct answer *answer)
{
    for (int v = 0; v < VARIANTS; v++) mn_sql_result_close(&answer->result[v]);
}

static bool same_text(const struct mn_text *a, const struct mn_text *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static const struct mn_sql_result *answer_get(struct answer *answer, const struct query *query,
                                              mn_sql *file, enum variant variant)
{
    int v = 0;
    while (!same_text(&query->text[v], &query->text[variant])) v++; /* ends at variant itself */
    if (!answer->done[v])
        mn_sql_run(file, query->text[v].data, query->text[v].length, &answer->result[v]);
    answer->done[v] = true;
    return &answer->result[v];
}

static void close_files(mn_judge *judge)
{
    for (size_t i = 0; judge->database && i < judge->database->file_count; i++)
        mn_sql_close(&judge->open[i]);
    free(judge->open);
    judge->open = NULL;
    judge->database = NULL;
}

static mn_status open_files(mn_judge *judge, const struct mn_spider_database *database)
{
    if (judge->database == database) return MN_OK;
    close_files(judge);
    judge->open = mn_realloc(NULL, database->file_count, sizeof *judge->open);
    memset(judge->open, 0, database->file_count * sizeof *judge->open);
    judge->database = database;
    for (size_t i = 0; i < database->file_count; i++) {
        mn_status st = mn_sql_open(&judge->open[i], database->files[i], &judge->limits);
        if (st != MN_OK) {
            close_files(judge);
            return st;
        }
    }
    return MN_OK;
}

static bool contains(const struct mn_text *text, const char *words)
{
    size_t length = strlen(words);
    for (size_t i = 0; i + length <= text->length; i++)
        if (strncasecmp(text->data + i, words, length) == 0) return true;
    return false;
}

static struct gold *gold_of(mn_judge *judge, const struct mn_spider_item *item)
{
    struct gold *gold = &judge->gold[item->index];
    if (gold->file) return gold;
    size_t files = item->database->file_count;
    query_write(&gold->query, item->query, strlen(item->query), MN_SQL_ROLE_GOLD);
    gold->ordered = contains(&gold->query.text[DISTINCT_STRIPPED], "order by");
    gold->file = mn_realloc(NULL, files, sizeof *gold->file);
    memset(gold->file, 0, files * sizeof *gold->file);
    return gold;
}

mn_status mn_judge_open(mn_judge **out, const mn_spider *spider, const struct mn_sql_limits *limits)
{
    mn_judge *judge = mn_realloc(NULL, 1, sizeof *judge);
    *judge = (mn_judge){.spider = spider, .limits = limits ? *limits : mn_sql_limits_default};
    judge->gold = mn_realloc(NULL, spider->count + 1, sizeof *judge->gold);
    memset(judge->gold, 0, (spider->count + 1) * sizeof *judge->gold);
    *out = judge;
    return MN_OK;
}

void mn_judge_close(mn_judge **judge)
{
    if (!*judge) return;
    close_files(*judge);
    for (size_t i = 0; i < (*judge)->spider->count; i++) {
        struct gold *gold = &(*judge)->gold[i];
        for (size_t f = 0; gold->file && f < (*judge)->spider->items[i].database->file_count; f++)
            answer_free(&gold->file[f]);
        free(gold->file);
        query_free(&gold->query);
    }
    mn_text_free(&(*judge)->gold_rows);
    mn_text_free(&(*judge)->rows);
    free((*judge)->gold);
    free(*judge);
    *judge = NULL;
}

static void set_error(struct mn_verdict *out, enum mn_sql_error error, const char *message)
{
    out->error = error;
    snprintf(out->message, sizeof out->message, "%s", message);
}

/* Takes what one file says into the verdict: it stays a hit only where every file agrees. */
static void judge_file(mn_judge *judge, struct gold *gold, const struct query *predicted, size_t f,
                       struct mn_verdict *out)
{
    mn_sql *file = judge->open[f];
    struct answer answer = {0}, *truth = &gold->file[f];
    const struct mn_sql_result *right[VARIANTS], *found[VARIANTS];
    for (int v = 0; v < VARIANTS; v++) {
        right[v] = answer_get(truth, &gold->query, file, (enum variant)v);
        found[v] = answer_get(&answer, predicted, file, (enum variant)v);
    }
    out->official = out->official &&
                    mn_sql_equal(right[DISTINCT_STRIPPED], found[DISTINCT_STRIPPED], gold->ordered);
    out->distinct =
        out->distinct && mn_sql_equal(right[DISTINCT_KEPT], found[DISTINCT_KEPT], gold->ordered);
    if (f == 0) {
        out->seed = mn_sql_equal_seed(right[AS_WRITTEN], found[AS_WRITTEN]);
        set_error(out, found[AS_WRITTEN]->error, found[AS_WRITTEN]->message);
        out->no_rows = found[AS_WRITTEN]->error == MN_SQL_NONE && found[AS_WRITTEN]->rows == 0;
        mn_sql_show(right[AS_WRITTEN], &judge->gold_rows);
        mn_sql_show(found[AS_WRITTEN], &judge->rows);
    }
    if (right[DISTINCT_STRIPPED]->error != MN_SQL_NONE)
        set_error(out, MN_SQL_GOLD, right[DISTINCT_STRIPPED]->message);
    answer_free(&answer);
}

static mn_status check_index(const mn_judge *judge, size_t index)
{
    if (index < judge->spider->count) return MN_OK;
    return mn_fail(MN_INVALID, "Spider item %zu: the split has %zu", index, judge->spider->count);
}

mn_status mn_judge_prepare(mn_judge *judge, size_t index)
{
    MN_TRY(check_index(judge, index));
    const struct mn_spider_item *item = &judge->spider->items[index];
    if (item->database->file_count == 0) return MN_OK;
    MN_TRY(open_files(judge, item->database));
    struct gold *gold = gold_of(judge, item);
    for (size_t f = 0; f < item->database->file_count; f++)
        for (int v = 0; v < VARIANTS; v++)
            (void)answer_get(&gold->file[f], &gold->query, judge->open[f], (enum variant)v);
    return MN_OK;
}

mn_status mn_judge_item(mn_judge *judge, size_t index, const char *sql, size_t length,
                        struct mn_verdict *out)
{
    struct mn_verdict verdict = {.official = 1, .distinct = 1, .seed = 1};
    struct query predicted;
    MN_TRY(check_index(judge, index));
    const struct mn_spider_item *item = &judge->spider->items[index];
    size_t files = item->database->file_count;
    mn_text_clear(&judge->gold_rows);
    mn_text_clear(&judge->rows);
    if (files == 0) {
        *out = (struct mn_verdict){.official = -1, .distinct = -1, .seed = -1};
        return MN_OK;
    }
    MN_TRY(open_files(judge, item->database));
    struct gold *gold = gold_of(judge, item);
    query_write(&predicted, sql, length, MN_SQL_ROLE_PREDICTION);
    for (size_t f = 0; f < files; f++) judge_file(judge, gold, &predicted, f, &verdict);
    query_free(&predicted);
    *out = verdict;
    return MN_OK;
}

const char *mn_judge_gold_rows(const mn_judge *judge)
{
    return judge->gold_rows.length ? judge->gold_rows.data : "";
}

const char *mn_judge_rows(const mn_judge *judge)
{
    return judge->rows.length ? judge->rows.data : "";
}
