"""Which candidate is used, and whether the predictors have been shown to help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics import CLIP, Estimate, log_loss_per_row

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
COMPARATORS = ("prevalence", "stratum", "baseline")


@dataclass(frozen=True)
class Selection:
    """The candidate chosen by the one-standard-error rule, and the losses it was chosen by."""

    selected: str
    best: str
    log_loss: Mapping[str, float]
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)


def select_candidate(
    y: Vector, person: npt.NDArray[np.int64], risks: Mapping[str, Matrix]
) -> Selection:
    """Choose the simplest candidate within one standard error of the best log loss.

    The standard error is that of the best candidate's mean loss, over persons: rows of one
    person are not independent.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_repeats, n_rows), 0/1
        NaN = not judged in that repeat; a row that no repeat judges is left out.
    person : ndarray of shape (n_rows,), int
    risks : mapping of candidate name to ndarray of shape (n_repeats, n_rows)
        Out-of-fold, in the order of complexity, simplest first.

    References
    ----------
    .. [Breiman1984] Breiman et al. Classification and Regression Trees, section 3.4.3.
    """
    judged = np.isfinite(np.atleast_2d(y)).any(axis=0)
    _, person = np.unique(person[judged], return_inverse=True)
    rows = {name: _mean_loss(y, r)[judged] for name, r in risks.items()}
    losses = {name: float(loss.mean()) for name, loss in rows.items()}
    best = min(losses, key=lambda name: losses[name])
    error = clustered_standard_error(rows[best], person)
    selected = next(name for name in losses if losses[name] <= losses[best] + error)
    return Selection(selected, best, losses, error)


def _mean_loss(y: Matrix, risks: Matrix) -> Vector:
    """Mean log loss of every row over the repeats that judge it; 0 where none does."""
    labels = np.broadcast_to(y, risks.shape)
    known = np.isfinite(labels)
    loss = np.where(known, log_loss_per_row(labels, risks, CLIP), 0.0)
    mean: Vector = loss.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean


def clustered_standard_error(values: Vector, person: npt.NDArray[np.int64]) -> float:
    """Standard error of a mean whose rows cluster in persons.

    The sandwich form: sqrt(n/(n-1) * sum over persons of (sum of residuals)²) / n_rows.

    Examples
    --------
    Rows repeated for each person leave the standard error as it was:

    >>> once = clustered_standard_error(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 2]))
    >>> twice = clustered_standard_error(np.repeat([1.0, 2.0, 4.0], 2), np.repeat([0, 1, 2], 2))
    >>> bool(abs(once - twice) < 1e-12)
    True
    """
    residuals = np.bincount(person, weights=values - values.mean())
    n = len(residuals)
    return float(np.sqrt(n / (n - 1) * (residuals**2).sum()) / len(values)) if n > 1 else np.nan


def verdict(
    selected: str,
    against_stratum: Mapping[str, Estimate],
    against_baseline: Mapping[str, Estimate],
    n_participants: int,
) -> dict[str, Any]:
    """Say in plain sentences whether the predictors beat condition and exercise.

    Parameters
    ----------
    selected : str
        The candidate chosen by :func:`select_candidate`.
    against_stratum, against_baseline : mapping of candidate to Estimate
        Log loss minus that of ``stratum`` and of ``baseline``, paired on the same persons
        (negative = better), for every candidate that uses predictors.
    n_participants : int

    Returns
    -------
    dict with ``promoted`` (bool), ``shown`` (the candidate the sentences are about),
    ``opening`` (the verdict in words) and ``sentence`` (with its figures)

    Notes
    -----
    Promotion needs all three: the one-standard-error rule chose the candidate, and the paired
    intervals against ``stratum`` and against ``baseline`` both lie below zero.
    """
    shown = (
        selected
        if selected in against_stratum
        else min(against_stratum, key=lambda n: np.nan_to_num(against_stratum[n].estimate, nan=9e9))
    )
    difference = against_stratum[shown]
    beyond = against_baseline[shown]
    promoted = shown == selected and bool(difference.upper < 0) and bool(beyond.upper < 0)
    if promoted:
        opening = "The predictors improve on condition and exercise alone in this data set"
    elif shown == selected and difference.upper < 0:
        opening = (
            "The predictors have not been shown to help beyond pain and sensitivity before the bout"
        )
    elif difference.upper < 0:
        opening = (
            f"The predictors have not been shown to help: '{selected}' is as good within one "
            "standard error"
        )
    elif difference.lower > 0:
        opening = "The predictors have not been shown to help; they predict worse"
    else:
        opening = "The predictors have not been shown to help"
    figures = _figures(shown, "condition and exercise alone", difference)
    adds = "add" if beyond.upper < 0 else "have not been shown to add"
    sentence = (
        f"{opening} ({figures}, {n_participants} persons, out of fold). They {adds} to pain and "
        f"sensitivity before the bout ({_figures(shown, 'baseline', beyond)})."
    )
    return {"promoted": promoted, "shown": shown, "opening": opening, "sentence": sentence}


def _figures(name: str, reference: str, difference: Estimate) -> str:
    return (
        f"log loss of '{name}' minus that of {reference} {difference.estimate:+.4f}, "
        f"95 % interval {difference.lower:+.4f} to {difference.upper:+.4f}"
    )
