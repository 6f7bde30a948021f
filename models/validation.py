"""Nested cross-validation by person: every candidate tuned inside, every prediction kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed

from models.classifiers import Candidate
from models.errors import NotEnoughDataError
from models.leakage import check_unfitted
from models.metrics import CLIP, log_loss_per_row
from models.soft_labels import fit_soft, is_soft
from models.splits import Fold, Split, SplitPlan

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of every candidate.

    Attributes
    ----------
    predictions : DataFrame of shape (n_repeats * n_rows, 3 + n_candidates)
        ``row`` (position), ``repeat``, ``fold`` and ``p_<candidate>``; sorted by repeat, row.
    chosen : list of dict
        Per repeat, fold and candidate: the position of the settings chosen in its grid, and
        the tuning loss of every setting.
    """

    predictions: pd.DataFrame
    chosen: list[dict[str, Any]]


def fit_tuned(
    candidate: Candidate, X: pd.DataFrame, y: Vector, rows: npt.NDArray[Any], inner: Iterable[Split]
) -> tuple[Any, dict[str, Any]]:
    """Choose settings by the mean log loss over ``inner`` splits, then fit on ``rows``.

    Without inner splits (too few events to tune) the first settings of the grid are used.

    Parameters
    ----------
    candidate : Candidate
    X : DataFrame of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,), in 0 to 1
        0/1, or the probability of the event (a soft label, see :mod:`models.soft_labels`).
        Rows that are NaN are neither fitted nor tuned on.
    rows : ndarray of int
    inner : iterable of (train, test)
        Splits whose training side holds one class only are left out.

    Returns
    -------
    fitted : estimator
    record : dict
        ``setting`` (position in the grid) and ``losses`` (one per setting, empty if untuned).
    """
    rows = known_rows(y, rows)
    splits = _usable_splits(y, inner)
    losses: list[float] = []
    if len(candidate.grid) > 1 and splits:
        losses = [_tuning_loss(candidate, s, X, y, splits) for s in candidate.grid]
    setting = int(np.argmin(losses)) if losses else 0
    fitted = _fit(candidate, candidate.grid[setting], X.iloc[rows], y[rows])
    return fitted, {"setting": setting, "losses": losses}


