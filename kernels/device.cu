/* device.cu: the CUDA device: memory, copies through pinned staging, events, captured graphs.
 *
 * One stream carries everything, so that order is program order. An upload copies its bytes into
 * pinned memory and returns; large ones are copied there by several threads, for one cannot read
 * the page cache as fast as the bus takes it. */
#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attention_cudnn.cuh"
#include "common.cuh"
#include "gemm.cuh"
#include "group.cuh"

enum { STAGES = 3, MARKS = 16, COPIERS_MAX = 8, ALIGNMENT = 256 };
static const size_t STAGE_BYTES = (size_t)32 << 20;
static const size_t SHARED_COPY = (size_t)1 << 20; /* above, threads pay */

/* Pinned memory that is filled piece by piece, and again once its copies are done. */
struct stage {
    char *memory;
    cudaEvent_t done; /* recorded when the stage was left */
    bool left;
};

struct cuda_device {
    struct mn_device device;
    struct mn_stream_state stream;
    int index, copiers;
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

struct copier {
    char *to;
    const char *from;
    size_t bytes;
};

static void *copy_stripe(void *argument)
{
    const struct copier *job = static_cast<const struct copier *>(argument);
    memcpy(job->to, job->from, job->bytes);
    return NULL;
}

/* memcpy by several threads; a thread that cannot be had is done without. */
static void copy_to_stage(char *to, const char *from, size_t bytes, int copiers)
{
    struct copier job[COPIERS_MAX];
    pthread_t thread[COPIERS_MAX];
    bool running[COPIERS_MAX] = {};
    if (bytes < SHARED_COPY) copiers = 1;
    size_t stripe = (bytes / copiers + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (int i = copiers - 1; i >= 0; i--) {
        size_t begin = i * stripe < bytes ? i * stripe : bytes;
        size_t end = i + 1 < copiers && begin + stripe < bytes ? begin + stripe : bytes;
        job[i] = {to + begin, from + begin, end - begin};
        if (i > 0) running[i] = pthread_create(&thread[i], NULL, copy_stripe, &job[i]) == 0;
        if (!running[i]) copy_stripe(&job[i]);
    }
    for (int i = 1; i < copiers; i++)
        if (running[i]) pthread_join(thread[i], NULL);
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

static mn_status device_upload(mn_device *device, void *to, const void *from, size_t bytes)
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
        copy_to_stage(staged, static_cast<const char *>(from), piece, cuda->copiers);
        CUDA_TRY("upload: cudaMemcpyAsync",
                 cudaMemcpyAsync(to, staged, piece, cudaMemcpyHostToDevice, cuda->stream.stream));
        cuda->used += (piece + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        to = static_cast<char *>(to) + piece;
        from = static_cast<const char *>(from) + piece;
        bytes -= piece;
    }
    return MN_OK;
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
        copy_to_stage(static_cast<char *>(to), staged, piece, cuda->copiers);
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
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    cuda->copiers = processors < 1             ? 1
                    : processors > COPIERS_MAX ? (int)COPIERS_MAX
                                               : (int)processors;
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
    mn_status st = take_gpu(cuda, index);
    if (st == MN_OK) st = take_resources(cuda);
    if (st != MN_OK) {
        device_close(&cuda->device);
        return st;
    }
    *out = &cuda->device;
    return MN_OK;
}
