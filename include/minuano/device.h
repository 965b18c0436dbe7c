/* device.h: a place where the model lives and runs: memory, one stream, graph capture, and its
 * table of ops.
 *
 * Two devices exist: the reference (plain C, fp32, any machine) and CUDA (bf16, hand-written
 * kernels). One is chosen once, in the command line; nothing falls back op by op. The host never
 * looks inside an activation: mn_act is fp32 on the reference and bf16 on CUDA, and moves through
 * the ops (load_convert, store_convert). */
#ifndef MINUANO_DEVICE_H
#define MINUANO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "minuano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mn_act mn_act; /* one activation element, act_bytes wide; opaque */
typedef struct mn_stream_state
    *mn_stream; /* CUDA: a cudaStream_t with its library handles; reference: its thread count */
typedef struct mn_graph mn_graph; /* captured work, replayed as one */
typedef struct mn_device mn_device;
struct mn_ops;
/* Names a group of GPUs: made by one process, brought to the others by whoever forms the group. */
struct mn_group_id {
    unsigned char byte[128];
};

enum mn_device_kind { MN_DEVICE_REFERENCE, MN_DEVICE_CUDA };

/* What a device can do besides the ops. None of these is NULL. Copies are ordered on the stream;
 * upload returns when `from` may be reused, download when `to` is filled. */
struct mn_device_calls {
    void (*close)(mn_device *device);
    mn_status (*memory)(mn_device *device, size_t *free_bytes, size_t *total_bytes);
    mn_status (*allocate)(mn_device *device, void **out,
                          size_t bytes); /* 256-byte aligned, contents undefined */
    void (*release)(mn_device *device, void *memory);
    mn_status (*upload)(mn_device *device, void *to, const void *from, size_t bytes);
    /* The same from an open file: a mapping of weights would cost more in page tables than their
     * copy. The message is without the file's name. */
    mn_status (*upload_file)(mn_device *device, void *to, int file, int64_t offset, size_t bytes);
    mn_status (*download)(mn_device *device, void *to, const void *from, size_t bytes);
    mn_status (*copy)(mn_device *device, void *to, const void *from,
                      size_t bytes); /* within the device */
    mn_status (*fill)(mn_device *device, void *to, unsigned char byte, size_t bytes);
    mn_status (*synchronize)(mn_device *device); /* reports what earlier launches failed with */
    /* Records what is launched between begin and end instead of running it. A device that cannot
     * capture (the reference) runs the work at once and gives *out = NULL; launch of NULL is then
     * never called. */
    mn_status (*capture_begin)(mn_device *device);
    mn_status (*capture_end)(mn_device *device, mn_graph **out);
    mn_status (*graph_launch)(mn_device *device, mn_graph *graph);
    void (*graph_close)(mn_device *device, mn_graph *graph);
    /* Seconds of device time between two calls of `mark` with slots 0 … 15; waits for the later
     * one. */
    mn_status (*mark)(mn_device *device, int slot);
    mn_status (*elapsed)(mn_device *device, int from_slot, int to_slot, double *seconds);
    /* For a profiler, where one watches: named ranges, nested; and the window that it records. */
    void (*range_begin)(mn_device *device, const char *name);
    void (*range_end)(mn_device *device);
    mn_status (*profile)(mn_device *device, bool on);
    /* This GPU among those of `size` processes, one each, and sums over them. MN_UNSUPPORTED on the
     * reference, which sums on the host, and in builds without NCCL. values (count) become their
     * sum over the group, added in rank order; returns when they are there. patience: seconds,
     * after which MN_PEER: some rank did not come, and the group is gone. */
    mn_status (*group_new_id)(mn_device *device, struct mn_group_id *id);
    mn_status (*group_join)(mn_device *device, const struct mn_group_id *id, int rank, int size,
                            double patience);
    mn_status (*group_sum)(mn_device *device, float *values, int64_t count, double patience);
};

struct mn_device {
    enum mn_device_kind kind;
    char name[128];   /* "reference, AVX-512, 2 threads", "NVIDIA H200" */
    size_t act_bytes; /* 4 or 2 */
    mn_stream stream; /* where all ops of this device are launched */
    const struct mn_ops *ops;
    const char *attention; /* whose the attention in `ops` is: "own" or "cudnn" */
    const struct mn_device_calls *calls;
};

/* threads 0: all processors this process may use. */
MN_CHECKED mn_status mn_reference_device_open(mn_device **out, int threads);
/* Only in builds with the CUDA toolkit (MN_WITH_CUDA). index counts visible GPUs. */
MN_CHECKED mn_status mn_cuda_device_open(mn_device **out, int index);
/* Only in builds with cuDNN (MN_WITH_CUDNN): makes its attention ready on a CUDA device and gives
 * the table that has it, for device->ops or beside it. */
MN_CHECKED mn_status mn_cuda_cudnn_open(mn_device *device, const struct mn_ops **ops);
int mn_cuda_cudnn_version(void); /* 91900: 9.19.0 */
/* From here on it has the gradients of packed sequences whose query heads share keys. Before, it
 * has those of sequences that are alike and fill a power of two, which is enough to be measured by.
 */
enum { MN_CUDNN_PACKED = 91900 };
void mn_device_close(mn_device **device);

/* Element i of an activation array. */
static inline mn_act *mn_act_at(const mn_device *device, const mn_act *base, int64_t i)
{
    return (mn_act *)((char *)base + i * (int64_t)device->act_bytes);
}

/* Device memory is planned, then carved once. The same function takes every buffer twice: first
 * from a pool without memory, which only counts (and gives NULL), then from one that has it. */
enum mn_memory_use {
    MN_MEMORY_WEIGHTS,
    MN_MEMORY_ADAPTER,
    MN_MEMORY_OPTIMIZER,
    MN_MEMORY_ACTIVATIONS,
    MN_MEMORY_CACHE,
    MN_MEMORY_WORKSPACE,
    MN_MEMORY_USES
};

struct mn_pool {
    mn_device *device;
    char *base; /* NULL while planning */
    size_t size, used;
    size_t by_use[MN_MEMORY_USES];
};

/* Plans when base is NULL, else carves. Never fails while planning; carving what was planned cannot
 * fail either. */
void *mn_pool_take(struct mn_pool *pool, enum mn_memory_use use, size_t count, size_t size);
/* Allocates what was planned and rewinds the pool for carving; names both sizes when it does not
 * fit. */
MN_CHECKED mn_status mn_pool_commit(struct mn_pool *pool);
void mn_pool_close(struct mn_pool *pool);
const char *mn_memory_use_name(enum mn_memory_use use);

#ifdef __cplusplus
}
#endif
#endif
