/* settings.c: the table of a study's settings. */
#include "minuano/study.h"

const char *const mn_study_quantizations[] = {"none", "nf4", "nf4-double", NULL};

#define AT(field) offsetof(struct mn_study_settings, field)

static const struct mn_setting rows[] = {
    {"name", MN_SETTING_STRING, AT(name), "study", "of the study, for its report"},
    {"output", MN_SETTING_PATH, AT(output), NULL, "folder of results, adapters and reports",
     .required = true},
    {"model", MN_SETTING_MODEL, AT(model), NULL,
     "the base: owner/name in the hub cache, or a folder beginning with /, ./ or ../",
     .required = true},
    {"quantization", MN_SETTING_CHOICE, AT(quantization), "none", "precision of the base's linears",
     .choices = mn_study_quantizations},
    {"keep_packed", MN_SETTING_BOOL, AT(keep_packed), "false",
     "keep NF4 weights packed even where they fit expanded: less memory, same values, slower"},
    {"spider.folder", MN_SETTING_PATH, AT(spider.folder), NULL,
     "Spider's folder; without it there is neither text-to-SQL nor training"},
    {"spider.split", MN_SETTING_STRING, AT(spider.split), "dev", "split that is evaluated"},
    {"spider.train_split", MN_SETTING_STRING, AT(spider.train_split), "train",
     "split that adapters are trained on: train, or train+others"},
    {"spider.prompt", MN_SETTING_STRING, AT(spider.prompt), "schema",
     "schema, seed_train, seed_few_shot, or a template with {question} and {schema}; in training "
     "and in evaluation"},
    {"spider.limit", MN_SETTING_INT, AT(spider.limit), "0", "first questions evaluated; 0: all",
     .low = 0, .high = 1e9},
    {"spider.train_limit", MN_SETTING_INT, AT(spider.train_limit), "0",
     "first questions trained on; 0: all", .low = 0, .high = 1e9},
    {"spider.extraction", MN_SETTING_CHOICE, AT(spider.extraction), "plain",
     "how the query is taken out of a reply", .choices = mn_sql_extractions},
    {"spider.max_new_tokens", MN_SETTING_INT, AT(spider.max_new_tokens), "200", "longest reply",
     .low = 1, .high = 1e6},
    {"spider.temperature", MN_SETTING_REAL, AT(spider.temperature), "0", "0: greedy", .low = 0,
     .high = 100},
    {"spider.seed", MN_SETTING_INT, AT(spider.seed), "42", "of sampling, with a temperature",
     .low = 0, .high = 9e15},
    {"mmlu.folder", MN_SETTING_PATH, AT(mmlu.folder), NULL,
     "MMLU's folder of dev/, val/, test/; without it there is no multiple choice"},
    {"mmlu.split", MN_SETTING_STRING, AT(mmlu.split), "test", "split that is asked: test, val"},
    {"mmlu.subjects", MN_SETTING_STRINGS, AT(mmlu.subjects), NULL, "subjects; none: every one"},
    {"mmlu.suite", MN_SETTING_CHOICE, AT(mmlu.suite), "all", "seed: the seed study's 150 questions",
     .choices = mn_mmlu_suites},
    {"mmlu.format", MN_SETTING_CHOICE, AT(mmlu.format), "lm-eval", "form of the prompts",
     .choices = mn_mmlu_formats},
    {"mmlu.answer", MN_SETTING_CHOICE, AT(mmlu.answer), "logits",
     "logits: the likeliest of A to D; reply: the first letter of a greedy reply",
     .choices = mn_mmlu_answerings},
    {"mmlu.shots", MN_SETTING_INT, AT(mmlu.shots), "5", "solved questions before the question",
     .low = 0, .high = 100},
    {"mmlu.limit", MN_SETTING_INT, AT(mmlu.limit), "0", "first questions of a subject; 0: all",
     .low = 0, .high = 1e9},
    {"mmlu.max_new_tokens", MN_SETTING_INT, AT(mmlu.max_new_tokens), "10",
     "longest reply, when the answer is a reply", .low = 1, .high = 1e6},
    {"defaults", MN_SETTING_JSON, AT(defaults), NULL,
     "object of lora.* and train.* keys (see minuano train) for every training"},
    {"trainings", MN_SETTING_JSON, AT(trainings), NULL,
     "array of objects: name, and lora.* and train.* keys over the defaults"},
    {"sweep", MN_SETTING_JSON, AT(sweep), NULL,
     "object of lora.* and train.* keys, each an array: every combination is one more training"},
};

const struct mn_settings mn_study_settings_table = {"minuano study", rows, MN_COUNT(rows)};
