/* attention_cudnn.cu: causal attention over ragged sequences by cuDNN: an alternative to our own
 * kernels, and what they are measured against.
 *
 * A plan takes up to a second to compile and is good for one shape, so sequences and lengths are
 * rounded up to powers of two: what a bucket holds beyond the batch are sequences without rows. A
 * batch that fills its bucket needs no lengths and gets cuDNN's faster plan for that. Leaves out:
 * shared prefixes and decoding, which stay with our kernels. */
#include "attention_cudnn.cuh"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attention_cudnn_graph.cuh"
#include "minuano/log.h"

enum {
    REMEMBERED = 64,       /* plans; the one that was not used for longest makes room */
    LEAST_LENGTH = 64,     /* below, a plan more would save nothing */
    TILE_ROWS = 256,       /* whole tiles are written to scratch, past a ragged batch's last row */
    LEAST_VERSION = 91100, /* of cuDNN: the graphs follow its rules */
};
/* What cuDNN itself wants besides the buffers that it is given: measured, with room. */
static const size_t OWN_BYTES = (size_t)1 << 20, OWN_BYTES_A_SEQUENCE = 1024;

struct remembered {
    struct attention_key key;
    struct graph_plan plan;
    uint64_t used; /* when, by the library's clock; 0: never */
};

struct attention_library {
    cudnnHandle_t handle;
    uint64_t clock;
    struct remembered slot[REMEMBERED];
};

/* --- buckets and plans ------------------------------------------------------------------------ */

static int power_of_two(int count, int least)
{
    int power = least;
    while (power < count) power *= 2;
    return power;
}

static struct attention_key key_of(const mn_segments *segments, const mn_attention_shape *shape,
                                   bool backward)
{
    struct attention_key key;
    memset(&key, 0, sizeof key); /* padding is compared, too */
    key.backward = backward;
    key.sequences = power_of_two(segments->sequences, 1);
    key.length = power_of_two(segments->max_length, LEAST_LENGTH);
    key.ragged = (int64_t)key.sequences * key.length != segments->rows;
    key.heads = shape->heads;
    key.kv_heads = shape->kv_heads;
    key.head_dim = shape->head_dim;
    return key;
}

/* Finds the plan, or compiles it in place of the one that was not used for longest. */
static mn_status plan_for(struct graph_plan **out, const char *op, const struct attention_key *key,
                          mn_stream s)
{
    struct attention_library *library = s->attention;
    struct remembered *oldest = &library->slot[0];
    for (int i = 0; i < REMEMBERED; i++) {
        struct remembered *slot = &library->slot[i];
        if (slot->used && memcmp(&slot->key, key, sizeof *key) == 0) {
            slot->used = ++library->clock;
            *out = &slot->plan;
            return MN_OK;
        }
        if (slot->used < oldest->used) oldest = slot;
    }
    if (s->capturing)
        return mn_fail(MN_DEVICE,
                       "%s: cuDNN has no plan yet for %d x %d: none can be made while a "
                       "graph is being captured",
                       op, key->sequences, key->length);
    struct graph_plan plan = {};
    const double begin = mn_seconds();
    MN_TRY(attention_plan(&plan, key, library->handle, NULL));
    mn_debug("%s: cuDNN's plan for %d x %d%s took %.1f s", op, key->sequences, key->length,
             key->ragged ? ", ragged" : "", mn_seconds() - begin);
    if (oldest->used) graph_plan_close(&oldest->plan);
    *oldest = {*key, plan, ++library->clock};
    *out = &oldest->plan;
    return MN_OK;
}

/* --- the workspace ---------------------------------------------------------------------------- */

/* Carved alike by both directions and by their *_workspace twins, from NULL. Behind the last row
 * lies a tile that nobody reads. */
struct rooms {
    float *lse, *delta;                                            /* (rows, heads) */
    int32_t *lengths;                                              /* (sequences of the bucket) */
    int64_t *qkv_offsets, *out_offsets, *kv_offsets, *lse_offsets; /* (sequences + 1) */
    float *dq_sum;             /* (rows, width of qkv), as dqkv lies */
    __nv_bfloat16 *dk, *dv;    /* (rows, kv_heads, head_dim) where kv_apart */
    char *dk_heads, *dv_heads; /* (rows, heads, head_dim) bf16; of a full bucket, cuDNN's own */
    size_t own_bytes;          /* from dk_heads on */
    size_t bytes;
};

static char *take(char **at, size_t bytes)
{
    char *taken = *at;
    *at += (bytes + 255) / 256 * 256;
    return taken;
}

