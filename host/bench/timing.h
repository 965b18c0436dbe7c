/* timing.h: the median time of an op, and the rows of the table. */
#ifndef MINUANO_BENCH_TIMING_H
#define MINUANO_BENCH_TIMING_H

#include "minuano/arena.h"
#include "minuano/bench.h"

typedef mn_status bench_call(const void *job, mn_device *device);
/* Seconds of device time one call takes: the median of several samples of at least a millisecond.
 */
MN_CHECKED mn_status bench_time(double *seconds, mn_device *device, bench_call *call,
                                const void *job);
struct mn_bench_row *bench_add(struct mn_bench_rows *rows, const char *name, double seconds,
                               double work, const char *unit);
/* Middle of `count` numbers, which are sorted. */
double bench_median(double *values, int count);

#endif
