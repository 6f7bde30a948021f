"""Optimism against rms::validate, pooling against base R: scripts and versions beside the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.bootstrap import resample_procedure
from models.classifiers import logistic_risks, make_logistic
from models.learning import Candidate, Learning
from models.meta_analysis import pool
from models.optimism import correct
from models.procedure import Procedure
from models.validation import Execution

HERE = Path(__file__).parent


def test_optimism_corrected_auc_slope_and_brier_agree_with_rms_validate():
    # An unpenalised logistic model; rows are persons. rms: mean of 8 runs of B = 500 with its
    # standard error over runs; ours: one run of B = 500 with its Monte-Carlo standard error.
    data = pd.read_csv(HERE / "rms_validate_input.csv")
    expected = pd.read_csv(HERE / "rms_validate_expected.csv", index_col="index")
    X, y = data.drop(columns="y"), data["y"].to_numpy(float)
    plain = Candidate(
        "logistic", 3, make_logistic, ({"columns": tuple(X.columns), "c": 1e8},), logistic_risks
    )
    procedure = Procedure((plain,), 2, seed=11)

    run = resample_procedure(procedure, Learning(X, y), np.arange(len(y)), 500, Execution())
    found = correct(run)

    assert len(run.risks) == 500
    # Dxy = 2 (AUC - 1/2).
    for ours, theirs, factor in (("auc", "Dxy", 2), ("slope", "Slope", 1), ("brier", "B", 1)):
        row, own = expected.loc[theirs], found[ours]
        shift = 1.0 if ours == "auc" else 0.0
        assert factor * own.apparent - shift == pytest.approx(row["apparent"], abs=1e-6)
        tolerance = 4 * np.hypot(factor * own.optimism_se, row["se"])
        assert factor * own.corrected - shift == pytest.approx(row["corrected"], abs=tolerance)


@pytest.mark.parametrize("method", ["reml", "dl"])
@pytest.mark.parametrize("case", ["varied", "alike", "three"])
def test_pooling_agrees_with_base_r(case, method):
    data = pd.read_csv(HERE / "meta_analysis_input.csv").query("case == @case")
    expected = pd.read_csv(HERE / "meta_analysis_expected.csv").set_index(["case", "method"])

    found = pool(data["estimate"].to_numpy(), data["se"].to_numpy(), method)

    # R maximises the restricted likelihood to about the root of its own precision.
    for name, value in expected.loc[(case, method)].items():
        assert getattr(found, str(name)) == pytest.approx(value, rel=1e-5, abs=1e-6), name
