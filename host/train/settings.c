/* settings.c: the table of a training's settings, and the adapter they ask for. */
#include "minuano/train.h"

#include <stddef.h>
#include <string.h>

const char *const mn_schedule_names[] = {"linear", "cosine", "constant", NULL};
const char *const mn_loss_on_names[] = {"completion", "all", NULL};

static const struct mn_setting rows[] = {MN_TRAIN_ROWS(struct mn_train_settings, )};
const struct mn_settings mn_train_settings_table = {"minuano train", rows, MN_COUNT(rows)};

int mn_train_length(const struct mn_train_settings *settings, const struct mn_model_config *model)
{
    const int longest = mn_longest_sequence(model);
    return settings->max_length < longest ? (int)settings->max_length : longest;
}

mn_status mn_train_lora(const struct mn_train_settings *settings, struct mn_lora_config *out)
{
    struct mn_lora_config lora = {.rank = (int)settings->rank,
                                  .alpha = settings->alpha,
                                  .dropout = settings->dropout,
                                  .rslora = settings->rslora};
    if (settings->targets.count == 0)
        return mn_fail(MN_INVALID,
                       "key \"lora.targets\": expected at least one linear, found none");
    for (size_t i = 0; i < settings->targets.count; i++) {
        int module = 0;
        while (module < MN_MODULES && strcmp(mn_module_names[module], settings->targets.item[i]))
            module++;
        if (module == MN_MODULES)
            return mn_fail(MN_INVALID, "lora.targets: no linear \"%s\"", settings->targets.item[i]);
        lora.target[module] = true;
    }
    *out = lora;
    return MN_OK;
}
