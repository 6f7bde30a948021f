"""Nested cross-validation by person: every candidate tuned inside, every prediction kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from models.errors import NotEnoughDataError
from models.leakage import check_unfitted
from models.learning import Candidate, Learning, Matrix, Settings, Vector
from models.metrics import CLIP, log_loss_per_row
from models.recalibration import Recalibrated, fit_recalibration
from models.runs import Progress, Result, Store, run_tasks, silent
from models.splits import Fold, Split, SplitPlan
from models.threads import one_thread

Rows = npt.NDArray[Any]


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


@dataclass(frozen=True)
class Tuned:
    """A candidate fitted with its chosen settings.

    Attributes
    ----------
    fitted : estimator
    record : dict
        ``setting`` (position in the grid) and ``losses`` (one per setting, empty if untuned).
    inner_rows : ndarray of shape (n_inner_rows,)
        Rows predicted by the tuning splits, as positions in the whole table; empty if untuned.
    inner_risk : ndarray of shape (n_inner_rows,)
        What the chosen settings said about them, before any recalibration.
    """

    fitted: Any
    record: dict[str, Any]
    inner_rows: Rows
    inner_risk: Vector


def fit_tuned(
    candidate: Candidate,
    X: pd.DataFrame,
    y: Vector,
    rows: Rows,
    inner: Iterable[Split],
    *,
    weights: Vector | None = None,
    margin: Vector | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Choose settings by the mean log loss over ``inner`` splits, then fit on ``rows``.

    Without inner splits (too few events to tune) the first settings of the grid are used.
    Parameters and results are those of :func:`tune`.

    Returns
    -------
    fitted : estimator
    record : dict
        ``setting`` (position in the grid) and ``losses`` (one per setting, empty if untuned).
    """
    with one_thread():
        tuned = tune(candidate, Learning(X, y, weights, margin), rows, inner)
    return tuned.fitted, tuned.record


def tune(
    candidate: Candidate,
    data: Learning,
    rows: Rows,
    inner: Iterable[Split],
    predict_inner: bool = False,
) -> Tuned:
    """Choose settings on the ``inner`` splits, fit on ``rows``, recalibrate where declared.

    A row whose outcome is not known is not learnt from. The recalibration is learnt from what
    the chosen settings predicted in the tuning splits, so that it sees honest risks only.

    Parameters
    ----------
    candidate : Candidate
    data : Learning
        The whole table.
    rows : ndarray of int
        Positions to learn from.
    inner : iterable of (train, test)
        Positions, both within ``rows``.
    predict_inner : bool, default=False
        Predict the tuning splits also where there is nothing to tune or recalibrate.
    """
    splits = _usable_splits(data.y, inner)
    needed = predict_inner or len(candidate.grid) > 1 or candidate.calibrate != "none"
    inner_rows, risks = np.zeros(0, dtype=np.int64), np.zeros((len(candidate.grid), 0))
    if needed and splits:
        inner_rows, risks = _inner_risks(candidate, data, splits)
    losses = _losses(data, inner_rows, risks) if len(candidate.grid) > 1 and splits else []
    setting = int(np.argmin(losses)) if losses else 0
    fitted = _fit(candidate, candidate.grid[setting], data.at(rows))
    record: dict[str, Any] = {"setting": setting, "losses": losses}
    if candidate.calibrate != "none" and splits:
        known = ~np.isnan(data.y[inner_rows])
        seen = data.at(inner_rows[known])
        found = fit_recalibration(seen.y, risks[setting][known], seen.weights, candidate.calibrate)
        fitted = Recalibrated(fitted, found)
        record["recalibration"] = [found.intercept, found.up, found.down]
    return Tuned(fitted, record, inner_rows, risks[setting])


def _inner_risks(
    candidate: Candidate, data: Learning, splits: Sequence[Split]
) -> tuple[Rows, Matrix]:
    """Risks of every setting on the rows that the tuning splits predict, in their order."""
    risks = [setting_risks(candidate, data.at(train), data.X.iloc[test]) for train, test in splits]
    return np.concatenate([test for _, test in splits]), np.concatenate(risks, axis=1)


def setting_risks(candidate: Candidate, train: Learning, X: pd.DataFrame) -> Matrix:
    """Risks of rows of ``X`` under every setting of a candidate, shape (n_settings, n_rows).

    A candidate's path and a fit per setting agree: to 1e-6 for penalised models (both solve to a
    Newton step of 1e-8), to the last bit for trees.
    """
    if candidate.path is not None:
        return candidate.path(candidate.grid, train.usable(candidate.learns), X)
    return np.array([predict_risk(_fit(candidate, s, train), X) for s in candidate.grid])


def _losses(data: Learning, rows: Rows, risks: Matrix) -> list[float]:
    known = ~np.isnan(data.y[rows])
    seen = data.at(rows[known])
    per_row = [log_loss_per_row(seen.y, risk[known], CLIP) for risk in risks]
    return [float(np.average(loss, weights=seen.weights)) for loss in per_row]


def known_rows(y: Vector, rows: Rows) -> Rows:
    """Return the rows whose label is known."""
    known: Rows = rows[np.isfinite(y[rows])]
    return known


def _usable_splits(y: Vector, inner: Iterable[Split]) -> tuple[Split, ...]:
    """Keep tuning splits that can be learnt from and judged by."""
    known = [(known_rows(y, train), known_rows(y, test)) for train, test in inner]
    return tuple(s for s in known if len(s[1]) and len(np.unique(y[s[0]])) > 1)


