/* training.c: one adapter of a study, from its examples to the row that records it. */
#include "minuano/audit.h"
#include "minuano/log.h"
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

static mn_status train(struct run *run, const struct mn_study_training *training,
                       const char *folder, struct mn_train_result *out)
{
    struct mn_train_settings settings = training->settings;
    struct mn_examples examples = {0};
    mn_arena *scratch = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&scratch));
    MN_GO(mn_spider_examples(run->train, &run->prompt, run->tokenizer,
                             (enum mn_loss_on)training->settings.loss_on,
                             (int)training->settings.max_length,
                             (size_t)run->settings->spider.train_limit, scratch, &examples));
    if (examples.truncated || examples.dropped)
        mn_warn("%s: %lld of %zu examples were cut at %lld tokens, %lld had no loss token left",
                training->name, (long long)examples.truncated, examples.count,
                (long long)training->settings.max_length, (long long)examples.dropped);
    if (run->settings->evaluate.checkpoints) settings.keep_checkpoints = 0; /* all of them */
    MN_GO(mn_train(run->model, &examples, &settings, run->study->ranks, folder, out));
done:
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
    const char *base = mn_path(run->arena, run->settings->output, run->settings->adapters);
    const char *folder = mn_path(run->arena, base, training->name);
    struct mn_system trained = {.id = system,
                                .folder = mn_path(run->arena, folder, "final_adapter")};
    const bool evaluates = run->phase[MN_PHASE_SPIDER] || run->phase[MN_PHASE_MMLU];
    mn_adapter *adapter;
    if (!run->phase[MN_PHASE_TRAIN] && !evaluates) return MN_OK;
    MN_TRY(need_adapter(run, training, trained.folder));
    MN_TRY(mn_make_directories(folder));
    if (run->phase[MN_PHASE_TRAIN]) mn_info("%s: training", training->name);
    MN_TRY(train(run, training, folder, &trained.trained));
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
