/* schedule.c: the course of the learning rate, as transformers' get_*_schedule_with_warmup. */
#include "minuano/train.h"

#include <math.h>

double mn_schedule_factor(enum mn_schedule schedule, int64_t done, int64_t warmup, int64_t total)
{
    if (done < warmup) return (double)done / (double)warmup;
    double course = total > warmup ? (double)(done - warmup) / (double)(total - warmup) : 1;
    switch (schedule) {
    case MN_SCHEDULE_LINEAR:
        return total > warmup && done < total ? (double)(total - done) / (double)(total - warmup)
                                              : 0;
    case MN_SCHEDULE_COSINE: return fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * course)));
    case MN_SCHEDULE_CONSTANT: return 1;
    }
    return 1;
}
