"""Soft labels: learning from the probability that a row is an event, not from a cut of it.

A row that is an event with probability p enters a fit twice: as an event with weight p and as
a non-event with weight 1 - p. The weighted log loss is then the expected log loss over what the
row may truly be, so that every learner which takes weights takes soft labels. A hard label is
the soft label 0 or 1, and gives the same fit as ever.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

Vector = npt.NDArray[np.float64]


def is_soft(y: Vector) -> bool:
    """Whether any label is neither 0 nor 1.

    Examples
    --------
    >>> is_soft(np.array([0.0, 1.0])), is_soft(np.array([0.0, 0.7]))
    (False, True)
    """
    return bool(((y > 0) & (y < 1)).any())


def split_rows(y: Vector) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Vector]:
    """Return positions, 0/1 labels and weights of the rows that stand for soft labels.

    The non-events come first, then the events, each in the order of the rows; what has no
    weight is left out. The weights of one row sum to 1.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), in 0 to 1

    Examples
    --------
    >>> rows, label, weight = split_rows(np.array([0.25, 1.0]))
    >>> rows.tolist(), label.tolist(), weight.tolist()
    ([0, 0, 1], [0, 1, 1], [0.75, 0.25, 1.0])
    """
    rows = np.tile(np.arange(len(y)), 2)
    label = np.repeat([0, 1], len(y))
    weight = np.concatenate([1.0 - y, y])
    kept = weight > 0
    return rows[kept], label[kept], weight[kept]


def fit_soft(estimator: Any, X: pd.DataFrame, y: Vector) -> Any:
    """Fit an estimator to soft labels.

    Parameters
    ----------
    estimator : estimator, or Pipeline whose last step takes ``sample_weight``
        Steps before the last see every row as often as it has a class to stand for: medians
        and scales of a pipeline are those of the doubled rows.
    X : DataFrame of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,), in 0 to 1, none missing
    """
    rows, label, weight = split_rows(y)
    last = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return estimator.fit(X.iloc[rows], label, **{f"{last}sample_weight": weight})
