"""What acting on two risks is worth, given how much a flare weighs against a response.

The bout is done where benefit * P(response) exceeds harm * P(hyperalgesia). Worth is counted in
observed outcomes of the study's bouts: it says how well the risks sort bouts that were done,
not what leaving a bout out would do to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.estimate import Reason, with_interval

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoRisks:
    """Two exclusive outcomes of bouts, with their risks.

    Attributes
    ----------
    response, hyperalgesia : ndarray of shape (n_rows,), 0/1
    p_response, p_hyperalgesia : ndarray of shape (n_rows,)
    weights : ndarray of shape (1 + n_resamples, n_rows)
        How often each row is drawn when persons are; the first row is the data as they are.
    """

    response: Vector
    hyperalgesia: Vector
    p_response: Vector
    p_hyperalgesia: Vector
    weights: Matrix


def expected_worth(p_response: Vector, p_hyperalgesia: Vector, harm: float) -> Vector:
    """Expected worth of a bout in units of one response, shape (n_rows,).

    Examples
    --------
    >>> expected_worth(np.array([0.5]), np.array([0.1]), harm=2.0)
    array([0.3])
    """
    return np.asarray(p_response - harm * p_hyperalgesia)


def decision_table(two: TwoRisks, harms: Sequence[float]) -> list[dict[str, Any]]:
    """Worth per bout of the study under each harm of a flare, in units of one response.

    Returns
    -------
    list of dict, one per harm
        ``harm_of_flare`` (a response counts 1), ``share_done``, and ``by_risks``, ``all``,
        ``against_all`` and ``against_none`` (worth per bout, with intervals; doing none is
        worth 0, so that the last equals ``by_risks``)
    """
    total = two.weights.sum(axis=1)
    rows = []
    for harm in harms:
        worth = two.response - harm * two.hyperalgesia
        done = expected_worth(two.p_response, two.p_hyperalgesia, harm) > 0
        by_risks = two.weights @ (worth * done) / total
        everybody = two.weights @ worth / total
        figures = {
            "share_done": two.weights @ done.astype(np.float64) / total,
            "by_risks": by_risks,
            "all": everybody,
            "against_all": by_risks - everybody,
            "against_none": by_risks,
        }
        rows.append(
            {"harm_of_flare": float(harm)}
            | {n: with_interval(v, Reason.NOT_COMPUTABLE).to_dict() for n, v in figures.items()}
        )
    return rows


def coherent(p_response: Vector, p_hyperalgesia: Vector) -> tuple[Vector, Vector]:
    """Move risks of exclusive outcomes that add up to more than one onto a sum of one.

    Each loses half of the excess: the nearest pair that can be true, whose squared error is
    smaller than that of the pair it replaces whichever of the three things happens
    [DeFinetti1974]_. Others stay as they are.

    References
    ----------
    .. [DeFinetti1974] de Finetti. Theory of Probability, volume 1, chapter 3.

    Examples
    --------
    >>> [p.round(2).tolist() for p in coherent(np.array([0.9, 0.4]), np.array([0.3, 0.2]))]
    [[0.8, 0.4], [0.2, 0.2]]
    """
    excess = np.maximum(p_response + p_hyperalgesia - 1.0, 0.0)
    adjusted = np.where(excess > 0, p_response - excess / 2, p_response)
    # The complement, so that no rounding lifts the sum above one.
    other = np.where(excess > 0, np.minimum(1.0 - adjusted, p_hyperalgesia), p_hyperalgesia)
    return np.asarray(adjusted), np.asarray(other)
