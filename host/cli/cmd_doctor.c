/* cmd_doctor.c: `minuano doctor`: what this machine offers and lacks. One JSON object is built;
 * people get it as indented text. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include <jansson.h>
#include <mpi.h>
#include <openssl/crypto.h>
#include <sqlite3.h>

#include "minuano/parallel.h"
#include "model_settings.h"

/* The value behind `key` in a file of "key : value" lines such as /proc/cpuinfo; NULL: none. */
static const char *proc_value(mn_arena *arena, const char *path, const char *key)
{
    struct mn_lines lines;
    const char *line, *value = NULL;
    if (mn_lines_open(&lines, path) != MN_OK) return NULL;
    while (!value && mn_lines_next(&lines, &line) == MN_OK && line) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, key, strlen(key)) == 0)
            value = mn_arena_strdup(arena, colon + 1 + strspn(colon + 1, " \t"));
    }
    mn_lines_close(&lines);
    return value;
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)) != NULL; at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static json_t *processor(mn_arena *arena)
{
    static const char *const features[] = {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd"};
    const char *model = proc_value(arena, "/proc/cpuinfo", "model name");
    const char *flags = proc_value(arena, "/proc/cpuinfo", "flags");
    json_t *object = json_object(), *list = json_array();
    if (!flags) flags = proc_value(arena, "/proc/cpuinfo", "Features");
    json_object_set_new(object, "model", json_string(model ? model : "unknown"));
    json_object_set_new(object, "present", json_integer(get_nprocs_conf()));
    json_object_set_new(object, "usable", json_integer(mn_processors()));
    for (size_t i = 0; i < MN_COUNT(features); i++)
        if (has_word(flags, features[i])) json_array_append_new(list, json_string(features[i]));
    json_object_set_new(object, "features", list);
    return object;
}

static json_t *memory(mn_arena *arena)
{
    static const char *const keys[][2] = {{"total_gb", "MemTotal"},
                                          {"available_gb", "MemAvailable"}};
    json_t *object = json_object();
    for (size_t i = 0; i < MN_COUNT(keys); i++) {
        const char *value = proc_value(arena, "/proc/meminfo", keys[i][1]);
        if (value)
            json_object_set_new(object, keys[i][0], json_real(strtod(value, NULL) * 1024e-9));
    }
    return object;
}

/* What --attention could take there, or why not. */
static json_t *attention(mn_device *device)
{
    json_t *list = json_array();
    json_array_append_new(list, json_string("own"));
#ifdef MN_WITH_CUDNN
    const struct mn_ops *ops;
    const int version = mn_cuda_cudnn_version();
    if (device->kind == MN_DEVICE_CUDA && version < MN_CUDNN_PACKED)
        json_array_append_new(list, json_sprintf("not cudnn: expected %d or later, found %d",
                                                 (int)MN_CUDNN_PACKED, version));
    else if (device->kind == MN_DEVICE_CUDA && mn_cuda_cudnn_open(device, &ops) == MN_OK)
        json_array_append_new(list, json_sprintf("cudnn (%d.%d.%d)", version / 10000,
                                                 version / 100 % 100, version % 100));
    else if (device->kind == MN_DEVICE_CUDA)
        json_array_append_new(list, json_sprintf("not cudnn: %s", mn_error()));
#else
    if (device->kind == MN_DEVICE_CUDA)
        json_array_append_new(list, json_string("not cudnn: this build has none"));
#endif
    return list;
}

static json_t *device_json(mn_device *device)
{
    size_t free_bytes = 0, total_bytes = 0;
    json_t *object = json_pack("{s:s}", "name", device->name);
    if (device->calls->memory(device, &free_bytes, &total_bytes) == MN_OK) {
        json_object_set_new(object, "free_gb", json_real(1e-9 * (double)free_bytes));
        json_object_set_new(object, "total_gb", json_real(1e-9 * (double)total_bytes));
    }
    json_object_set_new(object, "attention", attention(device));
    return object;
}

/* Every device that --device could take. *gpus: how many CUDA devices open. */
static json_t *devices(int threads, int *gpus)
{
    json_t *list = json_array();
    mn_device *device = NULL;
    *gpus = 0;
    if (mn_reference_device_open(&device, threads) == MN_OK)
        json_array_append_new(list, device_json(device));
    mn_device_close(&device);
#ifdef MN_WITH_CUDA
    while (mn_cuda_device_open(&device, *gpus) == MN_OK) {
        json_array_append_new(list, device_json(device));
        mn_device_close(&device);
        ++*gpus;
    }
#endif
    return list;
}

static json_t *gpu(mn_arena *arena)
{
    const char *driver = proc_value(arena, "/proc/driver/nvidia/version", "NVRM version");
#ifdef MN_WITH_CUDA
    const bool cuda = true;
#else
    const bool cuda = false;
#endif
#ifdef MN_WITH_CUDNN
    const bool cudnn = true;
#else
    const bool cudnn = false;
#endif
#ifdef MN_WITH_NCCL
    const bool nccl = true;
#else
    const bool nccl = false;
#endif
    return json_pack("{s:b,s:b,s:b,s:s}", "built_with_cuda", cuda, "built_with_cudnn", cudnn,
                     "built_with_nccl", nccl, "driver", driver ? driver : "none");
}

static json_t *libraries(void)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING] = "unknown";
    int length;
    if (MPI_Get_library_version(mpi, &length) == MPI_SUCCESS) mpi[strcspn(mpi, ",\n")] = '\0';
    return json_pack("{s:s,s:s,s:s,s:s}", "mpi", mpi, "sqlite", sqlite3_libversion(), "jansson",
                     jansson_version_str(), "openssl", OpenSSL_version(OPENSSL_VERSION));
}