def known_rows(y: Vector, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the rows whose label is known."""
    known: npt.NDArray[Any] = rows[np.isfinite(y[rows])]
    return known


def _usable_splits(y: Vector, inner: Iterable[Split]) -> tuple[Split, ...]:
    known = [(known_rows(y, train), known_rows(y, test)) for train, test in inner]
    return tuple(s for s in known if len(s[1]) and _has_two_classes(y[s[0]]))


def _has_two_classes(y: Vector) -> bool:
    return bool(len(y) and y.min() < 1 and y.max() > 0 and (is_soft(y) or np.ptp(y) > 0))


def _tuning_loss(
    candidate: Candidate,
    settings: Mapping[str, Any],
    X: pd.DataFrame,
    y: Vector,
    splits: Sequence[Split],
) -> float:
    losses = []
    for train, test in splits:
        fitted = _fit(candidate, settings, X.iloc[train], y[train])
        risk = predict_risk(fitted, X.iloc[test])
        event = log_loss_per_row(np.ones(len(test)), risk, CLIP)
        none = log_loss_per_row(np.zeros(len(test)), risk, CLIP)
        losses.append(y[test] * event + (1 - y[test]) * none)
    return float(np.concatenate(losses).mean())


def _fit(candidate: Candidate, settings: Mapping[str, Any], X: pd.DataFrame, y: Vector) -> Any:
    estimator = candidate.make(**settings)
    check_unfitted(estimator)
    return fit_soft(estimator, X, y) if is_soft(y) else estimator.fit(X, y.astype(int))


def predict_risk(fitted: Any, X: pd.DataFrame) -> Vector:
    """Probability of the event, shape (n_rows,)."""
    risk: Vector = fitted.predict_proba(X)[:, 1].astype(np.float64)
    return risk


def cross_validate(
    X: pd.DataFrame,
    y: npt.NDArray[np.float64],
    plan: SplitPlan,
    candidates: Sequence[Candidate],
    n_jobs: int = 1,
) -> OutOfFold:
    """Predict every row of every repeat with models that have not seen its person.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), float, NaN = missing
    y : ndarray of shape (n_rows,) or (n_outer_folds, n_rows), in 0 to 1, NaN allowed
        0/1, or the probability of the event (a soft label). A label that rests on something
        estimated (an error of measurement) is given once per fold of ``plan``, in the plan's
        order, row i as the training persons of fold i alone make it. A row that is NaN in a
        fold is not learnt from there, but predicted.
    plan : SplitPlan
        Audited for its persons by whoever made it.
    candidates : sequence of Candidate
    n_jobs : int, default=1
        Processes; the result does not depend on it.

    Raises
    ------
    NotEnoughDataError
        Where the known labels of a fold's training rows are of one class.
    """
    labels = np.broadcast_to(y, (len(plan.folds), plan.n_rows))
    _check_classes(labels, plan)
    tasks = [(fold, candidate) for fold in plan.folds for candidate in candidates]
    own = [label for label in labels for _ in candidates]
    done = Parallel(n_jobs=n_jobs)(
        delayed(_one_fold)(c, X, label, f) for (f, c), label in zip(tasks, own, strict=True)
    )
    predictions = _empty_predictions(plan, candidates)
    chosen = []
    for (fold, candidate), (risk, record) in zip(tasks, done, strict=True):
        at = fold.repeat * plan.n_rows + fold.test
        predictions.loc[at, f"p_{candidate.name}"] = risk
        predictions.loc[at, "fold"] = fold.fold
        place = {"repeat": fold.repeat, "fold": fold.fold, "candidate": candidate.name}
        chosen.append({**place, **record})
    return OutOfFold(predictions, chosen)


def _check_classes(labels: npt.NDArray[np.float64], plan: SplitPlan) -> None:
    for fold, y in zip(plan.folds, labels, strict=True):
        rows = known_rows(y, fold.train)
        if not _has_two_classes(y[rows]):
            raise NotEnoughDataError(
                f"repeat {fold.repeat}, fold {fold.fold}: expected events and non-events among "
                f"the training rows, found one class in {len(rows)} rows with a known label."
            )


def judged_labels(y: npt.NDArray[np.float64], plan: SplitPlan) -> npt.NDArray[np.float64]:
    """Return the label each row is judged by: that of the fold in which it was tested.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_outer_folds, n_rows)
    plan : SplitPlan

    Returns
    -------
    ndarray of shape (n_repeats, n_rows); NaN = not judged
    """
    labels = np.broadcast_to(y, (len(plan.folds), plan.n_rows))
    tested = np.full((plan.n_repeats, plan.n_rows), np.nan)
    for fold, own in zip(plan.folds, labels, strict=True):
        tested[fold.repeat, fold.test] = own[fold.test]
    return tested


def _one_fold(
    candidate: Candidate, X: pd.DataFrame, y: Vector, fold: Fold
) -> tuple[Vector, dict[str, Any]]:
    fitted, record = fit_tuned(candidate, X, y, fold.train, fold.inner)
    return predict_risk(fitted, X.iloc[fold.test]), record


def _empty_predictions(plan: SplitPlan, candidates: Sequence[Candidate]) -> pd.DataFrame:
    n = plan.n_rows * plan.n_repeats
    columns: dict[str, npt.NDArray[Any]] = {
        "row": np.tile(np.arange(plan.n_rows), plan.n_repeats),
        "repeat": np.repeat(np.arange(plan.n_repeats), plan.n_rows),
        "fold": np.full(n, -1),
    }
    return pd.DataFrame(columns | {f"p_{c.name}": np.full(n, np.nan) for c in candidates})
