/* cmd_bench.c: `minuano bench`, `bench train`, `bench score`, `bench generate`, `bench passes`,
 * `bench mmlu`, `bench spider`: one table of settings, one file for all, for they print the same
 * table. */
#include "command.h"
#include "minuano/bench.h"
#include "minuano/log.h"
#include "launch.h"
#include "model_settings.h"

struct bench_settings {
    struct model_settings model;
    const char *random, *only;
    int64_t tokens, length, rank, steps, batch, new_tokens, adapters, prefix, questions, rounds,
        seed;
    double dropout;
};

#define AT(field) offsetof(struct bench_settings, field)
static const struct mn_setting rows[] = {
    {"random", MN_SETTING_STRING, AT(random), "mistral-7b",
     "shape of a model with random weights: mistral-7b, tiny"},
    {"only", MN_SETTING_STRING, AT(only), NULL,
     "kernels whose name contains this, beside the copy and the product (bench alone)"},
    {"tokens", MN_SETTING_INT, AT(tokens), "8192", "tokens of a step or a batch", .low = 16,
     .high = 1 << 20},
    {"length", MN_SETTING_INT, AT(length), "1024", "of a sequence or a prompt", .low = 2,
     .high = 32768},
    {"rank", MN_SETTING_INT, AT(rank), "16",
     "LoRA on q, k, v and o; 0: none (score and generate alone)", .high = 256},
    {"dropout", MN_SETTING_REAL, AT(dropout), "0.05", "of the adapter in training", .high = 0.99},
    {"steps", MN_SETTING_INT, AT(steps), "10", "timed steps, or batches", .low = 1, .high = 1000},
    {"batch", MN_SETTING_INT, AT(batch), "64", "examples generated at once", .low = 1,
     .high = 65536},
    {"new_tokens", MN_SETTING_INT, AT(new_tokens), "40", "generated an example", .low = 1,
     .high = 4096},
    {"adapters", MN_SETTING_INT, AT(adapters), "2", "passes: adapters beside the base", .low = 1,
     .high = MN_ADAPTER_GROUPS - 1},
    {"prefix", MN_SETTING_INT, AT(prefix), "256", "passes: tokens that all prompts share",
     .high = 32768},
    {"questions", MN_SETTING_INT, AT(questions), "0",
     "mmlu and spider: so many; 0: as many as there are", .high = 1 << 20},
    {"rounds", MN_SETTING_INT, AT(rounds), "3", "mmlu and spider: timed, the median is told",
     .low = 1, .high = 100},
    {"seed", MN_SETTING_INT, AT(seed), "1", "of the random weights"},
    QUANTIZATION_ROWS(struct bench_settings, model),
};
static const struct mn_settings table = {"minuano bench", rows, MN_COUNT(rows)};

static void print_row(const struct mn_bench_row *row)
{
    char percent[64] = "";
    if (row->ceiling)
        snprintf(percent, sizeof percent, "%6.1f %% of %s", row->percent, row->ceiling);
    printf("%-34s %-34s %11.1f us %10.1f %-10s %s%s", row->name, row->shape, 1e6 * row->seconds,
           row->rate, row->unit, percent, row->note);
    if (row->peer) printf(", %.2f x %s", row->ratio, row->peer);
    putchar('\n');
}

static void print_rows(const struct invocation *call, const mn_device *device,
                       const struct mn_bench_rows *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct mn_bench_row *row = &found->item[i];
        if (!call->common.json) {
            print_row(row);
            continue;
        }
        json_t *object = json_pack("{s:s,s:s,s:s,s:f,s:f,s:s,s:f}", "device", device->name, "name",
                                   row->name, "shape", row->shape, "seconds", row->seconds, "rate",
                                   row->rate, "unit", row->unit, "percent", row->percent);
        if (row->ceiling) json_object_set_new(object, "ceiling", json_string(row->ceiling));
        if (row->note[0]) json_object_set_new(object, "note", json_string(row->note));
        if (row->peer) {
            json_object_set_new(object, "peer", json_string(row->peer));
            json_object_set_new(object, "ratio", json_real(row->ratio));
        }
        mn_json_line(stdout, object);
        json_decref(object);
    }
    fflush(stdout);
}

/* cuDNN's attention beside ours, where this build and this GPU have it; or ours beside cuDNN's. */
static void find_peer(struct mn_bench_kernels *what, mn_device *device)
{
#ifdef MN_WITH_CUDNN
    if (device->kind != MN_DEVICE_CUDA) return;
    const bool whole = (what->tokens & (what->tokens - 1)) == 0; /* then all shapes are */
    if (!whole && mn_cuda_cudnn_version() < MN_CUDNN_PACKED) {
        mn_info("no peer for attention: with this cuDNN, %d, --tokens must be a power of two",
                mn_cuda_cudnn_version());
        return;
    }
    const bool own = device->ops == &mn_cuda_ops;
    mn_status st = mn_cuda_cudnn_open(device, &what->peer);
    if (st == MN_OK && !own) what->peer = &mn_cuda_ops;
    if (st == MN_OK)
        what->peer_name = own ? "cuDNN" : "our own";
    else
        mn_info("no peer for attention: %s", mn_error());
#else
    (void)what;
    if (device->kind == MN_DEVICE_CUDA) mn_info("no peer for attention: this build has no cuDNN");
#endif
}

