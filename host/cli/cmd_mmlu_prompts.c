/* cmd_mmlu_prompts.c: `minuano mmlu prompts`: the exact prompts, for people and other programs. */
#include "command.h"
#include "minuano/mmlu.h"

struct prompts_settings {
    const char *mmlu, *split, *output;
    struct mn_strings subjects;
    int suite, format;
    int64_t shots, limit;
};
static const struct mn_setting rows[] = {
    {"mmlu", MN_SETTING_PATH, offsetof(struct prompts_settings, mmlu), NULL,
     "folder of MMLU: dev/, val/, test/", .required = true},
    {"split", MN_SETTING_STRING, offsetof(struct prompts_settings, split), "test",
     "dev, val or test"},
    {"subjects", MN_SETTING_STRINGS, offsetof(struct prompts_settings, subjects), NULL,
     "subjects; none: every one"},
    {"suite", MN_SETTING_CHOICE, offsetof(struct prompts_settings, suite), "all",
     "seed: the seed study's 150 questions", .choices = mn_mmlu_suites},
    {"format", MN_SETTING_CHOICE, offsetof(struct prompts_settings, format), "lm-eval",
     "form of the prompts", .choices = mn_mmlu_formats},
    {"shots", MN_SETTING_INT, offsetof(struct prompts_settings, shots), "5",
     "solved questions before the question", .low = 0, .high = 100},
    {"limit", MN_SETTING_INT, offsetof(struct prompts_settings, limit), "0",
     "first questions of a subject; 0: all", .low = 0, .high = 1e9},
    {"output", MN_SETTING_PATH, offsetof(struct prompts_settings, output), NULL,
     "JSONL: subject, index, prompt, answer", .required = true},
};
static const struct mn_settings table = {"minuano mmlu prompts", rows, MN_COUNT(rows)};

static mn_status write_prompt(const struct prompts_settings *settings,
                              const struct mn_mmlu_item *item, struct mn_text *text, FILE *out)
{
    char letter[2] = {(char)('A' + item->question->answer), '\0'};
    mn_text_clear(text);
    MN_TRY(mn_mmlu_prompt_text(item->subject, item->question, (enum mn_mmlu_format)settings->format,
                               (int)settings->shots, text));
    json_t *line =
        json_pack("{s:s,s:I,s:s,s:s}", "subject", item->subject->name, "index",
                  (json_int_t)item->question->index, "prompt", text->data, "answer", letter);
    mn_json_line(out, line);
    json_decref(line);
    return MN_OK;
}

static mn_status run_prompts(const struct invocation *call)
{
    const struct prompts_settings *settings = call->settings;
    struct mn_mmlu_item *items;
    struct mn_text text = {0};
    mn_mmlu *mmlu = NULL;
    mn_writer *writer = NULL;
    size_t count;
    mn_status st;
    MN_GO(mn_mmlu_open(&mmlu, settings->mmlu, settings->split));
    MN_GO(mn_mmlu_select(mmlu, (enum mn_mmlu_suite)settings->suite, settings->subjects,
                         (size_t)settings->limit, call->arena, &items, &count));
    MN_GO(mn_writer_open(&writer, settings->output));
    for (size_t i = 0; i < count; i++)
        MN_GO(write_prompt(settings, &items[i], &text, mn_writer_stream(writer)));
    MN_GO(mn_writer_commit(writer));
    if (call->common.json)
        printf("{\"prompts\":%zu}\n", count);
    else
        printf("%zu prompts\n", count);
done:
    mn_writer_close(&writer);
    mn_text_free(&text);
    mn_mmlu_close(&mmlu);
    return st;
}

const struct command command_mmlu_prompts = {
    .name = "mmlu prompts",
    .summary = "the exact prompts of MMLU in one of three formats",
    .usage = "--mmlu DIR --output FILE [options]",
    .examples = "  minuano mmlu prompts --mmlu data/mmlu --split test --format hendrycks --shots 5 "
                "--output prompts.jsonl\n",
    .settings = &table,
    .settings_size = sizeof(struct prompts_settings),
    .run = run_prompts,
};
