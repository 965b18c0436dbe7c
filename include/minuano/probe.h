/* probe.h: what a training asks its adapter while it runs: a small fixed sample of Spider, executed
 * and judged, and of MMLU. The counterpart of mn_probe in train.h. */
#ifndef MINUANO_PROBE_H
#define MINUANO_PROBE_H

#include "minuano/mmlu.h"
#include "minuano/spider.h"
#include "minuano/train.h"

struct mn_probe_tasks {
    mn_model *model;
    const mn_tokenizer *tokenizer;
    /* The first spider_count items, of which spider_asked are asked, evenly spread: neighbours
     * share a database. Greedy, whatever the options' temperature. */
    const mn_spider *spider;
    size_t spider_count, spider_asked; /* asked 0: Spider is not */
    struct mn_spider_evaluate_options spider_options;
    const struct mn_mmlu_item *mmlu_items; /* likewise; neighbours share a subject */
    size_t mmlu_count, mmlu_asked;
    struct mn_mmlu_evaluate_options mmlu_options;
};
/* mn_probe's ask, with a struct mn_probe_tasks as its user. Items whose database is missing are not
 * counted. The options' finished, user, adapters and title are not looked at. */
MN_CHECKED mn_status mn_probe_ask(void *tasks, const mn_adapter *adapter,
                                  struct mn_probe_point *point);

#endif
