"""Positivity: could everybody have had every exercise, and do those who had one differ?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
LOGISTIC_C = 0.05
# Below this probability of an exercise, nearly nobody like the person had it.
SCARCE = 0.05


def cross_fitted_propensity(
    Z: Matrix, arm: Index, open_arms: Flags, folds: Sequence[tuple[Index, Index]]
) -> Matrix:
    """Probability of every arm given the covariates, by models of other persons.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_covariates), standardised, nothing missing
    arm : ndarray of shape (n_rows,), int
    open_arms : ndarray of bool, shape (n_rows, n_arms)
        Arms that rows of the same condition had.
    folds : sequence of (train, test)

    Returns
    -------
    ndarray of shape (n_rows, n_arms)
        Rows add up to one over the open arms; NaN for the others.
    """
    found = np.zeros(open_arms.shape)
    for train, test in folds:
        if len(np.unique(arm[train])) < 2:
            found[test] = 1.0
            continue
        model = LogisticRegression(C=LOGISTIC_C, max_iter=500).fit(Z[train], arm[train])
        found[np.ix_(test, model.classes_)] = model.predict_proba(Z[test])
    return open_only(found, open_arms)


def open_only(weight: Matrix, open_arms: Flags) -> Matrix:
    """Make rows add up to one over the open arms; NaN elsewhere."""
    kept = np.where(open_arms, np.maximum(weight, 1e-6), 0.0)
    shares = kept / np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.where(open_arms, shares, np.nan))


def overlap_table(
    X: pd.DataFrame, arm: tuple[Index, Sequence[str]], cell: Index, propensity: Matrix
) -> pd.DataFrame:
    """One row per arm: how likely it was, and whether those who had it differ from others.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_covariates), NaN = missing
    arm : (ndarray of shape (n_rows,), names)
    cell : ndarray of shape (n_rows,), int
        Rows are compared within their cell (condition), where the same arms were open.
    propensity : ndarray of shape (n_rows, n_arms), NaN where an arm is not open

    Returns
    -------
    DataFrame
        ``arm, n, smallest_propensity, share_scarce`` (of rows that could have had it, below
        :data:`SCARCE`), ``effective_n`` (Kish, weights 1 / propensity), ``covariate`` with the
        largest ``standardised_difference``, ``by_chance`` (what the largest of so many would not
        exceed by lot in 95 of 100 studies, about) and ``imbalanced``.
    """
    codes, names = arm
    centred = X - X.groupby(cell).transform("mean")
    n_tests = max(1, int((centred.std() > 1e-9).sum()) * len(names))
    rows = []
    for k, name in enumerate(names):
        had, could = codes == k, np.isfinite(propensity[:, k])
        p = propensity[could, k]
        weight = 1.0 / propensity[had, k]
        covariate, difference = _largest_difference(centred, had, could & ~had)
        by_chance = _by_chance(int(had.sum()), int((could & ~had).sum()), n_tests)
        rows.append(
            {
                "arm": name,
                "n": int(had.sum()),
                "smallest_propensity": float(p.min()) if len(p) else np.nan,
                "share_scarce": float((p < SCARCE).mean()) if len(p) else np.nan,
                "effective_n": float(weight.sum() ** 2 / (weight**2).sum()) if had.any() else 0.0,
                "covariate": covariate,
                "standardised_difference": difference,
                "by_chance": by_chance,
                "imbalanced": bool(abs(difference) > by_chance),
            }
        )
    return pd.DataFrame(rows)


def _largest_difference(centred: pd.DataFrame, had: Flags, others: Flags) -> tuple[str, float]:
    """Name and standardised mean difference of the covariate that differs most."""
    first, second = centred[had], centred[others]
    spread = np.sqrt((first.var() + second.var()) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = (first.mean() - second.mean()) / spread.where(spread > 1e-9)
    differences = differences.dropna()
    if differences.empty:
        return "", 0.0
    name = str(differences.abs().idxmax())
    return name, float(differences[name])


def _by_chance(n_had: int, n_others: int, n_tests: int) -> float:
    if not n_had or not n_others:
        return float("inf")
    level = 1 - 0.05 / (2 * n_tests)
    return float(norm.ppf(level) * np.sqrt(1 / n_had + 1 / n_others))
