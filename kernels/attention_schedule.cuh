/* attention_schedule.cuh: which piece of a ragged batch a block that stays on its multiprocessor
 * works on next.
 *
 * An item is (sequence, level, kv head); a sequence has a level for every `tokens` of it, and a
 * higher level is more work. Items are numbered through sections of a few sequences, whose rows
 * stay in the L2 cache, and in a section from the highest level down: blocks draw numbers from a
 * ticket, so one that is done early takes more, and what comes last is short. The numbers say who
 * computes an item and when, never how: its bits do not depend on them. */
#ifndef MINUANO_KERNELS_ATTENTION_SCHEDULE_CUH
#define MINUANO_KERNELS_ATTENTION_SCHEDULE_CUH

#include "common.cuh"

struct schedule {
    int *ticket; /* 0 between kernels; NULL where nobody draws */
    int section; /* sequences, at most a warp's lanes */
    int tokens;  /* of a level */
    int blocks;
};

/* A section takes about `rounds` rounds of all blocks. */
static inline schedule make_schedule(int *ticket, const mn_segments *segments, int kv_heads,
                                     int tokens, int rounds, int multiprocessors)
{
    const int64_t of_longest = (int64_t)ceil_div(segments->max_length, tokens) * kv_heads,
                  most = of_longest * segments->sequences;
    const int section = ceil_div(rounds * (int64_t)multiprocessors, of_longest);
    return {ticket, section < WARP ? section : (int)WARP, tokens,
            most < multiprocessors ? (int)most : multiprocessors};
}

struct item {
    int sequence, begin, length, level, kv;
};

/* A warp's way through the numbers, which only grow. A lane knows one sequence of the section. */
struct section_walk {
    int first, before, count;  /* first sequence; items of earlier sections, and of this one */
    int begin, length, levels; /* of the lane's sequence */
    int level, above;          /* level reached, and items above it */

    __device__ void enter(const mn_segments &segments, const schedule &plan, int kv_heads)
    {
        const int lane = threadIdx.x & 31;
        begin = length = 0;
        if (lane < plan.section && first + lane < segments.sequences) {
            begin = segments.offsets[first + lane];
            length = segments.offsets[first + lane + 1] - begin;
        }
        levels = (length + plan.tokens - 1) / plan.tokens;
        count = __reduce_add_sync(~0u, levels) * kv_heads;
        level = __reduce_max_sync(~0u, levels) - 1;
        above = 0;
    }

    /* False past the last item; before + count is then the number of all. */
    __device__ bool find(item *out, int number, const mn_segments &segments, const schedule &plan,
                         int kv_heads)
    {
        while (number >= before + count) {
            if (first + plan.section >= segments.sequences) return false;
            before += count;
            first += plan.section;
            enter(segments, plan, kv_heads);
        }
        unsigned reach = __ballot_sync(~0u, levels > level);
        while (number >= before + above + __popc(reach) * kv_heads) {
            above += __popc(reach) * kv_heads;
            level--;
            reach = __ballot_sync(~0u, levels > level);
        }
        const int pair = number - before - above;
        const bool wanted =
            levels > level && __popc(reach & ((1u << (threadIdx.x & 31)) - 1)) == pair / kv_heads;
        const int lane = __ffs((int)__ballot_sync(~0u, wanted)) - 1;
        *out = {first + lane, __shfl_sync(~0u, begin, lane), __shfl_sync(~0u, length, lane), level,
                pair % kv_heads};
        return true;
    }
};

/* The next number, in all lanes of the warp that asks. */
__device__ __forceinline__ int draw(const schedule &plan)
{
    int number = 0;
    if ((threadIdx.x & 31) == 0) number = atomicAdd(plan.ticket, 1);
    return __shfl_sync(~0u, number, 0);
}

/* After a draw past all items; every block makes one. The last of them clears the ticket. */
__device__ __forceinline__ void end_draws(int number, const section_walk &walk,
                                          const schedule &plan)
{
    if (number == walk.before + walk.count + (int)gridDim.x - 1 && (threadIdx.x & 31) == 0)
        *plan.ticket = 0;
}

#endif
