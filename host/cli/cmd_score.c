/* cmd_score.c: `minuano score`: log-probabilities of given completions, one JSON line each. */
#include "model_settings.h"

#include "dry_run.h"
#include "items.h"
#include "minuano/infer.h"
#include "minuano/log.h"
#include "prompts.h"

struct score_settings {
    struct model_settings model;
    const char *input, *output;
    double memory;
    bool parse_special;
};

static const struct mn_setting rows[] = {
    MODEL_ROWS(struct score_settings, model),
    {"input", MN_SETTING_STRING, offsetof(struct score_settings, input), NULL,
     "JSONL: {\"prompt\" or \"prompt_ids\", \"completion\" or \"completion_ids\"}",
     .required = true},
    {"output", MN_SETTING_STRING, offsetof(struct score_settings, output), NULL,
     "JSONL: {\"tokens\", \"logprobs\", \"logprob\"} of the completions, in order",
     .required = true},
    {"memory", MN_SETTING_REAL, offsetof(struct score_settings, memory), "0",
     "GB for buffers; 0: most of what is free on a GPU, else 1", .low = 0, .high = 1e5},
    {"parse_special", MN_SETTING_BOOL, offsetof(struct score_settings, parse_special), "true",
     "control tokens spelled out in text become their ids, as Hugging Face has it"},
};
static const struct mn_settings table = {"minuano score", rows, MN_COUNT(rows)};

struct job {
    const struct score_settings *settings;
    struct opened_model opened;
    struct prompt_lines lines;
    struct items *items;
    struct mn_completion *completions; /* (left) what is not done yet */
    size_t *line;                      /* (left) */
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
        .completions = true,
    };
    return read_prompts(&job->lines, call->arena, job->settings->input, &rules);
}

/* The lines that are not done yet. */
static void collect_completions(struct job *job, mn_arena *arena)
{
    job->completions = MN_NEW(arena, struct mn_completion, job->lines.count);
    job->line = MN_NEW(arena, size_t, job->lines.count);
    for (size_t i = 0; i < job->lines.count; i++) {
        const struct prompt_line *line = &job->lines.item[i];
        if (job->items && items_get(job->items, i)) continue;
        job->line[job->left] = i;
        job->completions[job->left++] =
            (struct mn_completion){.prompt = {.ids = line->ids, .count = line->count, .prefix = -1},
                                   .ids = line->completion,
                                   .count = line->completion_count,
                                   .logprobs = MN_NEW(arena, float, line->completion_count)};
    }
}

static mn_status open_items(struct job *job)
{
    const struct score_settings *s = job->settings;
    json_t *identity;
    MN_TRY(model_identity(&s->model, &job->opened, s->input, &identity));
    json_object_set_new(identity, "command", json_string("score"));
    json_object_set_new(identity, "parse_special", json_boolean(s->parse_special));
    mn_status st = items_open(&job->items, s->output, identity, job->lines.count);
    json_decref(identity);
    return st;
}

static mn_status finished(void *user, size_t index)
{
    struct job *job = user;
    const struct mn_completion *c = &job->completions[index];
    json_t *tokens = json_array(), *logprobs = json_array();
    double sum = 0;
    for (int i = 0; i < c->count; i++) {
        json_array_append_new(tokens, json_integer(c->ids[i]));
        json_array_append_new(logprobs, json_real((double)c->logprobs[i]));
        sum += (double)c->logprobs[i];
    }
    job->tokens += c->prompt.count + c->count;
    return items_put(
        job->items, job->line[index],
        json_pack("{s:o,s:o,s:f}", "tokens", tokens, "logprobs", logprobs, "logprob", sum));
}

static mn_status score(struct job *job, struct mn_infer_plan *plan)
{
    const struct mn_score_options options = {.memory = (size_t)(job->settings->memory * 1e9),
                                             .finished = finished,
                                             .user = job,
                                             .plan = plan,
                                             .title = "scoring"};
    mn_status st = mn_score(job->opened.model, job->opened.adapter, NULL, 0, job->completions,
                            job->left, &options);
    if (st == MN_INTERRUPTED)
        mn_info("%zu of %zu items are kept in %s.partial; the same command goes on from there",
                items_count_done(job->items), job->lines.count, job->settings->output);
    return st;
}

static void report(const struct invocation *call, const struct job *job, double seconds)
{
    if (call->common.json)
        printf("{\"items\":%zu,\"scored\":%zu,\"tokens\":%lld,\"seconds\":%.3f}\n",
               job->lines.count, job->left, (long long)job->tokens, seconds);
    else
        mn_info("%s: %zu completions; %lld tokens in %.1f s", job->settings->output,
                job->lines.count, (long long)job->tokens, seconds);
}

/* Every line, as if none were done yet. */
static mn_status plan(const struct invocation *call, struct job *job)
{
    struct mn_infer_plan found;
    struct mn_token_counts counts = {0};
    collect_completions(job, call->arena);
    MN_TRY(score(job, &found));
    for (size_t i = 0; i < job->left; i++)
        counts.computed += job->completions[i].prompt.count + job->completions[i].count;
    return print_infer_plan(call, &job->opened, &found, &counts, -1);
}

static mn_status run(const struct invocation *call)
{
    const struct score_settings *settings = call->settings;
    struct job job = {.settings = settings};
    mn_status st;
    MN_GO(open_model(call, &settings->model, NULL, &job.opened));
    MN_GO(read_input(&job, call));
    if (settings->model.dry_run) {
        MN_GO(plan(call, &job));
        goto done;
    }
    MN_GO(open_items(&job));
    collect_completions(&job, call->arena);
    double started = mn_seconds();
    MN_GO(score(&job, NULL));
    MN_GO(items_commit(job.items));
    report(call, &job, mn_seconds() - started);
done:
    items_close(&job.items);
    free_prompts(&job.lines);
    close_model(&job.opened);
    return st;
}

const struct command command_score = {
    .name = "score",
    .summary = "log-probabilities of given completions",
    .usage = "--model DIR [--adapter DIR] --input F --output G [options]",
    .examples = "  echo '{\"prompt\": \"2 + 2 =\", \"completion\": \" 4\"}' > in.jsonl\n"
                "  minuano score --model checkpoints/demo --input in.jsonl --output out.jsonl\n",
    .settings = &table,
    .settings_size = sizeof(struct score_settings),
    .run = run,
};
