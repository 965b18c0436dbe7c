/* report.c: from the rows of a results file to the numbers of a report. */
#include "curves.h"
#include "report_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOOTSTRAP_SEED = 42 };

static mn_status load_spider(mn_results *results, mn_arena *arena, struct mn_report_system *out)
{
    struct mn_spider_row *rows;
    MN_TRY(mn_results_spider(results, out->system.id, arena, &rows, &out->spider_count));
    for (size_t i = 0; i < out->spider_count; i++)
        mn_spider_tally_add(&out->spider, rows[i].hardness, &rows[i].verdict);
    for (size_t i = 0; i < out->spider_count; i++)
        out->exact += mn_sql_same_text(rows[i].gold, rows[i].sql, rows[i].sql_length);
    for (size_t i = 0; i < out->spider_count; i++)
        if (rows[i].verdict.official == 0) out->misses[report_miss(&rows[i].verdict)]++;
    const struct mn_spider_count *all = &out->spider.by[MN_HARDNESSES];
    out->spider_interval = mn_wilson(all->official, all->judged);
    out->spider_rows = rows;
    return MN_OK;
}

/* Of the answer given, when the four options are all there is. */
static double confidence(const struct mn_mmlu_row *row)
{
    double sum = 0;
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        sum += exp((double)row->logprob[i] - (double)row->logprob[row->predicted]);
    return 1 / sum;
}

static void calibrate(const struct mn_mmlu_row *rows, size_t count, struct mn_calibration *out)
{
    double *sure = mn_realloc(NULL, count + 1, sizeof *sure);
    int *right = mn_realloc(NULL, count + 1, sizeof *right);
    size_t scored = 0;
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].scored || rows[i].predicted < 0) continue;
        sure[scored] = confidence(&rows[i]);
        right[scored++] = rows[i].predicted == rows[i].answer;
    }
    mn_calibrate(sure, right, scored, out);
    free(right);
    free(sure);
}

static void score_mmlu(mn_arena *arena, const struct mn_mmlu_row *rows, size_t count,
                       struct mn_mmlu_scores *out)
{
    struct mn_mmlu_answer *answers = MN_NEW(arena, struct mn_mmlu_answer, count);
    for (size_t i = 0; i < count; i++)
        answers[i] = (struct mn_mmlu_answer){.subject = rows[i].subject,
                                             .answer = rows[i].answer,
                                             .predicted = rows[i].predicted,
                                             .mass = rows[i].scored ? mn_mmlu_mass(rows[i].logprob)
                                                                    : (double)NAN};
    mn_mmlu_aggregate(arena, answers, count, out);
}

/* The answers with the study's own number of shots, then those with others. */
static mn_status load_mmlu(mn_results *results, const json_t *config, mn_arena *arena,
                           struct mn_report_system *out)
{
    const json_t *mmlu = json_object_get(config, "mmlu"),
                 *also = json_object_get(mmlu, "also_shots");
    const int id = out->system.id;
    struct mn_mmlu_row *rows;
    MN_TRY(mn_results_mmlu(results, id, json_integer_value(json_object_get(mmlu, "shots")), arena,
                           &rows, &out->mmlu_count));
    score_mmlu(arena, rows, out->mmlu_count, &out->mmlu);
    out->mmlu_rows = rows;
    calibrate(rows, out->mmlu_count, &out->calibration);
    out->also_count = json_array_size(also);
    out->also = MN_NEW(arena, struct mn_report_shots, out->also_count);
    for (size_t i = 0; i < out->also_count; i++) {
        struct mn_report_shots *shots = &out->also[i];
        shots->shots = json_integer_value(json_array_get(also, i));
        MN_TRY(mn_results_mmlu(results, id, shots->shots, arena, &rows, &shots->count));
        score_mmlu(arena, rows, shots->count, &shots->scores);
        shots->rows = rows;
    }
    return MN_OK;
}

static mn_status load_probes(mn_results *results, mn_arena *arena, struct mn_report_system *out)
{
    struct mn_probe_point *points;
    MN_TRY(mn_results_probes(results, out->system.id, arena, &points, &out->probe_count));
    out->probes = points;
    return MN_OK;
}

