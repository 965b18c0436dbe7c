/* device.c: the reference device: host memory, threads, ops that run as they are called. */
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "minuano/arena.h"
#include "minuano/file.h"
#include "minuano/parallel.h"

enum { ALIGNMENT = 256, MARKS = 16, MOST_THREADS = 64 };

struct reference {
    mn_device device; /* first: a mn_device pointer is one to its reference */
    double mark[MARKS];
};

static void close_reference(mn_device *device)
{
    mn_ref_stream_close(&device->stream);
    free(device);
}

/* MemAvailable, for free memory proper leaves out what the page cache would give back. */
static size_t available_memory(size_t otherwise)
{
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return otherwise;
    char line[128];
    unsigned long long kilobytes = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1) break;
    fclose(file);
    return kilobytes ? (size_t)kilobytes * 1024 : otherwise;
}

static mn_status memory(mn_device *device, size_t *free_bytes, size_t *total_bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0)
        return mn_fail(MN_DEVICE, "%s: the system does not tell its memory", device->name);
    *total_bytes = (size_t)pages * (size_t)page;
    *free_bytes = available_memory(*total_bytes);
    return MN_OK;
}

static mn_status allocate(mn_device *device, void **out, size_t bytes)
{
    size_t whole = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *taken = whole < bytes ? NULL : aligned_alloc(ALIGNMENT, whole ? whole : ALIGNMENT);
    if (!taken) return mn_fail(MN_NO_MEMORY, "%s: no %zu bytes left", device->name, bytes);
    *out = taken;
    return MN_OK;
}

static void release(mn_device *device, void *taken)
{
    (void)device;
    free(taken);
}

static mn_status upload(mn_device *device, void *to, const void *from, size_t bytes)
{
    (void)device;
    if (bytes) memcpy(to, from, bytes);
    return MN_OK;
}

static mn_status upload_file(mn_device *device, void *to, int file, int64_t offset, size_t bytes)
{
    (void)device;
    const int error = mn_read_at(file, to, bytes, offset);
    return error == 0 ? MN_OK : mn_fail(MN_IO, "cannot read: %s", strerror(error));
}

static mn_status copy(mn_device *device, void *to, const void *from, size_t bytes)
{
    (void)device;
    if (bytes) memmove(to, from, bytes);
    return MN_OK;
}

static mn_status fill(mn_device *device, void *to, unsigned char byte, size_t bytes)
{
    (void)device;
    if (bytes) memset(to, byte, bytes);
    return MN_OK;
}

static mn_status nothing_to_do(mn_device *device)
{
    (void)device;
    return MN_OK;
}

static mn_status capture_end(mn_device *device, mn_graph **out)
{
    (void)device;
    *out = NULL;
    return MN_OK;
}

static mn_status graph_launch(mn_device *device, mn_graph *graph)
{
    (void)graph;
    return mn_fail(MN_UNSUPPORTED, "%s: has no graphs to launch", device->name);
}

static void graph_close(mn_device *device, mn_graph *graph)
{
    (void)device, (void)graph;
}

static mn_status check_slot(const mn_device *device, int slot)
{
    if (slot >= 0 && slot < MARKS) return MN_OK;
    return mn_fail(MN_INVALID, "%s: expected a mark of 0 to %d, found %d", device->name, MARKS - 1,
                   slot);
}

static mn_status mark(mn_device *device, int slot)
{
    MN_TRY(check_slot(device, slot));
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ((struct reference *)device)->mark[slot] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    return MN_OK;
}

static mn_status elapsed(mn_device *device, int from_slot, int to_slot, double *seconds)
{
    MN_TRY(check_slot(device, from_slot));
    MN_TRY(check_slot(device, to_slot));
    const struct reference *reference = (const struct reference *)device;
    *seconds = reference->mark[to_slot] - reference->mark[from_slot];
    return MN_OK;
}

/* No profiler of GPUs watches here. */
static void no_range(mn_device *device, const char *name)
{
    (void)device, (void)name;
}

static void no_range_end(mn_device *device)
{
    (void)device;
}

static mn_status no_profile(mn_device *device, bool on)
{
    (void)device, (void)on;
    return MN_OK;
}

/* Memory of the reference is the host's, which sums it over ranks itself. */
static mn_status no_group(const mn_device *device)
{
    return mn_fail(MN_UNSUPPORTED, "%s: no group of GPUs", device->name);
}

static mn_status no_group_id(mn_device *device, struct mn_group_id *id)
{
    (void)id;
    return no_group(device);
}

static mn_status no_group_join(mn_device *device, const struct mn_group_id *id, int rank, int size,
                               double patience)
{
    (void)id, (void)rank, (void)size, (void)patience;
    return no_group(device);
}

static mn_status no_group_sum(mn_device *device, float *values, int64_t count, double patience)
{
    (void)values, (void)count, (void)patience;
    return no_group(device);
}

static const struct mn_device_calls calls = {
    .close = close_reference,
    .memory = memory,
    .allocate = allocate,
    .release = release,
    .upload = upload,
    .upload_file = upload_file,
    .download = upload,
    .copy = copy,
    .fill = fill,
    .synchronize = nothing_to_do,
    .capture_begin = nothing_to_do,
    .capture_end = capture_end,
    .graph_launch = graph_launch,
    .graph_close = graph_close,
    .mark = mark,
    .elapsed = elapsed,
    .range_begin = no_range,
    .range_end = no_range_end,
    .profile = no_profile,
    .group_new_id = no_group_id,
    .group_join = no_group_join,
    .group_sum = no_group_sum,
};

mn_status mn_reference_device_open(mn_device **out, int threads)
{
    if (threads == 0) {
        threads = mn_processors();
        if (threads > MOST_THREADS) threads = MOST_THREADS;
    }
    mn_stream stream;
    MN_TRY(mn_ref_stream_open(&stream, threads));
    struct reference *reference = mn_realloc(NULL, 1, sizeof *reference);
    *reference = (struct reference){.device = {.kind = MN_DEVICE_REFERENCE,
                                               .act_bytes = sizeof(float),
                                               .stream = stream,
                                               .ops = &mn_ref_ops,
                                               .attention = "own",
                                               .calls = &calls}};
    snprintf(reference->device.name, sizeof reference->device.name, "reference, %s, %d thread%s",
             mn_ref_kernel()->vectors, threads, threads == 1 ? "" : "s");
    *out = &reference->device;
    return MN_OK;
}
