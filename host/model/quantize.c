/* quantize.c: double quantization of NF4's block scales (Dettmers et al. 2023, section 3), as
 * bitsandbytes computes it: absmax minus its mean, in blocks of 256, each divided by its own
 * absolute maximum and rounded to the nearest of 256 values of the "dynamic" 8-bit code. The scales
 * are kept expanded: only their values change. */
#include <math.h>
#include <stdlib.h>

#include "internal.h"

enum { CODES = 256, BLOCK = 256, EXPONENTS = 7 };

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Seven decades 10^-6 … 1, decade i cut into 2^i equal parts of [0.1, 1] whose midpoints are the
 * codes, with both signs; and 0 and 1. */
static void dynamic_code(float code[CODES])
{
    int n = 0;
    for (int i = 0; i < EXPONENTS; i++) {
        const int parts = 1 << i;
        const double decade = pow(10, i - (EXPONENTS - 1));
        for (int p = 0; p < parts; p++) {
            const float low = (float)(0.1 + 0.9 * p / parts),
                        high = (float)(0.1 + 0.9 * (p + 1) / parts);
            const float value = (float)decade * ((low + high) / 2.0f);
            code[n++] = value;
            code[n++] = -value;
        }
    }
    code[n++] = 0;
    code[n++] = 1;
    qsort(code, CODES, sizeof *code, compare_floats);
}

static float nearest(const float code[CODES], float value)
{
    int low = 0, high = CODES - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (code[middle] <= value)
            low = middle;
        else
            high = middle;
    }
    return value - code[low] <= code[high] - value ? code[low] : code[high];
}

void mn_double_quantize(float *absmax, int64_t count)
{
    float code[CODES];
    double sum = 0;
    dynamic_code(code);
    for (int64_t i = 0; i < count; i++) sum += absmax[i];
    const float mean = (float)(sum / (double)count);
    for (int64_t begin = 0; begin < count; begin += BLOCK) {
        const int64_t end = begin + BLOCK < count ? begin + BLOCK : count;
        float scale = 0;
        for (int64_t i = begin; i < end; i++) scale = fmaxf(scale, fabsf(absmax[i] - mean));
        for (int64_t i = begin; i < end; i++) {
            const float unit = scale > 0 ? (absmax[i] - mean) / scale : 0;
            absmax[i] = nearest(code, unit) * scale + mean;
        }
    }
}