static mn_status load_systems(mn_results *results, mn_arena *arena, struct mn_report *out)
{
    struct mn_system *systems;
    size_t count;
    MN_TRY(mn_results_systems(results, arena, &systems, &count));
    out->systems = MN_NEW(arena, struct mn_report_system, count);
    out->points = MN_NEW(arena, struct mn_report_system, count);
    for (size_t i = 0; i < count; i++) {
        struct mn_report_system *system = mn_system_is_point(&systems[i])
                                              ? &out->points[out->point_count++]
                                              : &out->systems[out->system_count++];
        system->system = systems[i];
        MN_TRY(load_spider(results, arena, system));
        MN_TRY(load_mmlu(results, out->config, arena, system));
        MN_TRY(load_probes(results, arena, system));
        out->items_done += (int64_t)(system->spider_count + system->mmlu_count);
        for (size_t s = 0; s < system->also_count; s++)
            out->items_done += (int64_t)system->also[s].count;
        out->items_planned += systems[i].spider_planned + systems[i].mmlu_planned;
    }
    out->complete = out->system_count > 0 && out->items_done == out->items_planned;
    return MN_OK;
}

/* --- comparisons
 * ----------------------------------------------------------------------------------- */

/* Numbers names as they appear: 0, 1, ... */
struct names {
    MN_LIST(const char *) list;
};

static int number_of(struct names *names, const char *name)
{
    for (size_t i = names->list.count; i > 0; i--)
        if (strcmp(names->list.item[i - 1], name) == 0) return (int)(i - 1);
    *MN_PUSH(&names->list) = name;
    return (int)names->list.count - 1;
}

/* Pairs of the hardness (MN_HARDNESSES: all). Both lists are in order of index. */
void report_compare_spider(const struct mn_report_system *base,
                           const struct mn_report_system *system, int hardness,
                           struct mn_change *out)
{
    struct names databases = {0};
    struct mn_pair *pairs = mn_realloc(NULL, base->spider_count + 1, sizeof *pairs);
    size_t count = 0;
    for (size_t i = 0, j = 0; i < base->spider_count && j < system->spider_count;) {
        const struct mn_spider_row *a = &base->spider_rows[i], *b = &system->spider_rows[j];
        if (a->index != b->index) {
            if (a->index < b->index)
                i++;
            else
                j++;
            continue;
        }
        i++;
        j++;
        if (a->verdict.official < 0 || b->verdict.official < 0) continue;
        if (hardness != MN_HARDNESSES && (int)a->hardness != hardness) continue;
        pairs[count++] = (struct mn_pair){.before = a->verdict.official,
                                          .after = b->verdict.official,
                                          .cluster = number_of(&databases, a->db_id)};
    }
    mn_paired_change(pairs, count, (int)databases.list.count, MN_WEIGHT_ITEMS, BOOTSTRAP_SEED, out);
    free(databases.list.item);
    free(pairs);
}

/* All questions that both answered, by subject and index, with the subject's number as cluster. */
static struct mn_pair *pair_mmlu(const struct mn_mmlu_row *base, size_t base_count,
                                 const struct mn_mmlu_row *system, size_t system_count,
                                 struct names *subjects, size_t *count)
{
    struct mn_pair *pairs = mn_realloc(NULL, base_count + 1, sizeof *pairs);
    *count = 0;
    for (size_t i = 0, j = 0; i < base_count && j < system_count;) {
        const struct mn_mmlu_row *a = &base[i], *b = &system[j];
        int order = strcmp(a->subject, b->subject);
        if (order == 0) order = (a->index > b->index) - (a->index < b->index);
        if (order == 0)
            pairs[(*count)++] = (struct mn_pair){.before = a->predicted == a->answer,
                                                 .after = b->predicted == b->answer,
                                                 .cluster = number_of(subjects, a->subject)};
        i += order <= 0;
        j += order >= 0;
    }
    return pairs;
}

