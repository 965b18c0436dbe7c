/* kernel.c: register tiles of the reference GEMM: AVX-512, AVX2 with FMA, and plain C.
 *
 * Binaries must run on any machine, so the wider two are compiled for their own target and chosen
 * at run time. A tile fills the registers with sums: 12 × 2 of 32, 6 × 2 of 16. */
#include "kernel.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* rows × 2 vectors of `lanes` floats; the loops over constants are unrolled by the compiler. */
#define TILE(name, isa, vector, lanes, height, zero, broadcast, load, store, fma)                  \
    __attribute__((target(isa))) static void name(float *tile, const float *a, const float *b,     \
                                                  int inner)                                       \
    {                                                                                              \
        vector sum[height][2];                                                                     \
        for (int r = 0; r < height; r++) sum[r][0] = sum[r][1] = zero();                           \
        for (int k = 0; k < inner; k++, a += height, b += 2 * lanes) {                             \
            vector low = load(b), high = load(b + lanes);                                          \
            for (int r = 0; r < height; r++) {                                                     \
                vector x = broadcast(a[r]);                                                        \
                sum[r][0] = fma(x, low, sum[r][0]);                                                \
                sum[r][1] = fma(x, high, sum[r][1]);                                               \
            }                                                                                      \
        }                                                                                          \
        for (int r = 0; r < height; r++) {                                                         \
            store(tile + (2 * r) * lanes, sum[r][0]);                                              \
            store(tile + (2 * r + 1) * lanes, sum[r][1]);                                          \
        }                                                                                          \
    }

TILE(tile_avx512, "avx512f", __m512, 16, 12, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps,
     _mm512_storeu_ps, _mm512_fmadd_ps)
TILE(tile_avx2, "avx2,fma", __m256, 8, 6, _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps,
     _mm256_storeu_ps, _mm256_fmadd_ps)
#endif

enum { PLAIN_ROWS = 4, PLAIN_COLS = 8 };

static void tile_plain(float *tile, const float *a, const float *b, int inner)
{
    float sum[PLAIN_ROWS][PLAIN_COLS] = {{0}};
    for (int k = 0; k < inner; k++, a += PLAIN_ROWS, b += PLAIN_COLS)
        for (int r = 0; r < PLAIN_ROWS; r++)
            for (int c = 0; c < PLAIN_COLS; c++) sum[r][c] += a[r] * b[c];
    memcpy(tile, sum, sizeof sum);
}

const struct mn_ref_kernel *mn_ref_kernel_at(int i)
{
    static const struct mn_ref_kernel plain = {"plain C", PLAIN_ROWS, PLAIN_COLS, tile_plain};
#if defined(__x86_64__)
    static const struct mn_ref_kernel avx512 = {"AVX-512", 12, 32, tile_avx512};
    static const struct mn_ref_kernel avx2 = {"AVX2", 6, 16, tile_avx2};
    if (__builtin_cpu_supports("avx512f") && i-- == 0) return &avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && i-- == 0) return &avx2;
#endif
    return i == 0 ? &plain : NULL;
}

const struct mn_ref_kernel *mn_ref_kernel(void)
{
    return mn_ref_kernel_at(0);
}
