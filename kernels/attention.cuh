/* attention.cuh: what attention forward, backward and decode share: how query heads are packed into
 * tiles, and how tiles are loaded.
 *
 * The group = heads / kv_heads query heads that read one kv head are packed beside each other as
 * rows of one tile: row r of a tile that begins at token q0 is token q0 + r / group, head kv *
 * group + r % group. Each key tile is then read once for the whole group, a decode step fills a
 * tile with its group, and dK, dV sum over the group in one block. */
#ifndef MINUANO_KERNELS_ATTENTION_CUH
#define MINUANO_KERNELS_ATTENTION_CUH

#include "common.cuh"
#include "tile.cuh"

enum {
    TILE = 64,           /* rows of every shared tile: packed query rows, or keys */
    ATTENTION_WARPS = 4, /* 16 rows of the tile each */
    ATTENTION_THREADS = 32 * ATTENTION_WARPS,
};
static constexpr float LOG2E = 1.4426950408889634f;
static constexpr float LN2 = 0.6931471805599453f;

/* Tokens whose groups fill one tile. */
__host__ __device__ __forceinline__ int tile_tokens(int group)
{
    return TILE / group;
}

/* Heads that one tile can hold, and a row length that the kernels are built for. */
static inline mn_status check_attention_dim(const char *op, const mn_attention_shape *shape)
{
    if (shape->head_dim != 64 && shape->head_dim != 128)
        return mn_fail(MN_UNSUPPORTED, "%s: head_dim: expected 64 or 128 on CUDA, found %d", op,
                       shape->head_dim);
    if (shape->heads / shape->kv_heads > TILE)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: expected at most %d query heads a kv head on CUDA, found %d", op,
                       (int)TILE, shape->heads / shape->kv_heads);
    return MN_OK;
}

/* A block may use more than 48 KiB of shared memory only after this. */
static inline mn_status allow_shared(const void *kernel, int bytes)
{
    cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    return error == cudaSuccess ? MN_OK
                                : cuda_failed("shared memory of an attention kernel", error);
}

/* Packed query rows of one (sequence, kv head, tile) in a (rows, ld) array whose columns begin with
 * the query heads. */
struct packed_rows {
    int64_t first; /* element of (first token of the sequence, first head of the group) */
    int64_t ld;
    int q0, length; /* first token of the tile, tokens of the sequence */
    int group;
};

__device__ __forceinline__ bool packed_row(const packed_rows &p, int r, int hd, int64_t *offset,
                                           int *token)
{
    int t = r / p.group;
    *token = p.q0 + t;
    *offset = p.first + (int64_t)(p.q0 + t) * p.ld + (r - t * p.group) * hd;
    return t < tile_tokens(p.group) && *token < p.length;
}

/* TILE packed rows into shared memory, zeros where there is no row. */
template <int HD>
__device__ __forceinline__ void load_packed(uint32_t tile, const __nv_bfloat16 *x,
                                            const packed_rows &p)
{
    constexpr int CHUNKS = HD / 8;
#pragma unroll 2 /* unrolled further, the addresses would push the accumulators out of the         \
                    registers */
    for (int i = threadIdx.x; i < TILE * CHUNKS; i += ATTENTION_THREADS) {
        int r = i / CHUNKS, chunk = i % CHUNKS, token;
        int64_t offset;
        bool valid = packed_row(p, r, HD, &offset, &token);
        copy_async_16(tile_chunk<HD>(tile, r, chunk), valid ? x + offset + 8 * chunk : x, valid);
    }
}

/* The keys and values one query sees, in order: `prefix` rows of the cache, then its own rows.
 * Tiles are counted over both together, so that a shared prefix gives the same bits as the same
 * tokens unshared. */
struct key_rows {
    const __nv_bfloat16 *prefix_k, *prefix_v, *k, *v;
    int64_t prefix_ld, ld;
    int prefix, count; /* count: prefix and own */
};

/* Keys j0 … j0 + TILE - 1 and their values. Rows that do not exist are zeros, so that 0 * garbage
 * never is NaN. */
template <int HD>
__device__ __forceinline__ void load_keys(uint32_t k_tile, uint32_t v_tile, const key_rows &keys,
                                          int j0)
{
    constexpr int CHUNKS = HD / 8;
#pragma unroll 2
    for (int i = threadIdx.x; i < TILE * CHUNKS; i += ATTENTION_THREADS) {
        int r = i / CHUNKS, chunk = i % CHUNKS, j = j0 + r;
        bool valid = j < keys.count, shared = j < keys.prefix;
        int64_t at = (shared ? j * keys.prefix_ld : (j - keys.prefix) * keys.ld) + 8 * chunk;
        const __nv_bfloat16 *k = shared ? keys.prefix_k : keys.k,
                            *v = shared ? keys.prefix_v : keys.v;
        copy_async_16(tile_chunk<HD>(k_tile, r, chunk), valid ? k + at : k, valid);
        copy_async_16(tile_chunk<HD>(v_tile, r, chunk), valid ? v + at : v, valid);
    }
}

/* c (16 x COLUMNS) = rows row0 … +15 of a_tile times rows b_row0 … +COLUMNS-1 of b_tile,
 * transposed. */
