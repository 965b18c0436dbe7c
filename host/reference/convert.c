/* convert.c: numbers between files (fp32, fp16, bf16) and activations (fp32 here). */
#include "reference.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint16_t to_bf16(float x)
{
    uint32_t bits = to_bits(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(bits >> 16 | 0x40u); /* a NaN stays one */
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static float from_bf16(uint16_t half)
{
    return from_bits((uint32_t)half << 16);
}

float mn_ref_bf16_round(float x)
{
    return from_bf16(to_bf16(x));
}

static float from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u;
    uint32_t fraction = half & 1023u;
    if (exponent == 31) return from_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * (1.0f / 16777216.0f); /* subnormal: fraction · 2^-24, exact */
    return sign ? -small : small;
}

static uint16_t to_f16(float x)
{
    uint32_t bits = to_bits(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* rounds beyond 65504 */
    if (magnitude < 0x38800000u) { /* below 2^-14: adding 0.5 rounds at 2^-24 */
        uint32_t rounded = to_bits(from_bits(magnitude) + 0.5f);
        return (uint16_t)(sign | (rounded - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

static mn_status unknown_type(const char *op, enum mn_dtype type)
{
    return mn_fail(MN_INVALID, "%s: expected type fp32, fp16 or bf16, found %d", op, (int)type);
}

mn_status mn_ref_load_convert(mn_act *out, const void *in, enum mn_dtype type, int64_t count,
                              mn_stream s)
{
    (void)s;
    float *y = f32(out);
    const uint16_t *half = in;
    switch (type) {
    case MN_F32:
        if (count > 0) memcpy(y, in, (size_t)count * sizeof *y);
        return MN_OK;
    case MN_F16:
        for (int64_t i = 0; i < count; i++) y[i] = from_f16(half[i]);
        return MN_OK;
    case MN_BF16:
        for (int64_t i = 0; i < count; i++) y[i] = from_bf16(half[i]);
        return MN_OK;
    }
    return unknown_type("load_convert", type);
}

mn_status mn_ref_store_convert(void *out, enum mn_dtype type, const mn_act *in, int64_t count,
                               mn_stream s)
{
    (void)s;
    const float *x = cf32(in);
    uint16_t *half = out;
    switch (type) {
    case MN_F32:
        if (count > 0) memcpy(out, x, (size_t)count * sizeof *x);
        return MN_OK;
    case MN_F16:
        for (int64_t i = 0; i < count; i++) half[i] = to_f16(x[i]);
        return MN_OK;
    case MN_BF16:
        for (int64_t i = 0; i < count; i++) half[i] = to_bf16(x[i]);
        return MN_OK;
    }
    return unknown_type("store_convert", type);
}
