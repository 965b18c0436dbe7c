/* train_probe.h: what `minuano train` asks its adapter while it runs. */
#ifndef MINUANO_CLI_TRAIN_PROBE_H
#define MINUANO_CLI_TRAIN_PROBE_H

#include "minuano/probe.h"

/* Spider is asked on the split dev of the folder that the examples come from, MMLU on the split val
 * of its own, as `minuano spider` and `minuano mmlu` ask them. */
struct train_probe {
    struct mn_probe_tasks tasks; /* first: it is what mn_probe_ask is given */
    mn_spider *spider;
    mn_mmlu *mmlu;
};
struct train_probe_data {
    const char *spider, *prompt, *mmlu; /* folders, or NULL; prompt: see mn_spider_prompt_read */
};
/* Before a model is loaded: tasks.model is left for the caller to set. */
MN_CHECKED mn_status open_train_probe(struct train_probe *out, const mn_tokenizer *tokenizer,
                                      const struct mn_train_settings *settings,
                                      const struct train_probe_data *data, mn_arena *arena);
void close_train_probe(struct train_probe *probe);

#endif
