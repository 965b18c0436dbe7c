/* device.cu: the CUDA device: memory, copies through pinned staging, events, captured graphs.
 *
 * One stream carries everything, so that order is program order. An upload copies its bytes into
 * pinned memory and returns; several threads do that together, see copiers. */
#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention_cudnn.cuh"
#include "common.cuh"
#include "gemm.cuh"
#include "group.cuh"
#include "minuano/file.h"
#include "minuano/parallel.h"

enum { STAGES = 3, MARKS = 16, COPIERS_MAX = 15, ALIGNMENT = 256 };
static const size_t STAGE_BYTES = (size_t)32 << 20;
static const size_t SHARED_COPY = (size_t)4 << 20; /* from here on threads pay */
static const size_t COPY_PIECE = (size_t)1 << 20;

/* Pinned memory that is filled piece by piece, and again once its copies are done. */
struct stage {
    char *memory;
    cudaEvent_t done; /* recorded when the stage was left */
    bool left;
};

/* Copies by several threads: one cannot read the page cache as fast as the bus takes it. They are
 * started by the first large copy and sleep between two; one that cannot be had is done without. */
struct source {
    const char *memory; /* NULL: a file */
    int file;
    int64_t offset;
};

struct copiers {
    pthread_t thread[COPIERS_MAX];
    int count; /* besides the caller's; -1: not started yet */
    pthread_mutex_t lock;
    pthread_cond_t begun, ended;
    unsigned round; /* a copy each */
    bool open;      /* the round may be joined */
    bool closing;
    int active; /* threads in it */
    char *to;   /* of the round */
    struct source from;
    size_t bytes, next; /* next: atomic */
    int error;          /* errno; atomic */
};

struct cuda_device {
    struct mn_device device;
    struct mn_stream_state stream;
    int index;
    struct copiers copiers;
    struct stage stage[STAGES];
    int current;
    size_t used; /* of the current stage */
    cudaEvent_t mark[MARKS];
};

struct mn_graph {
    cudaGraphExec_t exec;
};

static struct cuda_device *self(mn_device *device)
{
    return reinterpret_cast<struct cuda_device *>(device);
}

/* Hands a CUDA failure up, naming the call. */
#define CUDA_TRY(what, call)                                                                       \
    do {                                                                                           \
        cudaError_t cuda_try_error = (call);                                                       \
        if (cuda_try_error != cudaSuccess) return cuda_failed(what, cuda_try_error);               \
    } while (0)

/* --- memory
 * ------------------------------------------------------------------------------------------- */

static mn_status device_memory(mn_device *device, size_t *free_bytes, size_t *total_bytes)
{
    CUDA_TRY("cudaSetDevice", cudaSetDevice(self(device)->index));
    CUDA_TRY("cudaMemGetInfo", cudaMemGetInfo(free_bytes, total_bytes));
    return MN_OK;
}

static mn_status device_allocate(mn_device *device, void **out, size_t bytes)
{
    CUDA_TRY("cudaSetDevice", cudaSetDevice(self(device)->index));
    cudaError_t error = cudaMalloc(out, bytes ? bytes : 1);
    if (error == cudaErrorMemoryAllocation)
        return mn_fail(MN_NO_MEMORY, "%s: cudaMalloc: %.2f GB are not free in one piece",
                       device->name, 1e-9 * (double)bytes);
    CUDA_TRY("cudaMalloc", error);
    return MN_OK;
}

static void device_release(mn_device *device, void *memory)
{
    (void)device;
    cudaFree(memory);
}

/* --- copies
 * --------------------------------------------------------------------------------------------- */

static void copy_pieces(struct copiers *c)
{
    for (;;) {
        size_t at = __atomic_fetch_add(&c->next, COPY_PIECE, __ATOMIC_RELAXED);
        if (at >= c->bytes) break;
        size_t piece = c->bytes - at < COPY_PIECE ? c->bytes - at : COPY_PIECE;
        int error = 0;
        if (c->from.memory)
            memcpy(c->to + at, c->from.memory + at, piece);
        else
            error = mn_read_at(c->from.file, c->to + at, piece, c->from.offset + (int64_t)at);
        if (error) __atomic_store_n(&c->error, error, __ATOMIC_RELAXED);
    }
}

static void *copier_main(void *argument)
{
    struct copiers *c = static_cast<struct copiers *>(argument);
    unsigned seen = 0;
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        if (!c->open || c->round == seen) {
            pthread_cond_wait(&c->begun, &c->lock);
            continue;
        }
        seen = c->round;
        c->active++;
        pthread_mutex_unlock(&c->lock);
        copy_pieces(c);
        pthread_mutex_lock(&c->lock);
        if (--c->active == 0) pthread_cond_signal(&c->ended);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void copiers_init(struct copiers *c)
{
    c->count = -1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->begun, NULL);
    pthread_cond_init(&c->ended, NULL);
}

