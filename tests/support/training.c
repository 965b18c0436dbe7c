#include "support/training.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct world world;
const char final_weights[] = "final_adapter/adapter_model.safetensors";

int open_world(void **state)
{
    (void)state;
    OK(mn_arena_open(&world.arena));
    OK(mn_reference_device_open(&world.device, 1));
    OK(mn_model_open(&world.model, world.device, test_fixture("train/model"),
                     &(struct mn_model_options){0}));
    OK(mn_ranks_open(&world.ranks, false));
    OK(mn_examples_read(&world.examples, world.arena, NULL, test_fixture("train/examples.jsonl"),
                        MN_LOSS_ON_COMPLETION, 64));
    return 0;
}

int close_world(void **state)
{
    (void)state;
    mn_examples_free(&world.examples);
    mn_ranks_close(&world.ranks);
    mn_model_close(&world.model);
    mn_device_close(&world.device);
    mn_arena_close(&world.arena);
    return 0;
}

struct mn_train_settings recipe(void)
{
    struct mn_train_settings settings = {0};
    OK(mn_settings_defaults(&mn_train_settings_table, &settings, world.arena));
    settings.steps = 20;
    settings.batch = 3;
    settings.accumulation = 2;
    settings.learning_rate = 1e-2;
    settings.warmup_steps = 3;
    settings.initial = test_fixture("train/initial");
    settings.checkpoint_every = 0;
    return settings;
}

struct mn_train_settings with_dropout(void)
{
    struct mn_train_settings settings = recipe();
    settings.initial = NULL;
    settings.rank = 3;
    settings.dropout = 0.2;
    settings.steps = 9;
    settings.checkpoint_every = 3;
    settings.keep_checkpoints = 0;
    return settings;
}

mn_status train_with(const struct mn_train_settings *settings, const struct mn_probe *probe,
                     const char *folder, struct mn_train_result *result)
{
    return mn_train(world.model, &world.examples, settings, probe, world.ranks, folder, result);
}

char *contents(const char *folder, const char *name, size_t *size)
{
    char *data;
    OK(mn_file_read(world.arena, mn_path(world.arena, folder, name), &data, size));
    return data;
}

void check_same_file(const char *a, const char *b, const char *name)
{
    size_t a_size, b_size;
    char *a_data = contents(a, name, &a_size), *b_data = contents(b, name, &b_size);
    assert_int_equal(a_size, b_size);
    if (memcmp(a_data, b_data, a_size) != 0) fail_msg("%s differs: %s and %s", name, a, b);
}

void check_same_lines(const char *a, const char *b, const char *name, const char *clock_key)
{
    struct mn_jsonl files[2] = {0};
    json_t *lines[2] = {0};
    OK(mn_jsonl_open(&files[0], mn_path(world.arena, a, name)));
    OK(mn_jsonl_open(&files[1], mn_path(world.arena, b, name)));
    do {
        for (int i = 0; i < 2; i++) {
            json_decref(lines[i]);
            OK(mn_jsonl_next(&files[i], &lines[i]));
            json_object_del(lines[i], clock_key);
        }
        assert_true(json_equal(lines[0], lines[1]) || (!lines[0] && !lines[1]));
    } while (lines[0]);
    mn_jsonl_close(&files[0]);
    mn_jsonl_close(&files[1]);
}

bool kill_at(const char *path, int lines, mn_status (*job)(void *user), void *user)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(job(user) == MN_OK ? 0 : 1);
    for (int written = 0; written < lines && kill(child, 0) == 0;) {
        FILE *file = fopen(path, "r");
        written = 0;
        for (int c; file && (c = fgetc(file)) != EOF;) written += c == '\n';
        if (file) fclose(file);
        if (waitpid(child, NULL, WNOHANG) == child) return false;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return true;
}
