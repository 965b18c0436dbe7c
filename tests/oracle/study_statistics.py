"""The numbers in tests/study/test_power.c, from scipy, statsmodels and numpy.

python3 study_statistics.py: prints them. Nothing here shares code with the program.
"""
import numpy as np
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def pairs():
    """120 items in 11 clusters of unequal size; the test makes the same ones."""
    i = np.arange(120)
    cluster = (i * i + 3 * i) % 11
    before = (i * 7 % 10 < 5).astype(int)
    after = ((i * i * 3 + cluster * 5) % 13 < 3 + cluster).astype(int)
    return cluster, before, after


def detectable(items, discordance):
    za, zb = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
    lack = lambda d: d * np.sqrt(items) - za * np.sqrt(discordance) - zb * np.sqrt(discordance - d * d)
    return optimize.brentq(lack, 0, discordance, xtol=1e-15)


def calibration(confidence, correct):
    error = 0
    for low in range(10):
        here = (confidence > low / 10) & (confidence <= (low + 1) / 10)
        if here.any():
            error += here.mean() * abs(correct[here].mean() - confidence[here].mean())
    return error


def expanded_tail(clusters):
    """Hesterberg, The American Statistician 69 (2015), 4.3."""
    return stats.norm.cdf(-np.sqrt(clusters / (clusters - 1)) * stats.t.ppf(0.975, clusters - 1))


def coverage(clusters, studies=1500):
    """How often the interval holds the true change of databases that differ: expanded, and plain."""
    rng = np.random.default_rng(0)
    tails, held = (100 * expanded_tail(clusters), 2.5), np.zeros(2)
    for _ in range(studies):
        size = rng.integers(20, 90, clusters)
        up, down = rng.beta(2, 6, clusters), rng.beta(1, 9, clusters)
        gained = rng.binomial(size, up)
        sums = gained - rng.binomial(size - gained, np.minimum(1, down / (1 - up)))
        pick = rng.integers(0, clusters, (2000, clusters))
        draws = sums[pick].sum(1) / size[pick].sum(1)
        for k, tail in enumerate(tails):
            low, high = np.percentile(draws, [tail, 100 - tail])
            held[k] += low <= 2 / 8 - 1 / 10 <= high
    return held / studies


cluster, before, after = pairs()
change = after - before
print("gained, lost", (change > 0).sum(), (change < 0).sum(), "clusters", len(set(cluster)))
table = [[0, (change > 0).sum()], [(change < 0).sum(), 0]]
print("McNemar p %.17g" % mcnemar(table, exact=True).pvalue)
print("Wilson 81/263", proportion_confint(81, 263, method="wilson"))
plain = sm.OLS(change, np.ones(120)).fit()
robust = plain.get_robustcov_results("cluster", groups=cluster)
print("design effect %.17g" % (robust.bse[0] / plain.bse[0]) ** 2)
rng = np.random.default_rng(1)
sums = np.array([[change[cluster == c].sum(), (cluster == c).sum()] for c in sorted(set(cluster))])
draws = sums[rng.integers(len(sums), size=(400000, len(sums)))].sum(axis=1)
draws = draws[:, 0] / draws[:, 1]
tail = expanded_tail(len(sums))
print("bootstrap %.6f %.6f, deviation %.6f, tail %.17g"
      % (*np.percentile(draws, [100 * tail, 100 - 100 * tail]), draws.std(), tail))
for freedom in (1, 2, 4, 19, 56, 165):
    print("Student 97.5 %% at %d: %.17g" % (freedom, stats.t.ppf(0.975, freedom)))
for clusters in (5, 20, 57):
    print("coverage with %d clusters: %.3f, by plain percentiles %.3f" % (clusters, *coverage(clusters)))

for p in ([0.01, 0.04, 0.03, 0.005], [0.2, 0.001, 0.9, 0.02, 0.02, 0.3]):
    print("Holm", p, ["%.17g" % x for x in multipletests(p, method="holm")[1]])

# Chow, Shao and Wang, 5.6: discordant 0.7, a change of 0.3 needs 59 patients.
for items, discordance in ((59, 0.7), (1034, 0.25), (14042, 0.1), (20, 0.9)):
    print("detectable", items, discordance, "%.17g" % detectable(items, discordance))

i = np.arange(40)
confidence = 0.25 + 0.75 * (i * 37 % 40) / 40
correct = (i * 11 % 7 < 4).astype(int)
print("calibration error %.17g, confidence %.17g" % (calibration(confidence, correct), confidence.mean()))
