"""Boosted trees: shallow, slow to learn, monotone where the evidence has a sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xgboost
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from models.learning import Learning, Matrix, Settings
from models.standardised import SelectColumns

# Cut points per column. At a few hundred persons every value would be a cut point of its own;
# 64 leave hardly a rank apart and halve the time of a fit.
MAX_BINS = 64


def make_xgboost(
    columns: Sequence[str],
    max_depth: int,
    n_estimators: int,
    monotone: Sequence[int] | None = None,
) -> Pipeline:
    """Shallow, slowly learning trees; missing values go down a learnt side of each split.

    One thread: parallel folds are faster than parallel trees at these sizes. No row or column
    sampling, so that a fit is a function of its data alone.

    Parameters
    ----------
    columns : sequence of str
    max_depth, n_estimators : int
    monotone : sequence of {-1, 0, 1}, one per column, optional
        The direction in which the risk may move with a column; 0 leaves it free.
    """
    signs = None if monotone is None or not any(monotone) else tuple(monotone)
    model = XGBClassifier(
        max_depth=max_depth,
        n_estimators=n_estimators,
        learning_rate=0.05,
        min_child_weight=5.0,
        reg_lambda=5.0,
        tree_method="hist",
        max_bin=MAX_BINS,
        monotone_constraints=signs,
        n_jobs=1,
    )
    return Pipeline([("select", SelectColumns(tuple(columns))), ("model", model)])


def xgboost_risks(settings: Sequence[Settings], train: Learning, X: pd.DataFrame) -> Matrix:
    """Risks under every setting; settings that differ in ``n_estimators`` only share one fit.

    The first n trees of a longer fit are the trees of a fit of n. All fits share one matrix of
    binned values, and go round the estimator, which would check and bin them each time.
    """
    risks = np.empty((len(settings), len(X)))
    binned: dict[tuple[str, ...], tuple[xgboost.QuantileDMatrix, Matrix]] = {}
    for members in _groups(settings):
        columns = tuple(settings[members[0]]["columns"])
        if columns not in binned:
            binned[columns] = (_bin(train, columns), _values(X, columns))
        data, values = binned[columns]
        model = make_xgboost(**settings[members[0]]).named_steps["model"]
        booster = xgboost.Booster(model.get_xgb_params(), [data])
        for tree in range(max(settings[i]["n_estimators"] for i in members)):
            booster.update(data, tree)
        for i in members:
            n_trees = settings[i]["n_estimators"]
            risks[i] = booster.inplace_predict(values, iteration_range=(0, n_trees))
    return risks


def _bin(train: Learning, columns: tuple[str, ...]) -> xgboost.QuantileDMatrix:
    return xgboost.QuantileDMatrix(
        _values(train.X, columns), train.y, weight=train.weights, max_bin=MAX_BINS, nthread=1
    )


def _values(X: pd.DataFrame, columns: tuple[str, ...]) -> Matrix:
    return X[list(columns)].to_numpy(dtype=np.float64)


def _groups(settings: Sequence[Settings]) -> list[list[int]]:
    """Positions of the settings, those that differ in ``n_estimators`` only together."""
    groups: dict[tuple[tuple[str, object], ...], list[int]] = {}
    for i, one in enumerate(settings):
        key = tuple((k, v) for k, v in sorted(one.items()) if k != "n_estimators")
        groups.setdefault(key, []).append(i)
    return list(groups.values())