static void compare_answers(const struct mn_mmlu_row *base, size_t base_count,
                            const struct mn_mmlu_row *system, size_t system_count,
                            struct mn_change *out)
{
    struct names subjects = {0};
    size_t count;
    struct mn_pair *pairs = pair_mmlu(base, base_count, system, system_count, &subjects, &count);
    mn_paired_change(pairs, count, (int)subjects.list.count, MN_WEIGHT_ITEMS, BOOTSTRAP_SEED, out);
    free(subjects.list.item);
    free(pairs);
}

void report_compare_mmlu(const struct mn_report_system *base, const struct mn_report_system *system,
                         struct mn_change *out)
{
    compare_answers(base->mmlu_rows, base->mmlu_count, system->mmlu_rows, system->mmlu_count, out);
}

/* A subject is one cluster: its interval is that of its items.
 *
 * The pairs whose subject is `subject`, or belongs to `group` (each: -1 for any). */
static void compare_part(const struct mn_pair *pairs, size_t count, const struct names *subjects,
                         int subject, int group, struct mn_change *out)
{
    struct mn_pair *part = mn_realloc(NULL, count + 1, sizeof *part);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        int cluster = pairs[i].cluster;
        if (subject >= 0 && cluster != subject) continue;
        if (group >= 0 && (int)mn_mmlu_group_of(subjects->list.item[cluster]) != group) continue;
        part[kept++] = pairs[i];
    }
    mn_paired_change(part, kept, (int)subjects->list.count, MN_WEIGHT_ITEMS, BOOTSTRAP_SEED, out);
    if (subject >= 0) out->interval = mn_paired_interval(out->gained, out->lost, out->items);
    free(part);
}

/* The family is every subject that both answered. */
static void adjust_subjects(struct mn_change *subjects, size_t count)
{
    double *p = mn_realloc(NULL, 2 * count + 1, sizeof *p), *adjusted = p + count;
    size_t family = 0;
    for (size_t s = 0; s < count; s++)
        if (subjects[s].items) p[family++] = subjects[s].p;
    mn_holm(p, family, adjusted);
    for (size_t s = 0, i = 0; s < count; s++)
        if (subjects[s].items) subjects[s].holm_p = adjusted[i++];
    free(p);
}

static void compare_mmlu(mn_arena *arena, struct mn_report_comparison *out)
{
    struct names subjects = {0};
    size_t count, listed = out->base->mmlu.subject_count;
    out->mmlu_subjects = MN_NEW(arena, struct mn_change, listed);
    for (size_t s = 0; s < listed; s++) number_of(&subjects, out->base->mmlu.subjects[s].subject);
    struct mn_pair *pairs =
        pair_mmlu(out->base->mmlu_rows, out->base->mmlu_count, out->system->mmlu_rows,
                  out->system->mmlu_count, &subjects, &count);
    for (size_t s = 0; s < listed; s++)
        compare_part(pairs, count, &subjects, (int)s, -1, &out->mmlu_subjects[s]);
    adjust_subjects(out->mmlu_subjects, listed);
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        compare_part(pairs, count, &subjects, -1, g, &out->mmlu_groups[g]);
    mn_paired_change(pairs, count, (int)listed, MN_WEIGHT_ITEMS, BOOTSTRAP_SEED, &out->mmlu_micro);
    mn_paired_change(pairs, count, (int)listed, MN_WEIGHT_CLUSTERS, BOOTSTRAP_SEED,
                     &out->mmlu_macro);
    out->mass_change = out->system->mmlu.micro.mass - out->base->mmlu.micro.mass;
    free(pairs);
    free(subjects.list.item);
}

const struct mn_change *mn_report_subject_change(const struct mn_report_comparison *comparison,
                                                 const char *subject)
{
    const struct mn_mmlu_scores *scores = &comparison->base->mmlu;
    for (size_t s = 0; s < scores->subject_count; s++)
        if (strcmp(scores->subjects[s].subject, subject) == 0) return &comparison->mmlu_subjects[s];
    return NULL;
}

