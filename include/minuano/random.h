/* random.h: counter-based random numbers: the same (seed, stream, index) gives the same bits on
 * every device, in any order. Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011).
 *
 * Streams keep uses apart: see enum mn_random_stream. Header only, for kernels use it too. */
#ifndef MINUANO_RANDOM_H
#define MINUANO_RANDOM_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define MN_DEVICE_INLINE __host__ __device__ static __forceinline__
#else
#define MN_DEVICE_INLINE static inline
#endif

/* High 32 bits of a stream; the low 32 bits are free for the use (layer, module, sequence). */
enum mn_random_stream {
    MN_RANDOM_INIT = 1,    /* adapter initialization */
    MN_RANDOM_DROPOUT = 2, /* low bits: the module; see struct mn_lora in ops.h */
    MN_RANDOM_SAMPLE = 3,  /* low bits: number of the sequence */
    MN_RANDOM_SHUFFLE = 4, /* low bits: epoch */
    MN_RANDOM_WEIGHTS = 5, /* random models for bench and tests */
    MN_RANDOM_BOOTSTRAP = 6,
    MN_RANDOM_TEST = 7,
};

MN_DEVICE_INLINE uint64_t mn_stream_id(enum mn_random_stream use, uint32_t low)
{
    return ((uint64_t)use << 32) | low;
}

struct mn_philox {
    uint32_t word[4];
};

MN_DEVICE_INLINE struct mn_philox mn_philox(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)stream,
             c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct mn_philox out = {{c0, c1, c2, c3}};
    return out;
}

/* The 32-bit word of element i of a stream: four consecutive elements share one Philox block. */
MN_DEVICE_INLINE uint32_t mn_random_word(uint64_t seed, uint64_t stream, uint64_t i)
{
    return mn_philox(seed, stream, i >> 2).word[i & 3];
}

/* Group i of a stream: 32 bits, each 1 with probability threshold / 2^16 for a threshold below
 * 2^16, any two of them independent. Bit b is the carry out of v + threshold, where bits 8 … 15 of
 * v are bits b of words 8·i … 8·i+7, and bits 0 … 7 of v, which decide one time in 256, are bits
 * b+11 of the same words, exclusive or bits b+21 (modulo 32). So the words are digits of 32 numbers
 * at once, and all carries take one step a digit. */
MN_DEVICE_INLINE uint32_t mn_random_bits(uint64_t seed, uint64_t stream, uint64_t i,
                                         uint32_t threshold)
{
    const struct mn_philox block[2] = {mn_philox(seed, stream, 2 * i),
                                       mn_philox(seed, stream, 2 * i + 1)};
    uint32_t carry = 0;
    for (int j = 0; j < 16; j++) {
        const uint32_t word = block[j / 4 % 2].word[j % 4];
        const uint32_t low = (word >> 11 | word << 21) ^ (word >> 21 | word << 11);
        const uint32_t digit = j < 8 ? low : word, added = 0u - (threshold >> j & 1u);
        carry = (digit & added) | (carry & (digit | added));
    }
    return carry;
}

/* Groups of 32 that hold `count` bits. */
MN_DEVICE_INLINE int mn_bit_groups(int count)
{
    return count / 32 + (count % 32 > 0);
}

/* In (0, 1), never 0 nor 1: 23 bits, centred. */
MN_DEVICE_INLINE float mn_word_uniform(uint32_t word)
{
    return ((float)(word >> 9) + 0.5f) * (1.0f / 8388608.0f);
}

MN_DEVICE_INLINE float mn_random_uniform(uint64_t seed, uint64_t stream, uint64_t i)
{
    return mn_word_uniform(mn_random_word(seed, stream, i));
}

/* Standard normal, Box-Muller on two words of the element's own block. */
MN_DEVICE_INLINE float mn_random_normal(uint64_t seed, uint64_t stream, uint64_t i)
{
    struct mn_philox block = mn_philox(seed, stream, i);
    float radius = sqrtf(-2.0f * logf(mn_word_uniform(block.word[0])));
    return radius * cosf(6.2831853071795864f * mn_word_uniform(block.word[1]));
}

/* Uniform in 0 … bound-1, bias below 2^-32. */
MN_DEVICE_INLINE uint32_t mn_random_below(uint64_t seed, uint64_t stream, uint64_t i,
                                          uint32_t bound)
{
    return (uint32_t)(((uint64_t)mn_random_word(seed, stream, i) * bound) >> 32);
}

/* Fisher-Yates order of 0 … count-1 (host only). */
void mn_random_permutation(uint64_t seed, uint64_t stream, int64_t *out, int64_t count);

#endif
