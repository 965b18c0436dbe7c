/* statistics.h: what may be said of two systems that answered the same items. */
#ifndef MINUANO_STATISTICS_H
#define MINUANO_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

struct mn_interval {
    double low, high; /* NaN where nothing can be said */
};

/* s/sqrt(n) of a share, with n-1 in s. NaN below two items. */
double mn_standard_error(int64_t correct, int64_t total);

/* Wilson's score interval (1927) of a share, 95 %. */
struct mn_interval mn_wilson(int64_t correct, int64_t total);

/* Exact McNemar test, two-sided: twice the binomial tail of the rarer flip among all flips at one
 * half, at most 1 (McNemar 1947; exact form in Agresti, Categorical Data Analysis, 10.1). */
double mn_mcnemar_exact(int64_t gained, int64_t lost);

/* Of the change of a share among `items` answered twice, 95 %, items taken as independent: half an
 * item is added to each cell of the two by two table, then Wald's (Agresti and Min, Statistics in
 * Medicine 24, 2005). For slices within one cluster. */
struct mn_interval mn_paired_interval(int64_t gained, int64_t lost, int64_t items);

/* One item, answered by both; cluster is 0 … clusters-1. */
struct mn_pair {
    int before, after; /* 1 right, 0 wrong */
    int cluster;
};

struct mn_change {
    int64_t items, gained, lost; /* wrong before and right after; right before and wrong after */
    double before, after;        /* accuracies; NaN without items */
    double change;               /* after - before */
    struct mn_interval interval; /* of change, 95 %; NaN below two clusters */
    double p;                    /* mn_mcnemar_exact */
    int clusters;                /* that hold items */
};

enum mn_cluster_weight {
    MN_WEIGHT_ITEMS,   /* a cluster counts as many times as it has items: micro */
    MN_WEIGHT_CLUSTERS /* every cluster counts once: macro; before, after and change are means of
                          clusters */
};
/* The interval is the percentile interval of a bootstrap that draws whole clusters with replacement
 * (Field and Welsh 2007), MN_BOOTSTRAP_DRAWS times by Philox: items of one database or subject
 * stand or fall together. */
enum { MN_BOOTSTRAP_DRAWS = 10000 };
void mn_paired_change(const struct mn_pair *pairs, size_t count, int clusters,
                      enum mn_cluster_weight weight, uint64_t seed, struct mn_change *out);

#endif
