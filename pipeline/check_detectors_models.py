"""Detectors of sins in figures, models and artefacts: each yields what it saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import check_figures as figures
from models import check_tables as rows
from pipeline.check_evidence import PERSON, Target, UnseenError, need
from pipeline.check_register import Seen, of_target

# ---- risks


@of_target("EIH025")
def classes_reweighted(t: Target) -> Seen:
    """Look for weights of classes in the ladder."""
    yield from rows.reweighted_parts(dict(need(t.ladder, "ladder: training refuses the data")))


@of_target("EIH026")
def risks_off_on_average(t: Target) -> Seen:
    """Look at calibration in the large."""
    yield from figures.excludes(t.shown()["intervals"]["in_the_large"], 0.0, "in the large")


@of_target("EIH027")
def slope_off(t: Target) -> Seen:
    """Look at the calibration slope."""
    yield from figures.excludes(t.shown()["intervals"]["slope"], 1.0, "slope")


@of_target("EIH028")
def calibration_unknown(t: Target) -> Seen:
    """Look for slope and calibration index."""
    yield from figures.unknown_calibration(t.shown()["intervals"])


@of_target("EIH029")
def no_decision_curve(t: Target) -> Seen:
    """Look for a decision curve."""
    if not t.shown()["net_benefit"]:
        yield "no threshold was declared."


@of_target("EIH030")
def no_benefit_anywhere(t: Target) -> Seen:
    """Look for a threshold at which the model helps."""
    yield from figures.no_benefit(t.shown()["net_benefit"])


@of_target("EIH031")
def threshold_by_habit(t: Target) -> Seen:
    """Look where the threshold comes from."""
    yield from figures.habitual_threshold(t.shown()["classification"])


@of_target("EIH033")
def few_resamples(t: Target) -> Seen:
    """Count the resamples of every interval."""
    shown = t.shown()
    yield from figures.few_resamples({"auc": shown["auc"], **shown["intervals"]})


@of_target("EIH034")
def interval_missing(t: Target) -> Seen:
    """Look for figures without an interval."""
    yield from figures.missing_limits(figures.headline(t.shown()))


@of_target("EIH048")
def figure_unknown(t: Target) -> Seen:
    """Look for figures that could not be computed."""
    for name, found in t.judged()["candidates"].items():
        yield from figures.unknown_figures(name, figures.headline(found))


@of_target("EIH049")
def certain_risks(t: Target) -> Seen:
    """Look for risks of exactly 0 or 1."""
    table = need(t.predictions, f"{t.name}/train/predictions.parquet")
    yield from rows.certain_risks(table[[c for c in table.columns if c.startswith("p_")]])


@of_target("EIH032")
def rows_taken_as_persons(t: Target) -> Seen:
    """Compare the persons judged with those of the predictions file."""
    table = need(t.predictions, f"{t.name}/train/predictions.parquet")
    once = table[(table["repeat"] == 0) & table["y"].notna()]
    persons = len(table[PERSON].drop_duplicates())
    yield from figures.rows_as_persons(t.judged()["n_participants"], persons, len(once))


# ---- size and stability


@of_target("EIH035")
def too_few_persons(t: Target) -> Seen:
    """Repeat the sample-size verdict."""
    yield from figures.too_small(t.judged()["sample_size"])


@of_target("EIH036")
def no_model(t: Target) -> Seen:
    """Repeat why there is no model."""
    found = need(t.selection, f"{t.name}/train/selection.json")
    if "not_enough_data" in found:
        yield str(found["not_enough_data"])


@of_target("EIH037")
def trees_not_shown_better(t: Target) -> Seen:
    """Compare selected trees with the logistic rung."""
    if t.trained()["selected"] != "xgboost":
        return
    table = need(t.predictions, f"{t.name}/train/predictions.parquet")
    person = np.asarray(table.groupby(PERSON, sort=True).ngroup(), dtype=np.int64)
    risks = (_numbers(table, "p_xgboost"), _numbers(table, "p_logistic"))
    yield from rows.not_better(_numbers(table, "y"), person, risks)


def _numbers(table: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    return table[column].to_numpy(dtype=np.float64)


@of_target("EIH038")
def unstable_classes(t: Target) -> Seen:
    """Read the result of the stability protocol."""
    run = {n: p for n, p in t.protocols.items() if n.startswith("stability_")}
    for found in need(run or None, "result of eih stability").values():
        yield from figures.unstable(found)


@of_target("EIH055")
def no_better_than_shuffled(t: Target) -> Seen:
    """Read the result of the permutation audit."""
    found = need(t.protocols.get("audit"), "result of eih audit")
    yield from figures.no_better_than_shuffled(found)


# ---- artefacts


@of_target("EIH050")
def rows_left_out(t: Target) -> Seen:
    """Count rows that were not judged."""
    yield from figures.left_out(t.judged())


@of_target("EIH051")
def older_than_the_data(t: Target) -> Seen:
    """Compare hashes of data and splits."""
    _some(t)
    if not t.data_sha256:
        raise UnseenError("hash of the data: training refuses them")
    splits = t.plan.sha256() if t.plan is not None else None
    for name, bundle in t.bundles.items():
        if bundle["record"]["data_sha256"] != t.data_sha256:
            yield f"'{name}' was trained on other data than features and outcomes hold now."
        if splits is not None and bundle["record"]["split_sha256"] != splits:
            yield f"'{name}' was tuned on other splits than train/splits.json holds."


@of_target("EIH052")
def other_contract(t: Target) -> Seen:
    """Repeat why this program does not accept a bundle."""
    _some(t)
    if t.refused:
        yield t.refused


@of_target("EIH053")
def code_not_recorded(t: Target) -> Seen:
    """Look at the commit that a bundle was made with."""
    _some(t)
    for commit in sorted({str(b["record"].get("git_commit") or "") for b in t.bundles.values()}):
        if not commit:
            yield "no git commit is recorded."
        elif commit.endswith("-dirty"):
            yield f"the code had changes that were not committed ({commit})."


def _some(t: Target) -> None:
    if not t.bundles:
        raise UnseenError(f"{t.name}/train/candidates")


@of_target("EIH054")
def subgroup_not_judged(t: Target) -> Seen:
    """Look for subgroups below the smallest cell."""
    t.judged()
    yield from figures.small_groups(need(t.subgroups, f"{t.name}/evaluate/subgroups.json"))
