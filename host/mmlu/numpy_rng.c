/* numpy_rng.c: the one order of numpy that the seed study fixed: default_rng(seed).permutation(n).
 *
 * numpy's generator is PCG64, seeded through SeedSequence; its stream is frozen by numpy's
 * compatibility policy for bit generators. Checked against numpy by
 * tests/oracle/make_mmlu_fixtures.py. */
#include "minuano/mmlu.h"

__extension__ typedef unsigned __int128 uint128;

struct pcg64 {
    uint128 state, increment;
    bool has_half; /* a 64-bit output gives two 32-bit ones, the low half first */
    uint32_t half;
};

enum { POOL = 4 };

/* SeedSequence's hash of one word; the constant moves with every use. */
static uint32_t hash_word(uint32_t value, uint32_t *constant, uint32_t multiplier)
{
    value ^= *constant;
    *constant *= multiplier;
    value *= *constant;
    return value ^ (value >> 16);
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t result = 0xca01f9ddu * x - 0x4973f715u * y;
    return result ^ (result >> 16);
}

/* SeedSequence(seed).generate_state(4, uint64). */
static void seed_state(uint32_t seed, uint64_t out[4])
{
    const uint32_t first_multiplier = 0x931e8875u, second_multiplier = 0x58f38dedu;
    uint32_t pool[POOL], words[8], constant = 0x43b0d7e5u;
    for (int i = 0; i < POOL; i++)
        pool[i] = hash_word(i == 0 ? seed : 0, &constant, first_multiplier);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to)
                pool[to] = mix(pool[to], hash_word(pool[from], &constant, first_multiplier));
    constant = 0x8b51f9ddu;
    for (int i = 0; i < 8; i++) words[i] = hash_word(pool[i % POOL], &constant, second_multiplier);
    for (int i = 0; i < 4; i++) out[i] = words[2 * i] | (uint64_t)words[2 * i + 1] << 32;
}

static void step(struct pcg64 *rng)
{
    const uint128 multiplier = (uint128)2549297995355413924ull << 64 | 4865540595714422341ull;
    rng->state = rng->state * multiplier + rng->increment;
}

static void seed_rng(struct pcg64 *rng, uint32_t seed)
{
    uint64_t word[4];
    seed_state(seed, word);
    *rng = (struct pcg64){.increment = ((uint128)word[2] << 64 | word[3]) << 1 | 1};
    step(rng);
    rng->state += (uint128)word[0] << 64 | word[1];
    step(rng);
}

static uint32_t next32(struct pcg64 *rng)
{
    if (rng->has_half) {
        rng->has_half = false;
        return rng->half;
    }
    step(rng);
    uint64_t folded = (uint64_t)(rng->state >> 64) ^ (uint64_t)rng->state;
    unsigned turn = (unsigned)(rng->state >> 122);
    uint64_t value = folded >> turn | folded << (-turn & 63);
    rng->has_half = true;
    rng->half = (uint32_t)(value >> 32);
    return (uint32_t)value;
}

/* Uniform in 0 … last: masked to its bits, drawn again while above. */
static uint32_t bounded(struct pcg64 *rng, uint32_t last)
{
    uint32_t mask = last, value;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    do value = next32(rng) & mask;
    while (value > last);
    return value;
}

void mn_numpy_permutation(uint32_t seed, int64_t *out, int64_t count)
{
    struct pcg64 rng;
    seed_rng(&rng, seed);
    for (int64_t i = 0; i < count; i++) out[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = bounded(&rng, (uint32_t)i), moved = out[i];
        out[i] = out[j];
        out[j] = moved;
    }
}
