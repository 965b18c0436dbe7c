/* dtype.c: elements of files as floats on the host, for adapters and merging. Weights of a model go
 * through the device instead (load_convert). */
#include <string.h>

#include "internal.h"

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, mantissa = half & 0x3ff;
    const uint32_t exponent = half >> 10 & 0x1f;
    if (exponent == 0x1f) return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) /* zero and subnormal: mantissa * 2^-24 is exact */
        return from_bits(sign | to_bits((float)mantissa * 5.9604644775390625e-8f));
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static uint16_t float_to_half(float value)
{
    const uint32_t bits = to_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00); /* 65520 and above round to inf */
    if (magnitude <
        0x38800000) /* subnormal: adding 0.5 leaves round(value * 2^24) in the mantissa */
        return (uint16_t)(sign | (to_bits(from_bits(magnitude) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13));
}

static uint16_t float_to_bfloat(float value)
{
    const uint32_t bits = to_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void mn_to_floats(float *out, const void *data, enum mn_dtype type, int64_t count)
{
    const unsigned char *bytes = data;
    if (type == MN_F32) {
        if (count) memcpy(out, data, (size_t)count * sizeof *out);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        uint16_t word;
        memcpy(&word, bytes + 2 * i, sizeof word);
        out[i] = type == MN_F16 ? half_to_float(word) : from_bits((uint32_t)word << 16);
    }
}

void mn_from_floats(void *out, enum mn_dtype type, const float *in, int64_t count)
{
    if (type == MN_F32) {
        if (count) memcpy(out, in, (size_t)count * sizeof *in);
        return;
    }
    uint16_t *words = out;
    for (int64_t i = 0; i < count; i++)
        words[i] = type == MN_F16 ? float_to_half(in[i]) : float_to_bfloat(in[i]);
}
