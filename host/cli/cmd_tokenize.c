/* cmd_tokenize.c: `minuano tokenize`: lines {"text"} or {"messages"} in, {"ids"} out. */
#include "model_settings.h"

#include "minuano/log.h"

struct tokenize_settings {
    struct model_settings model;
    const char *input, *output;
    bool parse_special, add_bos;
};

static const struct mn_setting rows[] = {
    MODEL_ROW(struct tokenize_settings, model),
    {"input", MN_SETTING_STRING, offsetof(struct tokenize_settings, input), NULL,
     "JSONL: lines {\"text\"} or {\"messages\"}", .required = true},
    {"output", MN_SETTING_STRING, offsetof(struct tokenize_settings, output), NULL,
     "JSONL: lines {\"ids\"}, in order", .required = true},
    {"parse_special", MN_SETTING_BOOL, offsetof(struct tokenize_settings, parse_special), "false",
     "control tokens spelled out in text become their ids, as Hugging Face has it"},
    {"add_bos", MN_SETTING_BOOL, offsetof(struct tokenize_settings, add_bos), "false",
     "BOS before each text, even one that spells it out; messages have theirs already"},
};
static const struct mn_settings table = {"minuano tokenize", rows, MN_COUNT(rows)};

struct job {
    const struct tokenize_settings *settings;
    mn_tokenizer *tokenizer;
    mn_arena *line;
    struct mn_ids ids;
    FILE *out;
    int64_t lines, tokens;
};

static mn_status tokenize_messages(struct job *job, const json_t *array, const char *where)
{
    struct mn_message *messages;
    size_t count;
    struct mn_text text = {0};
    MN_TRY(mn_messages_read(job->line, array, where, &messages, &count));
    mn_status st = job->settings->parse_special
                       ? mn_chat_text(messages, count, &text)
                       : mn_chat_tokenize(job->tokenizer, messages, count, &job->ids);
    if (st == MN_OK && job->settings->parse_special)
        st = mn_tokenize(job->tokenizer, text.data, text.length, MN_TOKENIZE_PARSE_SPECIAL,
                         &job->ids);
    mn_text_free(&text);
    return st == MN_OK ? MN_OK : mn_fail_in(st, "%s", where);
}

static mn_status tokenize_line(struct job *job, const json_t *line, const char *where)
{
    const json_t *text = json_object_get(line, "text"),
                 *messages = json_object_get(line, "messages");
    const bool has_text = mn_json_has(line, "text"), has_messages = mn_json_has(line, "messages");
    int flags = (job->settings->parse_special ? MN_TOKENIZE_PARSE_SPECIAL : 0) |
                (job->settings->add_bos ? MN_TOKENIZE_ADD_BOS : 0);
    if (has_text == has_messages)
        return mn_fail(MN_INVALID, "%s: expected an object with \"text\" or \"messages\", found %s",
                       where,
                       has_text               ? "both"
                       : json_is_object(line) ? "neither"
                                              : mn_json_kind(line));
    if (has_messages) return tokenize_messages(job, messages, where);
    if (!json_is_string(text))
        return mn_fail(MN_INVALID, "%s: key \"text\": expected a string, found %s", where,
                       mn_json_kind(text));
    return mn_tokenize(job->tokenizer, json_string_value(text), json_string_length(text), flags,
                       &job->ids);
}

static void write_ids(struct job *job)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < job->ids.count; i++)
        json_array_append_new(ids, json_integer(job->ids.item[i]));
    json_t *line = json_pack("{s:o}", "ids", ids);
    mn_json_line(job->out, line);
    json_decref(line);
    job->lines++;
    job->tokens += (int64_t)job->ids.count;
}

static mn_status tokenize_file(struct job *job, const char *path)
{
    struct mn_jsonl file;
    json_t *line = NULL;
    mn_status st;
    MN_TRY(mn_jsonl_open(&file, path));
    for (;;) {
        MN_GO(mn_jsonl_next(&file, &line));
        if (!line) break;
        job->ids.count = 0;
        mn_arena_reset(job->line);
        MN_GO(tokenize_line(job, line, file.where));
        write_ids(job);
        json_decref(line);
        line = NULL;
    }
done:
    json_decref(line);
    mn_jsonl_close(&file);
    return st;
}

/* A folder with nothing but a tokenizer will do; else the name is a model's. */
static mn_status open_tokenizer(const struct invocation *call, const char *name, mn_tokenizer **out)
{
    const char *folder = name;
    if (!mn_file_exists(mn_path(call->arena, name, "tokenizer.model")))
        MN_TRY(resolve_model(call, name, &folder));
    return mn_tokenizer_open(out, folder);
}

static mn_status run(const struct invocation *call)
{
    const struct tokenize_settings *settings = call->settings;
    struct job job = {.settings = settings};
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(open_tokenizer(call, settings->model.model, &job.tokenizer));
    MN_GO(mn_arena_open(&job.line));
    MN_GO(mn_writer_open(&writer, settings->output));
    job.out = mn_writer_stream(writer);
    MN_GO(tokenize_file(&job, settings->input));
    MN_GO(mn_writer_commit(writer));
    if (call->common.json)
        printf("{\"lines\":%lld,\"tokens\":%lld}\n", (long long)job.lines, (long long)job.tokens);
    else
        mn_info("%s: %lld lines, %lld tokens", settings->output, (long long)job.lines,
                (long long)job.tokens);
done:
    mn_writer_close(&writer);
    mn_ids_free(&job.ids);
    mn_arena_close(&job.line);
    mn_tokenizer_close(&job.tokenizer);
    return st;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "text or messages to token ids",
    .usage = "--model DIR --input F --output G [options]",
    .examples =
        "  minuano tokenize --model checkpoints/demo --input texts.jsonl --output ids.jsonl\n"
        "  minuano tokenize --model DIR --input F --output G --parse-special --add-bos\n",
    .settings = &table,
    .settings_size = sizeof(struct tokenize_settings),
    .run = run,
};
