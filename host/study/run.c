/* run.c: drives a study: opens what it needs, does what is not done yet, writes the reports.
 *
 * What is done is asked of the results file and of each training's folder; nothing else remembers
 * it. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* Two processes must not work on one output. The lock goes with the process, whatever ends it: one
 * that was killed a moment ago may take seconds to give back its memory. `study --status` holds it,
 * too, for a moment. */
static mn_status lock_output(struct run *run)
{
    const char *output = run->settings->output;
    enum { ATTEMPTS = 300 }; /* 10 ms apart */
    MN_TRY(mn_make_directories(output));
    run->lock = open(output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0) return mn_fail(MN_IO, "%s: cannot open: %s", output, strerror(errno));
    for (int attempt = 0; flock(run->lock, LOCK_EX | LOCK_NB) != 0; attempt++) {
        if (attempt == ATTEMPTS)
            return mn_fail(MN_INVALID, "%s: another process is at work on this study", output);
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    return MN_OK;
}

static size_t first_items(int64_t limit, size_t count)
{
    return limit > 0 && (size_t)limit < count ? (size_t)limit : count;
}

static void choose_phases(struct run *run)
{
    const struct mn_strings *named = &run->settings->phases;
    for (int phase = 0; phase < MN_PHASES; phase++) {
        run->phase[phase] = named->count == 0;
        for (size_t i = 0; i < named->count; i++)
            if (strcmp(named->item[i], mn_study_phases[phase]) == 0) run->phase[phase] = true;
    }
}

static mn_status read_prompt(const struct run *run, const char *key, const char *text,
                             struct mn_spider_prompt *out)
{
    mn_status st = mn_spider_prompt_read(out, text);
    return st == MN_OK ? st : mn_fail_in(st, "%s: key \"%s\"", run->study->where, key);
}

static mn_status open_baseline(struct run *run)
{
    struct mn_spider_prompt prompt; /* read now, so that a wrong one is told before anything runs */
    const struct mn_study_settings *s = run->settings;
    if (!s->baseline.prompt) return MN_OK;
    if (!run->spider)
        return mn_fail(MN_INVALID, "%s: baseline.prompt needs spider.folder", run->study->where);
    run->baseline_count = first_items(s->baseline.limit, run->spider->count);
    return read_prompt(run, "baseline.prompt", s->baseline.prompt, &prompt);
}

/* No number of shots twice: its rows would be one another's. */
static mn_status check_shots(const struct run *run)
{
    const struct mn_ints *also = &run->settings->mmlu.also_shots;
    for (size_t i = 0; i < also->count; i++) {
        bool known = also->item[i] == run->settings->mmlu.shots;
        for (size_t j = 0; j < i; j++) known = known || also->item[j] == also->item[i];
        if (known)
            return mn_fail(
                MN_INVALID,
                "%s: key \"mmlu.also_shots\": expected others than mmlu.shots, each once, "
                "found %lld again",
                run->study->where, (long long)also->item[i]);
    }
    return MN_OK;
}

/* Every subject that is asked has as many solved questions as any of the numbers asks for. */
static mn_status check_shots_are_there(const struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    for (size_t k = 0; k <= s->mmlu.also_shots.count; k++) {
        const int64_t shots = k ? s->mmlu.also_shots.item[k - 1] : s->mmlu.shots;
        for (size_t i = 0; i < run->mmlu_count; i++) {
            const struct mn_mmlu_subject *subject = run->mmlu_items[i].subject;
            if ((uint64_t)shots > subject->shot_count)
                return mn_fail(MN_INVALID,
                               "%s: key \"mmlu.%s\": expected at most the %zu solved questions of "
                               "%s, found %lld",
                               run->study->where, k ? "also_shots" : "shots", subject->shot_count,
                               subject->name, (long long)shots);
        }
    }
    return MN_OK;
}

/* A strength is named by six digits in its point's name. */
static mn_status check_strengths(const struct run *run)
{
    const struct mn_reals *strengths = &run->settings->evaluate.strengths;
    char name[32], other[32];
    for (size_t i = 0; i < strengths->count; i++)
        for (size_t j = 0; j < i; j++) {
            snprintf(name, sizeof name, "%g", strengths->item[i]);
            snprintf(other, sizeof other, "%g", strengths->item[j]);
            if (strcmp(name, other) == 0)
                return mn_fail(MN_INVALID,
                               "%s: key \"evaluate.strengths\": expected each once, to six digits, "
                               "found %s again",
                               run->study->where, name);
        }
    return MN_OK;
}

static mn_status open_data(struct run *run)
{
    const struct mn_study_settings *s = run->settings;
    if (!s->spider.folder && !s->mmlu.folder)
        return mn_fail(MN_INVALID, "%s: expected spider.folder, mmlu.folder, or both",
                       run->study->where);
    if (run->training_count && !s->spider.folder)
        return mn_fail(MN_INVALID, "%s: trainings need spider.folder", run->study->where);
    if (s->spider.folder) {
        MN_TRY(read_prompt(run, "spider.prompt", s->spider.prompt, &run->prompt));
        MN_TRY(mn_spider_open(&run->spider, s->spider.folder, s->spider.split));
        run->spider_count = first_items(s->spider.limit, run->spider->count);
    }
    MN_TRY(open_baseline(run));
    if (run->training_count)
        MN_TRY(mn_spider_open(&run->train, s->spider.folder, s->spider.train_split));
    MN_TRY(check_shots(run));
    MN_TRY(check_strengths(run));
    if (s->mmlu.folder) {
        MN_TRY(mn_mmlu_open(&run->mmlu, s->mmlu.folder, s->mmlu.split));
        MN_TRY(mn_mmlu_select(run->mmlu, (enum mn_mmlu_suite)s->mmlu.suite, s->mmlu.subjects,
                              (size_t)s->mmlu.limit, run->arena, &run->mmlu_items,
                              &run->mmlu_count));
        MN_TRY(check_shots_are_there(run));
    }
    return MN_OK;
}

mn_status study_open_inputs(struct run *run)
{
    const struct mn_study *study = run->study;
    MN_TRY(mn_arena_open(&run->arena));
    choose_phases(run);
    MN_TRY(mn_study_trainings(run->arena, run->settings, study->where, &run->trainings,
                              &run->training_count));
    MN_TRY(open_data(run));
    MN_TRY(study_check_probes(run));
    return mn_tokenizer_open(&run->tokenizer, study->model_folder);
}

static mn_status open_run(struct run *run)
{
    const struct mn_study *study = run->study;
    struct mn_model_options options = {.quantization =
                                           (enum mn_quantization)run->settings->quantization,
                                       .keep_packed = run->settings->keep_packed};
    struct mn_model_config config;
    MN_TRY(study_open_inputs(run));
    MN_TRY(lock_output(run));
    MN_TRY(study_remove_leftovers(run->arena, run->settings->output));
    MN_TRY(mn_model_config_read(&config, study->model_folder));
    MN_TRY(study_fit(run, &config, &options));
    MN_TRY(mn_model_open(&run->model, study->device, study->model_folder, &options));
    MN_TRY(mn_results_open(&run->results,
                           mn_path(run->arena, run->settings->output, "results.sqlite"), true));
    study_beat(run);
    return study_record(run);
}

void study_close(struct run *run)
{
    study_beat(NULL);
    mn_results_close(&run->results);
    for (size_t i = 0; i < run->adapters.count; i++) mn_adapter_close(&run->adapters.item[i]);
    free(run->adapters.item);
    free(run->asked.item);
    mn_model_close(&run->model);
    mn_tokenizer_close(&run->tokenizer);
    mn_mmlu_close(&run->mmlu);
    mn_spider_close(&run->train);
    mn_spider_close(&run->spider);
    if (run->lock >= 0) close(run->lock);
    mn_arena_close(&run->arena);
}

int64_t study_mmlu_items(const struct run *run)
{
    return (int64_t)(run->mmlu_count * (1 + run->settings->mmlu.also_shots.count));
}

/* --- the course of a study --------------------------------------------------------------------
 */

struct ids {
    int base, baseline;
    int *training; /* (training_count) */
};

/* Trainings may be added to what was begun. One that is taken away would leave its part of the
 * report unfinished for good. */
static mn_status check_none_is_missing(struct run *run)
{
    struct mn_system *systems;
    size_t count;
    MN_TRY(mn_results_systems(run->results, run->arena, &systems, &count));
    for (size_t i = 0; i < count; i++) {
        bool there = !systems[i].training;
        for (size_t t = 0; t < run->training_count && !there; t++)
            there = strcmp(run->trainings[t].name, systems[i].training) == 0;
        if (!there)
            return mn_fail(MN_INVALID,
                           "%s: expected training \"%s\", with which %s was begun, found none of "
                           "that name: trainings may be added, not taken away",
                           run->study->where, systems[i].training, run->settings->output);
    }
    return MN_OK;
}

/* Every system has its row before the first item, so that a report of an unfinished study knows
 * what is missing. */
static mn_status add_systems(struct run *run, struct ids *ids)
{
    struct mn_system system = {.name = "base",
                               .strength = 1,
                               .spider_planned = (int64_t)run->spider_count,
                               .mmlu_planned = study_mmlu_items(run)};
    const struct mn_system baseline = {
        .name = MN_STUDY_BASELINE, .strength = 1, .spider_planned = (int64_t)run->baseline_count};
    MN_TRY(mn_results_add_system(run->results, &system, &ids->base));
    if (run->baseline_count) MN_TRY(mn_results_add_system(run->results, &baseline, &ids->baseline));
    ids->training = MN_NEW(run->arena, int, run->training_count);
    *MN_PUSH(&run->asked) = (struct study_asked){ids->base, system.name, NULL, false};
    for (size_t i = 0; i < run->training_count; i++) {
        system.name = system.training = run->trainings[i].name;
        system.settings = run->trainings[i].json;
        MN_TRY(mn_results_add_system(run->results, &system, &ids->training[i]));
    }
    return check_none_is_missing(run);
}

/* The base goes first, alone, so that figures, and what is wrong, come early; then all that the
 * trainings have given is asked in one pass. */
static mn_status run_phases(struct run *run)
{
    struct ids ids;
    MN_TRY(add_systems(run, &ids));
    if (run->baseline_count && run->phase[MN_PHASE_BASELINE])
        MN_TRY(study_baseline(run, ids.baseline));
    MN_TRY(study_evaluate(run));
    for (size_t i = 0; i < run->training_count; i++)
        MN_TRY(study_train(run, &run->trainings[i], ids.training[i]));
    return study_evaluate(run);
}

static mn_status write_reports(struct run *run)
{
    struct mn_report report = {0};
    mn_status st;
    MN_GO(mn_report_load(run->arena, run->settings->output, &report));
    if (report.complete && !*report.finished) { /* so that the report tells it too */
        mn_report_close(&report);
        MN_GO(study_record_time(run, "finished"));
        MN_GO(mn_report_load(run->arena, run->settings->output, &report));
    }
    MN_GO(
        mn_report_write(&report, (enum mn_language)run->settings->language, run->settings->output));
done:
    mn_report_close(&report);
    return st;
}

mn_status mn_study_run(const struct mn_study *study)
{
    struct run run = {.study = study, .settings = study->settings, .lock = -1};
    mn_status st;
    MN_GO(open_run(&run));
    MN_GO(run_phases(&run));
    MN_GO(write_reports(&run));
done:
    study_close(&run);
    return st;
}
