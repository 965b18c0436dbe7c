/* bootstrap.c: the change between two systems, and its interval by resampling whole clusters. */
#include "minuano/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "minuano/arena.h"
#include "minuano/random.h"

/* P(|T| <= t) for whole degrees of freedom, as the finite series of Abramowitz and Stegun, 26.7.3
 * and 26.7.4. */
static double student_within(double t, int freedom)
{
    static const double pi = 3.141592653589793;
    double angle = atan(t / sqrt(freedom)), cosine = cos(angle), term = 1, sum = 0;
    bool odd = freedom % 2;
    if (odd) term = cosine;
    for (int k = odd ? 3 : 2; k <= freedom; k += 2) {
        sum += term;
        term *= cosine * cosine * (k - 1) / k;
    }
    return odd ? 2 / pi * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double mn_student_975(int freedom)
{
    double low = 0, high = 20; /* 12.7 at one degree of freedom, and less at more */
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (student_within(middle, freedom) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return high;
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

/* What is left out at either end: 2.5 % for many clusters, less for few, which by themselves vary
 * too little: the normal tail beyond sqrt(C/(C-1)) t (Hesterberg 2015, 4.3). */
static double tail_of(int clusters)
{
    double reach = sqrt(clusters / (clusters - 1.0)) * mn_student_975(clusters - 1);
    return erfc(reach / sqrt(2)) / 2;
}

/* NaN below two clusters. */
static struct mn_interval bootstrap(const struct cluster *clusters, int count, uint64_t seed)
{
    if (count < 2) return (struct mn_interval){NAN, NAN};
    double *draws = mn_realloc(NULL, MN_BOOTSTRAP_DRAWS, sizeof *draws), tail = tail_of(count);
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
    struct mn_interval interval = {quantile(draws, MN_BOOTSTRAP_DRAWS, tail),
                                   quantile(draws, MN_BOOTSTRAP_DRAWS, 1 - tail)};
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
    /* Clusters that all changed alike say nothing of how much they vary: their items do. */
    if (out->interval.low == out->interval.high)
        out->interval = mn_paired_interval(out->gained, out->lost, out->items);
    out->p = mn_mcnemar_exact(out->gained, out->lost);
    out->holm_p = out->detectable = NAN;
    out->design_effect = mn_design_effect(pairs, count, clusters);
    if (count && weight == MN_WEIGHT_ITEMS)
        out->detectable = mn_detectable_change(
            (double)count, (double)(out->gained + out->lost) / (double)count, out->design_effect);
    free(list);
}