static void copiers_start(struct copiers *c)
{
    int wanted = mn_processors() - 1;
    if (wanted > COPIERS_MAX) wanted = COPIERS_MAX;
    c->count = 0;
    while (c->count < wanted && pthread_create(&c->thread[c->count], NULL, copier_main, c) == 0)
        c->count++;
}

static void copiers_stop(struct copiers *c)
{
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->begun);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->count; i++) pthread_join(c->thread[i], NULL);
    pthread_cond_destroy(&c->begun);
    pthread_cond_destroy(&c->ended);
    pthread_mutex_destroy(&c->lock);
}

static mn_status copy_to_stage(struct copiers *c, char *to, struct source from, size_t bytes)
{
    const bool shared = bytes >= SHARED_COPY;
    if (shared && c->count < 0) copiers_start(c);
    c->to = to, c->from = from, c->bytes = bytes, c->next = 0, c->error = 0;
    if (shared) {
        pthread_mutex_lock(&c->lock);
        c->round++;
        c->open = true;
        pthread_cond_broadcast(&c->begun);
        pthread_mutex_unlock(&c->lock);
    }
    copy_pieces(c);
    if (shared) {
        pthread_mutex_lock(&c->lock);
        c->open = false;
        while (c->active > 0) pthread_cond_wait(&c->ended, &c->lock);
        pthread_mutex_unlock(&c->lock);
    }
    return c->error ? mn_fail(MN_IO, "cannot read: %s", strerror(c->error)) : MN_OK;
}

/* Leaves the current stage and waits until the next is free. */
static mn_status next_stage(struct cuda_device *cuda)
{
    struct stage *stage = &cuda->stage[cuda->current];
    CUDA_TRY("upload: cudaEventRecord", cudaEventRecord(stage->done, cuda->stream.stream));
    stage->left = true;
    cuda->current = (cuda->current + 1) % STAGES;
    cuda->used = 0;
    stage = &cuda->stage[cuda->current];
    if (stage->left) CUDA_TRY("upload: cudaEventSynchronize", cudaEventSynchronize(stage->done));
    return MN_OK;
}