static struct rooms rooms_of(void *workspace, const mn_segments *segments,
                             const mn_attention_shape *shape, bool backward)
{
    const size_t sequences = (size_t)power_of_two(segments->sequences, 1),
                 rows = (size_t)segments->rows + TILE_ROWS, row_heads = rows * (size_t)shape->heads,
                 values = row_heads * (size_t)shape->head_dim,
                 kv_values = rows * (size_t)shape->kv_heads * (size_t)shape->head_dim;
    char *begin = static_cast<char *>(workspace), *at = begin;
    struct rooms r = {};
    r.lengths = reinterpret_cast<int32_t *>(take(&at, sequences * sizeof(int32_t)));
    r.qkv_offsets = reinterpret_cast<int64_t *>(take(&at, (sequences + 1) * sizeof(int64_t)));
    r.out_offsets = reinterpret_cast<int64_t *>(take(&at, (sequences + 1) * sizeof(int64_t)));
    r.kv_offsets = reinterpret_cast<int64_t *>(take(&at, (sequences + 1) * sizeof(int64_t)));
    r.lse_offsets = reinterpret_cast<int64_t *>(take(&at, (sequences + 1) * sizeof(int64_t)));
    r.lse = reinterpret_cast<float *>(take(&at, row_heads * sizeof(float)));
    if (backward) {
        r.delta = r.lse; /* the backward is given lse */
        r.dk = reinterpret_cast<__nv_bfloat16 *>(take(&at, kv_values * sizeof(*r.dk)));
        r.dv = reinterpret_cast<__nv_bfloat16 *>(take(&at, kv_values * sizeof(*r.dv)));
        r.dq_sum = reinterpret_cast<float *>(take(&at, (values + 2 * kv_values) * sizeof(float)));
    }
    r.dk_heads = take(&at, backward ? values * sizeof(__nv_bfloat16) : 0);
    r.dv_heads = take(&at, backward ? values * sizeof(__nv_bfloat16) : 0);
    take(&at, OWN_BYTES + sequences * OWN_BYTES_A_SEQUENCE);
    r.own_bytes = (size_t)(at - r.dk_heads);
    r.bytes = (size_t)(at - begin);
    return r;
}

/* cuDNN's own scratch: behind the heads' gradients of a ragged batch; else in their place. */
static mn_status own_room(void **out, const struct rooms *r, const struct graph_plan *plan,
                          const char *op, const struct attention_key *key)
{
    const size_t kept = OWN_BYTES + (size_t)key->sequences * OWN_BYTES_A_SEQUENCE,
                 given = key->ragged ? kept : r->own_bytes;
    if ((size_t)plan->workspace > given)
        return mn_fail(MN_NO_MEMORY,
                       "%s: cuDNN's plan for %d x %d wants %lld bytes of scratch, "
                       "%zu are planned",
                       op, key->sequences, key->length, (long long)plan->workspace, given);
    *out = r->dk_heads + (r->own_bytes - given) / 256 * 256;
    return MN_OK;
}

/* Lengths and first elements of a bucket's sequences; those past the batch are empty. One thread a
 * sequence. */
__global__ void attention_extents_kernel(struct rooms r, const int32_t *offsets, int sequences,
                                         int bucket, int64_t qkv_width, int64_t out_width,
                                         int64_t kv_width, int64_t lse_width)
{
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i > bucket) return;
    const int begin = offsets[min(i, sequences)], end = offsets[min(i + 1, sequences)];
    if (i < bucket) r.lengths[i] = end - begin;
    r.qkv_offsets[i] = begin * qkv_width;
    r.out_offsets[i] = begin * out_width;
    r.kv_offsets[i] = begin * kv_width;
    r.lse_offsets[i] = begin * lse_width;
}

static mn_status write_extents(const struct rooms *r, const mn_segments *segments,
                               const struct attention_key *key, const char *op, mn_stream s)
{
    enum { THREADS = 128 };
    if (!key->ragged) return MN_OK;
    const int64_t out_width = (int64_t)key->heads * key->head_dim,
                  kv_width = (int64_t)key->kv_heads * key->head_dim,
                  qkv_width = out_width + 2 * kv_width;
    attention_extents_kernel<<<ceil_div(key->sequences + 1, THREADS), THREADS, 0, s->stream>>>(
        *r, segments->offsets, segments->sequences, key->sequences, qkv_width, out_width, kv_width,
        key->heads);
    return launched(op);
}

/* dk and dv into their columns of dqkv. One thread eight values of each. */
__global__ void attention_insert_kv_kernel(__nv_bfloat16 *dqkv, const __nv_bfloat16 *dk,
                                           const __nv_bfloat16 *dv, int64_t rows, int kv_width,
                                           int64_t qkv_width)
{
    const int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
    const int64_t row = i / kv_width, col = i % kv_width;
    if (row >= rows) return;
    __nv_bfloat16 *to = dqkv + (row + 1) * qkv_width - 2 * kv_width + col;
    *reinterpret_cast<uint4 *>(to) = *reinterpret_cast<const uint4 *>(dk + i);
    *reinterpret_cast<uint4 *>(to + kv_width) = *reinterpret_cast<const uint4 *>(dv + i);
}

