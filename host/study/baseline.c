/* baseline.c: what the base does with a prompt of its own, before anything is compared: rows of a
 * system, and a file of one line an item for whoever reads the seed study's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

struct baseline {
    struct run *run;
    int system;
    FILE *file;
    const char *path;
};

static json_t *line_json(const char *db_id, const char *question, const char *gold, const char *sql,
                         size_t length)
{
    json_t *line =
        json_pack("{s:s,s:s,s:s}", "id", db_id, "pergunta", question, "sql_esperado", gold);
    json_object_set_new(line, "sql_gerado", mn_json_text(sql, length));
    return line;
}

static mn_status write_line(FILE *file, const char *path, json_t *take)
{
    mn_json_line(file, take);
    json_decref(take);
    if (fflush(file) != 0 || ferror(file))
        return mn_fail(MN_IO, "%s: cannot write: %s", path, strerror(errno));
    return MN_OK;
}

static mn_status keep(void *user, const struct mn_spider_result *result)
{
    struct baseline *baseline = user;
    const struct mn_spider_item *item = result->item;
    MN_TRY(write_line(
        baseline->file, baseline->path,
        line_json(item->db_id, item->question, item->query, result->sql, result->sql_length)));
    return study_keep_spider(baseline->run, baseline->system, result);
}

/* The file as the rows have it, in the order of the questions: whatever an interruption left half
 * done is made good. */
static mn_status write_rows(struct run *run, int system, mn_arena *scratch, const char *path)
{
    struct mn_spider_row *rows;
    size_t count;
    struct mn_text text = {0};
    MN_TRY(mn_results_spider(run->results, system, scratch, &rows, &count));
    mn_text_puts(&text, "");
    for (size_t i = 0; i < count; i++) {
        json_t *line = line_json(rows[i].db_id, rows[i].question, rows[i].gold, rows[i].sql,
                                 rows[i].sql_length);
        char *words = json_dumps(line, JSON_COMPACT);
        mn_text_printf(&text, "%s\n", words);
        free(words);
        json_decref(line);
    }
    mn_status st = mn_file_write(path, text.data, text.length);
    mn_text_free(&text);
    return st;
}

static mn_status ask(struct baseline *baseline, const size_t *index, size_t left)
{
    struct run *run = baseline->run;
    const struct mn_study_settings *s = run->settings;
    struct mn_spider_evaluate_options options = {.extraction =
                                                     (enum mn_sql_extraction)s->baseline.extraction,
                                                 .max_new_tokens = (int)s->baseline.max_new_tokens,
                                                 .temperature = s->baseline.temperature,
                                                 .seed = (uint64_t)s->spider.seed,
                                                 .finished = keep,
                                                 .user = baseline,
                                                 .title = MN_STUDY_BASELINE ": Spider"};
    MN_TRY(mn_spider_prompt_read(&options.prompt, s->baseline.prompt));
    return mn_spider_evaluate(run->model, NULL, run->tokenizer, run->spider, index, left, &options);
}

mn_status study_baseline(struct run *run, int system)
{
    struct baseline baseline = {.run = run,
                                .system = system,
                                .path =
                                    mn_path(run->arena, run->settings->output, "baseline.jsonl")};
    mn_arena *scratch = NULL;
    size_t left, *index;
    mn_status st;
    MN_GO(mn_arena_open(&scratch));
    MN_GO(study_spider_left(run, system, run->baseline_count, scratch, &index, &left));
    MN_GO(write_rows(run, system, scratch, baseline.path));
    if (left > 0) {
        baseline.file = fopen(baseline.path, "a");
        if (!baseline.file) {
            st = mn_fail(MN_IO, "%s: cannot open: %s", baseline.path, strerror(errno));
            goto done;
        }
        MN_GO(ask(&baseline, index, left));
        MN_GO(write_rows(run, system, scratch, baseline.path));
    }
done:
    if (baseline.file) fclose(baseline.file);
    mn_arena_close(&scratch);
    return st;
}
