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
from models.leakage import check_unfitted
from models.metrics import CLIP, log_loss_per_row
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
    candidate: Candidate,
    X: pd.DataFrame,
    y: Vector,
    rows: npt.NDArray[Any],
    inner: Iterable[Split],
    *,
    weights: Vector | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Choose settings by the mean log loss over ``inner`` splits, then fit on ``rows``.

    Without inner splits (too few events to tune) the first settings of the grid are used. A row
    whose label is NaN is neither fitted nor tuned on.

    Returns
    -------
    fitted : estimator
    record : dict
        ``setting`` (position in the grid) and ``losses`` (one per setting, empty if untuned).
    """
    splits = tuple((known_rows(y, train), known_rows(y, test)) for train, test in inner)
    weight = np.ones(len(y)) if weights is None else weights
    losses: list[float] = []
    if len(candidate.grid) > 1 and splits:
        losses = [_tuning_loss(candidate, s, X, (y, weight), splits) for s in candidate.grid]
    setting = int(np.argmin(losses)) if losses else 0
    rows = known_rows(y, rows)
    own = None if weights is None else weights[rows]
    fitted = _fit(candidate, candidate.grid[setting], X.iloc[rows], y[rows], own)
    return fitted, {"setting": setting, "losses": losses}


def known_rows(y: Vector, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the rows whose label is known."""
    known: npt.NDArray[Any] = rows[np.isfinite(y[rows])]
    return known


def _tuning_loss(
    candidate: Candidate,
    settings: Mapping[str, Any],
    X: pd.DataFrame,
    labels: tuple[Vector, Vector],
    splits: Sequence[Split],
) -> float:
    y, weight = labels
    weighted = not (weight == 1).all()
    losses = []
    for train, test in splits:
        own = weight[train] if weighted else None
        fitted = _fit(candidate, settings, X.iloc[train], y[train], own)
        losses.append(log_loss_per_row(y[test], predict_risk(fitted, X.iloc[test]), CLIP))
    tested = np.concatenate([weight[test] for _, test in splits])
    return float(np.average(np.concatenate(losses), weights=tested))


def _fit(
    candidate: Candidate,
    settings: Mapping[str, Any],
    X: pd.DataFrame,
    y: Vector,
    weights: Vector | None,
) -> Any:
    estimator = candidate.make(**settings)
    check_unfitted(estimator)
    if weights is None:
        return estimator.fit(X, y.astype(int))
    return estimator.fit(X, y.astype(int), model__sample_weight=weights)


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
    *,
    weights: npt.NDArray[np.float64] | None = None,
) -> OutOfFold:
    """Predict every row of every repeat with models that have not seen its person.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), float, NaN = missing
    y : ndarray of shape (n_rows,) or (n_folds, n_rows), 0/1 or NaN
        One row per outer fold, in the plan's order, where labels are derived anew from its
        training persons. A row that is NaN in a fold is not learnt from there, but predicted.
    plan : SplitPlan
        Audited for its persons by whoever made it.
    candidates : sequence of Candidate
    n_jobs : int, default=1
        Processes; the result does not depend on it.
    weights : ndarray of the shapes ``y`` may have, optional
        How much each row counts in fitting and tuning.
    """
    labels = np.broadcast_to(y, (len(plan.folds), plan.n_rows))
    weight = None if weights is None else np.broadcast_to(weights, labels.shape)
    tasks = [(fold, candidate) for fold in plan.folds for candidate in candidates]
    done = Parallel(n_jobs=n_jobs)(
        delayed(_one_fold)(c, X, (labels[i], None if weight is None else weight[i]), f)
        for i, f in enumerate(plan.folds)
        for c in candidates
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


def _one_fold(
    candidate: Candidate, X: pd.DataFrame, labels: tuple[Vector, Vector | None], fold: Fold
) -> tuple[Vector, dict[str, Any]]:
    y, weights = labels
    fitted, record = fit_tuned(candidate, X, y, fold.train, fold.inner, weights=weights)
    return predict_risk(fitted, X.iloc[fold.test]), record


def _empty_predictions(plan: SplitPlan, candidates: Sequence[Candidate]) -> pd.DataFrame:
    n = plan.n_rows * plan.n_repeats
    columns: dict[str, npt.NDArray[Any]] = {
        "row": np.tile(np.arange(plan.n_rows), plan.n_repeats),
        "repeat": np.repeat(np.arange(plan.n_repeats), plan.n_rows),
        "fold": np.full(n, -1),
    }
    return pd.DataFrame(columns | {f"p_{c.name}": np.full(n, np.nan) for c in candidates})
