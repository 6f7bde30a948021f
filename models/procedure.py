"""The whole modelling procedure as one thing that can be repeated on other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learning import Candidate, Learning, Vector
from models.selection import select_candidate
from models.splits import inner_splits
from models.validation import Tuned, predict_risk, tune

Persons = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Procedure:
    """Imputation, scaling, tuning, recalibration and, with several candidates, selection.

    Attributes
    ----------
    candidates : tuple of Candidate, simplest first
        One: it is tuned and fitted. Several: the simplest within one standard error of the best
        tuning loss is.
    inner_folds : int
        Tuning folds, by person; copies of a person in a resample stay together.
    seed : int
    """

    candidates: tuple[Candidate, ...]
    inner_folds: int
    seed: int

    def fit(self, data: Learning, person: Persons) -> Fitted:
        """Carry out the procedure on all rows of ``data``.

        Parameters
        ----------
        data : Learning
        person : ndarray of shape (n_rows,), int
            A row that occurs twice has the same person twice.
        """
        splits = inner_splits(data.y, person, self.inner_folds, self.seed)
        rows = np.arange(len(data.y))
        several = len(self.candidates) > 1
        tuned = {
            c.name: tune(c, data, rows, splits, predict_inner=several) for c in self.candidates
        }
        chosen = self._choose(tuned, data, person)
        return Fitted(chosen, tuned[chosen].fitted, tuned[chosen].record)

    def _choose(self, tuned: dict[str, Tuned], data: Learning, person: Persons) -> str:
        first = next(iter(tuned.values()))
        if len(tuned) == 1 or not len(first.inner_rows):
            return self.candidates[0].name
        rows = first.inner_rows
        risks = {name: t.inner_risk[None, :] for name, t in tuned.items()}
        _, code = np.unique(person[rows], return_inverse=True)
        return select_candidate(data.y[rows], code, risks).selected


@dataclass(frozen=True)
class Fitted:
    """What a procedure ended with: the candidate, its model, its tuning record."""

    name: str
    model: Any
    record: dict[str, Any]

    def risk(self, X: pd.DataFrame) -> Vector:
        """Return the risk of every row, shape (n_rows,)."""
        return predict_risk(self.model, X)
