/* nf4.c: NormalFloat-4 in blocks of 64, as bitsandbytes computes it: x times the inverse of the
 * block's absmax, then the nearest value of the code book by its midpoints with a strict >. */
#include "reference.h"

#include <math.h>

enum { NF4_BLOCK = 64 };

static const float code_book[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* Between code i and i + 1, as the constants of bitsandbytes' decision tree. */
static const float midpoint[15] = {
    -0.8480964004993439f,  -0.6106329262256622f,  -0.4599952697753906f,   -0.33967943489551544f,
    -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f,
    0.1202552504837513f,   0.2035212516784668f,   0.2920137718319893f,    0.3893125355243683f,
    0.5016634166240692f,   0.6427869200706482f,   0.8614784181118011f,
};

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