static void compare(mn_arena *arena, const struct mn_report_system *base,
                    const struct mn_report_system *system, struct mn_report_comparison *out)
{
    *out = (struct mn_report_comparison){.base = base, .system = system};
    for (int h = 0; h <= MN_HARDNESSES; h++)
        report_compare_spider(base, system, h, &out->spider[h]);
    compare_mmlu(arena, out);
}

static void compare_shots(const struct mn_report *report, size_t system, size_t which)
{
    const struct mn_report_shots *base = &report->systems[0].also[which];
    struct mn_report_shots *own = &report->systems[system].also[which];
    compare_answers(base->rows, base->count, own->rows, own->count, &own->change);
}

/* --- the whole
 * ------------------------------------------------------------------------------------- */

static mn_status load_facts(mn_results *results, mn_arena *arena, struct mn_report *out)
{
    const struct {
        const char *key, **value;
    } facts[] = {{"name", &out->name},        {"version", &out->version},
                 {"model", &out->model},      {"model_fingerprint", &out->model_fingerprint},
                 {"device", &out->device},    {"started", &out->started},
                 {"finished", &out->finished}};
    const char *config;
    for (size_t i = 0; i < MN_COUNT(facts); i++) {
        MN_TRY(mn_results_get(results, arena, facts[i].key, facts[i].value));
        if (!*facts[i].value) *facts[i].value = "";
    }
    MN_TRY(mn_results_get(results, arena, "config", &config));
    if (!config) config = "null";
    return mn_json_parse(&out->config, config, strlen(config), "results.sqlite: config");
}

mn_status mn_report_load(mn_arena *arena, const char *folder, struct mn_report *out)
{
    mn_results *results = NULL;
    struct mn_report report = {.folder = mn_arena_strdup(arena, folder)};
    mn_status st = MN_OK;
    MN_GO(mn_results_open(&results, mn_path(arena, folder, "results.sqlite"), false));
    MN_GO(load_facts(results, arena, &report));
    MN_GO(load_systems(results, arena, &report));
    report.comparisons = MN_NEW(arena, struct mn_report_comparison, report.system_count);
    for (size_t i = 1; i < report.system_count; i++)
        compare(arena, &report.systems[0], &report.systems[i], &report.comparisons[i - 1]);
    report_load_curves(arena, &report);
    report_load_steps(arena, &report);
    for (size_t i = 1; i < report.system_count; i++)
        for (size_t s = 0; s < report.systems[i].also_count; s++) compare_shots(&report, i, s);
    *out = report;
    report = (struct mn_report){0};
done:
    mn_report_close(&report);
    mn_results_close(&results);
    return st;
}

void mn_report_close(struct mn_report *report)
{
    json_decref(report->config);
    report->config = NULL;
}

/* CSV is for machines: it has no language. */
static mn_status print_csv(const struct mn_report *report, enum mn_language language, FILE *out)
{
    (void)language;
    mn_report_csv(report, out);
    return MN_OK;
}

static mn_status print_markdown(const struct mn_report *report, enum mn_language language,
                                FILE *out)
{
    mn_report_markdown(report, language, out);
    return MN_OK;
}

static mn_status
write_file(const struct mn_report *report, enum mn_language language, const char *path,
           mn_status (*print)(const struct mn_report *report, enum mn_language language, FILE *out))
{
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_writer_open(&writer, path));
    MN_GO(print(report, language, mn_writer_stream(writer)));
    MN_GO(mn_writer_commit(writer));
done:
    mn_writer_close(&writer);
    return st;
}

mn_status mn_report_write(const struct mn_report *report, enum mn_language language,
                          const char *folder)
{
    mn_arena *arena = NULL;
    json_t *json = NULL;
    mn_status st = MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(write_file(report, language, mn_path(arena, folder, "report.md"), print_markdown));
    MN_GO(write_file(report, language, mn_path(arena, folder, "report.csv"), print_csv));
    MN_GO(write_file(report, language, mn_path(arena, folder, "report.html"), mn_report_html));
    json = mn_report_json(report);
    MN_GO(mn_json_write(mn_path(arena, folder, "report.json"), json));
done:
    json_decref(json);
    mn_arena_close(&arena);
    return st;
}
