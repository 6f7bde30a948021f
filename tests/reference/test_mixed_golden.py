"""The mixed model against lme4 (mixed_lmer.R)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.mixed import MixedFit, fit_mixed

HERE = Path(__file__).parent


def fitted(kind: str) -> MixedFit:
    rows = pd.read_csv(HERE / "mixed_lmer_input.csv")
    ones, year = np.ones(len(rows)), rows["year"].to_numpy()
    x = np.column_stack([ones, rows["arm"], year])
    z = ones[:, None] if kind == "intercept" else np.column_stack([ones, year])
    return fit_mixed(rows["change"].to_numpy(), x, z, rows["person"].to_numpy())


@pytest.mark.parametrize("kind", ["intercept", "slope"])
def test_mixed_model_matches_lme4(kind: str) -> None:
    table = pd.read_csv(HERE / "mixed_lmer_expected.csv")
    expected = table[table["model"] == kind].set_index("quantity")["value"]

    fit = fitted(kind)

    for term in range(3):
        assert fit.coefficients[term] == pytest.approx(expected[f"b_{term}"], abs=1e-5)
        error = np.sqrt(fit.covariance[term, term])
        assert error == pytest.approx(expected[f"se_{term}"], abs=1e-5)
    # The criterion is flat at its minimum: variances agree to fewer digits than it does.
    assert fit.criterion == pytest.approx(expected["criterion"], abs=1e-7)
    assert fit.residual_variance == pytest.approx(expected["var_Residual_NA"], rel=1e-3)
    own = fit.random_covariance
    assert own[0, 0] == pytest.approx(expected["var_person_(Intercept)"], rel=1e-3)
    if kind == "slope":
        assert own[1, 1] == pytest.approx(expected["var_person_year"], rel=1e-3)
        assert own[1, 0] == pytest.approx(expected["covariance"], abs=1e-3)
