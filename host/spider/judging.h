/* judging.h: verdicts on a thread of their own, while the device generates. Private to
 * host/spider.
 *
 * SQLite's heap limit is the process's and stands while a judged query runs: the thread judges one
 * query at a time, and none while results are told, for those may go into a database. */
#ifndef MINUANO_SPIDER_JUDGING_H
#define MINUANO_SPIDER_JUDGING_H

#include "minuano/spider.h"

struct judging;

/* A reply that is generated. */
struct judging_item {
    size_t index; /* in the split */
    int adapter;
    bool cut;
    const struct mn_generation *generation; /* borrowed */
};
/* Until there is something to judge, the thread runs the gold queries of ahead[0 … count), which is
 * borrowed. */
MN_CHECKED mn_status judging_open(struct judging **out, mn_judge *judge, const mn_spider *spider,
                                  const mn_tokenizer *tokenizer,
                                  const struct mn_spider_evaluate_options *options,
                                  const size_t *ahead, size_t count);
/* Drops what is not judged yet. */
void judging_close(struct judging **judging);
void judging_add(struct judging *judging, const struct judging_item *item);
/* Calls options->finished, on this thread, for what is judged; with `all` once everything is. */
MN_CHECKED mn_status judging_tell(struct judging *judging, bool all);

#endif
