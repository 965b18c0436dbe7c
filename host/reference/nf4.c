/* nf4.c: NormalFloat-4 in blocks of 64, as bitsandbytes computes it: x times the inverse of the
 * block's absmax, then the nearest value of the code book by its midpoints with a strict >. */
#include "reference.h"

#include <math.h>

#include "minuano/nf4.h"

enum { NF4_BLOCK = 64 };

static const float code_book[16] = {MN_NF4_CODES};
static const float midpoint[15] = {MN_NF4_MIDPOINTS};

/* A NaN (a block of zeros: 0 times infinity) is above no midpoint: code 0, and 0 again once it is
 * multiplied with its absmax. */
static unsigned nearest(float x)
{
    unsigned code = 0;
    for (int i = 0; i < 15; i++) code += x > midpoint[i];
    return code;
}

struct nf4 {
    uint8_t *codes;
    float *absmax;
    const float *in;
};

static void quantize_block(const void *job, int64_t block, void *scratch)
{
    (void)scratch;
    const struct nf4 *q = job;
    const float *x = q->in + block * NF4_BLOCK;
    float top = 0;
    for (int i = 0; i < NF4_BLOCK; i++) top = fmaxf(top, fabsf(x[i]));
    float inverse = 1.0f / top;
    for (int i = 0; i < NF4_BLOCK; i += 2) {
        unsigned high = nearest(x[i] * inverse), low = nearest(x[i + 1] * inverse);
        q->codes[(block * NF4_BLOCK + i) / 2] = (uint8_t)(high << 4 | low);
    }
    q->absmax[block] = top;
}

mn_status mn_ref_nf4_quantize(uint8_t *codes, float *absmax, const mn_act *in, int64_t count,
                              mn_stream s)
{
    MN_TRY(mn_check_nf4("nf4_quantize", count));
    struct nf4 job = {codes, absmax, cf32(in)};
    mn_ref_parallel(s, quantize_block, &job, count / NF4_BLOCK, 0);
    return MN_OK;
}

struct expansion {
    float *out;
    const uint8_t *codes;
    const float *absmax;
};

static void dequantize_block(const void *job, int64_t block, void *scratch)
{
    (void)scratch;
    const struct expansion *e = job;
    float value[16];
    for (int i = 0; i < 16; i++) value[i] = mn_ref_bf16_round(code_book[i] * e->absmax[block]);
    const uint8_t *codes = e->codes + block * NF4_BLOCK / 2;
    float *out = e->out + block * NF4_BLOCK;
    for (int i = 0; i < NF4_BLOCK / 2; i++) {
        out[2 * i] = value[codes[i] >> 4];
        out[2 * i + 1] = value[codes[i] & 15];
    }
}

mn_status mn_ref_nf4_dequantize(mn_act *out, const uint8_t *codes, const float *absmax,
                                int64_t count, mn_stream s)
{
    MN_TRY(mn_check_nf4("nf4_dequantize", count));
    struct expansion job = {f32(out), codes, absmax};
    mn_ref_parallel(s, dequantize_block, &job, count / NF4_BLOCK, 0);
    return MN_OK;
}
