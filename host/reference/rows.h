/* rows.h: what loss.c and sample.c do to a row of logits. */
#ifndef MINUANO_REFERENCE_ROWS_H
#define MINUANO_REFERENCE_ROWS_H

#include <math.h>

static inline double log_sum_exp(const float *x, int count)
{
    float top = x[0];
    for (int i = 1; i < count; i++) top = x[i] > top ? x[i] : top;
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)expf(x[i] - top);
    return (double)top + log(sum);
}

#endif
