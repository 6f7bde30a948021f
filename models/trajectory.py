"""Repeated follow-ups of a programme: means and classes over time, dropout as one of the outcomes.

Every figure is given twice where persons are not seen: of those seen as they are, and weighted for
those who were not (:mod:`models.dropout`). Intervals are of whole persons resampled, the weights
learnt anew in every resample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.dropout import (
    FollowUp,
    effective_size,
    observation_weights,
    shifted_mean,
    tipping_shift,
    weighted_mean,
)
from models.errors import NotEnoughDataError
from models.estimate import BOOTSTRAP, Estimate, Reason, with_interval
from models.mixed import MixedFit, fit_mixed

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Label = tuple[str, str, int, int, int]
EVERYBODY = "everybody"
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Programme:
    """What a programme's follow-ups showed.

    Attributes
    ----------
    follow_up : FollowUp
        Changes by wave, positive = less pain.
    states : ndarray of shape (n_programmes, n_waves), int
        Position in ``state_names``; the last is that of those not seen.
    person : ndarray of shape (n_programmes,), int
    group_names : tuple of str
        Names of the follow-up's groups 0, 1 ...
    state_names : tuple of str
    """

    follow_up: FollowUp
    states: Numbers
    person: Numbers
    group_names: tuple[str, ...]
    state_names: tuple[str, ...]

    def take(self, rows: Numbers) -> Programme:
        """Return some programmes, which may come more than once."""
        return Programme(
            self.follow_up.take(rows),
            self.states[rows],
            self.person[rows],
            self.group_names,
            self.state_names,
        )


def describe(programme: Programme, resamples: int, seed: int) -> dict[Label, Estimate]:
    """Estimate every figure of the trajectories, with intervals of persons resampled.

    Returns
    -------
    dict of (kind, group, wave, state, next state) to Estimate
        Kinds: ``seen_mean``, ``weighted_mean``, ``weighted_difference`` (second group minus
        first; two groups only), ``seen_share`` (of every state, not seen among them; they sum to
        1), ``weighted_share`` (of the states of those seen, weighted for those not seen) and
        ``transition`` (share of those in a state who are in the next one at the next wave).
        States are -1 where they do not apply.
    """
    own = dict(_figures(programme))
    labels = list(own)
    drawn = np.full((resamples + 1, len(labels)), np.nan)
    drawn[0] = list(own.values())
    rng = np.random.default_rng(seed)
    people = np.unique(programme.person)
    rows_of = [np.flatnonzero(programme.person == p) for p in people]
    for number in range(1, resamples + 1):
        chosen = rng.integers(0, len(people), len(people))
        rows = np.concatenate([rows_of[i] for i in chosen])
        try:
            found = dict(_figures(programme.take(rows)))
        except NotEnoughDataError:
            continue  # a wave without anybody: this resample has no figures, and is counted so
        drawn[number] = [found[label] for label in labels]
    estimates = (with_interval(values, Reason.NOT_COMPUTABLE, BOOTSTRAP) for values in drawn.T)
    return dict(zip(labels, map(_with_width, estimates), strict=True))


def _with_width(found: Estimate) -> Estimate:
    """Give no interval where all resamples agree: a state that nobody is in, or one person."""
    if found.lower < found.upper or np.isnan(found.lower):
        return found
    return Estimate(found.estimate, np.nan, np.nan, found.method, Reason.NO_WIDTH)


def _figures(programme: Programme) -> Iterator[tuple[Label, float]]:
    weights = observation_weights(programme.follow_up).weights
    group = programme.follow_up.group
    for name, own in _groups(programme):
        for wave in range(weights.shape[1]):
            yield from _of_wave(programme, name, own, (wave, weights[:, wave]))
    if len(programme.group_names) == 2:
        for wave in range(weights.shape[1]):
            values, weight = programme.follow_up.values[:, wave], weights[:, wave]
            means = [weighted_mean(values, np.where(group == g, weight, 0.0)) for g in (0, 1)]
            yield (
                ("weighted_difference", programme.group_names[1], wave, -1, -1),
                means[1] - means[0],
            )
    yield from _transitions(programme)


def _groups(programme: Programme) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    yield EVERYBODY, np.ones(len(programme.person), dtype=bool)
    if len(programme.group_names) > 1:
        for number, name in enumerate(programme.group_names):
            yield name, programme.follow_up.group == number


def _of_wave(
    programme: Programme, name: str, own: npt.NDArray[np.bool_], wave: tuple[int, Vector]
) -> Iterator[tuple[Label, float]]:
    """Means and shares of one group at one wave."""
    number, weight = wave
    weight = np.where(own, weight, 0.0)
    values = programme.follow_up.values[:, number]
    seen = own & programme.follow_up.seen[:, number]
    yield ("seen_mean", name, number, -1, -1), weighted_mean(values, seen.astype(np.float64))
    yield ("weighted_mean", name, number, -1, -1), weighted_mean(values, weight)
    last = len(programme.state_names) - 1
    for state in range(last + 1):
        there = (programme.states[:, number] == state).astype(np.float64)
        yield (
            ("seen_share", name, number, state, -1),
            weighted_mean(there, own.astype(np.float64)),
        )
        if state < last:
            yield ("weighted_share", name, number, state, -1), weighted_mean(there, weight)


def _transitions(programme: Programme) -> Iterator[tuple[Label, float]]:
    states = programme.states
    for wave in range(states.shape[1] - 1):
        for state in range(len(programme.state_names)):
            here = (states[:, wave] == state).astype(np.float64)
            for following in range(len(programme.state_names)):
                there = (states[:, wave + 1] == following).astype(np.float64)
                share = weighted_mean(there, here)
                yield ("transition", EVERYBODY, wave, state, following), share


def weight_report(programme: Programme) -> list[dict[str, Any]]:
    """Say per wave who was seen and what the weights are like.

    Returns
    -------
    list of dict, one per wave, with ``n_seen, share_seen, effective_size, largest_weight,
    n_truncated, lowest_probability, monotone``
    """
    found = observation_weights(programme.follow_up)
    seen = programme.follow_up.seen
    return [
        {
            "n_seen": int(seen[:, w].sum()),
            "share_seen": float(seen[:, w].mean()),
            "effective_size": effective_size(found.weights[:, w]),
            "largest_weight": float(found.largest[w]),
            "n_truncated": int(found.n_truncated[w]),
            "lowest_probability": float(found.probability[:, w].min()),
            "monotone": found.monotone,
        }
        for w in range(seen.shape[1])
    ]


def sensitivity(mean: Estimate, share_unseen: float, shifts: tuple[float, ...]) -> dict[str, Any]:
    """Move those not seen, and say what would undo the conclusion.

    Parameters
    ----------
    mean : Estimate
        A weighted mean or difference; its interval keeps its width.
    share_unseen : float
        Of everybody; of a difference, of the group whose unseen are moved.
    shifts : tuple of float, unit of the outcome

    Returns
    -------
    dict with ``shifted`` (per shift, the estimate), ``has_interval`` and ``tipping_shift``: at
    which the limit nearer zero reaches zero; NaN where the interval holds zero already, where
    there is none, or nobody is unseen
    """
    near = mean.lower if mean.lower > 0 else mean.upper if mean.upper < 0 else float("nan")
    return {
        "share_unseen": share_unseen,
        "shifted": [
            {"shift": s, "estimate": shifted_mean(mean.estimate, share_unseen, s)} for s in shifts
        ],
        "has_interval": bool(np.isfinite(mean.lower)),
        "tipping_shift": tipping_shift(near, share_unseen),
    }


@dataclass(frozen=True)
class WaveModel:
    """The mixed model of a programme, and its mean per wave.

    Attributes
    ----------
    fit : MixedFit
    means : dict of (group, wave) to Estimate
        At the mean of the baseline outcome.
    differences : list of Estimate
        Second group minus first, per wave; empty without two groups.
    n_rows, n_persons : int
    """

    fit: MixedFit
    means: dict[tuple[str, int], Estimate]
    differences: list[Estimate]
    n_rows: int
    n_persons: int


def fit_waves(programme: Programme, reference: Vector, years: Vector) -> WaveModel:
    """Fit a mixed model of the change: a mean per wave and group, and the baseline outcome.

    Each person has a random intercept and, from three waves on, a random slope of time. Rows not
    seen are missing at random given the person's other rows and the baseline.

    Parameters
    ----------
    programme : Programme
    reference : ndarray of shape (n_programmes,)
        The outcome before the programme.
    years : ndarray of shape (n_waves,)

    Raises
    ------
    NotEnoughDataError
        With one wave only, or where a mean of a group and wave has no rows.
    """
    n_waves, n_groups = len(years), len(programme.group_names)
    if n_waves < 2:
        raise NotEnoughDataError(f"mixed model: expected two waves or more, found {n_waves}.")
    row, wave = np.nonzero(programme.follow_up.seen)
    cell = programme.follow_up.group[row] * n_waves + wave
    x = np.zeros((len(row), n_groups * n_waves + 1))
    x[np.arange(len(row)), cell] = 1.0
    x[:, -1] = reference[row] - reference.mean()
    z = np.ones((len(row), 1 if n_waves == 2 else 2))
    z[:, 1:] = years[wave][:, None]
    y = programme.follow_up.values[row, wave]
    fit = fit_mixed(y, x, z, programme.person[row])
    select = np.eye(x.shape[1])
    means = {
        (name, w): _wald(fit, select[g * n_waves + w])
        for g, name in enumerate(programme.group_names)
        for w in range(n_waves)
    }
    pairs = [select[n_waves + w] - select[w] for w in range(n_waves)] if n_groups == 2 else []
    n_persons = len(np.unique(programme.person[row]))
    return WaveModel(fit, means, [_wald(fit, p) for p in pairs], len(y), n_persons)


def _wald(fit: MixedFit, contrast: Vector) -> Estimate:
    value = float(contrast @ fit.coefficients)
    reach = NORMAL_95 * float(np.sqrt(contrast @ fit.covariance @ contrast))
    return Estimate(value, value - reach, value + reach, "mixed model, Wald")
