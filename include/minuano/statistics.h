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
    double holm_p;               /* p among its family, see mn_holm; NaN: of no family */
    double design_effect;        /* mn_design_effect; 1 below two clusters */
    double detectable;           /* mn_detectable_change of these items; NaN: none, or macro */
    int clusters;                /* that hold items */
};

enum mn_cluster_weight {
    MN_WEIGHT_ITEMS,   /* a cluster counts as many times as it has items: micro */
    MN_WEIGHT_CLUSTERS /* every cluster counts once: macro; before, after and change are means of
                          clusters */
};
/* The interval is a percentile interval of a bootstrap that draws whole clusters with replacement
 * (Field and Welsh 2007), MN_BOOTSTRAP_DRAWS times by Philox: items of one database or subject
 * stand or fall together. Few clusters vary too little in it, so its ends are moved out as
 * Hesterberg does ("expanded percentile", The American Statistician 69, 2015, 4.3): with 20
 * databases 94 in 100 such intervals hold the true change, where plain percentiles hold 92
 * (tests/oracle/statistics.py); with five they hold 92, not 83. Where all clusters changed alike,
 * mn_paired_interval's. */
enum { MN_BOOTSTRAP_DRAWS = 10000 };
void mn_paired_change(const struct mn_pair *pairs, size_t count, int clusters,
                      enum mn_cluster_weight weight, uint64_t seed, struct mn_change *out);

/* The 97.5 % point of Student's t. */
double mn_student_975(int freedom);

/* Holm's step-down adjustment (1979): the i-th smallest of m is multiplied by m - i + 1, and is no
 * less than the one before it; at most 1. */
void mn_holm(const double *p, size_t count, double *adjusted);

/* How many times the variance of a change exceeds that of independent items, because items of a
 * cluster stand or fall together: Σ_c (Σ_i in c (d_i - d))² C/(C-1) over Σ_i (d_i - d)² N/(N-1),
 * with d_i = after - before (Kish, Survey Sampling, 1965, 8.2; variance by linearization, Liang and
 * Zeger 1986). At least 1; 1 below two clusters or where no item varies. */
double mn_design_effect(const struct mn_pair *pairs, size_t count, int clusters);

/* The smallest change that McNemar's test, two-sided at 5 %, finds with a power of 80 %, when the
 * share `discordance` of `items` flips one way or the other: the δ that solves
 * n δ² = (z_α √ψ + z_β √(ψ - δ²))², n = items / design_effect (Connor, Biometrics 43 (1987), 207;
 * the same as Chow, Shao and Wang, Sample Size Calculations in Clinical Research, 5.6). NaN where
 * no change up to ψ would do. */
double mn_detectable_change(double items, double discordance, double design_effect);

/* Whether a model is as often right as it is sure (Naeini et al. 2015; Guo et al. 2017): answers in
 * ten bins of equal width by confidence, (0, 0.1] … (0.9, 1]; error is the mean of |share right -
 * mean confidence| over the bins, weighted by their answers. */
enum { MN_CALIBRATION_BINS = 10 };
struct mn_calibration_bin {
    int64_t items, correct;
    double confidence; /* mean; NaN without items */
};
struct mn_calibration {
    int64_t items;
    double confidence, error; /* NaN without items */
    struct mn_calibration_bin bins[MN_CALIBRATION_BINS];
};
void mn_calibrate(const double *confidence, const int *correct, size_t count,
                  struct mn_calibration *out);

#endif
