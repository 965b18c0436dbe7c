/* training.c: one adapter of a study, from its examples to the row that records it. */
#include "minuano/audit.h"
#include "minuano/log.h"
#include "minuano/probe.h"
#include "run.h"

mn_status study_fingerprint(mn_arena *arena, const char *folder, const char **out)
{
    struct mn_mapping mapping;
    char hex[65];
    MN_TRY(mn_mapping_open(&mapping, mn_path(arena, folder, "adapter_model.safetensors")));
    mn_sha256(mapping.data, mapping.size, hex);
    mn_mapping_close(&mapping);
    *out = mn_arena_strdup(arena, hex);
    return MN_OK;
}

/* --- probes -----------------------------------------------------------------------------------
 */

struct study_probe {
    struct mn_probe_tasks tasks; /* first: it is what mn_probe_ask is given */
    struct run *run;
    int system;
    mn_mmlu *mmlu; /* of the split val: the items of the evaluation are not touched */
};

static mn_status keep_point(void *user, const struct mn_probe_point *point)
{
    struct study_probe *probe = user;
    return mn_results_add_probe(probe->run->results, probe->system, point);
}

static mn_status open_mmlu_probe(const struct run *run, mn_arena *arena, struct study_probe *out)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_mmlu_item *items;
    if (!s->mmlu.folder) return mn_fail(MN_INVALID, "probe.mmlu needs mmlu.folder");
    MN_TRY(mn_mmlu_open(&out->mmlu, s->mmlu.folder, "val"));
    MN_TRY(mn_mmlu_select(out->mmlu, MN_MMLU_ALL, s->mmlu.subjects, 0, arena, &items,
                          &out->tasks.mmlu_count));
    out->tasks.mmlu_items = items;
    out->tasks.mmlu_options =
        (struct mn_mmlu_evaluate_options){.format = (enum mn_mmlu_format)s->mmlu.format,
                                          .answering = (enum mn_mmlu_answering)s->mmlu.answer,
                                          .shots = (int)s->mmlu.shots,
                                          .max_new_tokens = (int)s->mmlu.max_new_tokens};
    return MN_OK;
}

static mn_status check_probe(const struct run *run, const struct mn_train_settings *settings)
{
    struct study_probe probe = {0};
    mn_arena *arena = NULL;
    mn_status st;
    MN_GO(mn_probe_check(settings));
    if (!settings->probe_every || !settings->probe_mmlu) goto done;
    MN_GO(mn_arena_open(&arena));
    MN_GO(open_mmlu_probe(run, arena, &probe));
done:
    mn_mmlu_close(&probe.mmlu);
    mn_arena_close(&arena);
    return st;
}

mn_status study_check_probes(const struct run *run)
{
    for (size_t i = 0; i < run->training_count; i++) {
        mn_status st = check_probe(run, &run->trainings[i].settings);
        if (st != MN_OK)
            return mn_fail_in(st, "%s: training \"%s\"", run->study->where, run->trainings[i].name);
    }
    return MN_OK;
}

static mn_status open_probe(struct run *run, const struct mn_train_settings *settings, int system,
                            mn_arena *arena, struct study_probe *out)
{
    const struct mn_study_settings *s = run->settings;
    *out = (struct study_probe){
        .tasks = {.model = run->model,
                  .tokenizer = run->tokenizer,
                  .spider = run->spider,
                  .spider_count = run->spider_count,
                  .spider_asked = (size_t)settings->probe_spider,
                  .spider_options = {.prompt = run->prompt,
                                     .extraction = (enum mn_sql_extraction)s->spider.extraction,
                                     .max_new_tokens = (int)s->spider.max_new_tokens},
                  .mmlu_asked = (size_t)settings->probe_mmlu},
        .run = run,
        .system = system};
    return settings->probe_every && settings->probe_mmlu ? open_mmlu_probe(run, arena, out) : MN_OK;
}

/* --- the training -----------------------------------------------------------------------------
 */

