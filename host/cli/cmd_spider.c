/* cmd_spider.c: `minuano spider`: a model writes SQL for a split of Spider, which is executed and
 * judged. */
#include <string.h>

#include "dry_run.h"
#include "items.h"
#include "minuano/log.h"
#include "model_settings.h"
#include "spider_line.h"

struct spider_settings {
    struct model_settings model;
    const char *spider, *split, *prompt, *output;
    int extraction;
    int64_t limit, max_new_tokens, seed, batch;
    double temperature;
};

static const struct mn_setting rows[] = {
    MODEL_ROWS(struct spider_settings, model),
    {"spider", MN_SETTING_STRING, offsetof(struct spider_settings, spider), NULL,
     "folder of Spider: dev.json, tables.json, database/", .required = true},
    {"split", MN_SETTING_STRING, offsetof(struct spider_settings, split), "dev",
     "dev, train or train+others"},
    {"prompt", MN_SETTING_STRING, offsetof(struct spider_settings, prompt), "schema",
     "schema, seed_train, seed_few_shot, or text with {schema} and {question}"},
    {"extraction", MN_SETTING_CHOICE, offsetof(struct spider_settings, extraction), "plain",
     "how the query is found in the reply", .choices = mn_sql_extractions},
    {"limit", MN_SETTING_INT, offsetof(struct spider_settings, limit), "0",
     "only the first so many items; 0: all", .low = 0, .high = 1e9},
    {"max_new_tokens", MN_SETTING_INT, offsetof(struct spider_settings, max_new_tokens), "200",
     "longest reply", .low = 1, .high = 1e6},
    {"temperature", MN_SETTING_REAL, offsetof(struct spider_settings, temperature), "0",
     "0: greedy", .low = 0, .high = 100},
    {"seed", MN_SETTING_INT, offsetof(struct spider_settings, seed), "42", "of the sampling",
     .low = 0, .high = 9e15},
    {"batch", MN_SETTING_INT, offsetof(struct spider_settings, batch), "0",
     "sequences at once; 0: as many as fit", .low = 0, .high = 65536},
    {"output", MN_SETTING_STRING, offsetof(struct spider_settings, output), NULL,
     "replies, queries and verdicts, JSONL; a run goes on where it was", .required = true},
};
static const struct mn_settings table = {"minuano spider", rows, MN_COUNT(rows)};

struct spider_run {
    const struct spider_settings *settings;
    mn_spider *spider;
    struct mn_spider_prompt prompt;
    struct mn_spider_prompts prompts; /* of these items */
    mn_arena *arena;
    size_t count;        /* items asked for: the first of the split */
    struct items *items; /* (count) */
    struct mn_spider_tally tally;
};

static mn_status open_items(struct spider_run *run, const struct opened_model *opened)
{
    const char *const free_to_change[] = {"output", "batch", "keep_packed", "dry_run", NULL};
    json_t *identity;
    MN_TRY(settings_identity(&run->settings->model, opened, &table, run->settings, free_to_change,
                             &identity));
    mn_status st = items_open(&run->items, run->settings->output, identity, run->count);
    json_decref(identity);
    return st;
}

/* --- items ------------------------------------------------------------------------------------ */

static json_t *result_json(const struct mn_spider_result *result)
{
    const char *finish = result->finish == MN_FINISH_STOP ? "stop" : "length";
    json_t *line = spider_line(result->item, &result->verdict);
    json_object_set_new(line, "question", json_string(result->item->question));
    json_object_set_new(line, "gold", json_string(result->item->query));
    json_object_set_new(line, "reply", mn_json_text(result->reply, result->reply_length));
    json_object_set_new(line, "sql", mn_json_text(result->sql, result->sql_length));
    json_object_set_new(line, "cut", json_boolean(result->cut));
    json_object_set_new(line, "tokens", json_integer(result->tokens));
    json_object_set_new(line, "finish_reason", json_string(finish));
    json_object_set_new(line, "logprob", json_real(result->logprob));
    return line;
}

static mn_status finished(void *user, const struct mn_spider_result *result)
{
    struct spider_run *run = user;
    mn_spider_tally_add(&run->tally, result->item->hardness, &result->verdict);
    const struct mn_spider_count *all = &run->tally.by[MN_HARDNESSES];
    if (all->judged)
        mn_progress_post("right", "%.1f %%", 100 * (double)all->official / (double)all->judged);
    return items_put(run->items, result->item->index, result_json(result));
}