static mn_status run_kernels(const struct invocation *call)
{
    const struct bench_settings *settings = call->settings;
    struct mn_bench_kernels what = {.tokens = (int)settings->tokens, .only = settings->only};
    struct mn_bench_rows found = {0};
    struct mn_model_config config;
    mn_device *device = NULL;
    mn_status st;
    MN_GO(mn_bench_shape(&config, settings->random));
    MN_GO(open_device(call, &device));
    find_peer(&what, device);
    MN_GO(mn_bench_kernels(&found, device, &config, &what));
    print_rows(call, device, &found);
done:
    mn_bench_rows_free(&found);
    mn_device_close(&device);
    return st;
}

typedef mn_status bench_job(struct mn_bench_rows *rows, mn_model *model,
                            const struct mn_bench_job *job);

/* ranks: NULL, or those that do the job together. */
static mn_status run_job(const struct invocation *call, bench_job *run, mn_ranks *ranks)
{
    const struct bench_settings *settings = call->settings;
    const struct mn_model_options options = {.quantization = settings->model.quantization,
                                             .keep_packed = settings->model.keep_packed};
    const struct mn_bench_job job = {.tokens = (int)settings->tokens,
                                     .length = (int)settings->length,
                                     .rank = (int)settings->rank,
                                     .dropout = settings->dropout,
                                     .steps = (int)settings->steps,
                                     .batch = (int)settings->batch,
                                     .new_tokens = (int)settings->new_tokens,
                                     .adapters = (int)settings->adapters,
                                     .prefix = (int)settings->prefix,
                                     .questions = (int)settings->questions,
                                     .rounds = (int)settings->rounds,
                                     .ranks = ranks};
    struct mn_bench_rows found = {0};
    struct mn_model_config config;
    mn_device *device = NULL;
    mn_model *model = NULL;
    mn_status st;
    MN_GO(mn_bench_shape(&config, settings->random));
    MN_GO(open_device(call, &device));
    if (ranks) MN_GO(mn_ranks_join_device(ranks, device));
    MN_GO(mn_model_random(&model, device, &config, (uint64_t)settings->seed, &options));
    MN_GO(run(&found, model, &job));
    if (!ranks || ranks->rank == 0) print_rows(call, device, &found);
    if (ranks) MN_GO(mn_ranks_barrier(ranks)); /* none leaves its GPU while another may need it */
done:
    mn_bench_rows_free(&found);
    mn_model_close(&model);
    mn_device_close(&device);
    return st;
}

static mn_status run_train(const struct invocation *call)
{
    const struct bench_settings *settings = call->settings;
    struct invocation mine = *call;
    mn_ranks *ranks;
    if (settings->rank < 1) return mn_fail(MN_USAGE, "bench train: --rank: expected at least 1");
    MN_TRY(join_ranks(&ranks));
    spread_devices(&mine, ranks);
    mn_status st = run_job(&mine, mn_bench_train, ranks);
    if (st != MN_OK && ranks->size > 1) st = mn_fail_in(st, "rank %d", ranks->rank);
    leave_ranks(&ranks, st);
    return st;
}

static mn_status run_score(const struct invocation *call)
{
    return run_job(call, mn_bench_score, NULL);
}

static mn_status run_generate(const struct invocation *call)
{
    return run_job(call, mn_bench_generate, NULL);
}

static mn_status run_passes(const struct invocation *call)
{
    return run_job(call, mn_bench_passes, NULL);
}

static mn_status run_mmlu(const struct invocation *call)
{
    return run_job(call, mn_bench_mmlu, NULL);
}

static mn_status run_spider(const struct invocation *call)
{
    return run_job(call, mn_bench_spider, NULL);
}

const struct command command_bench = {
    .name = "bench",
    .summary = "time every kernel beside a copy and a product measured in the same run",
    .usage = "[options]",
    .examples =
        "minuano bench\nminuano bench --json --tokens 4096\nminuano bench --only attention\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_kernels,
};

const struct command command_bench_train = {
    .name = "bench train",
    .summary = "time training steps of a model with random weights",
    .usage = "[options]",
    .examples = "minuano bench train --tokens 8192 --length 1024 --rank 16\n"
                "mpirun -n 2 minuano bench train\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_train,
};

const struct command command_bench_score = {
    .name = "bench score",
    .summary = "time the scoring of four options at the end of prompts",
    .usage = "[options]",
    .examples = "minuano bench score --length 760 --rank 0\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_score,
};

const struct command command_bench_generate = {
    .name = "bench generate",
    .summary = "time greedy generation",
    .usage = "[options]",
    .examples = "minuano bench generate --batch 256 --length 300 --new-tokens 40\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_generate,
};

const struct command command_bench_passes = {
    .name = "bench passes",
    .summary = "time base and adapters in one pass against a pass each, and shared prefixes",
    .usage = "[options]",
    .examples = "minuano bench passes --batch 64 --prefix 256 --length 64 --adapters 2\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_passes,
};

const struct command command_bench_mmlu = {
    .name = "bench mmlu",
    .summary = "time random questions in the shape of MMLU with five shots",
    .usage = "[options]",
    .examples = "minuano bench mmlu\nminuano bench mmlu --questions 2000 --json\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_mmlu,
};

const struct command command_bench_spider = {
    .name = "bench spider",
    .summary = "time generation for random questions in the shape of Spider dev with schemas",
    .usage = "[options]",
    .examples = "minuano bench spider\nminuano bench spider --new-tokens 60\n",
    .settings = &table,
    .settings_size = sizeof(struct bench_settings),
    .run = run_spider,
};
