"""Outcome of an exercise by arm: one ordinal model of the arms, the person, and their products.

The products of arm and modifier are what lets the best exercise differ between persons; without
them (``modifiers`` empty) the same arm is best for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import NotEnoughDataError
from models.judged import person_counts
from models.ordinal import class_probabilities, fit_terms, log_loss
from models.splits import Split

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ArmTerms:
    """What the model is made of.

    Attributes
    ----------
    arms : tuple of str
    columns : tuple of str
        Features with one coefficient each.
    modifiers : tuple of str
        Features with one more coefficient in every arm.
    centre, scale : mapping of column to float
        Missing values are taken as the centre.
    """

    arms: tuple[str, ...]
    columns: tuple[str, ...]
    modifiers: tuple[str, ...]
    centre: Mapping[str, float]
    scale: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the terms, in their order."""
        products = [f"{arm}:{m}" for arm in self.arms for m in self.modifiers]
        return (*(f"arm:{a}" for a in self.arms), *self.columns, *products)

    def matrix(self, X: pd.DataFrame, arm: Index) -> Matrix:
        """Terms of rows under given arms (positions in ``arms``), shape (n_rows, n_terms)."""
        arm_one = (arm[:, None] == np.arange(len(self.arms))).astype(np.float64)
        main, modifying = self._standard(X, self.columns), self._standard(X, self.modifiers)
        products = (arm_one[:, :, None] * modifying[:, None, :]).reshape(
            len(X), len(self.arms) * len(self.modifiers)
        )
        return np.column_stack([arm_one, main, products])

    def _standard(self, X: pd.DataFrame, names: Sequence[str]) -> Matrix:
        centre = np.array([self.centre[n] for n in names])
        scale = np.array([self.scale[n] for n in names])
        values = X[list(names)].to_numpy(dtype=np.float64)
        return np.asarray(np.nan_to_num((values - centre) / scale, nan=0.0))


@dataclass(frozen=True)
class ArmModel:
    """A fitted model, and its refits on resampled persons.

    ``coefficients`` has shape (1 + n_refits, n_terms), ``cuts`` (1 + n_refits, 2); the first is
    the model itself.
    """

    terms: ArmTerms
    coefficients: Matrix
    cuts: Matrix

    def probabilities(self, X: pd.DataFrame, arm: Index) -> npt.NDArray[np.float64]:
        """Return P(hyperalgesia, neither, response), shape (1 + n_refits, n_rows, 3)."""
        predictor = self.coefficients @ self.terms.matrix(X, arm).T
        pairs = zip(predictor, self.cuts, strict=True)
        return np.array([class_probabilities(p, (float(a), float(b))) for p, (a, b) in pairs])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON content."""
        terms = self.terms
        return {
            "arms": list(terms.arms),
            "columns": list(terms.columns),
            "modifiers": list(terms.modifiers),
            "centre": dict(terms.centre),
            "scale": dict(terms.scale),
            "coefficients": self.coefficients.tolist(),
            "cuts": self.cuts.tolist(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ArmModel:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If the parts do not fit each other.
        """
        arms, columns, modifiers = (
            tuple(str(v) for v in content[n]) for n in ("arms", "columns", "modifiers")
        )
        moments = (dict(content[n]) for n in ("centre", "scale"))
        terms = ArmTerms(arms, columns, modifiers, *moments)
        coefficients = np.array(content["coefficients"], dtype=np.float64)
        cuts = np.array(content["cuts"], dtype=np.float64)
        if coefficients.shape != (len(cuts), len(terms.names)) or cuts.shape[1:] != (2,):
            raise ValueError("arm model: expected coefficients of every term, found others")
        return cls(terms, coefficients, cuts)


def arm_terms(
    X: pd.DataFrame, arms: Sequence[str], columns: Sequence[str], modifiers: Sequence[str]
) -> ArmTerms:
    """Return terms standardised on the rows of ``X``."""
    used = list(dict.fromkeys([*columns, *modifiers]))
    spread = X[used].std(ddof=0).fillna(0.0)
    return ArmTerms(
        tuple(arms),
        tuple(columns),
        tuple(modifiers),
        {c: float(X[c].mean()) if X[c].notna().any() else 0.0 for c in used},
        {c: float(spread[c]) if spread[c] > 1e-12 else 1.0 for c in used},
    )


@dataclass(frozen=True)
class ArmRows:
    """Rows to learn from.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features)
    arm : ndarray of shape (n_rows,), int
    order : ndarray of shape (n_rows,), 0 hyperalgesia, 1 neither, 2 response, NaN = nothing known
    person : ndarray of shape (n_rows,), int
    """

    X: pd.DataFrame
    arm: Index
    order: Vector
    person: Index

    def at(self, rows: Index) -> ArmRows:
        """Return the rows at these positions that have a known class."""
        known = rows[np.isfinite(self.order[rows])]
        return ArmRows(self.X.iloc[known], self.arm[known], self.order[known], self.person[known])


def fit_arm_model(rows: ArmRows, terms: ArmTerms, c: float) -> ArmModel:
    """Fit without refits.

    Raises
    ------
    NotEnoughDataError
        Without a row of each class.
    """
    if len(np.unique(rows.order)) < 3:
        raise NotEnoughDataError("expected rows of all three classes, found fewer.")
    coefficients, cuts = fit_terms(terms.matrix(rows.X, rows.arm), rows.order, c)
    return ArmModel(terms, coefficients[None, :], np.array([cuts]))


def tune_arm_model(
    rows: ArmRows, splits: Sequence[Split], terms: ArmTerms, grid: Sequence[float]
) -> float:
    """Return the penalty with the least log loss over the splits; the strongest of equals."""
    losses = []
    for c in sorted(grid):
        total = 0.0
        for train, test in splits:
            held = rows.at(test)
            model = fit_arm_model(rows.at(train), terms, c)
            total += float(log_loss(model.probabilities(held.X, held.arm)[0], held.order).sum())
        losses.append(total)
    return sorted(grid)[int(np.argmin(losses))]


def with_refits(model: ArmModel, rows: ArmRows, c: float, how: tuple[int, int]) -> ArmModel:
    """Add refits on persons drawn with replacement; ``how`` is (their number, seed).

    A resample without all three classes is left out.
    """
    n_refits, seed = how
    names, person = np.unique(rows.person, return_inverse=True)
    Z = model.terms.matrix(rows.X, rows.arm)
    coefficients, cuts = [*model.coefficients[:1]], [*model.cuts[:1]]
    for counts in person_counts(len(names), n_refits, seed):
        drawn = np.repeat(np.arange(len(Z)), counts[person])
        if len(np.unique(rows.order[drawn])) == 3:
            found, pair = fit_terms(Z[drawn], rows.order[drawn], c)
            coefficients.append(found)
            cuts.append(np.array(pair))
    return replace(model, coefficients=np.array(coefficients), cuts=np.array(cuts))
