/* statistics.c: intervals of shares and of paired changes, and the exact McNemar test. */
#include "minuano/statistics.h"

#include <math.h>

static const double z95 = 1.959963984540054;

double mn_standard_error(int64_t correct, int64_t total)
{
    double n = (double)total, p = (double)correct / n;
    return total > 1 ? sqrt(p * (1 - p) / (n - 1)) : NAN;
}

struct mn_interval mn_wilson(int64_t correct, int64_t total)
{
    if (total < 1) return (struct mn_interval){NAN, NAN};
    double n = (double)total, p = (double)correct / n, z2 = z95 * z95;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    /* The ends are exact where all or none are right. */
    return (struct mn_interval){correct == 0 ? 0 : centre - half,
                                correct == total ? 1 : centre + half};
}

double mn_mcnemar_exact(int64_t gained, int64_t lost)
{
    int64_t n = gained + lost, rarer = gained < lost ? gained : lost;
    double tail = 0, log_all = lgamma((double)n + 1) - (double)n * log(2.0);
    if (gained == lost) return 1; /* no flips at all as well */
    /* In logarithms: a factorial of some thousand flips is no double. */
    for (int64_t i = rarer; i >= 0; i--)
        tail += exp(log_all - lgamma((double)i + 1) - lgamma((double)(n - i) + 1));
    return tail < 0.5 ? 2 * tail : 1;
}

struct mn_interval mn_paired_interval(int64_t gained, int64_t lost, int64_t items)
{
    if (items < 1) return (struct mn_interval){NAN, NAN};
    double n = (double)items + 2, up = (double)gained + 0.5, down = (double)lost + 0.5;
    double change = (up - down) / n;
    double half = z95 * sqrt(up + down - (up - down) * (up - down) / n) / n;
    return (struct mn_interval){fmax(change - half, -1), fmin(change + half, 1)};
}
