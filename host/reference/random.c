/* random.c: weights of random models, each element from its own random block. */
#include "reference.h"

#include "minuano/random.h"

enum { CHUNK = 1 << 14 };

struct normals {
    float *out;
    uint64_t seed, stream, first;
    int64_t count;
    float scale;
};

static void normal_chunk(const void *job, int64_t chunk, void *scratch)
{
    (void)scratch;
    const struct normals *n = job;
    int64_t end = (chunk + 1) * CHUNK < n->count ? (chunk + 1) * CHUNK : n->count;
    for (int64_t i = chunk * CHUNK; i < end; i++)
        n->out[i] = n->scale * mn_random_normal(n->seed, n->stream, n->first + (uint64_t)i);
}

mn_status mn_ref_random_normal(mn_act *out, uint64_t seed, uint64_t stream, uint64_t first,
                               int64_t count, float scale, mn_stream s)
{
    struct normals job = {f32(out), seed, stream, first, count, scale};
    mn_ref_parallel(s, normal_chunk, &job, (count + CHUNK - 1) / CHUNK, 0);
    return MN_OK;
}
