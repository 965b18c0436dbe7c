/* judging.c: a queue of replies, a thread that judges them in order, a queue of results. */
#include "judging.h"

#include <pthread.h>
#include <stdlib.h>

struct judged {
    struct judging_item item;
    struct mn_verdict verdict;
    struct mn_text reply, sql, gold_rows, rows;
};

struct judging {
    mn_judge *judge;
    const mn_spider *spider;
    const mn_tokenizer *tokenizer;
    const struct mn_spider_evaluate_options *options;
    const size_t *ahead;
    size_t ahead_count, ahead_done;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    MN_LIST(struct judging_item) waiting;
    size_t taken; /* of those waiting */
    MN_LIST(struct judged) judged;
    bool running; /* a query runs, or may */
    bool telling; /* none may begin */
    bool closing;
    mn_status status; /* of the thread: not MN_OK when it ended early */
    struct mn_text message;
};

static void judged_free(struct judged *judged)
{
    mn_text_free(&judged->reply);
    mn_text_free(&judged->sql);
    mn_text_free(&judged->gold_rows);
    mn_text_free(&judged->rows);
}

/* --- the thread ------------------------------------------------------------------------------- */

static mn_status judge(const struct judging *j, struct judged *out)
{
    const struct mn_generation *generation = out->item.generation;
    MN_TRY(mn_detokenize(j->tokenizer, generation->ids, (size_t)generation->count, &out->reply));
    mn_text_puts(&out->sql, "");
    mn_sql_extract(out->reply.data, out->reply.length, j->options->extraction, &out->sql);
    MN_TRY(mn_judge_item(j->judge, out->item.index, out->sql.data, out->sql.length, &out->verdict));
    mn_text_puts(&out->gold_rows, mn_judge_gold_rows(j->judge));
    mn_text_puts(&out->rows, mn_judge_rows(j->judge));
    return MN_OK;
}

/* One piece of work, without the lock; *done is false where it was a gold query. */
static mn_status work(struct judging *j, struct judged *judged, bool *done)
{
    *done = j->taken < j->waiting.count;
    if (!*done) {
        const size_t index = j->ahead[j->ahead_done++];
        pthread_mutex_unlock(&j->lock);
        mn_status st = mn_judge_prepare(j->judge, index);
        pthread_mutex_lock(&j->lock);
        return st;
    }
    *judged = (struct judged){.item = j->waiting.item[j->taken++]};
    pthread_mutex_unlock(&j->lock);
    mn_status st = judge(j, judged);
    pthread_mutex_lock(&j->lock);
    return st;
}

static void *judging_main(void *argument)
{
    struct judging *j = argument;
    pthread_mutex_lock(&j->lock);
    while (!j->closing && j->status == MN_OK) {
        struct judged judged;
        bool done;
        if (j->telling || (j->taken == j->waiting.count && j->ahead_done == j->ahead_count)) {
            pthread_cond_wait(&j->changed, &j->lock);
            continue;
        }
        j->running = true;
        j->status = work(j, &judged, &done);
        j->running = false;
        if (j->status != MN_OK) mn_text_puts(&j->message, mn_error());
        if (done) *MN_PUSH(&j->judged) = judged;
        /* Who waits does so for the last reply, or to tell: waking him for each would cost more
         * than most verdicts. */
        if (j->telling || j->taken == j->waiting.count || j->status != MN_OK)
            pthread_cond_broadcast(&j->changed);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* --- the caller ------------------------------------------------------------------------------- */

mn_status judging_open(struct judging **out, mn_judge *judge, const mn_spider *spider,
                       const mn_tokenizer *tokenizer,
                       const struct mn_spider_evaluate_options *options, const size_t *ahead,
                       size_t count)
{
    struct judging *j = mn_realloc(NULL, 1, sizeof *j);
    *j = (struct judging){.judge = judge,
                          .spider = spider,
                          .tokenizer = tokenizer,
                          .options = options,
                          .ahead = ahead,
                          .ahead_count = count};
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->changed, NULL);
    if (pthread_create(&j->thread, NULL, judging_main, j) != 0) {
        pthread_cond_destroy(&j->changed);
        pthread_mutex_destroy(&j->lock);
        free(j);
        return mn_fail(MN_NO_MEMORY, "Spider: the thread that judges cannot start");
    }
    *out = j;
    return MN_OK;
}

void judging_close(struct judging **judging)
{
    struct judging *j = *judging;
    if (!j) return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    for (size_t i = 0; i < j->judged.count; i++) judged_free(&j->judged.item[i]);
    free(j->judged.item);
    free(j->waiting.item);
    mn_text_free(&j->message);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
    *judging = NULL;
}

void judging_add(struct judging *j, const struct judging_item *item)
{
    pthread_mutex_lock(&j->lock);
    *MN_PUSH(&j->waiting) = *item;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static mn_status tell(const struct judging *j, const struct judged *judged)
{
    const struct mn_generation *generation = judged->item.generation;
    const struct mn_spider_result result = {
        .item = &j->spider->items[judged->item.index],
        .adapter = judged->item.adapter,
        .cut = judged->item.cut,
        .reply = judged->reply.data,
        .sql = judged->sql.data,
        .reply_length = judged->reply.length,
        .sql_length = judged->sql.length,
        .verdict = judged->verdict,
        .gold_rows = judged->gold_rows.data,
        .rows = judged->rows.data,
        .tokens = generation->count,
        .finish = generation->finish,
        .logprob = generation->logprob,
    };
    return j->options->finished(j->options->user, &result);
}

/* With the lock, and no query running. */
static mn_status tell_judged(struct judging *j)
{
    mn_status st = MN_OK;
    for (size_t i = 0; i < j->judged.count; i++) {
        if (st == MN_OK) st = tell(j, &j->judged.item[i]);
        judged_free(&j->judged.item[i]);
    }
    j->judged.count = 0;
    return st;
}

mn_status judging_tell(struct judging *j, bool all)
{
    mn_status st = MN_OK;
    pthread_mutex_lock(&j->lock);
    while (all && j->status == MN_OK && j->taken < j->waiting.count)
        pthread_cond_wait(&j->changed, &j->lock);
    if (all || j->judged.count > 0) {
        j->telling = true;
        while (j->running) pthread_cond_wait(&j->changed, &j->lock);
        st = tell_judged(j);
        j->telling = false;
        pthread_cond_broadcast(&j->changed);
    }
    if (st == MN_OK && j->status != MN_OK) st = mn_fail(j->status, "%s", j->message.data);
    pthread_mutex_unlock(&j->lock);
    return st;
}
