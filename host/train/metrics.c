/* metrics.c: one JSON line a step, cut back on resume. */
#include "metrics.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "minuano/log.h"

/* Copies the lines of steps 1 … steps. A torn line can only be behind them: they were synced. */
static mn_status copy_lines(const char *path, int64_t steps, FILE *to)
{
    struct mn_jsonl file = {0};
    int64_t copied = 0, step;
    mn_status st;
    MN_GO(mn_jsonl_open(&file, path));
    while (copied < steps) {
        json_t *line;
        if (mn_jsonl_next(&file, &line) != MN_OK || !line) break;
        bool next = mn_json_int(line, file.where, "step", copied + 1, copied + 1, &step) == MN_OK;
        json_decref(line);
        if (!next) break;
        fprintf(to, "%s\n", file.lines.line);
        copied++;
    }
    if (copied < steps)
        mn_warn("%s: has %lld lines in order, expected the %lld steps done so far", path,
                (long long)copied, (long long)steps);
done:
    mn_jsonl_close(&file);
    return st;
}

mn_status metrics_open(FILE **out, const char *folder, int64_t steps)
{
    mn_arena *arena = NULL;
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    const char *path = mn_path(arena, folder, "metrics.jsonl");
    MN_GO(mn_writer_open(&writer, path));
    if (mn_file_exists(path)) MN_GO(copy_lines(path, steps, mn_writer_stream(writer)));
    MN_GO(mn_writer_commit(writer));
    *out = fopen(path, "ae");
    if (!*out) st = mn_fail(MN_IO, "%s: cannot open: %s", path, strerror(errno));
done:
    mn_writer_close(&writer);
    mn_arena_close(&arena);
    return st;
}

void metrics_write(FILE *file, const struct step_record *record)
{
    fprintf(file,
            "{\"step\":%lld,\"loss\":%.17g,\"learning_rate\":%.17g,\"grad_norm\":%.17g,"
            "\"tokens\":%lld,\"loss_tokens\":%lld,\"tokens_per_second\":%.6g}\n",
            (long long)record->step, record->loss, record->learning_rate, record->grad_norm,
            (long long)record->tokens, (long long)record->loss_tokens, record->tokens_per_second);
    fflush(file);
}

mn_status metrics_sync(FILE *file, const char *folder)
{
    if (fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0)
        return mn_fail(MN_IO, "%s/metrics.jsonl: cannot write: %s", folder, strerror(errno));
    return MN_OK;
}
