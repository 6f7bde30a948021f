"""Prediction sets that hold each class with a stated probability, for persons with several bouts.

A class belongs to the set unless the row looks stranger for it than nearly all calibration rows
of that class. Rows of one person are not independent, so that persons are counted: each shares a
weight of one among the rows of the class, and one more person, the new one, is put at infinity.
For a random row of that class of a new person the set then holds the class with at least the
stated probability, whatever the model, the number of bouts and their dependence [Lee2023]_.

References
----------
.. [Lee2023] Lee, Barber, Willett. Distribution-free inference with hierarchical data.
   arXiv:2306.06342, section 3 (HCP). For sets by class: Vovk, Conditional validity of inductive
   conformal predictors, Machine Learning 92:349 (2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
CLASSES = (0, 1)


@dataclass(frozen=True)
class ConformalSets:
    """Per class, the largest strangeness that keeps it in the set.

    Attributes
    ----------
    level : float, in (0, 1)
        Probability with which the true class is in the set, for either class.
    thresholds : (float or None, float or None)
        Of class 0 and class 1; the strangeness is one minus the probability of the class. None:
        too few persons for the level, the class is never left out.
    n_persons : (int, int)
        Persons with a row of the class.
    """

    level: float
    thresholds: tuple[float | None, float | None]
    n_persons: tuple[int, int]

    def contains(self, risk: Vector) -> Flags:
        """Say which classes are in the set of every row.

        Parameters
        ----------
        risk : ndarray of shape (n_rows,), in [0, 1]
            Probability of class 1.

        Returns
        -------
        ndarray of bool, shape (2, n_rows)
        """
        return np.stack(
            [
                np.ones(len(risk), dtype=bool)
                if threshold is None
                else strangeness(risk, label) <= threshold
                for label, threshold in zip(CLASSES, self.thresholds, strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON content."""
        return {
            "level": self.level,
            "thresholds": list(self.thresholds),
            "n_persons": list(self.n_persons),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ConformalSets:
        """Read what :meth:`to_dict` wrote."""
        low, high = (None if t is None else float(t) for t in content["thresholds"])
        few, many = (int(n) for n in content["n_persons"])
        return cls(float(content["level"]), (low, high), (few, many))


def strangeness(risk: Vector, label: int) -> Vector:
    """One minus the probability of a class, shape (n_rows,)."""
    return 1.0 - risk if label == 1 else risk


def fit_sets(y: Vector, risk: Vector, person: Index, level: float) -> ConformalSets:
    """Calibrate the sets on rows that the model has not learnt from.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    risk : ndarray of shape (n_rows,), in [0, 1]
        Out-of-fold risks; a row may occur once for every repeat of the cross-validation.
    person : ndarray of shape (n_rows,), int
    level : float, in (0, 1)
    """
    found = [_threshold(strangeness(risk, c)[y == c], person[y == c], level) for c in CLASSES]
    (low, few), (high, many) = found
    return ConformalSets(level, (low, high), (few, many))


def _threshold(scores: Vector, person: Index, level: float) -> tuple[float | None, int]:
    weights, n_persons = person_shares(person)
    if n_persons == 0:
        return None, 0
    order = np.argsort(scores, kind="stable")
    # The new person is one more, at infinity: the others have n / (n + 1) of the weight.
    reached = np.cumsum(weights[order]) / (n_persons + 1)
    at = int(np.searchsorted(reached, level - 1e-12))
    return (float(scores[order[at]]) if at < len(scores) else None), n_persons


def person_shares(person: Index) -> tuple[Vector, int]:
    """Weight of every row, so that each person's rows add up to one; and the number of persons.

    Examples
    --------
    >>> person_shares(np.array([7, 7, 9]))
    (array([0.5, 0.5, 1. ]), 2)
    """
    names, code = np.unique(person, return_inverse=True)
    counts = np.bincount(code, minlength=len(names))
    return 1.0 / counts[code], len(names)
