"""Venn-Abers interval of a probability: what isotonic calibration says if the row is, or is not.

The new row is added to the calibration rows once as a non-event and once as an event; isotonic
regression gives the two probabilities. One of them is perfectly calibrated [Vovk2014]_, and
their distance says how much a single person can move the answer: it is no confidence interval.
Both are step functions of the risk and are worked out once, so that a prediction is a look-up.

Persons are counted, not rows: each shares a weight of one among its rows, and the new row weighs
what a row of a person weighs on average. With one row per person that is the exact predictor;
with several it holds on average over persons, which simulation shows (a new row that weighed one
would draw the answer towards its own label by more than calibration rows do). Risks are first
merged to steps of at least a few persons, so that no step is about one of them.

References
----------
.. [Vovk2014] Vovk, Petej. Venn-Abers predictors. UAI 2014, 829-838 (arXiv:1211.0025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import isotonic_regression

from models.conformal import person_shares

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
# More steps than this are not told apart by eye, and cost time in squares.
MOST_STEPS = 200


@dataclass(frozen=True)
class VennAbers:
    """The two probabilities as steps of the risk.

    Attributes
    ----------
    edges : tuple of float, ascending
        Where one step ends and the next begins (which the edge itself belongs to).
    lower, upper : tuple of float
        One more than edges: probability if the row is added as a non-event, as an event.
    """

    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def interval(self, risk: Vector) -> tuple[Vector, Vector]:
        """Look the two probabilities up, each of shape (n_rows,).

        Parameters
        ----------
        risk : ndarray of shape (n_rows,), in [0, 1]
        """
        step = np.searchsorted(np.array(self.edges), risk, side="right")
        return np.array(self.lower)[step], np.array(self.upper)[step]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON content."""
        return {"edges": list(self.edges), "lower": list(self.lower), "upper": list(self.upper)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> VennAbers:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If the steps do not fit their edges.
        """
        edges, lower, upper = (
            tuple(float(v) for v in content[name]) for name in ("edges", "lower", "upper")
        )
        if not len(edges) + 1 == len(lower) == len(upper) or list(edges) != sorted(edges):
            raise ValueError("Venn-Abers steps: expected one more than their ascending edges")
        return cls(edges, lower, upper)


def fit_venn_abers(
    y: Vector, risk: Vector, person: Index, *, copies: int = 1, least_persons: int = 5
) -> VennAbers:
    """Work out the steps from rows that the model has not learnt from.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    risk : ndarray of shape (n_rows,), in [0, 1]
    person : ndarray of shape (n_rows,), int
    copies : int, default=1
        How often each bout is among the rows: once per repeat of the cross-validation.
    least_persons : int, default=5
        Persons that a step rests on at least; 1 merges equal risks only.

    Notes
    -----
    With 1 and one row per person these are the probabilities of [Vovk2014]_ for risks that were
    seen in calibration; a risk between two seen ones joins the nearer.
    """
    weights, n_persons = person_shares(person)
    # Sum of squares over persons: the mean share of a row, and of its copies together.
    own = min(1.0, copies * float(weights @ weights) / n_persons)
    order = np.argsort(risk, kind="stable")
    starts = _starts(risk[order], person[order], least_persons)
    total = np.add.reduceat(weights[order], starts)
    events = np.add.reduceat((weights * y)[order], starts)
    ordered = risk[order]
    edges = (ordered[starts[1:] - 1] + ordered[starts[1:]]) / 2
    # Of two neighbouring floating-point numbers the mean is one of them: keep the upper apart.
    edges = np.where(edges > ordered[starts[1:] - 1], edges, ordered[starts[1:]])
    lower = _with_one_more(total, events, (own, 0.0))
    upper = _with_one_more(total, events, (own, 1.0))
    # Neighbours that say the same are one step.
    new = np.flatnonzero((np.diff(lower) != 0) | (np.diff(upper) != 0)) + 1
    kept = np.concatenate([[0], new]).astype(np.int64)
    return VennAbers(_floats(edges[kept[1:] - 1]), _floats(lower[kept]), _floats(upper[kept]))


def _starts(risk: Vector, person: Index, least_persons: int) -> Index:
    """Position of the first row of every step; equal risks are never divided."""
    least = max(least_persons, len(np.unique(person)) / MOST_STEPS)
    starts = [0]
    seen: set[int] = set()
    for row, (value, who) in enumerate(zip(risk.tolist(), person.tolist(), strict=True)):
        if row and len(seen) >= least and value > risk[row - 1]:
            starts.append(row)
            seen = set()
        seen.add(who)
    # What is left over at the top is too few: it joins the last step.
    if len(starts) > 1 and len(seen) < least:
        starts.pop()
    return np.array(starts, dtype=np.int64)


def _with_one_more(total: Vector, events: Vector, new: tuple[float, float]) -> Vector:
    """Isotonic rate of every step with a new row (its weight and label) added to that step."""
    weight, label = new
    found = np.empty(len(total))
    for step in range(len(total)):
        weights, sums = total.copy(), events.copy()
        weights[step] += weight
        sums[step] += weight * label
        found[step] = isotonic_regression(sums / weights, sample_weight=weights)[step]
    # Rounding must not turn the steps: both rise with the risk.
    return np.asarray(np.maximum.accumulate(np.clip(found, 0.0, 1.0)))


def merged(lower: Vector, upper: Vector) -> Vector:
    """Return the single probability whose regret in log loss is the same whichever label comes.

    p1 / (1 - p0 + p1) [Vovk2014]_.

    Examples
    --------
    >>> merged(np.array([0.2]), np.array([0.3])).round(3)
    array([0.273])
    """
    return np.asarray(upper / (1.0 - lower + upper))


def _floats(values: Vector) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
