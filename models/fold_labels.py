"""Labels that differ between folds, and soft ones: what is learnt from, what is judged.

A soft label is the probability that a row is an event. The row then stands in a fit twice, as a
non-event with weight 1 - p and as an event with weight p: the weighted log loss is the expected
log loss over what the row may truly be, so that whatever takes weights takes soft labels, and a
hard label is the soft label 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import NotEnoughDataError
from models.splits import Fold, Index, Split, SplitPlan

Matrix = npt.NDArray[np.float64]


def judged_labels(y: Matrix, plan: SplitPlan) -> Matrix:
    """Return the label each row is judged by: that of the fold in which it was tested.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_folds, n_rows)
    plan : SplitPlan

    Returns
    -------
    ndarray of shape (n_repeats, n_rows); NaN = not judged
    """
    labels = np.broadcast_to(y, (len(plan.folds), plan.n_rows))
    judged = np.full((plan.n_repeats, plan.n_rows), np.nan)
    for fold, own in zip(plan.folds, labels, strict=True):
        judged[fold.repeat, fold.test] = own[fold.test]
    return judged


def learnable(plan: SplitPlan, y: Matrix, final: Matrix) -> SplitPlan:
    """Leave out the tuning splits whose training rows hold one class only.

    A plan is stratified by one set of labels; those of a fold may differ and be missing.

    Parameters
    ----------
    plan : SplitPlan
    y : ndarray of shape (n_folds, n_rows), in 0 to 1, NaN = not learnt from
    final : ndarray of shape (n_rows,)
        Labels that the final model learns from.

    Raises
    ------
    NotEnoughDataError
        Where the training rows of an outer fold hold one class only.
    """
    folds = []
    for fold, own in zip(plan.folds, y, strict=True):
        if not _has_two_classes(own[fold.train]):
            raise NotEnoughDataError(
                f"repeat {fold.repeat}, fold {fold.fold}: expected events and non-events among "
                f"the training rows, found one class in {int(np.isfinite(own[fold.train]).sum())} "
                "rows with a known label."
            )
        folds.append(replace(fold, inner=_usable(fold.inner, own)))
    return SplitPlan(plan.n_rows, tuple(folds), _usable(plan.final, final))


def _usable(splits: tuple[Split, ...], y: Matrix) -> tuple[Split, ...]:
    return tuple(s for s in splits if _has_two_classes(y[s[0]]) and np.isfinite(y[s[1]]).any())


def _has_two_classes(y: Matrix) -> bool:
    known = y[np.isfinite(y)]
    return bool(len(known) and known.max() > 0 and known.min() < 1)


@dataclass(frozen=True)
class Doubled:
    """Rows that stand for soft labels: all as non-events, then all as events.

    Attributes
    ----------
    X : DataFrame of shape (2 * n_rows, n_features)
    y, weights : ndarray of shape (..., 2 * n_rows)
        Labels 0 and 1 (NaN where the soft label is), and how much each counts.
    plan : SplitPlan
        Of the doubled rows. Only the first copy of a row is tested.
    """

    X: pd.DataFrame
    y: Matrix
    weights: Matrix
    plan: SplitPlan


def double(X: pd.DataFrame, soft: Matrix, plan: SplitPlan) -> Doubled:
    """Make the rows that stand for soft labels.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
    soft : ndarray of shape (n_rows,) or (n_folds, n_rows), in 0 to 1, NaN = not learnt from
    plan : SplitPlan
        Of the single rows.
    """
    known = np.isfinite(soft)
    label = np.where(known, 0.0, np.nan)
    share = np.where(known, soft, 0.5)
    return Doubled(
        X=pd.concat([X, X], ignore_index=True),
        y=np.concatenate([label, label + 1.0], axis=-1),
        weights=np.concatenate([1.0 - share, share], axis=-1),
        plan=SplitPlan(
            2 * plan.n_rows,
            tuple(_double_fold(f, plan.n_rows) for f in plan.folds),
            _double_splits(plan.final, plan.n_rows),
        ),
    )


def _double_fold(fold: Fold, n_rows: int) -> Fold:
    train = _both(fold.train, n_rows)
    return replace(fold, train=train, inner=_double_splits(fold.inner, n_rows))


def _double_splits(splits: tuple[Split, ...], n_rows: int) -> tuple[Split, ...]:
    return tuple((_both(a, n_rows), _both(b, n_rows)) for a, b in splits)


def _both(rows: Index, n_rows: int) -> Index:
    return np.concatenate([rows, rows + n_rows])


def first_copies(predictions: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """Return the out-of-fold predictions of the single rows.

    Parameters
    ----------
    predictions : DataFrame
        :attr:`models.validation.OutOfFold.predictions` of doubled rows.
    n_rows : int
        Number of single rows.
    """
    return predictions[predictions["row"] < n_rows].reset_index(drop=True)
