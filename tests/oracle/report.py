"""Every number of a study's report, computed again from its rows by scipy, statsmodels and numpy.

minuano report RUN --format json > report.json; python3 report.py RUN report.json

Reads RUN/results.sqlite; nothing here shares code with the program. The bootstrap draws its own numbers: its ends must
agree within what 10,000 draws leave open.
"""
import json
import sqlite3
import sys

import numpy as np
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

STEM, HUMANITIES, SOCIAL = (set(names.split()) for names in (
    "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science college_mathematics "
    "college_physics computer_security conceptual_physics electrical_engineering elementary_mathematics "
    "high_school_biology high_school_chemistry high_school_computer_science high_school_mathematics "
    "high_school_physics high_school_statistics machine_learning",
    "formal_logic high_school_european_history high_school_us_history high_school_world_history international_law "
    "jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory professional_law "
    "world_religions",
    "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics "
    "high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations "
    "security_studies sociology us_foreign_policy"))
checked = 0


def group_of(subject):
    for name, subjects in (("STEM", STEM), ("humanities", HUMANITIES), ("social sciences", SOCIAL)):
        if subject in subjects:
            return name
    return "other"


def same(what, found, expected, tolerance=1e-9):
    global checked
    checked += 1
    if expected is None or (isinstance(expected, float) and np.isnan(expected)):
        assert found is None, f"{what}: found {found}, expected nothing"
        return
    assert found is not None, f"{what}: found nothing, expected {expected}"
    assert abs(found - expected) <= tolerance * max(1, abs(expected)), f"{what}: found {found}, expected {expected}"


def detectable(items, discordance, effect):
    """Connor 1987, as a root; None where no change up to the discordance would do."""
    n, za, zb = items / effect, stats.norm.ppf(0.975), stats.norm.ppf(0.8)
    lack = lambda d: d * np.sqrt(n) - za * np.sqrt(discordance) - zb * np.sqrt(max(0, discordance - d * d))
    if discordance == 0 or lack(discordance) < 0:
        return None
    return optimize.brentq(lack, 0, discordance, xtol=1e-14)


def design_effect(change, cluster):
    if len(set(cluster)) < 2 or change.std() == 0:
        return 1.0
    plain = sm.OLS(change, np.ones(len(change))).fit()
    robust = plain.get_robustcov_results("cluster", groups=np.unique(cluster, return_inverse=True)[1])
    return max(1.0, (robust.bse[0] / plain.bse[0]) ** 2)


def items_interval(gained, lost, items):
    """Agresti and Min 2005."""
    n, up, down = items + 2, gained + 0.5, lost + 0.5
    half = stats.norm.ppf(0.975) * np.sqrt(up + down - (up - down) ** 2 / n) / n
    return max(-1, (up - down) / n - half), min(1, (up - down) / n + half)


def cluster_interval(change, cluster, macro):
    """The ends of Hesterberg's expanded percentile interval, and the error that 10,000 draws leave each."""
    names = sorted(set(cluster))
    sums = np.array([[change[cluster == c].sum(), (cluster == c).sum()] for c in names], float)
    if macro:
        sums = np.stack([sums[:, 0] / sums[:, 1], np.ones(len(sums))], 1)
    if len(names) < 2:
        return None
    if np.ptp(sums[:, 0] / sums[:, 1]) < 1e-12:
        return "alike"
    tail = stats.norm.cdf(-np.sqrt(len(names) / (len(names) - 1)) * stats.t.ppf(0.975, len(names) - 1))
    rng = np.random.default_rng(0)
    draws = np.sort(np.concatenate([
        (lambda d: d[:, 0] / d[:, 1])(sums[rng.integers(len(sums), size=(20000, len(sums)))].sum(1)) for _ in range(10)]))
    spread = 4 * np.sqrt(tail * (1 - tail) / 10000)
    ends = []
    for q in (tail, 1 - tail):
        low, high = np.quantile(draws, [max(0, q - spread), min(1, q + spread)])
        ends.append((low - 1e-9, high + 1e-9))
    return ends


def check_change(what, found, before, after, cluster, macro=False, one=False):
    before, after, cluster = np.array(before, int), np.array(after, int), np.array(cluster)
    same(f"{what}: items", found["items"], len(before))
    if not len(before):
        return
    change = after - before
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    same(f"{what}: gained", found["gained"], gained)
    same(f"{what}: lost", found["lost"], lost)
    p = mcnemar([[0, gained], [lost, 0]], exact=True).pvalue if gained + lost else 1.0
    same(f"{what}: p", found["mcnemar_p"], float(min(1, p)))
    mean = np.mean([change[cluster == c].mean() for c in set(cluster)]) if macro else change.mean()
    same(f"{what}: change", found["change"], float(mean))
    effect = design_effect(change.astype(float), cluster)
    same(f"{what}: design effect", found["design_effect"], float(effect), 1e-8)
    if not macro:
        same(f"{what}: detectable", found["detectable"],
             detectable(len(change), (gained + lost) / len(change), effect), 1e-8)
    ends = "alike" if one else cluster_interval(change, cluster, macro)
    if ends == "alike":
        for k, end in enumerate(items_interval(gained, lost, len(change))):
            same(f"{what}: interval", found["interval"][k], float(end))
    elif ends is None:
        assert found["interval"] == [None, None], what
    else:
        for (low, high), end in zip(ends, found["interval"]):
            assert low <= end <= high, f"{what}: an end of the interval is {end}, expected {low} to {high}"


