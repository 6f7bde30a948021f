"""Tabulated trees in use: made, checked against XGBoost, and scored in the quickest way at hand."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from models.errors import BundleError
from models.tree_tables import NotTabulated, TreeTables, build_tables

Floats = npt.NDArray[np.float32]
# XGBoost sums a contribution over the trees in float32.
TOLERANCE = 1e-5
SAMPLE_ROWS = 64
# Compiling takes seconds; this many rows are done in a fraction of one without.
COMPILED_ROWS = 16_384


def tabulate(booster: xgboost.Booster, n_columns: int) -> TreeTables | None:
    """Tabulate a boosted model, or return None where that is left to XGBoost.

    Raises
    ------
    BundleError
        If the tables do not say what XGBoost says: a defect, and no model is made of it.
    """
    try:
        tables = build_tables(booster)
    except NotTabulated:
        return None
    tables = _aligned(tables, booster, n_columns)
    check_tables(tables, booster, n_columns)
    return tables


def _aligned(tables: TreeTables, booster: xgboost.Booster, n_columns: int) -> TreeTables:
    """Move the start by a last bit where the C library's logarithm, which XGBoost uses, differs."""
    X = sample_rows(tables, n_columns)
    margin = booster.inplace_predict(X, predict_type="margin")
    start = tables.start
    for tried in (
        start,
        np.nextafter(start, np.float32(np.inf)),
        np.nextafter(start, np.float32(-np.inf)),
    ):
        moved = replace(tables, start=tried.astype(np.float32))
        if np.array_equal(score_plainly(moved, X)[0], margin):
            return moved
    return tables


def check_tables(tables: TreeTables, booster: xgboost.Booster, n_columns: int) -> float:
    """Compare log-odds and contributions with XGBoost's on rows made from the model's thresholds.

    Returns
    -------
    float
        The largest difference, log-odds.

    Raises
    ------
    BundleError
        If it exceeds 1e-5 (of the largest log-odds, where those exceed 1).
    """
    X = sample_rows(tables, n_columns)
    log_odds, contributions = score_plainly(tables, X)
    theirs = booster.predict(xgboost.DMatrix(X, nthread=1), pred_contribs=True)
    margin = booster.inplace_predict(X, predict_type="margin")
    ours = np.vstack([contributions, np.full((1, len(X)), tables.baseline[0])])
    gap = float(max(np.abs(ours.T - theirs).max(), np.abs(log_odds - margin).max()))
    if not gap <= TOLERANCE * max(1.0, float(np.abs(margin).max())):
        raise BundleError(
            f"boosted trees: expected tabulated contributions within {TOLERANCE:g} log-odds of "
            f"XGBoost's, found a difference of {gap:.2g}. The tables are not of this model, or "
            f"XGBoost {xgboost.__version__} stores its trees differently: train again with the "
            "versions of requirements.lock."
        )
    return gap


def sample_rows(tables: TreeTables, n_columns: int) -> npt.NDArray[np.float64]:
    """Rows on, just below and far from the thresholds of a model, and missing; always the same.

    Returns
    -------
    ndarray of shape (64, n_columns); the first row is missing throughout
    """
    rng = np.random.default_rng(0)
    X = np.zeros((SAMPLE_ROWS, n_columns))
    used = np.arange(tables.split_feature.shape[1]) < tables.n_splits[:, None]
    for column in np.unique(tables.split_feature[used]):
        at = np.unique(tables.split_threshold[used & (tables.split_feature == column)])
        below = np.nextafter(at, np.float32(-np.inf))
        X[:, column] = rng.choice(np.concatenate([at, below, [np.nan]]), SAMPLE_ROWS)
    X[0] = np.nan
    return X


def score(tables: TreeTables, X: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Log-odds and contributions, by the compiled loop where there are rows enough for it.

    Both ways add the same float32 values in the same order: the result does not depend on the
    way, nor on how rows are cut. See :func:`models.tree_scoring.score_tables`.
    """
    if len(X) >= COMPILED_ROWS and find_spec("numba") is not None:
        from models.tree_scoring import score_tables

        return score_tables(tables, X)
    return score_plainly(tables, X)


def score_plainly(tables: TreeTables, X: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Log-odds and contributions by numpy alone, a part of the model at a time.

    Parameters and results are those of :func:`models.tree_scoring.score_tables`.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in XGBoost
        columns = np.ascontiguousarray(X.T, dtype=np.float32)
    log_odds = np.full(columns.shape[1], tables.start[0], dtype=np.float32)
    contributions = np.zeros_like(columns)
    for part in range(len(tables.n_splits)):
        code, n_codes = codes(tables, part, columns), 1 << int(tables.n_splits[part])
        begin, n_features = int(tables.offset[part]), int(tables.n_features[part])
        found = tables.values[begin : begin + (1 + n_features) * n_codes].reshape(-1, n_codes)
        log_odds += found[0, code]
        for place, feature in enumerate(tables.feature[part, :n_features], start=1):
            contributions[feature] += found[place, code]
    return log_odds, contributions


def codes(tables: TreeTables, part: int, columns: Floats) -> npt.NDArray[np.intp]:
    """Answers of every row to the splits of a part, one bit each; shape (n_rows,)."""
    code = np.zeros(columns.shape[1], dtype=np.intp)
    for i in range(int(tables.n_splits[part])):
        x = columns[tables.split_feature[part, i]]
        threshold = tables.split_threshold[part, i]
        # A comparison with a missing value is false.
        missing_left = tables.split_missing_left[part, i]
        left = ~(x >= threshold) if missing_left else x < threshold
        code |= left.astype(np.intp) << i
    return code
