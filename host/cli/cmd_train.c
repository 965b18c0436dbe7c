/* cmd_train.c: fine-tunes one adapter, as a config says. */
#include <string.h>

#include "dry_run.h"
#include "launch.h"
#include "minuano/log.h"
#include "minuano/spider.h"
#include "model_settings.h"
#include "train_probe.h"

struct train_settings {
    struct model_settings base;
    const char *output;
    const char *jsonl, *spider, *split, *prompt, *mmlu;
    int64_t limit;
    bool dry_run;
    const char *profile_steps;
    struct mn_train_settings train;
};

static const struct mn_setting rows[] = {
    MODEL_ROW(struct train_settings, base),
    QUANTIZATION_ROWS(struct train_settings, base),
    {"output", MN_SETTING_PATH, offsetof(struct train_settings, output), NULL,
     "folder of the run: metrics, checkpoints, final_adapter", .required = true},
    {"data.jsonl", MN_SETTING_PATH, offsetof(struct train_settings, jsonl), NULL,
     "examples: lines with text; prompt and completion; messages; or ids and loss_mask"},
    {"data.spider", MN_SETTING_PATH, offsetof(struct train_settings, spider), NULL,
     "examples from Spider: the folder with tables.json"},
    {"data.split", MN_SETTING_STRING, offsetof(struct train_settings, split), "train",
     "of Spider: train, train+others or dev"},
    {"data.prompt", MN_SETTING_STRING, offsetof(struct train_settings, prompt), "schema",
     "of Spider: schema, seed_train, or a template with {schema} and {question}"},
    {"data.limit", MN_SETTING_INT, offsetof(struct train_settings, limit), "0",
     "of Spider: the first so many items; 0: all", .high = 1e9},
    {"data.mmlu", MN_SETTING_PATH, offsetof(struct train_settings, mmlu), NULL,
     "MMLU's folder, for probe.mmlu: its split val, 5 shots, by logits"},
    {"dry_run", MN_SETTING_BOOL, offsetof(struct train_settings, dry_run), "false",
     "print steps and memory against what is free, load nothing"},
    {"profile_steps", MN_SETTING_STRING, offsetof(struct train_settings, profile_steps), NULL,
     "first:last, steps that the window of a profiler holds (see README)"},
    MN_TRAIN_ROWS(struct train_settings, train.),
};
static const struct mn_settings table = {"minuano train", rows, MN_COUNT(rows)};

/* "first:last" into the two steps. */
static mn_status read_profile_steps(struct train_settings *settings)
{
    long long from, to;
    char rest;
    if (!settings->profile_steps) return MN_OK;
    if (sscanf(settings->profile_steps, "%lld:%lld%c", &from, &to, &rest) != 2 || from < 1 ||
        to < from)
        return mn_fail(MN_INVALID, "key \"profile_steps\": expected first:last, found \"%s\"",
                       settings->profile_steps);
    settings->train.profile_from = from;
    settings->train.profile_to = to;
    return MN_OK;
}

static mn_status spider_examples(const struct train_settings *settings,
                                 const mn_tokenizer *tokenizer, int length, mn_arena *arena,
                                 struct mn_examples *out)
{
    struct mn_spider_prompt prompt;
    mn_spider *spider = NULL;
    mn_status st;
    MN_GO(mn_spider_prompt_read(&prompt, settings->prompt));
    MN_GO(mn_spider_open(&spider, settings->spider, settings->split));
    MN_GO(mn_spider_examples(spider, &prompt, tokenizer, settings->train.loss_on, length,
                             (size_t)settings->limit, arena, out));
done:
    mn_spider_close(&spider);
    return st;
}

static mn_status read_examples(const struct train_settings *settings, const char *folder,
                               struct opened_model *opened, mn_arena *arena,
                               struct mn_examples *out)
{
    struct mn_model_config model;
    MN_TRY(mn_model_config_read(&model, folder));
    const int length = mn_train_length(&settings->train, &model);
    if (settings->spider || mn_file_exists(mn_path(arena, folder, "tokenizer.model")))
        MN_TRY(mn_tokenizer_open(&opened->tokenizer, folder));
    if (settings->spider) return spider_examples(settings, opened->tokenizer, length, arena, out);
    return mn_examples_read(out, arena, opened->tokenizer, settings->jsonl, settings->train.loss_on,
                            length);
}

/* --- the plan --------------------------------------------------------------------------------- */

static size_t total_of(const struct mn_train_plan *plan)
{
    size_t total = 0;
    for (int use = 0; use < MN_MEMORY_USES; use++) total += plan->by_use[use];
    return total;
}

static void print_plan(const struct mn_train_plan *plan, const struct mn_examples *examples,
                       size_t free_bytes)
{
    printf("examples        %zu, %lld cut, %lld dropped\n", examples->count,
           (long long)examples->truncated, (long long)examples->dropped);
    printf("steps           %lld, %lld an epoch\n", (long long)plan->steps,
           (long long)plan->steps_per_epoch);
    printf("tokens          %lld, %lld with loss; %d at once\n", (long long)plan->tokens,
           (long long)plan->loss_tokens, plan->limits.tokens);
    printf("parameters      %lld\n", (long long)plan->parameters);
    print_memory(plan->by_use, free_bytes);
}

static void print_plan_json(const struct mn_train_plan *plan, const struct mn_examples *examples,
                            size_t free_bytes)
{
    json_t *line = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "examples", (json_int_t)examples->count,
        "truncated", (json_int_t)examples->truncated, "dropped", (json_int_t)examples->dropped,
        "steps", (json_int_t)plan->steps, "steps_per_epoch", (json_int_t)plan->steps_per_epoch,
        "tokens", (json_int_t)plan->tokens, "loss_tokens", (json_int_t)plan->loss_tokens,
        "parameters", (json_int_t)plan->parameters, "tokens_at_once", plan->limits.tokens);
    add_memory(line, plan->by_use, free_bytes);
    mn_json_line(stdout, line);
    json_decref(line);
}

