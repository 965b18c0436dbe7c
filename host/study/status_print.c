/* status_print.c: how far a study is, as JSON and for people. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "minuano/study_status.h"

static json_t *text(const char *value)
{
    return *value ? json_string(value) : json_null();
}

static json_t *shared(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

/* Seconds until what the process is at is done; NaN: cannot be said. */
static double seconds_left(const json_t *now)
{
    const double rate = json_number_value(json_object_get(now, "rate"));
    const double done = json_number_value(json_object_get(now, "done"));
    const double total = json_number_value(json_object_get(now, "total"));
    return rate > 0 ? (total - done) / rate : (double)NAN;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *system_json(const struct mn_system_status *s)
{
    json_t *out = json_pack(
        "{s:s, s:{s:I, s:I}, s:{s:I, s:I}}", "name", s->system.name, "spider", "done",
        (json_int_t)s->spider_done, "planned", (json_int_t)s->system.spider_planned, "mmlu", "done",
        (json_int_t)s->mmlu_done, "planned", (json_int_t)s->system.mmlu_planned);
    if (!s->trains) return out;
    json_object_set_new(out, "training",
                        json_pack("{s:I, s:I, s:s, s:o, s:o}", "steps", (json_int_t)s->steps,
                                  "planned_steps", (json_int_t)s->planned_steps, "stopped_by",
                                  mn_stop_names[s->system.trained.stop], "last_step",
                                  shared(s->step), "last_probe",
                                  s->probe ? mn_probe_point_json(s->probe) : json_null()));
    return out;
}

json_t *mn_study_status_json(const struct mn_study_status *status)
{
    json_t *systems = json_array(), *now = status->now ? json_copy(status->now) : json_null();
    const double left = seconds_left(status->now);
    for (size_t i = 0; i < status->count; i++)
        json_array_append_new(systems, system_json(&status->systems[i]));
    if (status->now)
        json_object_set_new(now, "seconds_left", isfinite(left) ? json_real(left) : json_null());
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:I, s:I, s:o, s:o}", "folder", status->folder,
                     "name", status->name, "running", status->running, "started",
                     text(status->started), "finished", text(status->finished), "items_done",
                     (json_int_t)status->items_done, "items_planned",
                     (json_int_t)status->items_planned, "now", now, "systems", systems);
}

/* --- for people ------------------------------------------------------------------------------- */

static void print_duration(double seconds, FILE *out)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        fprintf(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(out, "%ld:%02ld", s / 60, s % 60);
}

static void print_figures(const json_t *now, FILE *out)
{
    const char *name, *comma = "";
    json_t *value;
    json_object_foreach (json_object_get(now, "figures"), name, value) {
        fprintf(out, "%s%s %.4g", comma, name, json_number_value(value));
        comma = ", ";
    }
    if (*comma) fputc('\n', out);
}

static void print_now(const struct mn_study_status *status, FILE *out)
{
    const json_t *now = status->now;
    const char *phase = json_string_value(json_object_get(now, "phase"));
    const char *title = json_string_value(json_object_get(now, "title"));
    const char *unit = json_string_value(json_object_get(now, "unit"));
    const double left = seconds_left(now);
    if (!title || !unit) return;
    fprintf(out, "%s%s%s%s: %lld/%lld %s", status->running ? "" : "it was at ", phase ? phase : "",
            phase && *phase ? ": " : "", title,
            (long long)json_integer_value(json_object_get(now, "done")),
            (long long)json_integer_value(json_object_get(now, "total")), unit);
    if (status->running && isfinite(left)) {
        fprintf(out, ", %.3g/s, ", json_number_value(json_object_get(now, "rate")));
        print_duration(left, out);
        fputs(" left", out);
    }
    const double age =
        difftime(time(NULL), (time_t)json_integer_value(json_object_get(now, "updated")));
    if (age >= 1) {
        fputs(" (", out);
        print_duration(age, out);
        fputs(" ago)", out);
    }
    fputc('\n', out);
    print_figures(now, out);
}

static void print_count(int64_t done, int64_t planned, FILE *out)
{
    char cell[48] = "";
    if (planned) snprintf(cell, sizeof cell, "%lld/%lld", (long long)done, (long long)planned);
    fprintf(out, " %12s", cell);
}

static void print_number(const json_t *step, const char *key, const char *format, FILE *out)
{
    const json_t *value = json_object_get(step, key);
    char cell[32] = "";
    if (json_is_number(value)) snprintf(cell, sizeof cell, format, json_number_value(value));
    fprintf(out, " %9s", cell);
}

static void print_system(const struct mn_system_status *s, FILE *out)
{
    fprintf(out, "%-18s", s->system.name);
    print_count(s->spider_done, s->system.spider_planned, out);
    print_count(s->mmlu_done, s->system.mmlu_planned, out);
    if (!s->trains) {
        fputc('\n', out);
        return;
    }
    char steps[48];
    snprintf(steps, sizeof steps, s->planned_steps ? "%lld/%lld" : "%lld", (long long)s->steps,
             (long long)s->planned_steps);
    fprintf(out, " %11s", steps);
    print_number(s->step, "loss", "%.4f", out);
    print_number(s->step, "learning_rate", "%.3g", out);
    for (int t = 0; t < MN_PROBE_TASKS; t++) {
        char cell[32] = "";
        if (s->probe && s->probe->items[t])
            snprintf(cell, sizeof cell, "%.1f %%",
                     100 * mn_probe_accuracy(s->probe, (enum mn_probe_task)t));
        fprintf(out, " %*s", t == MN_PROBE_SPIDER ? 13 : 8, cell);
    }
    if (s->system.trained.stop) fprintf(out, "  stop.%s", mn_stop_names[s->system.trained.stop]);
    fputc('\n', out);
}

void mn_study_status_print(const struct mn_study_status *status, FILE *out)
{
    fprintf(out, "%s: ", status->name);
    if (status->running)
        fprintf(out, "running, process %lld",
                (long long)json_integer_value(json_object_get(status->now, "process")));
    else
        fputs(*status->finished ? "finished" : "not running, not finished", out);
    fprintf(out, ", begun %s", status->started);
    if (*status->finished) fprintf(out, ", done %s", status->finished);
    fprintf(out, "\n%lld of %lld items\n", (long long)status->items_done,
            (long long)status->items_planned);
    if (!*status->finished) print_now(status, out);
    fprintf(out, "\n%-18s %12s %12s %11s %9s %9s %13s %8s\n", "", "Spider", "MMLU", "steps", "loss",
            "lr", "probe: Spider", "MMLU");
    for (size_t i = 0; i < status->count; i++) print_system(&status->systems[i], out);
}