/* Counts an item that an earlier run finished. */
static mn_status take_done(struct spider_run *run, size_t i)
{
    struct mn_verdict verdict;
    MN_TRY(spider_line_read(items_get(run->items, i), run->settings->output, &verdict));
    mn_spider_tally_add(&run->tally, run->spider->items[i].hardness, &verdict);
    return MN_OK;
}

static struct mn_spider_evaluate_options options_of(const struct spider_run *run)
{
    const struct spider_settings *settings = run->settings;
    return (struct mn_spider_evaluate_options){
        .prompt = run->prompt,
        .extraction = (enum mn_sql_extraction)settings->extraction,
        .max_new_tokens = (int)settings->max_new_tokens,
        .temperature = settings->temperature,
        .seed = (uint64_t)settings->seed,
        .batch_sequences = (int)settings->batch,
        .prompts = &run->prompts,
        .title = "writing SQL",
    };
}

static mn_status read_split(void *user)
{
    struct spider_run *run = user;
    const size_t limit = (size_t)run->settings->limit;
    MN_TRY(mn_spider_open(&run->spider, run->settings->spider, run->settings->split));
    run->count = limit && limit < run->spider->count ? limit : run->spider->count;
    return MN_OK;
}

static mn_status make_prompts(void *user, const struct mn_model_config *config,
                              const mn_tokenizer *tokenizer)
{
    struct spider_run *run = user;
    const int room = mn_spider_room(config, (int)run->settings->max_new_tokens);
    return mn_spider_prompts(run->spider, NULL, run->count, &run->prompt, room, tokenizer,
                             run->arena, &run->prompts);
}

/* Every item, as if none were done yet. */
static mn_status plan(const struct invocation *call, const struct spider_run *run,
                      const struct opened_model *opened)
{
    struct mn_spider_evaluate_options options = options_of(run);
    struct mn_infer_plan found = {0};
    struct mn_token_counts counts = {0};
    options.counted = keep_counts;
    options.user = &counts;
    options.plan = &found;
    MN_TRY(mn_spider_evaluate(opened->model, opened->adapter, opened->tokenizer, run->spider, NULL,
                              run->count, &options));
    return print_infer_plan(call, opened, &found, &counts,
                            (int64_t)run->count * run->settings->max_new_tokens);
}

static mn_status evaluate(struct spider_run *run, const struct opened_model *opened)
{
    struct mn_spider_evaluate_options options = options_of(run);
    size_t *index = MN_NEW(run->arena, size_t, run->count + 1), left = 0;
    options.finished = finished;
    options.user = run;
    for (size_t i = 0; i < run->count; i++)
        if (items_get(run->items, i))
            MN_TRY(take_done(run, i));
        else
            index[left++] = i;
    return mn_spider_evaluate(opened->model, opened->adapter, opened->tokenizer, run->spider, index,
                              left, &options);
}

static mn_status run_spider(const struct invocation *call)
{
    const struct spider_settings *settings = call->settings;
    struct spider_run run = {.settings = settings};
    struct opened_model opened = {0};
    const struct preparation preparation = {read_split, make_prompts, &run};
    mn_status st;
    MN_GO(mn_arena_open(&run.arena));
    MN_GO(mn_spider_prompt_read(&run.prompt, settings->prompt)); /* before a model is loaded */
    MN_GO(open_model(call, &settings->model, &preparation, &opened));
    if (settings->model.dry_run) {
        MN_GO(plan(call, &run, &opened));
        goto done;
    }
    MN_GO(open_items(&run, &opened));
    MN_GO(evaluate(&run, &opened));
    MN_GO(items_commit(run.items));
    spider_summary(&run.tally, call->common.json);
done:
    items_close(&run.items);
    close_model(&opened);
    mn_spider_close(&run.spider);
    mn_arena_close(&run.arena);
    return st;
}

const struct command command_spider = {
    .name = "spider",
    .summary = "write SQL for a split of Spider with a model, execute it, judge it",
    .usage = "--model DIR --spider DIR --output FILE [options]",
    .examples =
        "  minuano spider --model checkpoints/demo --spider spider_db/demo --output sql.jsonl\n"
        "  minuano spider --model mistralai/Mistral-7B-Instruct-v0.3 --adapter run/final_adapter "
        "--spider data/spider --output sql.jsonl --limit 100\n",
    .settings = &table,
    .settings_size = sizeof(struct spider_settings),
    .run = run_spider,
};
