"""Persons who are not seen again: weights for those who are, and how far silence may mislead.

A person seen at a follow-up stands for the persons like him who were not: he counts
1 / P(seen | what was known before) [Robins1995]_. This rests on missing at random: given what the
weights know, those not seen fare like those seen. Nothing in the data can check that, so a mean
goes with the shift of the unseen at which its conclusion changes (:func:`tipping_shift`).

References
----------
.. [Robins1995] Robins, Rotnitzky, Zhao. Analysis of semiparametric regression models for repeated
   outcomes in the presence of missing data. J Am Stat Assoc 90:106.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import NotEnoughDataError
from models.unpenalised import fit_or_firth, with_intercept

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Seen = npt.NDArray[np.bool_]
# Weights beyond these quantiles of a wave are set to them [Cole2008]: Am J Epidemiol 168:656.
TRUNCATION = (0.01, 0.99)


@dataclass(frozen=True)
class FollowUp:
    """Who was seen at which wave, with what was known before.

    Attributes
    ----------
    seen : ndarray of shape (n_persons, n_waves), bool
    values : ndarray of shape (n_persons, n_waves)
        The outcome, NaN where not seen.
    baseline : ndarray of shape (n_persons, n_columns), no NaN
        Known of everybody before the first wave.
    group : ndarray of shape (n_persons,), int
        Arm; weights are stabilised within it. All zero without arms.
    """

    seen: Seen
    values: Matrix
    baseline: Matrix
    group: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> FollowUp:
        """Return some persons, who may come more than once."""
        return FollowUp(self.seen[rows], self.values[rows], self.baseline[rows], self.group[rows])


@dataclass(frozen=True)
class ObservationWeights:
    """Weights of the persons seen.

    Attributes
    ----------
    weights : ndarray of shape (n_persons, n_waves)
        Stabilised: their mean is about 1 in every group and wave; 0 where not seen.
    probability : ndarray of shape (n_persons, n_waves)
        Of being seen, given what was known before.
    n_truncated : ndarray of shape (n_waves,), int
    largest : ndarray of shape (n_waves,)
        Largest weight before truncation.
    monotone : bool
        Whether nobody who was once not seen came back.
    """

    weights: Matrix
    probability: Matrix
    n_truncated: npt.NDArray[np.int64]
    largest: Vector
    monotone: bool


def is_monotone(seen: Seen) -> bool:
    """Return whether nobody who was once not seen came back."""
    return bool((seen[:, 1:] <= seen[:, :-1]).all())


def observation_weights(
    follow_up: FollowUp, truncation: tuple[float, float] = TRUNCATION
) -> ObservationWeights:
    """Weigh those seen at each wave for those who were not.

    A logistic model per wave (Firth's where the classes are separated) of being seen given the
    baseline columns, the last known outcome and whether the person was seen at the wave before.
    Where dropout is monotone the models are those of staying, among the ones still there, and
    their probabilities are multiplied; where persons come back, each wave has one model of
    everybody.

    Parameters
    ----------
    follow_up : FollowUp
    truncation : (float, float), default=(0.01, 0.99)
        Quantiles of a wave's weights beyond which they are cut; (0, 1) cuts nothing.

    Raises
    ------
    NotEnoughDataError
        Where nobody is seen at a wave.
    """
    seen = follow_up.seen
    if not seen.any(axis=0).all():
        raise NotEnoughDataError("dropout: expected persons at every wave, found none at one.")
    monotone = is_monotone(seen)
    probability = np.ones(seen.shape)
    for wave in range(seen.shape[1]):
        before = probability[:, wave - 1] if monotone and wave else np.ones(len(seen))
        there = seen[:, wave - 1] if monotone and wave else np.ones(len(seen), dtype=bool)
        probability[:, wave] = before * _probability(follow_up, wave, there)
    weights = np.where(seen, _stabilise(seen, probability, follow_up.group), 0.0)
    largest = weights.max(axis=0)
    cut, n_cut = _truncate(weights, seen, truncation)
    return ObservationWeights(cut, probability, n_cut, largest, monotone)


def _probability(follow_up: FollowUp, wave: int, among: Seen) -> Vector:
    """P(seen at the wave | known before), learnt from the persons ``among``."""
    y = follow_up.seen[:, wave].astype(np.float64)
    if y[among].min() == y[among].max():
        return np.full(len(y), float(y[among].mean()))
    design = _independent(with_intercept(_known(follow_up, wave)), among)
    fit = fit_or_firth(design[among], y[among])
    return np.asarray(1 / (1 + np.exp(-(design @ fit.coefficients))), dtype=np.float64)


def _known(follow_up: FollowUp, wave: int) -> Matrix:
    """Baseline, last known outcome, and whether the person was seen at the wave before."""
    if not wave:
        return follow_up.baseline
    last = np.zeros(len(follow_up.seen))
    ever = np.zeros(len(follow_up.seen))
    for earlier in range(wave):
        here = follow_up.seen[:, earlier]
        last = np.where(here, np.nan_to_num(follow_up.values[:, earlier]), last)
        ever = np.maximum(ever, here)
    return np.column_stack([follow_up.baseline, last, ever, follow_up.seen[:, wave - 1]])


def _independent(design: Matrix, among: Seen) -> Matrix:
    """Leave out columns that say, among these persons, what the columns before them say."""
    scale = np.abs(design[among]).max(axis=0)
    scaled = design / np.where(scale > 0, scale, 1.0)
    kept: list[int] = []
    for column in range(design.shape[1]):
        if np.linalg.matrix_rank(scaled[among][:, [*kept, column]], tol=1e-8) > len(kept):
            kept.append(column)
    return np.asarray(scaled[:, kept], dtype=np.float64)


def _stabilise(seen: Seen, probability: Matrix, group: npt.NDArray[np.int64]) -> Matrix:
    """Share seen of the group over the person's own probability."""
    share = np.zeros(seen.shape)
    for level in np.unique(group):
        own = group == level
        share[own] = seen[own].mean(axis=0)
    return np.asarray(share / np.maximum(probability, 1e-6), dtype=np.float64)


def _truncate(
    weights: Matrix, seen: Seen, truncation: tuple[float, float]
) -> tuple[Matrix, npt.NDArray[np.int64]]:
    cut = weights.copy()
    for wave in range(weights.shape[1]):
        own = seen[:, wave]
        low, high = np.quantile(weights[own, wave], truncation)
        cut[own, wave] = np.clip(weights[own, wave], low, high)
    changed = np.abs(cut - weights) > 1e-12
    return cut, np.asarray(changed.sum(axis=0), dtype=np.int64)


def effective_size(weights: Vector) -> float:
    """Persons that would tell as much if all counted the same [Kish1965]_.

    References
    ----------
    .. [Kish1965] Kish. Survey Sampling, section 11.7.

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0, 2.0, 0.0]))  # 4**2 / 6
    2.6666666666666665
    """
    total = float((weights**2).sum())
    return float(weights.sum() ** 2 / total) if total > 0 else float("nan")


def weighted_mean(values: Vector, weights: Vector) -> float:
    """Mean of the values whose weight is above 0; NaN where there is none.

    Examples
    --------
    >>> weighted_mean(np.array([1.0, 4.0, np.nan]), np.array([2.0, 1.0, 0.0]))  # (2 + 4) / 3
    2.0
    """
    used = weights > 0
    if not used.any():
        return float("nan")
    return float((values[used] * weights[used]).sum() / weights[used].sum())


def shifted_mean(mean: float, share_unseen: float, shift: float) -> float:
    """Mean of everybody if the unseen fare ``shift`` better than the weights suppose.

    The delta adjustment of a pattern-mixture model [NRC2010]_: the mean under missing at random
    is that of the seen and of the unseen as imputed; only the latter move.

    References
    ----------
    .. [NRC2010] National Research Council. The Prevention and Treatment of Missing Data in
       Clinical Trials, chapter 5.

    Examples
    --------
    A quarter unseen, who fare 2 worse than supposed:

    >>> shifted_mean(1.5, 0.25, -2.0)  # 1.5 - 2 / 4
    1.0
    """
    return mean + share_unseen * shift


def tipping_shift(limit: float, share_unseen: float) -> float:
    """Shift of the unseen that brings an interval's limit to zero; NaN where nobody is unseen.

    The interval moves as its estimate does, its width taken as unchanged.

    Examples
    --------
    >>> tipping_shift(0.5, 0.25)  # -0.5 / 0.25
    -2.0
    """
    return -limit / share_unseen if share_unseen > 0 else float("nan")
