/* model_settings.h: how every command that runs a model is told which one, and how it opens it. */
#ifndef MINUANO_CLI_MODEL_SETTINGS_H
#define MINUANO_CLI_MODEL_SETTINGS_H

#include "command.h"
#include "minuano/model.h"
#include "minuano/text.h"

struct model_settings {
    const char *model;   /* a folder, or owner/name in the hub cache */
    const char *adapter; /* a PEFT folder; NULL: the base alone */
    double strength;     /* multiplies the adapter's scale */
    bool allow_dead_adapter;
    int quantization; /* enum mn_quantization */
    bool keep_packed;
    bool dry_run; /* the model is opened without its weights */
};
extern const char *const quantization_names[]; /* in the order of enum mn_quantization */

/* Rows for the table of a command whose settings are a `type` with a struct model_settings
 * `member`. */
#define MODEL_ROW(type, member)                                                                    \
    {                                                                                              \
        "model", MN_SETTING_STRING, offsetof(type, member.model), NULL,                            \
            "model folder, or owner/name in the hub cache", .required = true                       \
    }
#define ADAPTER_ROWS(type, member)                                                                 \
    {"adapter", MN_SETTING_STRING, offsetof(type, member.adapter), NULL,                           \
     "adapter folder (PEFT layout)"},                                                              \
        {"allow_dead_adapter", MN_SETTING_BOOL, offsetof(type, member.allow_dead_adapter),         \
         "false", "take an adapter that changes nothing, such as one whose every B is zero"},      \
    {                                                                                              \
        "strength", MN_SETTING_REAL, offsetof(type, member.strength), "1",                         \
            "the adapter's change is multiplied by this", .low = -10, .high = 10                   \
    }
#define QUANTIZATION_ROWS(type, member)                                                            \
    {"quantization",                                                                               \
     MN_SETTING_CHOICE,                                                                            \
     offsetof(type, member.quantization),                                                          \
     "none",                                                                                       \
     "precision of the base's linears",                                                            \
     .choices = quantization_names},                                                               \
    {                                                                                              \
        "keep_packed", MN_SETTING_BOOL, offsetof(type, member.keep_packed), "false",               \
            "keep NF4 weights packed even where they fit expanded: less memory, same values, "     \
            "slower"                                                                               \
    }
/* All of them: what a command takes that runs a given model. */
#define MODEL_ROWS(type, member)                                                                   \
    MODEL_ROW(type, member), ADAPTER_ROWS(type, member), QUANTIZATION_ROWS(type, member),          \
    {                                                                                              \
        "dry_run", MN_SETTING_BOOL, offsetof(type, member.dry_run), "false",                       \
            "print what there is to do and the memory it takes against what is free, and stop"     \
    }

struct opened_model {
    mn_device *device;
    mn_model *model;
    mn_adapter *adapter;     /* NULL: none */
    mn_tokenizer *tokenizer; /* NULL: the folder has no tokenizer.model */
    int eos;                 /* the model's, else the tokenizer's; -1: none */
};

/* What a command prepares on a thread of its own while its model is opened. The functions must not
 * use the invocation's arena. */
struct preparation {
    /* First: a failure ends the command before a weight is read. */
    mn_status (*read)(void *user);
    /* Then, perhaps while weights are read. */
    mn_status (*prompts)(void *user, const struct mn_model_config *config,
                         const mn_tokenizer *tokenizer);
    void *user;
};

/* Opens device, model, adapter and tokenizer, and says what it opened. With a preparation (NULL:
 * none) the model must have a tokenizer. On failure nothing is left open. */
MN_CHECKED mn_status open_model(const struct invocation *call,
                                const struct model_settings *settings,
                                const struct preparation *preparation, struct opened_model *out);
void close_model(struct opened_model *opened);

/* What results depend on besides the work's own settings: the model's and the adapter's content,
 * strength, quantization, kind of device, and the content of the input file,
 * where there is one (else NULL). The caller owns *out
 * and adds to it. */
MN_CHECKED mn_status model_identity(const struct model_settings *settings,
                                    const struct opened_model *opened, const char *input,
                                    json_t **out);
/* The same without an input file, with every setting of a command but those that may change
 * between two runs of the same work (NULL-terminated). */
MN_CHECKED mn_status settings_identity(const struct model_settings *settings,
                                       const struct opened_model *opened,
                                       const struct mn_settings *table, const void *values,
                                       const char *const *free_to_change, json_t **out);

/* --hub-cache, else what Hugging Face's own variables say: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME,
 * HOME. */
const char *hub_cache_folder(const struct invocation *call);
/* The folder that a model's name stands for. */
MN_CHECKED mn_status resolve_model(const struct invocation *call, const char *name,
                                   const char **folder);

#endif
