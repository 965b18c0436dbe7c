/* cache.cu: keys and values of packed rows into their cache rows. Two rows of kv_heads*head_dim
 * elements a block, 8 bytes moved an element. */
#include "common.cuh"

enum { CACHE_THREADS = 128 };

static __global__ void cache_write_kernel(__nv_bfloat16 *__restrict__ cache_k,
                                          __nv_bfloat16 *__restrict__ cache_v,
                                          const __nv_bfloat16 *qkv,
                                          const int32_t *__restrict__ slot, int query_dim,
                                          int kv_dim, bool wide)
{
    join_stream();
    const __nv_bfloat16 *key = qkv + (int64_t)blockIdx.x * (query_dim + 2 * kv_dim) + query_dim;
    int64_t to = (int64_t)slot[blockIdx.x] * kv_dim;
    int step = wide ? VECTOR : 1;
    for (int c = threadIdx.x * step; c < 2 * kv_dim; c += CACHE_THREADS * step) {
        __nv_bfloat16 *out = c < kv_dim ? cache_k + to + c : cache_v + to + c - kv_dim;
        if (wide)
            *reinterpret_cast<uint4 *>(out) = *reinterpret_cast<const uint4 *>(key + c);
        else
            *out = key[c];
    }
}

extern "C" mn_status mn_cuda_cache_write(mn_act *cache_k, mn_act *cache_v, const mn_act *qkv,
                                         const int32_t *slot, int rows,
                                         struct mn_attention_shape shape, mn_stream s)
{
    int query_dim = shape.heads * shape.head_dim, kv_dim = shape.kv_heads * shape.head_dim;
    int row = query_dim + 2 * kv_dim;
    MN_TRY(mn_check_rows("cache_write", rows, row, row));
    if (rows == 0) return MN_OK;
    bool wide = is_wide(cache_k, kv_dim, kv_dim) && is_wide(cache_v, kv_dim, kv_dim) &&
                is_wide(qkv, query_dim, row);
    return launch_early("cache_write", cache_write_kernel, rows, CACHE_THREADS, 0, s, bf16(cache_k),
                        bf16(cache_v), bf16(qkv), slot, query_dim, kv_dim, wide);
}
