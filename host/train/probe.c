/* probe.c: points in probes.jsonl, and the two rules that end a training early. */
#include "probe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const mn_probe_names[] = {"spider", "mmlu", NULL};
const char *const mn_stop_names[] = {"none", "patience", "mmlu_drop", NULL};

mn_status mn_probe_check(const struct mn_train_settings *settings)
{
    const int64_t items[] = {settings->probe_spider, settings->probe_mmlu};
    const bool rule = settings->stop_patience > 0 || settings->stop_mmlu_drop > 0;
    if (settings->probe_every == 0 && rule)
        return mn_fail(MN_INVALID, "stop.patience, stop.mmlu_drop: expected probe.every above 0");
    if (settings->probe_every == 0) return MN_OK;
    if (items[MN_PROBE_SPIDER] == 0 && items[MN_PROBE_MMLU] == 0)
        return mn_fail(MN_INVALID, "probe.every: expected probe.spider or probe.mmlu above 0");
    if (settings->stop_patience > 0 && items[settings->stop_metric] == 0)
        return mn_fail(MN_INVALID, "stop.patience: expected probe.%s, its stop.metric, above 0",
                       mn_probe_names[settings->stop_metric]);
    if (settings->stop_mmlu_drop > 0 && items[MN_PROBE_MMLU] == 0)
        return mn_fail(MN_INVALID, "stop.mmlu_drop: expected probe.mmlu above 0");
    return MN_OK;
}

/* --- probes.jsonl ----------------------------------------------------------------------------- */

json_t *mn_probe_point_json(const struct mn_probe_point *point)
{
    json_t *line = json_pack("{s:I}", "step", (json_int_t)point->step);
    for (int t = 0; t < MN_PROBE_TASKS; t++)
        if (point->items[t])
            json_object_set_new(line, mn_probe_names[t],
                                json_pack("{s:I, s:I}", "items", (json_int_t)point->items[t],
                                          "correct", (json_int_t)point->correct[t]));
    return line;
}

mn_status mn_probe_point_read(struct mn_probe_point *out, const json_t *line, const char *where)
{
    struct mn_probe_point point = {0};
    MN_TRY(mn_json_int(line, where, "step", 0, INT64_MAX, &point.step));
    MN_TRY(mn_json_real_or(line, where, "seconds", 0, &point.seconds));
    for (int t = 0; t < MN_PROBE_TASKS; t++) {
        const json_t *task;
        if (!json_object_get(line, mn_probe_names[t])) continue;
        MN_TRY(mn_json_object(line, where, mn_probe_names[t], &task));
        MN_TRY(mn_json_int(task, where, "items", 1, INT64_MAX, &point.items[t]));
        MN_TRY(mn_json_int(task, where, "correct", 0, point.items[t], &point.correct[t]));
    }
    *out = point;
    return MN_OK;
}

/* Whole lines in order; a torn one, and what is behind it, will be asked again. */
static mn_status read_points(struct probes *probes)
{
    struct mn_jsonl file = {0};
    json_t *line;
    MN_TRY(mn_jsonl_open(&file, probes->path));
    while (mn_jsonl_next(&file, &line) == MN_OK && line) {
        struct mn_probe_point point;
        const size_t count = probes->points.count;
        bool next = mn_probe_point_read(&point, line, file.where) == MN_OK &&
                    (count == 0 || point.step > probes->points.item[count - 1].step);
        json_decref(line);
        if (!next) break;
        *MN_PUSH(&probes->points) = point;
    }
    mn_jsonl_close(&file);
    return MN_OK;
}

static void write_point(FILE *file, const struct mn_probe_point *point)
{
    json_t *line = mn_probe_point_json(point);
    json_object_set_new(line, "seconds", json_real(point->seconds));
    mn_json_line(file, line);
    json_decref(line);
}

mn_status probes_open(struct probes *out, mn_arena *arena, const char *folder, int64_t steps)
{
    struct probes probes = {.path = mn_path(arena, folder, "probes.jsonl")};
    mn_writer *writer = NULL;
    mn_status st = MN_OK;
    if (!mn_file_exists(probes.path)) goto done;
    if (steps > 0) MN_GO(read_points(&probes));
    MN_GO(mn_writer_open(&writer, probes.path));
    for (size_t i = 0; i < probes.points.count; i++)
        write_point(mn_writer_stream(writer), &probes.points.item[i]);
    MN_GO(mn_writer_commit(writer));
done:
    mn_writer_close(&writer);
    if (st == MN_OK)
        *out = probes;
    else
        probes_close(&probes);
    return st;
}

void probes_close(struct probes *probes)
{
    free(probes->points.item);
    *probes = (struct probes){0};
}

bool probes_due(const struct mn_train_settings *settings, int64_t steps, int64_t total)
{
    const int64_t every = settings->probe_every;
    return every > 0 && (steps % every == 0 || steps == total);
}

const struct mn_probe_point *probes_find(const struct probes *probes, int64_t step)
{
    for (size_t i = 0; i < probes->points.count; i++)
        if (probes->points.item[i].step == step) return &probes->points.item[i];
    return NULL;
}

mn_status probes_add(struct probes *probes, const struct mn_probe_point *point)
{
    FILE *file = fopen(probes->path, "ae");
    if (!file) return mn_fail(MN_IO, "%s: cannot open: %s", probes->path, strerror(errno));
    write_point(file, point);
    bool written = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
    if (fclose(file) != 0 || !written)
        return mn_fail(MN_IO, "%s: cannot write: %s", probes->path, strerror(errno));
    *MN_PUSH(&probes->points) = *point;
    return MN_OK;
}

/* --- the rules -------------------------------------------------------------------------------- */

double mn_probe_accuracy(const struct mn_probe_point *point, enum mn_probe_task task)
{
    return point->items[task] ? (double)point->correct[task] / (double)point->items[task]
                              : (double)NAN;
}

enum mn_stop probes_stop(const struct probes *probes, const struct mn_train_settings *settings,
                         int64_t step)
{
    const enum mn_probe_task metric = (enum mn_probe_task)settings->stop_metric;
    const struct mn_probe_point *first = probes->points.item, *now = NULL;
    double best = -1;
    int64_t since = 0; /* points without a better one */
    for (size_t i = 0; i < probes->points.count && first[i].step <= step; i++) {
        const double accuracy = mn_probe_accuracy(&first[i], metric);
        now = &first[i];
        since = accuracy > best ? 0 : since + 1;
        if (accuracy > best) best = accuracy;
    }
    if (!now) return MN_STOP_NONE;
    const double fell =
        mn_probe_accuracy(first, MN_PROBE_MMLU) - mn_probe_accuracy(now, MN_PROBE_MMLU);
    if (settings->stop_mmlu_drop > 0 && 100 * fell > settings->stop_mmlu_drop + 1e-9)
        return MN_STOP_MMLU_DROP;
    if (settings->stop_patience > 0 && since >= settings->stop_patience) return MN_STOP_PATIENCE;
    return MN_STOP_NONE;
}
