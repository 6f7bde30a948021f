"""Judging predictions gives what R gives: rms, pROC, lowess, on seven data sets, to 1e-6.

The R code is validation_rms_proc.R beside this file, with its versions and date.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from models.decision import net_benefit
from models.discrimination import (
    Placements,
    auc_difference,
    auc_interval,
    clustered_variance,
    placements,
)
from models.judged import Judged
from models.lowess import make_lowess
from models.metrics import all_metrics

HERE = Path(__file__).resolve().parent
INPUT = pd.read_csv(HERE / "validation_rms_proc_input.csv")
EXPECTED = pd.read_csv(HERE / "validation_rms_proc_expected.csv", index_col="case")
CURVES = pd.read_csv(HERE / "validation_rms_proc_lowess.csv")
# Name in val.prob: our name.
VAL_PROB = {
    "R2": "r2_nagelkerke",
    "Brier": "brier",
    "Intercept": "intercept",
    "Slope": "slope",
    "Emax": "emax",
    "E90": "e90",
    "Eavg": "ici",
    "E50": "e50",
}
BINNED = [c for c in EXPECTED.index if c != "continuous"]


def judged(case: str, by_row: bool = False) -> tuple[Judged, np.ndarray, np.ndarray]:
    """Return a data set, one model's risks and another's."""
    rows = INPUT[INPUT["case"] == case]
    y = rows["y"].to_numpy(float)
    person = np.arange(len(rows)) if by_row else rows["person"].to_numpy() - 1
    found = Judged(y, person, np.zeros((1, len(y)), dtype=int))
    return found, rows["p"].to_numpy(), rows["p2"].to_numpy()


def figures(case: str) -> dict[str, float]:
    data, risk, _ = judged(case)
    return {n: v[0] for n, v in all_metrics(data, risk[None], np.ones((1, len(risk)))).items()}


@pytest.mark.parametrize("case", EXPECTED.index)
@pytest.mark.parametrize("theirs", VAL_PROB)
def test_calibration_and_overall_figures_are_those_of_val_prob(case: str, theirs: str) -> None:
    """Golden: v <- val.prob(p, y); E50 is the median of the error it averages to Eavg."""
    assert figures(case)[VAL_PROB[theirs]] == pytest.approx(EXPECTED.loc[case, theirs], abs=1e-6)


@pytest.mark.parametrize("case", BINNED)
def test_discrimination_is_that_of_val_prob_where_its_bins_hold_one_risk(case: str) -> None:
    """Golden: val.prob's C (ROC), and Dxy = 2 (C - 1/2)."""
    auc = figures(case)["auc"]

    assert auc == pytest.approx(EXPECTED.loc[case, "C"], abs=1e-6)
    assert 2 * (auc - 0.5) == pytest.approx(EXPECTED.loc[case, "Dxy"], abs=1e-6)


@pytest.mark.parametrize("case", EXPECTED.index)
def test_discrimination_is_that_of_somers2(case: str) -> None:
    """Golden: Hmisc::somers2(p, y)["C"], which does not bin."""
    assert figures(case)["auc"] == pytest.approx(EXPECTED.loc[case, "C_exact"], abs=1e-9)


@pytest.mark.parametrize("case", CURVES["case"].unique())
def test_smooth_is_that_of_lowess(case: str) -> None:
    """Golden: lowess(p, y, iter = 0), with its defaults f = 2/3 and delta = 1 % of the range."""
    data, risk, _ = judged(case)
    smooth = make_lowess(risk)
    curve = CURVES[CURVES["case"] == case]

    fitted = smooth.at_risks(smooth.smooth(data.y, np.ones((1, len(risk)))), curve["x"].to_numpy())

    np.testing.assert_allclose(fitted[0], curve["y"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", EXPECTED.index)
def test_delong_interval_is_that_of_proc(case: str) -> None:
    """Golden: ci.auc(roc(y, p), method = "delong")."""
    data, risk, _ = judged(case, by_row=True)

    found = auc_interval(data, risk, "delong")

    for ours, theirs in (
        (found.lower, "auc_lower"),
        (found.estimate, "auc"),
        (found.upper, "auc_upper"),
    ):
        assert ours == pytest.approx(EXPECTED.loc[case, theirs], abs=1e-6), theirs


@pytest.mark.parametrize("case", EXPECTED.index)
def test_paired_delong_test_is_that_of_proc(case: str) -> None:
    """Golden: roc.test(roc(y, p), roc(y, p2), method = "delong", paired = TRUE)."""
    data, risk, other = judged(case, by_row=True)
    row = EXPECTED.loc[case]

    found = auc_difference(data, risk, other, "delong")

    assert found.estimate == pytest.approx(row["auc"] - row["auc_second"], abs=1e-6)
    assert found.lower == pytest.approx(row["difference_lower"], abs=1e-6)
    assert found.upper == pytest.approx(row["difference_upper"], abs=1e-6)
    assert found.p_value == pytest.approx(row["difference_p"], abs=1e-6)
    half = (found.upper - found.lower) / 2 / norm.ppf(0.975)
    assert found.estimate / half == pytest.approx(row["difference_z"], abs=1e-6)


@pytest.mark.parametrize("case", EXPECTED.index)
def test_clustered_variance_is_that_of_the_definition(case: str) -> None:
    """Golden: Obuchowski's double sums over persons, written out in validation_rms_proc.R."""
    data, risk, other = judged(case)
    first, second = (placements(data.y, r, data.person) for r in (risk, other))
    paired = Placements(first.value - second.value, first.is_event, first.person)

    assert clustered_variance(first) == pytest.approx(
        EXPECTED.loc[case, "clustered_variance"], rel=1e-9
    )
    assert clustered_variance(paired) == pytest.approx(
        EXPECTED.loc[case, "clustered_difference_variance"], rel=1e-9
    )


@pytest.mark.parametrize("case", EXPECTED.index)
def test_net_benefit_is_its_definition(case: str) -> None:
    """By definition: true positives less false ones at the odds of the threshold, per row."""
    data, risk, _ = judged(case)
    thresholds = np.array([0.01, 0.05, 0.2, 0.5, 0.8])

    model, everybody = net_benefit(data.y, risk, np.ones((1, len(risk))), thresholds)

    for at, t in enumerate(thresholds):
        true = sum(1 for y, p in zip(data.y, risk, strict=True) if p >= t and y == 1)
        false = sum(1 for y, p in zip(data.y, risk, strict=True) if p >= t and y == 0)
        n, events = len(risk), int(data.y.sum())
        assert model[0, at] == pytest.approx(true / n - false / n * t / (1 - t), abs=1e-12)
        treated = events / n - (n - events) / n * t / (1 - t)
        assert everybody[0, at] == pytest.approx(treated, abs=1e-12)