static mn_status insert_kv(const mn_attention_backward *args, const struct rooms *r, const char *op,
                           mn_stream s)
{
    enum { THREADS = 256 };
    const mn_attention_shape *shape = &args->shape;
    const int kv_width = shape->kv_heads * shape->head_dim;
    const int64_t rows = args->segments.rows;
    attention_insert_kv_kernel<<<(unsigned)ceil_div(rows * kv_width, THREADS * VECTOR), THREADS, 0,
                                 s->stream>>>(bf16(args->dqkv), r->dk, r->dv, rows, kv_width,
                                              (int64_t)(shape->heads + 2 * shape->kv_heads) *
                                                  shape->head_dim);
    return launched(op);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The tensors of one call by name; `count` of them are used. */
struct operands {
    int64_t uid[ATTENTION_UIDS];
    void *at[ATTENTION_UIDS];
    int count;
};

static void add(struct operands *o, enum attention_uid uid, const void *at)
{
    o->uid[o->count] = uid;
    o->at[o->count++] = const_cast<void *>(at);
}

/* Queries, keys and values lie side by side in a row. */
static void add_qkv(struct operands *o, enum attention_uid q, enum attention_uid k,
                    enum attention_uid v, const mn_act *qkv, const mn_attention_shape *shape)
{
    const __nv_bfloat16 *keys = bf16(qkv) + (int64_t)shape->heads * shape->head_dim;
    add(o, q, qkv);
    add(o, k, keys);
    add(o, v, keys + (int64_t)shape->kv_heads * shape->head_dim);
}

/* What cuDNN reads from the host while a call is made. */
struct constants {
    float scale, hidden, one;
};

static void add_extents(struct operands *o, const struct rooms *r, const struct attention_key *key,
                        const struct constants *constants)
{
    add(o, UID_SCALE, &constants->scale);
    add(o, UID_HIDDEN, &constants->hidden);
    if (!key->ragged) return;
    add(o, UID_LENGTHS, r->lengths);
    add(o, UID_QKV_OFFSETS, r->qkv_offsets);
    add(o, UID_OUT_OFFSETS, r->out_offsets);
    add(o, UID_LSE_OFFSETS, r->lse_offsets);
}

static mn_status check_call(const char *op, const mn_segments *segments,
                            const mn_attention_shape *shape, const void *workspace, mn_stream s)
{
    if (!s->attention) return mn_fail(MN_INVALID, "%s: cuDNN was not opened on this device", op);
    if (shape->head_dim != 64 && shape->head_dim != 128)
        return mn_fail(MN_UNSUPPORTED, "%s: head_dim: expected 64 or 128 on CUDA, found %d", op,
                       shape->head_dim);
    if (segments->sequences > 1 << 20 || segments->max_length > 1 << 20)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: expected at most 2^20 sequences of at most 2^20 rows "
                       "for cuDNN, found %d of %d",
                       op, segments->sequences, segments->max_length);
    if (!workspace) return mn_fail(MN_INVALID, "%s: workspace: expected an array, found NULL", op);
    return MN_OK;
}

extern "C" size_t mn_cudnn_attention_forward_workspace(const mn_attention_forward *args)
{
    const size_t own = mn_cuda_attention_forward_workspace(args), /* with prefixes */
        theirs = rooms_of(NULL, &args->segments, &args->shape, false).bytes;
    return own > theirs ? own : theirs;
}

extern "C" mn_status mn_cudnn_attention_forward(const mn_attention_forward *args, mn_stream s)
{
    const char *op = "attention_forward";
    const mn_segments *segments = &args->segments;
    MN_TRY(mn_check_attention(op, segments, &args->shape));
    if (segments->prefix_start) return mn_cuda_attention_forward(args, s);
    if (segments->rows == 0) return MN_OK;
    MN_TRY(check_call(op, segments, &args->shape, args->workspace, s));
    const struct attention_key key = key_of(segments, &args->shape, false);
    const struct rooms r = rooms_of(args->workspace, segments, &args->shape, false);
    const struct constants constants = {args->shape.scale, -INFINITY, 1};
    struct graph_plan *plan;
    struct operands o = {};
    void *own = NULL;
    MN_TRY(plan_for(&plan, op, &key, s));
    MN_TRY(own_room(&own, &r, plan, op, &key));
    MN_TRY(write_extents(&r, segments, &key, op, s));
    add_extents(&o, &r, &key, &constants);
    add_qkv(&o, UID_Q, UID_K, UID_V, args->qkv, &args->shape);
    add(&o, UID_OUT, args->out);
    add(&o, UID_LSE, args->lse ? args->lse : r.lse);
    return graph_run(plan, op, s->attention->handle, o.uid, o.at, o.count, own);
}