const char *study_training_folder(const struct run *run, const struct mn_study_training *training)
{
    const char *base = mn_path(run->arena, run->settings->output, run->settings->adapters);
    return mn_path(run->arena, base, training->name);
}

mn_status study_examples(struct run *run, const struct mn_study_training *training,
                         const struct mn_model_config *model, mn_arena *arena,
                         struct mn_examples *out)
{
    return mn_spider_examples(run->train, &run->prompt, run->tokenizer,
                              (enum mn_loss_on)training->settings.loss_on,
                              mn_train_length(&training->settings, model),
                              (size_t)run->settings->spider.train_limit, arena, out);
}

static mn_status train(struct run *run, const struct mn_study_training *training, int system,
                       const char *folder, struct mn_train_result *out)
{
    struct mn_train_settings settings = training->settings;
    struct mn_examples examples = {0};
    struct study_probe asked = {0};
    const struct mn_probe probe = {mn_probe_ask, keep_point, &asked};
    mn_arena *scratch = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&scratch));
    MN_GO(study_examples(run, training, &run->model->config, scratch, &examples));
    if (examples.truncated || examples.dropped)
        mn_warn("%s: %lld of %zu examples were cut at %d tokens, %lld had no loss token left",
                training->name, (long long)examples.truncated, examples.count,
                mn_train_length(&settings, &run->model->config), (long long)examples.dropped);
    if (run->settings->evaluate.checkpoints) settings.keep_checkpoints = 0; /* all of them */
    MN_GO(open_probe(run, &settings, system, scratch, &asked));
    MN_GO(mn_train(run->model, &examples, &settings, &probe, run->study->ranks, folder, out));
done:
    mn_mmlu_close(&asked.mmlu);
    mn_examples_free(&examples);
    mn_arena_close(&scratch);
    return st;
}

static mn_status need_adapter(const struct run *run, const struct mn_study_training *training,
                              const char *folder)
{
    const char *file = mn_path(run->arena, folder, "adapter_model.safetensors");
    if (run->phase[MN_PHASE_TRAIN] || mn_file_exists(file)) return MN_OK;
    return mn_fail(
        MN_INVALID,
        "%s: expected the adapter of \"%s\", found nothing: the phase \"%s\" comes before", file,
        training->name, mn_study_phases[MN_PHASE_TRAIN]);
}

mn_status study_train(struct run *run, const struct mn_study_training *training, int system)
{
    const char *folder = study_training_folder(run, training);
    struct mn_system trained = {.id = system,
                                .folder = mn_path(run->arena, folder, "final_adapter")};
    const bool evaluates = run->phase[MN_PHASE_SPIDER] || run->phase[MN_PHASE_MMLU];
    mn_adapter *adapter;
    if (!run->phase[MN_PHASE_TRAIN] && !evaluates) return MN_OK;
    MN_TRY(need_adapter(run, training, trained.folder));
    MN_TRY(mn_make_directories(folder));
    if (run->phase[MN_PHASE_TRAIN]) mn_info("%s: training", training->name);
    mn_progress_phase("adapter %zu of %zu", (size_t)(training - run->trainings) + 1,
                      run->training_count);
    MN_TRY(train(run, training, system, folder, &trained.trained));
    mn_progress_phase("%s", "");
    MN_TRY(study_fingerprint(run->arena, trained.folder, &trained.fingerprint));
    MN_TRY(mn_results_set_trained(run->results, system, &trained));
    if (!evaluates) return MN_OK;
    MN_TRY(mn_adapter_open_audited(&adapter, run->model, trained.folder,
                                   run->settings->allow_dead_adapter));
    *MN_PUSH(&run->adapters) = adapter;
    if (run->settings->spider.merged)
        MN_TRY(study_evaluate_merged(run, system, training->name, trained.folder));
    *MN_PUSH(&run->asked) = (struct study_asked){system, training->name, adapter, false};
    return study_add_points(run, training, &trained, adapter, folder);
}