/* models--owner--name folders of the hub cache that resolve. */
static json_t *hub(const struct invocation *call)
{
    const char *cache = hub_cache_folder(call), *folder;
    char **names;
    size_t count = 0;
    json_t *models = json_array();
    if (!mn_is_directory(cache) || mn_directory_list(call->arena, cache, &names, &count) != MN_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(names[i], "models--", 8) != 0) continue;
        char *name = mn_arena_strdup(call->arena, names[i] + 8), *dashes = strstr(name, "--");
        if (!dashes) continue;
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        if (resolve_model(call, name, &folder) == MN_OK)
            json_array_append_new(models, json_string(name));
    }
    return json_pack("{s:s,s:b,s:o}", "cache", cache, "exists", mn_is_directory(cache), "models",
                     models);
}

static bool in_path(mn_arena *arena, const char *program)
{
    const char *path = getenv("PATH");
    for (const char *at = path; at && *at;) {
        size_t length = strcspn(at, ":");
        if (length && mn_file_exists(mn_path(arena, mn_arena_strndup(arena, at, length), program)))
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static void add_missing(json_t *list, const char *what, const char *remedy)
{
    json_array_append_new(list, json_pack("{s:s,s:s}", "what", what, "remedy", remedy));
}

static json_t *missing(mn_arena *arena, int gpus)
{
    json_t *list = json_array();
    bool nvidia = mn_file_exists("/proc/driver/nvidia/version");
    if (!in_path(arena, "mpirun") && !in_path(arena, "srun"))
        add_missing(list, "mpirun, to train on several GPUs or nodes",
                    "apt-get install openmpi-bin");
#ifdef MN_WITH_CUDA
    if (gpus == 0)
        add_missing(list, "a GPU that CUDA can open",
                    nvidia ? "the driver is there: see `nvidia-smi`"
                           : "an NVIDIA GPU and its driver; without one --device reference works");
#ifndef MN_WITH_NCCL
    add_missing(list, "NCCL, to train on several GPUs",
                "apt-get install libnccl-dev from NVIDIA's packages, and build again");
#endif
#ifndef MN_WITH_CUDNN
    add_missing(list, "cuDNN, for --attention cudnn",
                "apt-get install cudnn9-cuda-13 from NVIDIA's packages, and build again");
#endif
#else
    (void)gpus;
    if (nvidia)
        add_missing(list, "the CUDA device: this machine has an NVIDIA driver",
                    "install the CUDA toolkit and build again");
#endif
    return list;
}

/* Objects by key, arrays by line, indented. */
static void print_value(const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach ((json_t *)value, key, item) {
            bool nested = json_is_object(item) || json_is_array(item);
            printf("%*s%s:%s", 2 * depth, "", key, nested ? "\n" : " ");
            print_value(item, depth + 1);
        }
    } else if (json_is_array(value)) {
        if (json_array_size(value) == 0) printf("%*snone\n", 2 * depth, "");
        json_array_foreach (value, i, item) {
            if (json_is_object(item) && i > 0) putchar('\n');
            if (!json_is_object(item)) printf("%*s", 2 * depth, "");
            print_value(item, depth);
        }
    } else if (json_is_string(value)) {
        puts(json_string_value(value));
    } else if (json_is_integer(value)) {
        printf("%lld\n", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        printf("%.1f\n", json_real_value(value));
    } else {
        puts(json_is_true(value) ? "yes" : "no");
    }
}

static mn_status run(const struct invocation *call)
{
    int gpus;
    json_t *report = json_object();
    json_object_set_new(report, "minuano", json_string(MINUANO_VERSION));
    json_object_set_new(report, "processor", processor(call->arena));
    json_object_set_new(report, "memory", memory(call->arena));
    json_object_set_new(report, "gpu", gpu(call->arena));
    json_object_set_new(report, "devices", devices((int)call->common.threads, &gpus));
    json_object_set_new(report, "libraries", libraries());
    json_object_set_new(report, "hub", hub(call));
    json_object_set_new(report, "missing", missing(call->arena, gpus));
    if (call->common.json)
        mn_json_line(stdout, report);
    else
        print_value(report, 0);
    json_decref(report);
    return MN_OK;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what this machine offers and lacks",
    .usage = "[--json]",
    .examples = "  minuano doctor\n  minuano doctor --json\n",
    .run = run,
};
