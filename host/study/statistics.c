/* statistics.c: intervals, the exact McNemar test, and the clustered bootstrap. */
#include "minuano/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "minuano/arena.h"
#include "minuano/random.h"

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

/* What a cluster adds to numerator and denominator of the change. */
struct cluster {
    double before, after, weight;
};

static int collect(const struct mn_pair *pairs, size_t count, int clusters,
                   enum mn_cluster_weight weight, struct cluster *out)
{
    int filled = 0;
    for (int c = 0; c < clusters; c++) out[c] = (struct cluster){0};
    for (size_t i = 0; i < count; i++) {
        struct cluster *cluster = &out[pairs[i].cluster];
        cluster->before += pairs[i].before;
        cluster->after += pairs[i].after;
        cluster->weight += 1;
    }
    for (int c = 0; c < clusters; c++) {
        if (out[c].weight == 0) continue;
        out[filled] = out[c];
        if (weight == MN_WEIGHT_CLUSTERS) {
            out[filled].before /= out[c].weight;
            out[filled].after /= out[c].weight;
            out[filled].weight = 1;
        }
        filled++;
    }
    return filled;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The share q of sorted values, linear between neighbours, as numpy's percentile. */
static double quantile(const double *sorted, size_t count, double q)
{
    double at = q * (double)(count - 1);
    size_t below = (size_t)at;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static struct mn_interval bootstrap(const struct cluster *clusters, int count, uint64_t seed)
{
    if (count < 2) return (struct mn_interval){NAN, NAN};
    double *draws = mn_realloc(NULL, MN_BOOTSTRAP_DRAWS, sizeof *draws);
    uint64_t stream = mn_stream_id(MN_RANDOM_BOOTSTRAP, 0), index = 0;
    for (int d = 0; d < MN_BOOTSTRAP_DRAWS; d++) {
        double change = 0, weight = 0;
        for (int c = 0; c < count; c++) {
            uint32_t pick = mn_random_below(seed, stream, index++, (uint32_t)count);
            change += clusters[pick].after - clusters[pick].before;
            weight += clusters[pick].weight;
        }
        draws[d] = change / weight;
    }
    qsort(draws, MN_BOOTSTRAP_DRAWS, sizeof *draws, compare_doubles);
    struct mn_interval interval = {quantile(draws, MN_BOOTSTRAP_DRAWS, 0.025),
                                   quantile(draws, MN_BOOTSTRAP_DRAWS, 0.975)};
    free(draws);
    return interval;
}

void mn_paired_change(const struct mn_pair *pairs, size_t count, int clusters,
                      enum mn_cluster_weight weight, uint64_t seed, struct mn_change *out)
{
    struct cluster *list = mn_realloc(NULL, (size_t)clusters + 1, sizeof *list);
    double before = 0, after = 0, total = 0;
    *out = (struct mn_change){.items = (int64_t)count};
    for (size_t i = 0; i < count; i++) {
        out->gained += pairs[i].after > pairs[i].before;
        out->lost += pairs[i].after < pairs[i].before;
    }
    out->clusters = collect(pairs, count, clusters, weight, list);
    for (int c = 0; c < out->clusters; c++) {
        before += list[c].before;
        after += list[c].after;
        total += list[c].weight;
    }
    out->before = before / total;
    out->after = after / total;
    out->change = (after - before) / total;
    out->interval = bootstrap(list, out->clusters, seed);
    out->p = mn_mcnemar_exact(out->gained, out->lost);
    out->holm_p = out->detectable = NAN;
    out->design_effect = mn_design_effect(pairs, count, clusters);
    if (count && weight == MN_WEIGHT_ITEMS)
        out->detectable = mn_detectable_change(
            (double)count, (double)(out->gained + out->lost) / (double)count, out->design_effect);
    free(list);
}
