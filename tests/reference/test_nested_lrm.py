"""Nested logistic models give what R gives: rms, pROC, on independent and repeated rows, to 1e-6.

The R code is nested_lrm.R beside this file, with its versions and date.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.biomarker import coefficients, compare
from models.incremental import apparent_auc_difference
from models.marker_shape import shape
from models.nested import Fits, Nested, fit_nested
from models.unpenalised import clustered_covariance

HERE = Path(__file__).resolve().parent
INPUT = pd.read_csv(HERE / "nested_lrm_input.csv")
EXPECTED = pd.read_csv(HERE / "nested_lrm_expected.csv").pivot_table(
    index="case", columns="figure", values="value"
)
CASES = ["independent", "clustered"]


def nested(case: str) -> tuple[Nested, Fits]:
    rows = INPUT[INPUT["case"] == case]
    found = Nested(
        rows["y"].to_numpy(float),
        rows[["age", "group"]].to_numpy(float),
        rows[["marker"]].to_numpy(float),
        rows["person"].to_numpy(),
    )
    return found, fit_nested(found)


@pytest.mark.parametrize("case", CASES)
def test_likelihood_ratio_and_adequacy_are_those_of_lrm(case: str) -> None:
    found = compare(*nested(case))
    expected = EXPECTED.loc[case]

    test = found["likelihood_ratio"]
    assert test["statistic"] == pytest.approx(expected["lr_statistic"], abs=1e-6)
    assert test["p_value_independent_rows"] == pytest.approx(expected["lr_p"], rel=1e-6)
    assert found["adequacy"]["base"] == pytest.approx(expected["adequacy"], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_coefficients_and_their_error_are_those_of_lrm(case: str) -> None:
    _, fits = nested(case)
    expected = EXPECTED.loc[case]

    terms = ["Intercept", "age", "group", "marker"]
    assert fits.full.coefficients == pytest.approx([expected[f"coef_{t}"] for t in terms], abs=1e-6)
    assert np.sqrt(fits.full.covariance[3, 3]) == pytest.approx(expected["se_marker"], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_clustered_error_is_that_of_robcov_times_the_correction(case: str) -> None:
    data, fits = nested(case)

    found = clustered_covariance(fits.full, data.person)[3, 3]

    # persons / (persons - terms)
    uncorrected = found * (data.n_persons - 4) / data.n_persons
    assert np.sqrt(uncorrected) == pytest.approx(EXPECTED.loc[case, "robust_se_marker"], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_spline_tests_are_those_of_anova_and_lrtest(case: str) -> None:
    data, _ = nested(case)
    independent = Nested(data.y, data.base, data.added, np.arange(len(data.y)))

    found = shape(independent)
    expected = EXPECTED.loc[case]

    assert found["nonlinear"]["df"] == 3
    assert found["nonlinear"]["statistic"] == pytest.approx(expected["spline_wald"], abs=1e-6)
    ratio = found["nonlinear_likelihood_ratio"]["statistic"]
    assert ratio == pytest.approx(expected["spline_lr"], abs=1e-6)


def test_auc_difference_of_the_fitted_models_is_procs_paired_delong() -> None:
    data, fits = nested("independent")

    found = apparent_auc_difference(data.y, data.person, (fits.base.risk, fits.full.risk))
    expected = EXPECTED.loc["independent"]

    assert found.method == "DeLong"
    assert found.estimate == pytest.approx(expected["auc_difference"], abs=1e-6)
    assert found.lower == pytest.approx(expected["auc_lower"], abs=1e-6)
    assert found.upper == pytest.approx(expected["auc_upper"], abs=1e-6)
    assert found.p_value == pytest.approx(expected["auc_p"], rel=1e-6)


def test_interval_per_sd_is_that_per_unit_times_the_sd() -> None:
    data, fits = nested("independent")

    row = coefficients(data, fits)[0]
    expected = EXPECTED.loc["independent"]

    half = 1.959963984540054 * expected["se_marker"]
    assert row["per_unit"]["upper"] == pytest.approx(expected["coef_marker"] + half, abs=1e-6)
    assert row["per_sd"]["lower"] == pytest.approx(
        (expected["coef_marker"] - half) * data.added.std(ddof=1), abs=1e-6
    )
