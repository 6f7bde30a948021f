"""Ranking options of one person: utility from stated harms, and which cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Ranking:
    """Options of persons in order.

    Attributes
    ----------
    utility, lower, upper : ndarray of shape (n_persons, n_options)
        Expected utility in units of one response, with the interval of the refits.
    rank : ndarray of shape (n_persons, n_options)
        1 = best; options that cannot be told apart share a rank; NaN = not ranked.
    tied_with_best : ndarray of bool, shape (n_persons, n_options)
    """

    utility: Vector
    lower: Vector
    upper: Vector
    rank: Vector
    tied_with_best: Flags


def rank_options(utility: Vector, ranked: Flags) -> Ranking:
    """Rank options by utility; a group ends where the difference from its best is certain.

    From the best option of those left, all whose difference from it has an interval with zero in
    it are of one rank. The interval is that of the paired differences over the refits: two wide
    intervals that overlap may belong to options that differ in every refit.

    Parameters
    ----------
    utility : ndarray of shape (1 + n_refits, n_persons, n_options)
        The first is the model's, the others those of refits on resampled persons.
    ranked : ndarray of bool, shape (n_persons, n_options)
        Options that may be ranked.

    Examples
    --------
    >>> draws = np.array([[[0.5, 0.4, 0.1]], [[0.4, 0.45, 0.0]], [[0.6, 0.3, 0.2]]])
    >>> rank_options(draws, np.ones((1, 3), dtype=bool)).rank
    array([[1., 1., 3.]])
    """
    lower, upper = _tails(utility)
    rank = np.full(ranked.shape, np.nan)
    tied = np.zeros(ranked.shape, dtype=bool)
    for person, allowed in enumerate(ranked):
        rank[person] = _ranks(utility[:, person], allowed)
        best = rank[person] == 1
        tied[person] = best & (best.sum() > 1)
    return Ranking(utility[0], lower, upper, rank, tied)


def _tails(draws: Vector) -> tuple[Vector, Vector]:
    """Interval of refits; nothing known without them."""
    if len(draws) < 3:
        return np.full(draws.shape[1:], -np.inf), np.full(draws.shape[1:], np.inf)
    low, high = np.quantile(draws[1:], TAILS, axis=0)
    return np.asarray(low), np.asarray(high)


def _ranks(utility: Vector, allowed: Flags) -> Vector:
    found = np.full(len(allowed), np.nan)
    left = list(np.flatnonzero(allowed)[np.argsort(-utility[0][allowed], kind="stable")])
    place = 1
    while left:
        low, high = _tails(utility[:, left] - utility[:, left[:1]])
        alike = (low <= 0) & (high >= 0)
        group = [option for option, same in zip(left, alike, strict=True) if same]
        found[group] = place
        place += len(group)
        left = [option for option in left if option not in group]
    return found
