/* status.c: what results.sqlite and the trainings' folders tell of a study that may be at work. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "minuano/study_status.h"
#include "run.h"

/* The lock that a study holds on its output; taken here it is given back at once, and a study that
 * begins waits that long. */
static mn_status is_running(const char *folder, bool *out)
{
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) return mn_fail(MN_IO, "%s: cannot open: %s", folder, strerror(errno));
    *out = flock(lock, LOCK_SH | LOCK_NB) != 0;
    close(lock);
    return MN_OK;
}

/* The last whole line of a file that is being written. *out NULL: there is none. */
static mn_status last_line(const char *path, json_t **out)
{
    enum { TAIL = 4096 };
    char tail[TAIL + 1];
    FILE *file = fopen(path, "re");
    *out = NULL;
    if (!file) return MN_OK;
    if (fseek(file, -(long)TAIL, SEEK_END) != 0) rewind(file);
    const size_t length = fread(tail, 1, TAIL, file);
    fclose(file);
    size_t end = length, begin;
    while (end > 0 && tail[end - 1] != '\n') end--;
    if (end == 0) return MN_OK;
    for (begin = --end; begin > 0 && tail[begin - 1] != '\n';) begin--;
    return mn_json_parse(out, tail + begin, end - begin, path);
}

/* Where a training stands for itself in "title", see mn_train. */
static int64_t total_of_now(const json_t *now, const char *training)
{
    const char *title = json_string_value(json_object_get(now, "title"));
    const size_t length = strlen(training);
    if (!title || strncmp(title, training, length) != 0 || strcmp(title + length, ": training"))
        return 0;
    return json_integer_value(json_object_get(now, "total"));
}

static int64_t steps_in_settings(const char *settings)
{
    json_t *object = settings ? json_loads(settings, 0, NULL) : NULL;
    const json_t *train = json_object_get(object, "train");
    int64_t steps = json_integer_value(json_object_get(train, "steps"));
    json_decref(object);
    return steps;
}

static mn_status load_training(mn_results *results, mn_arena *arena, const char *trainings,
                               const json_t *now, struct mn_system_status *out)
{
    const struct mn_system *system = &out->system;
    struct mn_probe_point *points;
    size_t count;
    const char *folder = mn_path(arena, trainings, system->name);
    out->trains = system->training && !mn_system_is_point(system);
    if (!out->trains) return MN_OK;
    MN_TRY(last_line(mn_path(arena, folder, "metrics.jsonl"), &out->step));
    MN_TRY(mn_results_probes(results, system->id, arena, &points, &count));
    if (count) out->probe = &points[count - 1];
    out->steps = json_integer_value(json_object_get(out->step, "step"));
    out->planned_steps = system->trained.planned_steps;
    if (!out->planned_steps) out->planned_steps = total_of_now(now, system->name);
    if (!out->planned_steps) out->planned_steps = steps_in_settings(system->settings);
    return MN_OK;
}

static mn_status load_systems(mn_results *results, mn_arena *arena, const char *trainings,
                              struct mn_study_status *out)
{
    struct mn_system *systems;
    MN_TRY(mn_results_systems(results, arena, &systems, &out->count));
    out->systems = MN_NEW(arena, struct mn_system_status, out->count);
    for (size_t i = 0; i < out->count; i++) {
        struct mn_system_status *one = &out->systems[i];
        one->system = systems[i];
        MN_TRY(mn_results_count(results, systems[i].id, &one->spider_done, &one->mmlu_done));
        MN_TRY(load_training(results, arena, trainings, out->now, one));
        out->items_done += one->spider_done + one->mmlu_done;
        out->items_planned += systems[i].spider_planned + systems[i].mmlu_planned;
    }
    return MN_OK;
}

static mn_status load_now(mn_results *results, mn_arena *arena, json_t **out)
{
    const char *text;
    MN_TRY(mn_results_get(results, arena, STUDY_PROGRESS, &text));
    return text ? mn_json_parse(out, text, strlen(text), "results.sqlite: progress") : MN_OK;
}

/* The folder of the trainings' folders. */
static mn_status find_trainings(mn_results *results, mn_arena *arena, const char *folder,
                                const char **out)
{
    const char *text, *name = NULL;
    MN_TRY(mn_results_get(results, arena, "config", &text));
    json_t *config = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    name = json_string_value(json_object_get(config, "adapters"));
    *out = mn_path(arena, folder, mn_arena_strdup(arena, name ? name : "trainings"));
    json_decref(config);
    return MN_OK;
}

mn_status mn_study_status_load(mn_arena *arena, const char *folder, struct mn_study_status *out)
{
    struct mn_study_status status = {.folder = mn_arena_strdup(arena, folder)};
    const struct {
        const char *key, **value;
    } facts[] = {
        {"name", &status.name}, {"started", &status.started}, {"finished", &status.finished}};
    mn_results *results = NULL;
    const char *trainings;
    mn_status st;
    MN_GO(mn_results_open(&results, mn_path(arena, folder, "results.sqlite"), false));
    MN_GO(is_running(folder, &status.running));
    for (size_t i = 0; i < MN_COUNT(facts); i++) {
        MN_GO(mn_results_get(results, arena, facts[i].key, facts[i].value));
        if (!*facts[i].value) *facts[i].value = "";
    }
    MN_GO(load_now(results, arena, &status.now));
    MN_GO(find_trainings(results, arena, folder, &trainings));
    MN_GO(load_systems(results, arena, trainings, &status));
    *out = status;
    status = (struct mn_study_status){0};
done:
    mn_study_status_close(&status);
    mn_results_close(&results);
    return st;
}

void mn_study_status_close(struct mn_study_status *status)
{
    for (size_t i = 0; i < status->count; i++) json_decref(status->systems[i].step);
    json_decref(status->now);
    *status = (struct mn_study_status){0};
}