/* Chooses how the weights are kept. Says that a run cannot fit before anything is loaded. */
static mn_status check_plan(const struct invocation *call, const struct train_settings *settings,
                            mn_device *device, const char *folder,
                            const struct mn_examples *examples, const mn_ranks *ranks,
                            struct mn_model_options *options)
{
    const struct mn_model_options packed = {.quantization = options->quantization,
                                            .keep_packed = true};
    struct mn_model_config config;
    struct mn_train_plan plan;
    size_t free_bytes, all_bytes;
    MN_TRY(mn_model_config_read(&config, folder));
    MN_TRY(device->calls->memory(device, &free_bytes, &all_bytes));
    mn_status st =
        mn_train_plan(device, &config, &packed, examples, &settings->train, ranks->size, &plan);
    if (st == MN_INVALID) return mn_fail_in(st, "%s", call->config_path);
    MN_TRY(st);
    st = mn_model_fit(device, &config, options, total_of(&plan) - plan.by_use[MN_MEMORY_WEIGHTS]);
    MN_TRY(mn_train_plan(device, &config, options, examples, &settings->train, ranks->size, &plan));
    if (settings->dry_run && ranks->rank == 0)
        (call->common.json ? print_plan_json : print_plan)(&plan, examples, free_bytes);
    if (st == MN_NO_MEMORY)
        return mn_fail(st,
                       "%s: lower train.batch, train.max_length or lora.rank, or quantize the base",
                       mn_error());
    return st;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void print_result(const struct invocation *call, const struct train_settings *settings,
                         const struct mn_train_result *result)
{
    const char *adapter = mn_path(call->arena, settings->output, "final_adapter");
    if (!call->common.json) {
        printf("%lld steps, %lld tokens, loss %.4f to %.4f in %.1f s\n", (long long)result->steps,
               (long long)result->tokens, result->first_loss, result->last_loss, result->seconds);
        if (result->stop)
            printf("stopped by stop.%s, %lld steps were planned\n", mn_stop_names[result->stop],
                   (long long)result->planned_steps);
        printf("%s\n", adapter);
        return;
    }
    json_t *line =
        json_pack("{s:s, s:I, s:I, s:s, s:I, s:I, s:f, s:f, s:f}", "adapter", adapter, "steps",
                  (json_int_t)result->steps, "planned_steps", (json_int_t)result->planned_steps,
                  "stopped_by", mn_stop_names[result->stop], "tokens", (json_int_t)result->tokens,
                  "loss_tokens", (json_int_t)result->loss_tokens, "first_loss", result->first_loss,
                  "last_loss", result->last_loss, "seconds", result->seconds);
    mn_json_line(stdout, line);
    json_decref(line);
}

static mn_status train(struct invocation *call, mn_ranks *ranks)
{
    struct train_settings *settings = call->settings;
    struct mn_model_options options = {.quantization = settings->base.quantization,
                                       .keep_packed = settings->base.keep_packed};
    struct opened_model opened = {0};
    struct mn_examples examples = {0};
    struct mn_train_result result;
    struct train_probe asked = {0};
    const struct train_probe_data data = {settings->spider, settings->prompt, settings->mmlu};
    const struct mn_probe probe = {mn_probe_ask, NULL, &asked};
    const char *folder;
    mn_status st;
    spread_devices(call, ranks);
    MN_GO(read_profile_steps(settings));
    MN_GO(resolve_model(call, settings->base.model, &folder));
    if (!settings->jsonl == !settings->spider)
        MN_GO(mn_fail(MN_INVALID,
                      "%s: key \"data\": expected one of \"data.jsonl\" and \"data.spider\", "
                      "found %s",
                      call->config_path, settings->jsonl ? "both" : "neither"));
    MN_GO(read_examples(settings, folder, &opened, call->arena, &examples));
    MN_GO(open_train_probe(&asked, opened.tokenizer, &settings->train, &data, call->arena));
    MN_GO(open_device(call, &opened.device));
    MN_GO(mn_ranks_join_device(ranks, opened.device));
    MN_GO(check_plan(call, settings, opened.device, folder, &examples, ranks, &options));
    if (settings->dry_run) goto done;
    MN_GO(mn_model_open(&opened.model, opened.device, folder, &options));
    asked.tasks.model = opened.model;
    MN_GO(mn_train(opened.model, &examples, &settings->train, &probe, ranks, settings->output,
                   &result));
    if (ranks->rank == 0) print_result(call, settings, &result);
done:
    close_train_probe(&asked);
    mn_examples_free(&examples);
    close_model(&opened);
    return st;
}

static mn_status run(const struct invocation *call)
{
    struct invocation mine = *call;
    mn_ranks *ranks;
    MN_TRY(join_ranks(&ranks));
    mn_status st = train(&mine, ranks);
    if (st != MN_OK && ranks->size > 1) st = mn_fail_in(st, "rank %d", ranks->rank);
    leave_ranks(&ranks, st);
    return st;
}

const struct command command_train = {
    .name = "train",
    .summary = "fine-tune a LoRA adapter; goes on by itself from the last checkpoint",
    .usage = "CONFIG [options]",
    .examples = "  minuano train configs/spider-mistral-7b.json\n"
                "  minuano train run.json --train-learning-rate 1e-4 --output runs/lower\n"
                "  minuano train run.json --dry-run\n"
                "  mpirun -n 4 minuano train run.json\n",
    .settings = &table,
    .settings_size = sizeof(struct train_settings),
    .takes_config = true,
    .run = run,
};
