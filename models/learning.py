"""What a candidate learns from, and what a candidate is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[Any]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Learning:
    """Rows with what is known about their outcome.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_features), NaN = missing
    y : ndarray of shape (n_rows,), 0/1, NaN = not known (nothing is learnt from the row)
    weights : ndarray of shape (n_rows,), >= 0, or None for ones
    margin : ndarray of shape (n_rows,), or None where the outcome is no cut change
        How far the change lies beyond the threshold of the event, NaN = not known.
    """

    X: pd.DataFrame
    y: Vector
    weights: Vector | None = None
    margin: Vector | None = None

    def at(self, rows: Rows) -> Learning:
        """Return these rows only."""
        return Learning(
            self.X.iloc[rows],
            self.y[rows],
            None if self.weights is None else self.weights[rows],
            None if self.margin is None else self.margin[rows],
        )

    def usable(self, learns: str) -> Learning:
        """Return the rows a candidate that learns ``learns`` can be fitted on."""
        known = ~np.isnan(self.y)
        if learns == "margin":
            if self.margin is None:
                raise ValueError("expected a margin: this candidate learns from the change itself")
            known &= ~np.isnan(self.margin)
        return self if known.all() else self.at(np.flatnonzero(known))

    def target(self, learns: str) -> Vector:
        """Return what is fitted: the classes, or the margin."""
        return self.margin if learns == "margin" and self.margin is not None else self.y


# Risks of other rows under every setting, shape (n_settings, n_rows), from one pass.
Path = Callable[[Sequence[Settings], Learning, pd.DataFrame], Matrix]


@dataclass(frozen=True)
class Candidate:
    """One rung of the ladder.

    ``make(**settings)`` returns an unfitted estimator; ``grid`` lists the settings tried, the
    simplest first (ties in tuning go to the earlier one). ``rung`` orders by complexity.

    ``path`` gives the risks of all settings of a grid at once; without one, every setting is
    fitted by itself, with the same result. ``learns`` says whether the estimator is fitted to
    classes or to the continuous margin behind them. With ``calibrate``, the risks of the tuning
    splits recalibrate the final fit.
    """

    name: str
    rung: int
    make: Callable[..., Any]
    grid: tuple[Settings, ...]
    path: Path | None = None
    learns: Literal["class", "margin"] = "class"
    calibrate: Literal["none", "platt", "beta"] = "none"