def check_spider(db, report, ids):
    rows = {s: {r[0]: r[1:] for r in db.execute(
        "SELECT item, official, db_id, coalesce(hardness, 'unknown'), error, no_rows FROM spider_item "
        "JOIN spider_question USING(item) WHERE system = ?", (s,))} for s in ids}
    for system, s in zip(report["systems"], ids):
        judged = [r for r in rows[s].values() if r[0] is not None]
        correct = sum(r[0] for r in judged)
        same("missing", system["spider"]["missing"], len(rows[s]) - len(judged))
        if judged:
            for k, end in enumerate(proportion_confint(correct, len(judged), method="wilson")):
                same("Wilson", system["spider"]["official_interval"][k], float(end))
        for name, count in system["spider"]["misses"].items():
            is_class = lambda r: name == (r[3] or ("no rows" if r[4] else "wrong rows"))
            same(f"misses, {name}", count, sum(is_class(r) for r in judged if r[0] == 0))
    for comparison, s in zip(report["comparisons"], ids[1:]):
        both = [(rows[0][i], rows[s][i]) for i in sorted(rows[0].keys() & rows[s].keys())
                if rows[0][i][0] is not None and rows[s][i][0] is not None]
        part = lambda pairs: ([a[0] for a, _ in pairs], [b[0] for _, b in pairs], [a[1] for a, _ in pairs])
        check_change("Spider", comparison["spider"]["all"], *part(both))
        for hardness, found in comparison["spider"]["hardness"].items():
            check_change(hardness, found, *part([p for p in both if p[0][2] == hardness]))


def check_mmlu(db, report, ids):
    shots = ((report["run"]["config"] or {}).get("mmlu") or {}).get("shots", 0)
    rows = {s: {r[:2]: r[2:] for r in db.execute(
        "SELECT subject, item, predicted = answer, predicted, logprob_a, logprob_b, logprob_c, logprob_d FROM mmlu_item "
        "JOIN mmlu_question USING(subject, item) WHERE system = ? AND asked_shots = ?", (s, shots))} for s in ids}
    for system, s in zip(report["systems"], ids):
        scored = [r for r in rows[s].values() if r[2] is not None and r[1] is not None]
        if not scored:
            continue
        logs = np.array([r[2:] for r in scored], np.float32).astype(float)  # as the program keeps them
        shares = np.exp(logs - logs.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        sure = shares[np.arange(len(scored)), [r[1] for r in scored]]
        right = np.array([r[0] for r in scored])
        bins = np.clip(np.ceil(sure * 10).astype(int) - 1, 0, 9)
        error = sum(abs(right[bins == b].sum() - sure[bins == b].sum()) for b in range(10)) / len(scored)
        same("calibration error", system["mmlu"]["calibration"]["error"], float(error))
        same("confidence", system["mmlu"]["calibration"]["confidence"], float(sure.mean()))
        same("mass", system["mmlu"]["micro"]["mass"], float(np.exp(logs).sum(1).mean()))
    for comparison, s in zip(report["comparisons"], ids[1:]):
        keys = sorted(rows[0].keys() & rows[s].keys())
        part = lambda keys: ([rows[0][k][0] or 0 for k in keys], [rows[s][k][0] or 0 for k in keys], [k[0] for k in keys])
        found = comparison["mmlu"]
        check_change("MMLU", found["micro"], *part(keys))
        check_change("MMLU by subjects", found["macro"], *part(keys), macro=True)
        for group, change in found["groups"].items():
            check_change(group, change, *part([k for k in keys if group_of(k[0]) == group]))
        for subject, change in found["subjects"].items():
            check_change(subject, change, *part([k for k in keys if k[0] == subject]), one=True)
        if found["subjects"]:
            changes = list(found["subjects"].values())
            adjusted = multipletests([c["mcnemar_p"] for c in changes], method="holm")[1]
            for change, p in zip(changes, adjusted):
                same("Holm", change["holm_p"], float(p))


def main():
    folder, path = sys.argv[1:]
    report = json.load(open(path))
    db = sqlite3.connect(f"file:{folder}/results.sqlite?mode=ro", uri=True)
    names = dict(db.execute("SELECT name, id FROM system"))
    ids = [names[system["name"]] for system in report["systems"]]
    check_spider(db, report, ids)
    check_mmlu(db, report, ids)
    print(f"{checked} numbers of {path} are those computed again from {folder}/results.sqlite")


main()