def _fit(candidate: Candidate, settings: Settings, train: Learning) -> Any:
    usable = train.usable(candidate.learns)
    estimator = candidate.make(**settings)
    check_unfitted(estimator)
    target = usable.target(candidate.learns)
    if candidate.learns == "class":
        target = target.astype(int)
    if usable.weights is None:
        return estimator.fit(usable.X, target)
    last = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return estimator.fit(usable.X, target, **{f"{last}sample_weight": usable.weights})


def predict_risk(fitted: Any, X: pd.DataFrame) -> Vector:
    """Probability of the event, shape (n_rows,)."""
    risk: Vector = fitted.predict_proba(X)[:, 1].astype(np.float64)
    return risk


@dataclass(frozen=True)
class Execution:
    """How a long run is carried out; the result does not depend on it.

    Attributes
    ----------
    n_jobs : int
        Processes; each uses one thread.
    store : Store, optional
        Keeps finished pieces, so that a killed run goes on where it ended.
    progress : callable of (done, total)
    """

    n_jobs: int = 1
    store: Store | None = None
    progress: Progress = silent


def cross_validate(
    X: pd.DataFrame,
    y: Vector,
    plan: SplitPlan,
    candidates: Sequence[Candidate],
    n_jobs: int = 1,
    *,
    weights: Vector | None = None,
    margin: Vector | None = None,
    execution: Execution | None = None,
) -> OutOfFold:
    """Predict every row of every repeat with models that have not seen its person.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), float, NaN = missing
    y : ndarray of shape (n_rows,) or (n_folds, n_rows), 0/1 or NaN
        One row per outer fold where labels are derived anew from its training persons. A row
        with NaN is not learnt from in that fold, but predicted all the same. Soft labels are
        doubled rows with weights, see :mod:`models.fold_labels`.
    plan : SplitPlan
        Audited for its persons by whoever made it.
    candidates : sequence of Candidate
    n_jobs : int, default=1
        Processes; the result does not depend on it.
    weights, margin : ndarray of the shapes ``y`` may have, optional
        See :class:`models.learning.Learning`.
    execution : Execution, optional
        Instead of ``n_jobs``: also where results are kept and progress is shown.

    Raises
    ------
    NotEnoughDataError
        Where the known labels of a fold's training rows are of one class.
    """
    how = execution or Execution(n_jobs)
    if y.ndim == 2 and len(y) != len(plan.folds):
        raise ValueError(f"y: expected one row for each of {len(plan.folds)} folds, found {len(y)}")
    _check_classes(np.broadcast_to(y, (len(plan.folds), plan.n_rows)), plan)
    places = [(i, c) for i in range(len(plan.folds)) for c in candidates]
    tasks = {
        _key(plan.folds[i], c): (_one_fold, (c, _of_fold(i, X, y, weights, margin), plan.folds[i]))
        for i, c in places
    }
    done = run_tasks(tasks, n_jobs=how.n_jobs, store=how.store, progress=how.progress)
    predictions = _empty_predictions(plan, candidates)
    chosen = []
    for i, candidate in places:
        fold = plan.folds[i]
        result = done[_key(fold, candidate)]
        at = fold.repeat * plan.n_rows + fold.test
        predictions.loc[at, f"p_{candidate.name}"] = result["risk"]
        predictions.loc[at, "fold"] = fold.fold
        place = {"repeat": fold.repeat, "fold": fold.fold, "candidate": candidate.name}
        chosen.append({**place, **result["record"]})
    return OutOfFold(predictions, chosen)


def _check_classes(labels: Matrix, plan: SplitPlan) -> None:
    for fold, y in zip(plan.folds, labels, strict=True):
        rows = known_rows(y, fold.train)
        if len(np.unique(y[rows])) < 2:
            raise NotEnoughDataError(
                f"repeat {fold.repeat}, fold {fold.fold}: expected events and non-events among "
                f"the training rows, found one class in {len(rows)} rows with a known label."
            )


def _key(fold: Fold, candidate: Candidate) -> str:
    return f"repeat {fold.repeat}, fold {fold.fold}, {candidate.name}"


def _of_fold(
    i: int, X: pd.DataFrame, y: Vector, weights: Vector | None, margin: Vector | None
) -> Learning:
    def mine(values: Vector) -> Vector:
        return np.asarray(values[i] if values.ndim == 2 else values)

    return Learning(
        X,
        mine(y),
        None if weights is None else mine(weights),
        None if margin is None else mine(margin),
    )


def _one_fold(candidate: Candidate, data: Learning, fold: Fold) -> Result:
    tuned = tune(candidate, data, fold.train, fold.inner)
    risk = predict_risk(tuned.fitted, data.X.iloc[fold.test])
    return {"risk": risk.tolist(), "record": tuned.record}


def without_path(candidate: Candidate) -> Candidate:
    """Return the candidate with every setting fitted by itself: slower, the same result."""
    return replace(candidate, path=None)


def _empty_predictions(plan: SplitPlan, candidates: Sequence[Candidate]) -> pd.DataFrame:
    n = plan.n_rows * plan.n_repeats
    columns: dict[str, npt.NDArray[Any]] = {
        "row": np.tile(np.arange(plan.n_rows), plan.n_repeats),
        "repeat": np.repeat(np.arange(plan.n_repeats), plan.n_rows),
        "fold": np.full(n, -1),
    }
    return pd.DataFrame(columns | {f"p_{c.name}": np.full(n, np.nan) for c in candidates})