static mn_status upload_from(mn_device *device, void *to, struct source from, size_t bytes)
{
    struct cuda_device *cuda = self(device);
    if (cuda->stream.capturing)
        return mn_fail(MN_DEVICE, "upload: not while a graph is being captured");
    while (bytes > 0) {
        size_t left = STAGE_BYTES - cuda->used;
        if (left < bytes && left < STAGE_BYTES) { /* a fresh stage, rather than two pieces */
            MN_TRY(next_stage(cuda));
            left = STAGE_BYTES;
        }
        size_t piece = bytes < left ? bytes : left;
        char *staged = cuda->stage[cuda->current].memory + cuda->used;
        MN_TRY(copy_to_stage(&cuda->copiers, staged, from, piece));
        CUDA_TRY("upload: cudaMemcpyAsync",
                 cudaMemcpyAsync(to, staged, piece, cudaMemcpyHostToDevice, cuda->stream.stream));
        cuda->used += (piece + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        to = static_cast<char *>(to) + piece;
        from.memory = from.memory ? from.memory + piece : NULL;
        from.offset += (int64_t)piece;
        bytes -= piece;
    }
    return MN_OK;
}

static mn_status device_upload(mn_device *device, void *to, const void *from, size_t bytes)
{
    return upload_from(device, to, {static_cast<const char *>(from), -1, 0}, bytes);
}

static mn_status device_upload_file(mn_device *device, void *to, int file, int64_t offset,
                                    size_t bytes)
{
    return upload_from(device, to, {NULL, file, offset}, bytes);
}

static mn_status device_synchronize(mn_device *device)
{
    CUDA_TRY("synchronize", cudaStreamSynchronize(self(device)->stream.stream));
    return MN_OK;
}

static mn_status device_download(mn_device *device, void *to, const void *from, size_t bytes)
{
    struct cuda_device *cuda = self(device);
    if (cuda->stream.capturing)
        return mn_fail(MN_DEVICE, "download: not while a graph is being captured");
    while (bytes > 0) {
        MN_TRY(next_stage(cuda));
        size_t piece = bytes < STAGE_BYTES ? bytes : STAGE_BYTES;
        char *staged = cuda->stage[cuda->current].memory;
        cuda->used = STAGE_BYTES; /* not shared with what comes next */
        CUDA_TRY("download: cudaMemcpyAsync",
                 cudaMemcpyAsync(staged, from, piece, cudaMemcpyDeviceToHost, cuda->stream.stream));
        CUDA_TRY("download", cudaStreamSynchronize(cuda->stream.stream));
        MN_TRY(copy_to_stage(&cuda->copiers, static_cast<char *>(to), {staged, -1, 0}, piece));
        to = static_cast<char *>(to) + piece;
        from = static_cast<const char *>(from) + piece;
        bytes -= piece;
    }
    return MN_OK;
}

static mn_status device_copy(mn_device *device, void *to, const void *from, size_t bytes)
{
    CUDA_TRY("copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                                     self(device)->stream.stream));
    return MN_OK;
}

static mn_status device_fill(mn_device *device, void *to, unsigned char byte, size_t bytes)
{
    CUDA_TRY("fill", cudaMemsetAsync(to, byte, bytes, self(device)->stream.stream));
    return MN_OK;
}

/* --- graphs ----------------------------------------------------------------------------------- */

static mn_status device_capture_begin(mn_device *device)
{
    struct cuda_device *cuda = self(device);
    CUDA_TRY("cudaStreamBeginCapture",
             cudaStreamBeginCapture(cuda->stream.stream, cudaStreamCaptureModeThreadLocal));
    cuda->stream.capturing = true;
    return MN_OK;
}

static mn_status device_capture_end(mn_device *device, mn_graph **out)
{
    struct cuda_device *cuda = self(device);
    cudaGraph_t graph = NULL;
    cuda->stream.capturing = false;
    CUDA_TRY("cudaStreamEndCapture", cudaStreamEndCapture(cuda->stream.stream, &graph));
    mn_graph *captured = static_cast<mn_graph *>(calloc(1, sizeof *captured));
    cudaError_t error = captured ? cudaGraphInstantiate(&captured->exec, graph, 0) : cudaSuccess;
    cudaGraphDestroy(graph);
    if (!captured) return mn_fail(MN_NO_MEMORY, "no host memory for a graph");
    if (error != cudaSuccess) {
        free(captured);
        return cuda_failed("cudaGraphInstantiate", error);
    }
    *out = captured;
    return MN_OK;
}

static mn_status device_graph_launch(mn_device *device, mn_graph *graph)
{
    CUDA_TRY("cudaGraphLaunch", cudaGraphLaunch(graph->exec, self(device)->stream.stream));
    return MN_OK;
}

static void device_graph_close(mn_device *device, mn_graph *graph)
{
    (void)device;
    if (!graph) return;
    cudaGraphExecDestroy(graph->exec);
    free(graph);
}

/* --- time ------------------------------------------------------------------------------------- */

static mn_status check_slot(int slot)
{
    if (slot >= 0 && slot < MARKS) return MN_OK;
    return mn_fail(MN_INVALID, "mark: expected a slot from 0 to %d, found %d", MARKS - 1, slot);
}

static mn_status device_mark(mn_device *device, int slot)
{
    MN_TRY(check_slot(slot));
    CUDA_TRY("mark", cudaEventRecord(self(device)->mark[slot], self(device)->stream.stream));
    return MN_OK;
}

static mn_status device_elapsed(mn_device *device, int from_slot, int to_slot, double *seconds)
{
    struct cuda_device *cuda = self(device);
    float ms = 0.0f;
    MN_TRY(check_slot(from_slot));
    MN_TRY(check_slot(to_slot));
    CUDA_TRY("elapsed", cudaEventSynchronize(cuda->mark[to_slot]));
    CUDA_TRY("elapsed", cudaEventElapsedTime(&ms, cuda->mark[from_slot], cuda->mark[to_slot]));
    *seconds = 1e-3 * (double)ms;
    return MN_OK;
}

/* --- for Nsight */

/* NVTX 3 is headers alone: without a profiler a range costs a test of a pointer. */
static void device_range_begin(mn_device *device, const char *name)
{
    (void)device;
    nvtxRangePushA(name);
}

static void device_range_end(mn_device *device)
{
    (void)device;
    nvtxRangePop();
}

static mn_status device_profile(mn_device *device, bool on)
{
    MN_TRY(device_synchronize(device)); /* the window holds whole steps */
    if (on)
        CUDA_TRY("cudaProfilerStart", cudaProfilerStart());
    else
        CUDA_TRY("cudaProfilerStop", cudaProfilerStop());
    return MN_OK;
}

/* --- opening and closing
 * -------------------------------------------------------------------------------------- */

static void device_close(mn_device *device)
{
    struct cuda_device *cuda = self(device);
    if (cuda->stream.stream) cudaStreamSynchronize(cuda->stream.stream);
    copiers_stop(&cuda->copiers);
    group_close(&cuda->stream.group);
#ifdef MN_WITH_CUDNN
    attention_library_close(&cuda->stream.attention);
#endif
    gemm_library_close(&cuda->stream.gemm);
    cudaFree(cuda->stream.ticket);
    for (int i = 0; i < MARKS; i++)
        if (cuda->mark[i]) cudaEventDestroy(cuda->mark[i]);
    for (int i = 0; i < STAGES; i++) {
        if (cuda->stage[i].done) cudaEventDestroy(cuda->stage[i].done);
        cudaFreeHost(cuda->stage[i].memory);
    }
    if (cuda->stream.stream) cudaStreamDestroy(cuda->stream.stream);
    free(cuda);
}

static const struct mn_device_calls calls = {
    .close = device_close,
    .memory = device_memory,
    .allocate = device_allocate,
    .release = device_release,
    .upload = device_upload,
    .upload_file = device_upload_file,
    .download = device_download,
    .copy = device_copy,
    .fill = device_fill,
    .synchronize = device_synchronize,
    .capture_begin = device_capture_begin,
    .capture_end = device_capture_end,
    .graph_launch = device_graph_launch,
    .graph_close = device_graph_close,
    .mark = device_mark,
    .elapsed = device_elapsed,
    .range_begin = device_range_begin,
    .range_end = device_range_end,
    .profile = device_profile,
    .group_new_id = group_new_id,
    .group_join = group_join,
    .group_sum = group_sum,
};

/* The GPU itself: found, new enough, current. */
static mn_status take_gpu(struct cuda_device *cuda, int index)
{
    struct cudaDeviceProp properties;
    int count = 0;
    CUDA_TRY("no GPU", cudaGetDeviceCount(&count));
    if (index < 0 || index >= count)
        return mn_fail(MN_NOT_FOUND, "GPU %d: this machine shows %d", index, count);
    CUDA_TRY("cudaSetDevice", cudaSetDevice(index));
    CUDA_TRY("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties, index));
    if (properties.major < 8)
        return mn_fail(MN_UNSUPPORTED,
                       "GPU %d, %s: expected compute capability 8.0 or later, found %d.%d", index,
                       properties.name, properties.major, properties.minor);
    snprintf(cuda->device.name, sizeof cuda->device.name, "%.*s", (int)sizeof cuda->device.name - 1,
             properties.name);
    cuda->index = index;
    cuda->stream.multiprocessors = properties.multiProcessorCount;
#ifdef MN_WITH_SM90A /* else this build has no code for Hopper's own instructions */
    cuda->stream.hopper = properties.major == 9 && properties.minor == 0;
#endif
    return MN_OK;
}

static mn_status take_resources(struct cuda_device *cuda)
{
    CUDA_TRY("cudaStreamCreate",
             cudaStreamCreateWithFlags(&cuda->stream.stream, cudaStreamNonBlocking));
    CUDA_TRY("cudaMalloc", cudaMalloc(&cuda->stream.ticket, sizeof *cuda->stream.ticket));
    CUDA_TRY("cudaMemsetAsync", cudaMemsetAsync(cuda->stream.ticket, 0, sizeof *cuda->stream.ticket,
                                                cuda->stream.stream));
    for (int i = 0; i < MARKS; i++) CUDA_TRY("cudaEventCreate", cudaEventCreate(&cuda->mark[i]));
    for (int i = 0; i < STAGES; i++) {
        CUDA_TRY("cudaEventCreate",
                 cudaEventCreateWithFlags(&cuda->stage[i].done, cudaEventDisableTiming));
        CUDA_TRY("pinned staging", cudaHostAlloc(reinterpret_cast<void **>(&cuda->stage[i].memory),
                                                 STAGE_BYTES, cudaHostAllocDefault));
    }
    return gemm_library_open(&cuda->stream.gemm);
}

extern "C" mn_status mn_cuda_device_open(mn_device **out, int index)
{
    struct cuda_device *cuda = static_cast<struct cuda_device *>(calloc(1, sizeof *cuda));
    if (!cuda) return mn_fail(MN_NO_MEMORY, "no host memory for a device");
    cuda->device.kind = MN_DEVICE_CUDA;
    cuda->device.act_bytes = sizeof(__nv_bfloat16);
    cuda->device.stream = &cuda->stream;
    cuda->device.ops = &mn_cuda_ops;
    cuda->device.attention = "own";
    cuda->device.calls = &calls;
    copiers_init(&cuda->copiers);
    mn_status st = take_gpu(cuda, index);
    if (st == MN_OK) st = take_resources(cuda);
    if (st != MN_OK) {
        device_close(&cuda->device);
        return st;
    }
    *out = &cuda->device;
    return MN_OK;
}
