"""Golden values of econml for the doubly robust difference of two arms.

Run in an environment of its own with econml 0.17.0 (it is no dependency):
    python tests/reference/double_robust_econml.py
Written 2026-11-25. Reads nothing; writes double_robust_input.csv and double_robust_expected.csv.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from econml.dr import LinearDRLearner
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit

HERE = Path(__file__).resolve().parent


class SplitRidge(Ridge):
    """Ridge per arm: econml hands over the covariates and an indicator of arm 1."""

    def fit(self, XT, y, sample_weight=None):  # type: ignore[no-untyped-def]
        X, arm = XT[:, :-1], XT[:, -1]
        self.models_ = [Ridge(alpha=10.0).fit(X[arm == k], y[arm == k]) for k in (0, 1)]
        return self

    def predict(self, XT):  # type: ignore[no-untyped-def]
        X, arm = XT[:, :-1], XT[:, -1]
        return np.where(arm == 1, self.models_[1].predict(X), self.models_[0].predict(X))


def main() -> None:
    """Draw 120 persons, fit, write both files."""
    rng = np.random.default_rng(20261125)
    X = rng.standard_normal((120, 3))
    arm = np.repeat([0, 1], 60)
    fold = np.tile(np.arange(4), 30)
    y = 0.5 * X[:, 0] + arm * (0.4 + 0.3 * X[:, 1]) + rng.standard_normal(120)
    table = pd.DataFrame(X, columns=["x1", "x2", "x3"]).assign(arm=arm, fold=fold, y=y).round(6)
    table.to_csv(HERE / "double_robust_input.csv", index=False)
    learner = LinearDRLearner(
        model_propensity=DummyClassifier(strategy="prior"),
        model_regression=SplitRidge(),
        cv=PredefinedSplit(table["fold"]),
        fit_cate_intercept=True,
        min_propensity=1e-6,
    )
    W = table[["x1", "x2", "x3"]].to_numpy()
    learner.fit(table["y"].to_numpy(), table["arm"].to_numpy(), X=None, W=W)
    pd.DataFrame(
        {
            "econml": [version("econml")],
            "difference": [float(np.ravel(learner.intercept_(T=1))[0])],
            "standard_error": [float(np.ravel(learner.intercept__inference(T=1).stderr)[0])],
        }
    ).to_csv(HERE / "double_robust_expected.csv", index=False)


if __name__ == "__main__":
    main()
