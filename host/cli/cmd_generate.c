/* cmd_generate.c: `minuano generate`: prompts in, completions out, one JSON line each. */
#include "model_settings.h"

#include "dry_run.h"
#include "items.h"
#include "minuano/infer.h"
#include "minuano/log.h"
#include "prompts.h"

struct generate_settings {
    struct model_settings model;
    const char *input, *output;
    int64_t max_new_tokens, seed, batch_sequences;
    double temperature, memory;
    bool parse_special;
};

static const struct mn_setting rows[] = {
    MODEL_ROWS(struct generate_settings, model),
    {"input", MN_SETTING_STRING, offsetof(struct generate_settings, input), NULL,
     "JSONL: lines {\"prompt\"}, {\"prompt_ids\"} or {\"messages\"}", .required = true},
    {"output", MN_SETTING_STRING, offsetof(struct generate_settings, output), NULL,
     "JSONL: {\"ids\", \"text\", \"finish_reason\", \"logprob\"}, in order; a stop's EOS is among "
     "the ids, and not in the text",
     .required = true},
    {"max_new_tokens", MN_SETTING_INT, offsetof(struct generate_settings, max_new_tokens), NULL,
     "tokens a completion has at most", .required = true, .low = 1, .high = 1 << 20},
    {"temperature", MN_SETTING_REAL, offsetof(struct generate_settings, temperature), "0",
     "0: the likeliest token each time", .low = 0, .high = 100},
    {"seed", MN_SETTING_INT, offsetof(struct generate_settings, seed), "42",
     "of the sample; each line has its own stream", .low = 0, .high = 9e15},
    {"batch_sequences", MN_SETTING_INT, offsetof(struct generate_settings, batch_sequences), "0",
     "sequences at once; 0: as many as fit; results do not depend on it", .low = 0, .high = 65536},
    {"memory", MN_SETTING_REAL, offsetof(struct generate_settings, memory), "0",
     "GB for cache and buffers; 0: most of what is free on a GPU, else 1", .low = 0, .high = 1e5},
    {"parse_special", MN_SETTING_BOOL, offsetof(struct generate_settings, parse_special), "true",
     "control tokens spelled out in text become their ids, as Hugging Face has it"},
};
static const struct mn_settings table = {"minuano generate", rows, MN_COUNT(rows)};

struct job {
    const struct generate_settings *settings;
    struct opened_model opened;
    struct prompt_lines lines;
    struct items *items;
    struct mn_prompt *prompts; /* (left) what is not done yet */
    int32_t *streams;          /* (left) their lines */
    size_t left;
    int64_t tokens;
};

static mn_status read_input(struct job *job, const struct invocation *call)
{
    const struct prompt_rules rules = {
        .tokenizer = job->opened.tokenizer,
        .tokenizer_path = mn_path(call->arena, job->opened.model->folder, "tokenizer.model"),
        .model = &job->opened.model->config,
        .parse_special = job->settings->parse_special,
    };
    return read_prompts(&job->lines, call->arena, job->settings->input, &rules);
}

/* The lines that are not done yet. */
static void collect_prompts(struct job *job, mn_arena *arena)
{
    job->prompts = MN_NEW(arena, struct mn_prompt, job->lines.count);
    job->streams = MN_NEW(arena, int32_t, job->lines.count);
    for (size_t i = 0; i < job->lines.count; i++) {
        const struct prompt_line *line = &job->lines.item[i];
        if (job->items && items_get(job->items, i)) continue;
        job->streams[job->left] = (int32_t)i;
        job->prompts[job->left++] =
            (struct mn_prompt){.ids = line->ids, .count = line->count, .prefix = -1};
    }
}

static mn_status open_items(struct job *job)
{
    const struct generate_settings *s = job->settings;
    json_t *identity;
    MN_TRY(model_identity(&s->model, &job->opened, s->input, &identity));
    json_object_set_new(identity, "command", json_string("generate"));
    json_object_set_new(identity, "max_new_tokens", json_integer(s->max_new_tokens));
    json_object_set_new(identity, "temperature", json_real(s->temperature));
    json_object_set_new(identity, "seed", json_integer(s->seed));
    json_object_set_new(identity, "parse_special", json_boolean(s->parse_special));
    mn_status st = items_open(&job->items, s->output, identity, job->lines.count);
    json_decref(identity);
    return st;
}