template <int HD, int COLUMNS>
__device__ __forceinline__ void product_rows(float (&c)[COLUMNS / 8][4], uint32_t a_tile, int row0,
                                             uint32_t b_tile, int b_row0, int lane)
{
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++) c[n][0] = c[n][1] = c[n][2] = c[n][3] = 0.0f;
#pragma unroll
    for (int k = 0; k < HD / 16; k++) {
        uint32_t a[4];
        load_a<HD>(a, a_tile, row0, k, lane);
#pragma unroll
        for (int n = 0; n < COLUMNS / 16; n++) {
            uint32_t b[4];
            load_b_rows<HD>(b, b_tile, b_row0 + 16 * n, k, lane);
            mma_bf16(c[2 * n], a, b[0], b[1]);
            mma_bf16(c[2 * n + 1], a, b[2], b[3]);
        }
    }
}

/* c (16 x HD) += p (16 x COLUMNS, rounded to bf16) times rows b_row0 … +COLUMNS-1 of b_tile. */
template <int HD, int COLUMNS>
__device__ __forceinline__ void product_columns(float (&c)[HD / 8][4],
                                                const float (&p)[COLUMNS / 8][4], uint32_t b_tile,
                                                int b_row0, int lane)
{
#pragma unroll
    for (int k = 0; k < COLUMNS / 16; k++) {
        uint32_t a[4];
        accumulators_as_a(a, p[2 * k], p[2 * k + 1]);
#pragma unroll
        for (int n = 0; n < HD / 16; n++) {
            uint32_t b[4];
            load_b_columns<HD>(b, b_tile, b_row0 + 16 * k, n, lane);
            mma_bf16(c[2 * n], a, b[0], b[1]);
            mma_bf16(c[2 * n + 1], a, b[2], b[3]);
        }
    }
}

/* 2^x in one instruction; results below the normal range are zeros. */
__device__ __forceinline__ float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Softmax state of the two rows a lane shares: base-2 running maximum, and the sum over the lane's
 * own columns. */
struct softmax_rows {
    float max[2], sum[2];
};

/* Scores become probabilities relative to the new maximum; what was summed before, the output too,
 * must shrink by the factor given. Columns are masked before: -INFINITY. */
template <int TILES_S>
__device__ __forceinline__ void softmax_step(softmax_rows &state, float (&shrink)[2],
                                             float (&s)[TILES_S][4], float scale_log2)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float peak = -INFINITY, sum = 0.0f;
#pragma unroll
        for (int n = 0; n < TILES_S; n++)
            peak = fmaxf(peak, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        const float now = fmaxf(state.max[half], quad_max(peak) * scale_log2);
        const float base = now == -INFINITY ? 0.0f : now; /* a row that has seen no key yet */
        shrink[half] = exp2_fast(state.max[half] - base);
#pragma unroll
        for (int n = 0; n < TILES_S; n++)
#pragma unroll
            for (int c = 2 * half; c < 2 * half + 2; c++) {
                s[n][c] = exp2_fast(s[n][c] * scale_log2 - base);
                sum += s[n][c];
            }
        state.max[half] = now;
        state.sum[half] = state.sum[half] * shrink[half] + sum;
    }
}

/* After the last step: the sums of whole rows. */
__device__ __forceinline__ void softmax_end(softmax_rows &state)
{
    state.sum[0] = quad_sum(state.sum[0]);
    state.sum[1] = quad_sum(state.sum[1]);
}

template <int TILES_O>
__device__ __forceinline__ void rescale(float (&o)[TILES_O][4], const float (&shrink)[2])
{
#pragma unroll
    for (int n = 0; n < TILES_O; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) o[n][c] *= shrink[c >> 1];
}

/* Row lane/4 + 8 * half of accumulators, times scale, to HD elements at `to`. The four lanes of a
 * row exchange words first (a 4 x 4 transposition), so that each stores sixteen bytes and together
 * they fill whole sectors. */
template <int HD>
__device__ __forceinline__ void store_row(__nv_bfloat16 *to, const float (&c)[HD / 8][4], int half,
                                          float scale, int lane)
{
    const unsigned quad = 0xfu << (lane & 28);
    const bool odd = lane & 1, upper = lane & 2;
    uint4 *chunks = reinterpret_cast<uint4 *>(to) + (lane & 3);
#pragma unroll
    for (int n = 0; n < HD / 8; n += 4) {
        uint32_t w[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[i] = pack2(c[n + i][2 * half] * scale, c[n + i][2 * half + 1] * scale);
#pragma unroll
        for (int i = 0; i < 4; i += 2) {
            const uint32_t got = __shfl_xor_sync(quad, odd ? w[i] : w[i + 1], 1);
            if (odd)
                w[i] = got;
            else
                w[i + 1] = got;
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t got = __shfl_xor_sync(quad, upper ? w[i] : w[i + 2], 2);
            if (upper)
                w[i] = got;
            else
                w[i + 2] = got;
        }
        chunks[n] = make_uint4(w[0], w[1], w[2], w[3]);
    }
}

/* attention_forward_sm90.cu */
bool attention_forward_sm90_fits(const mn_attention_forward *args);
mn_status attention_forward_sm90(const mn_attention_forward *args, mn_stream s);

#endif
