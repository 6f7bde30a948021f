"""Intraclass correlations against psych::ICC, and what happens at the edges."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.agreement import FORMS, intraclass_correlations, mean_squares

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
TABLES = pd.read_csv(REFERENCE / "icc_input.csv")
GOLDEN = pd.read_csv(REFERENCE / "icc_expected.csv", comment="#", index_col=["table", "form"])
NAMES = list(dict.fromkeys(TABLES["table"]))


def golden_table(name):
    own = TABLES[TABLES["table"] == name]
    return own.pivot(index="row", columns="column", values="value").to_numpy()


def test_golden_tables_cover_small_large_negative_and_near_zero():
    assert len(NAMES) == 6
    assert GOLDEN.loc[("negative", "ICC(A,1)"), "estimate"] < 0
    assert GOLDEN.loc[("near_zero", "ICC(A,1)"), "lower"] < 0
    assert golden_table("large").shape == (200, 3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_icc_and_its_limits_match_psych(name, form):
    """Golden: see icc.R, psych::ICC(table, lmer = FALSE)."""
    found = intraclass_correlations(golden_table(name))[form]

    expected = GOLDEN.loc[(name, form)]
    assert (found.estimate, found.lower, found.upper) == pytest.approx(
        (expected["estimate"], expected["lower"], expected["upper"]), abs=1e-6
    )


def test_icc_reproduces_the_table_of_shrout_and_fleiss():
    found = intraclass_correlations(golden_table("shrout_fleiss_1979"))

    assert [round(found[form].estimate, 2) for form in FORMS] == [
        0.17,
        0.29,
        0.71,
        0.44,
        0.62,
        0.91,
    ]


def test_mean_squares_add_up_to_the_total_sum_of_squares():
    table = golden_table("large")
    ms = mean_squares(table)

    total = ms.rows * 199 + ms.columns * 2 + ms.error * 199 * 2

    assert total == pytest.approx(((table - table.mean()) ** 2).sum())
    assert ms.within * 200 * 2 == pytest.approx(ms.columns * 2 + ms.error * 199 * 2)


def test_wider_confidence_gives_wider_limits():
    table = golden_table("log_ratio")

    narrow, wide = (intraclass_correlations(table, c)["ICC(A,1)"] for c in (0.80, 0.99))

    assert wide.lower < narrow.lower < narrow.estimate < narrow.upper < wide.upper


@pytest.mark.parametrize("shape", [(1, 2), (5, 1), (0, 2)])
def test_icc_of_a_table_that_is_too_small_is_unknown_with_its_size(shape):
    for found in intraclass_correlations(np.zeros(shape)).values():
        assert np.isnan([found.estimate, found.lower, found.upper]).all()
        assert found.reason == f"{shape[0]} rows and {shape[1]} columns; at least 2 of both needed"


def test_icc_refuses_missing_cells_instead_of_dropping_them():
    with pytest.raises(
        ValueError, match=re.escape("expected a complete table, found missing or infinite cells")
    ):
        intraclass_correlations(np.array([[1.0, 2.0], [np.nan, 3.0], [2.0, 2.0]]))


def test_icc_of_constant_values_is_unknown_not_zero():
    for found in intraclass_correlations(np.full((6, 3), 250.0)).values():
        assert np.isnan(found.estimate)
        assert found.reason == "no value differs from another"


def test_icc_of_identical_sessions_is_one_without_an_interval():
    once = np.array([[1.1], [2.2], [3.7], [5.0]])

    for found in intraclass_correlations(np.hstack([once, once])).values():
        assert found.estimate == 1
        assert np.isnan([found.lower, found.upper]).all()
        assert found.reason == "no error: the interval has no degrees of freedom"


def test_a_constant_shift_lowers_agreement_but_not_consistency():
    once = np.array([[1.0], [2.0], [4.0], [7.0]])

    found = intraclass_correlations(np.hstack([once, once + 2]))

    variance, shift = once.var(ddof=1), 2**2 / 2
    assert found["ICC(C,1)"].estimate == 1
    assert found["ICC(A,1)"].estimate == pytest.approx(variance / (variance + shift))
    assert found["ICC(A,1)"].reason == "no error: the interval has no degrees of freedom"


def test_mean_of_values_that_cancel_has_no_reliability():
    swing = np.array([[3.0], [-2.0], [1.0], [-4.0], [2.5]])

    found = intraclass_correlations(np.hstack([swing, -0.9 * swing]))

    assert found["ICC(A,1)"].estimate < -1 / 2
    assert np.isnan(found["ICC(A,k)"].estimate)
    assert found["ICC(A,k)"].reason.startswith("values of a row cancel")
