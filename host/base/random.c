/* random.c: what of random.h is not inline. */
#include "minuano/random.h"

void mn_random_permutation(uint64_t seed, uint64_t stream, int64_t *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = mn_random_below(seed, stream, (uint64_t)i, (uint32_t)(i + 1));
        int64_t moved = out[i];
        out[i] = out[j];
        out[j] = moved;
    }
}
