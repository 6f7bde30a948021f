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
    candidate: Candidate, X: pd.DataFrame, y: Vector, rows: npt.NDArray[Any], inner: Iterable[Split]
) -> tuple[Any, dict[str, Any]]:
    """Choose settings by the mean log loss over ``inner`` splits, then fit on ``rows``.

    Without inner splits (too few events to tune) the first settings of the grid are used.

    Returns
    -------
    fitted : estimator
    record : dict
        ``setting`` (position in the grid) and ``losses`` (one per setting, empty if untuned).
    """
    splits = tuple(inner)
    losses: list[float] = []
    if len(candidate.grid) > 1 and splits:
        losses = [_tuning_loss(candidate, s, X, y, splits) for s in candidate.grid]
    setting = int(np.argmin(losses)) if losses else 0
    fitted = _fit(candidate, candidate.grid[setting], X.iloc[rows], y[rows])
    return fitted, {"setting": setting, "losses": losses}


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
        losses.append(log_loss_per_row(y[test], predict_risk(fitted, X.iloc[test]), CLIP))
    return float(np.concatenate(losses).mean())


def _fit(candidate: Candidate, settings: Mapping[str, Any], X: pd.DataFrame, y: Vector) -> Any:
    estimator = candidate.make(**settings)
    check_unfitted(estimator)
    return estimator.fit(X, y.astype(int))


def predict_risk(fitted: Any, X: pd.DataFrame) -> Vector:
    """Probability of the event, shape (n_rows,)."""
    risk: Vector = fitted.predict_proba(X)[:, 1].astype(np.float64)
    return risk


def cross_validate(
    X: pd.DataFrame, y: Vector, plan: SplitPlan, candidates: Sequence[Candidate], n_jobs: int = 1
) -> OutOfFold:
    """Predict every row of every repeat with models that have not seen its person.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), float, NaN = missing
    y : ndarray of shape (n_rows,), 0/1
    plan : SplitPlan
        Audited for its persons by whoever made it.
    candidates : sequence of Candidate
    n_jobs : int, default=1
        Processes; the result does not depend on it.
    """
    tasks = [(fold, candidate) for fold in plan.folds for candidate in candidates]
    done = Parallel(n_jobs=n_jobs)(delayed(_one_fold)(c, X, y, f) for f, c in tasks)
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