extern "C" size_t mn_cudnn_attention_backward_workspace(const mn_attention_backward *args)
{
    return rooms_of(NULL, &args->segments, &args->shape, true).bytes;
}

extern "C" mn_status mn_cudnn_attention_backward(const mn_attention_backward *args, mn_stream s)
{
    const char *op = "attention_backward";
    const mn_segments *segments = &args->segments;
    MN_TRY(mn_check_attention(op, segments, &args->shape));
    if (segments->rows == 0) return MN_OK;
    if (segments->prefix_start)
        return mn_fail(MN_INVALID, "attention_backward: prefix_start: expected none, found one");
    MN_TRY(check_call(op, segments, &args->shape, args->workspace, s));
    const struct attention_key key = key_of(segments, &args->shape, true);
    if (kv_apart(&key) && mn_cuda_cudnn_version() < MN_CUDNN_PACKED)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: packed sequences with grouped heads: expected cuDNN %d or later, found "
                       "%d",
                       op, (int)MN_CUDNN_PACKED, mn_cuda_cudnn_version());
    const struct rooms r = rooms_of(args->workspace, segments, &args->shape, true);
    const struct constants constants = {args->shape.scale, -INFINITY, 1};
    struct graph_plan *plan;
    struct operands o = {};
    void *own = NULL;
    MN_TRY(plan_for(&plan, op, &key, s));
    MN_TRY(own_room(&own, &r, plan, op, &key));
    MN_TRY(write_extents(&r, segments, &key, op, s));
    add_extents(&o, &r, &key, &constants);
    add_qkv(&o, UID_Q, UID_K, UID_V, args->qkv, &args->shape);
    if (kv_apart(&key)) {
        add(&o, UID_KV_OFFSETS, r.kv_offsets);
        add(&o, UID_DQ, args->dqkv);
        add(&o, UID_DK, r.dk);
        add(&o, UID_DV, r.dv);
        add(&o, UID_DK_HEADS, r.dk_heads);
        add(&o, UID_DV_HEADS, r.dv_heads);
    } else {
        add_qkv(&o, UID_DQ, UID_DK, UID_DV, args->dqkv, &args->shape);
    }
    add(&o, UID_ONE, &constants.one);
    add(&o, UID_OUT, args->out);
    add(&o, UID_DOUT, args->dout);
    add(&o, UID_LSE, args->lse);
    add(&o, UID_DELTA, r.delta);
    add(&o, UID_DQ_SUM, r.dq_sum);
    MN_TRY(graph_run(plan, op, s->attention->handle, o.uid, o.at, o.count, own));
    return kv_apart(&key) ? insert_kv(args, &r, op, s) : MN_OK;
}

/* --- opening and closing ---------------------------------------------------------------------- */

void attention_library_close(struct attention_library **library)
{
    if (!*library) return;
    for (int i = 0; i < REMEMBERED; i++) graph_plan_close(&(*library)->slot[i].plan);
    if ((*library)->handle) cudnnDestroy((*library)->handle);
    free(*library);
    *library = NULL;
}

/* Ragged gradients of grouped heads exist on Hopper and data-centre Blackwell. */
static mn_status check_gpu(const mn_device *device)
{
    int index = 0, major = 0;
    cudaError_t error = cudaGetDevice(&index);
    if (error == cudaSuccess)
        error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
    if (error != cudaSuccess) return cuda_failed("cudaDeviceGetAttribute", error);
    if (major != 9 && major != 10)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: attention by cuDNN: expected compute capability 9 or "
                       "10, found %d",
                       device->name, major);
    if (cudnnGetVersion() < LEAST_VERSION)
        return mn_fail(MN_UNSUPPORTED, "cuDNN: expected version %d or later, found %zu",
                       (int)LEAST_VERSION, cudnnGetVersion());
    return MN_OK;
}

extern "C" mn_status mn_cuda_cudnn_open(mn_device *device, const struct mn_ops **ops)
{
    mn_stream s = device->stream;
    if (!s->attention) {
        MN_TRY(check_gpu(device));
        s->attention = static_cast<struct attention_library *>(calloc(1, sizeof *s->attention));
        if (!s->attention) return mn_fail(MN_NO_MEMORY, "no host memory for cuDNN's plans");
        cudnnStatus_t st = cudnnCreate(&s->attention->handle);
        if (st == CUDNN_STATUS_SUCCESS) st = cudnnSetStream(s->attention->handle, s->stream);
        if (st != CUDNN_STATUS_SUCCESS) {
            attention_library_close(&s->attention);
            return cudnn_failed("attention", "cudnnCreate", st);
        }
    }
    *ops = &mn_cuda_cudnn_ops;
    return MN_OK;
}

extern "C" int mn_cuda_cudnn_version(void)
{
    return (int)cudnnGetVersion();
}