static mn_status finished(void *user, size_t index, const struct mn_generation *generation)
{
    struct job *job = user;
    struct mn_text text = {0};
    json_t *ids = json_array(), *result = json_object();
    for (int i = 0; i < generation->count; i++)
        json_array_append_new(ids, json_integer(generation->ids[i]));
    if (generation->finish == MN_FINISH_STOP) /* as Hugging Face's generate gives them */
        json_array_append_new(ids, json_integer(job->opened.eos));
    json_object_set_new(result, "ids", ids);
    mn_status st = MN_OK;
    if (job->opened.tokenizer)
        st =
            mn_detokenize(job->opened.tokenizer, generation->ids, (size_t)generation->count, &text);
    json_object_set_new(result, "text",
                        text.data ? json_stringn(text.data, text.length) : json_null());
    json_object_set_new(result, "finish_reason",
                        json_string(generation->finish == MN_FINISH_STOP ? "stop" : "length"));
    json_object_set_new(result, "logprob", json_real(generation->logprob));
    job->tokens += generation->count;
    mn_text_free(&text);
    if (st == MN_OK) return items_put(job->items, (size_t)job->streams[index], result);
    json_decref(result);
    return st;
}

static mn_status generate(struct job *job, mn_arena *arena, struct mn_infer_plan *plan)
{
    const struct generate_settings *s = job->settings;
    const struct mn_generate_options options = {.max_new_tokens = (int)s->max_new_tokens,
                                                .eos = job->opened.eos,
                                                .temperature = s->temperature,
                                                .seed = (uint64_t)s->seed,
                                                .streams = job->streams,
                                                .batch_sequences = (int)s->batch_sequences,
                                                .memory = (size_t)(s->memory * 1e9),
                                                .finished = finished,
                                                .user = job,
                                                .plan = plan,
                                                .title = "generating"};
    struct mn_generation *out = MN_NEW(arena, struct mn_generation, job->left);
    mn_status st = mn_generate(job->opened.model, job->opened.adapter, NULL, 0, job->prompts,
                               job->left, &options, arena, out);
    if (st == MN_INTERRUPTED)
        mn_info("%zu of %zu items are kept in %s.partial; the same command goes on from there",
                items_count_done(job->items), job->lines.count, s->output);
    return st;
}

static void report(const struct invocation *call, const struct job *job, double seconds)
{
    if (call->common.json)
        printf("{\"items\":%zu,\"generated\":%zu,\"tokens\":%lld,\"seconds\":%.3f}\n",
               job->lines.count, job->left, (long long)job->tokens, seconds);
    else
        mn_info("%s: %zu completions; %lld new tokens in %.1f s", job->settings->output,
                job->lines.count, (long long)job->tokens, seconds);
}

/* Every line, as if none were done yet. */
static mn_status plan(const struct invocation *call, struct job *job)
{
    struct mn_infer_plan found;
    collect_prompts(job, call->arena);
    MN_TRY(generate(job, call->arena, &found));
    const struct mn_token_counts counts = mn_prompts_count(NULL, 0, job->prompts, job->left);
    return print_infer_plan(call, &job->opened, &found, &counts,
                            (int64_t)job->left * job->settings->max_new_tokens);
}

static mn_status run(const struct invocation *call)
{
    const struct generate_settings *settings = call->settings;
    struct job job = {.settings = settings};
    mn_status st;
    MN_GO(open_model(call, &settings->model, NULL, &job.opened));
    MN_GO(read_input(&job, call));
    if (settings->model.dry_run) {
        MN_GO(plan(call, &job));
        goto done;
    }
    MN_GO(open_items(&job));
    collect_prompts(&job, call->arena);
    double started = mn_seconds();
    MN_GO(generate(&job, call->arena, NULL));
    MN_GO(items_commit(job.items));
    report(call, &job, mn_seconds() - started);
done:
    items_close(&job.items);
    free_prompts(&job.lines);
    close_model(&job.opened);
    return st;
}

const struct command command_generate = {
    .name = "generate",
    .summary = "prompts in, completions out",
    .usage = "--model DIR [--adapter DIR] --input F --output G --max-new-tokens N [options]",
    .examples =
        "  minuano generate --model checkpoints/demo --input prompts.jsonl --output out.jsonl \\\n"
        "      --max-new-tokens 64\n"
        "  minuano generate --model mistralai/Mistral-7B-Instruct-v0.3 --adapter run/final_adapter "
        "\\\n"
        "      --input F --output G --max-new-tokens 200 --temperature 0.7 --seed 1\n",
    .settings = &table,
    .settings_size = sizeof(struct generate_settings),
    .run = run,
};
