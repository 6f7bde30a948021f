"""How sure a prediction is, and when the model had better say nothing.

Composes the sets (:mod:`models.conformal`), the interval of the probability
(:mod:`models.venn_abers`) and the domain (:mod:`models.domain`). Calibrated on out-of-fold risks
while the final model has learnt from everybody: that it is at least as good as the models of the
folds is an assumption, checked by simulation (tests/property/test_models_uncertainty_truth.py).

One difference is known and is undone. A fold without its events leaves more of them to learn from,
so that the level of a fold's model goes against the labels of the fold: out-of-fold risks of a
model that says nothing but the event rate would all seem strange. Their log-odds are moved from
the event rate of the fold's training rows to that of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from models.calibration import logit
from models.conformal import ConformalSets, fit_sets
from models.domain import Domain, Uses, fit_domain
from models.errors import NotEnoughDataError
from models.feature_columns import FeatureColumns
from models.flags import CodedTexts
from models.metrics import CLIP
from models.splits import SplitPlan
from models.venn_abers import VennAbers, fit_venn_abers

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Why nothing should be concluded, in the order in which reasons are named.
OUTSIDE = "outside_training_range"
SMALL_CELL = "cell_too_small"
TOO_WIDE = "interval_too_wide"
MISSING_BLOCK = "missing_block"
REASONS = (OUTSIDE, SMALL_CELL, TOO_WIDE, MISSING_BLOCK)
# The text of every combination of reasons, by its binary code.
REASON_TEXTS = tuple(
    ";".join(r for i, r in enumerate(REASONS) if code >> i & 1) for code in range(1 << len(REASONS))
)
SET_NAMES = ("neither", "no", "yes", "no;yes")


@dataclass(frozen=True)
class Rules:
    """What is promised, and when to abstain.

    Attributes
    ----------
    level : float, default=0.9
        Probability with which a set holds the true class, for either class.
    width_limit : float, default=0.2
        Widest interval of the probability that is answered.
    least_persons : int, default=5
        Persons of a cell of condition and exercise; also persons without a block of features
        from whom its absence is known.
    """

    level: float = 0.9
    width_limit: float = 0.2
    least_persons: int = 5


@dataclass(frozen=True)
class Answers:
    """What is said of every row besides its probability.

    Attributes
    ----------
    sets : ndarray of bool, shape (2, n_rows)
        Whether class 0, and class 1, is in the set.
    lower, upper : ndarray of shape (n_rows,)
        Venn-Abers probabilities.
    distance : ndarray of shape (n_rows,)
        See :meth:`models.domain.Domain.distance`.
    reasons : ndarray of bool, shape (4, n_rows)
        Which of :data:`REASONS` hold.
    """

    sets: Flags
    lower: Vector
    upper: Vector
    distance: Vector
    reasons: Flags

    @property
    def abstained(self) -> Flags:
        """Return whether any reason holds, shape (n_rows,)."""
        return np.asarray(self.reasons.any(axis=0))

    @property
    def reason_texts(self) -> CodedTexts:
        """Return every row's reasons joined by ';', '' where there is none."""
        return CodedTexts(_number(self.reasons), REASON_TEXTS)

    @property
    def set_names(self) -> CodedTexts:
        """Return every row's set as one of :data:`SET_NAMES`."""
        return CodedTexts(_number(self.sets), SET_NAMES)


def _number(flags: Flags) -> npt.NDArray[np.intp]:
    """Binary number of every row's flags, the first the lowest digit."""
    code = np.zeros(flags.shape[1], dtype=np.intp)
    for place, column in enumerate(flags):
        code |= column.astype(np.intp) << place
    return code


@dataclass(frozen=True)
class Uncertainty:
    """What a bundle stores to say how sure it is."""

    sets: ConformalSets
    interval: VennAbers
    domain: Domain
    width_limit: float

    def answer(self, risk: Vector, X: pd.DataFrame | FeatureColumns) -> Answers:
        """Say of every row how sure its risk is; each row's answer depends on that row alone.

        Parameters
        ----------
        risk : ndarray of shape (n_rows,), in [0, 1]
        X : DataFrame of shape (n_rows, n_features), or its columns
        """
        X = FeatureColumns.of(X)
        lower, upper = self.interval.interval(risk)
        place = self.domain.place(X)
        too_wide = upper - lower > self.width_limit
        reasons = np.stack([place.outside, place.in_small_cell, too_wide, place.lacks_block])
        return Answers(self.sets.contains(risk), lower, upper, place.distance, reasons)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON content."""
        return {
            "sets": self.sets.to_dict(),
            "interval": self.interval.to_dict(),
            "domain": self.domain.to_dict(),
            "width_limit": self.width_limit,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Uncertainty:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            ConformalSets.from_dict(content["sets"]),
            VennAbers.from_dict(content["interval"]),
            Domain.from_dict(content["domain"]),
            float(content["width_limit"]),
        )


@dataclass(frozen=True)
class Calibration:
    """Rows with risks from models that have not learnt from them.

    Attributes
    ----------
    y, risk : ndarray of shape (n_repeats, n_rows)
        NaN where a row is not judged in a repeat.
    level : ndarray of shape (n_repeats, n_rows), in (0, 1), or None
        Event rate among the rows that the model of each risk has learnt from; None: risks are
        taken as they are.
    person : ndarray of shape (n_rows,), int
    X : DataFrame of shape (n_rows, n_features)
    """

    y: Matrix
    risk: Matrix
    level: Matrix | None
    person: Index
    X: pd.DataFrame

    def rows(self, among: Flags) -> tuple[Vector, Vector, Index]:
        """Return outcome, risk and person of the judged ones ``among`` repeats and rows.

        Risks are moved to the event rate among these rows.
        """
        at = np.nonzero(np.isfinite(self.y) & np.isfinite(self.risk) & among)
        y = self.y[at]
        if len(y) == 0 or self.level is None:
            return y, self.risk[at], self.person[at[1]]
        shift = logit(_inside(np.array([y.mean()]))) - logit(_inside(self.level[at]))
        return y, expit(logit(_inside(self.risk[at])) + shift), self.person[at[1]]


def fold_levels(y: Matrix, plan: SplitPlan) -> Matrix:
    """Event rate among the training rows of the fold that predicted each row.

    Parameters
    ----------
    y : ndarray of shape (n_repeats, n_rows), 0/1, NaN = not judged
    plan : SplitPlan

    Returns
    -------
    ndarray of shape (n_repeats, n_rows)
    """
    found = np.full(y.shape, np.nan)
    for fold in plan.folds:
        found[fold.repeat, fold.test] = np.nanmean(y[fold.repeat, fold.train])
    return found


def _inside(values: Vector) -> Vector:
    return np.clip(values, CLIP, 1 - CLIP)


def fit_uncertainty(data: Calibration, uses: Uses, rules: Rules) -> Uncertainty:
    """Calibrate on all rows.

    Raises
    ------
    NotEnoughDataError
        Without a judged row.
    """
    learnt = np.flatnonzero(np.isfinite(data.y).any(axis=0))
    return _fit(data, (np.ones(data.y.shape, dtype=bool), learnt), uses, rules)


def _fit(data: Calibration, use: tuple[Flags, Index], uses: Uses, rules: Rules) -> Uncertainty:
    among, learnt = use
    y, risk, person = data.rows(among)
    if len(y) == 0:
        raise NotEnoughDataError("uncertainty: expected out-of-fold risks with a label, found none")
    return Uncertainty(
        fit_sets(y, risk, person, rules.level),
        fit_venn_abers(y, risk, person, copies=int(among.any(axis=1).sum())),
        fit_domain(data.X.iloc[learnt], data.person[learnt], uses, rules.least_persons),
        rules.width_limit,
    )


def cross_answers(data: Calibration, plan: SplitPlan, uses: Uses, rules: Rules) -> list[Answers]:
    """Answer every row as if it were new: calibrated on the other folds of the same repeat.

    Returns
    -------
    list of Answers, one per repeat, rows in their order
    """
    found = []
    for repeat in range(plan.n_repeats):
        parts = []
        for fold in (f for f in plan.folds if f.repeat == repeat):
            among = np.zeros(data.y.shape, dtype=bool)
            among[repeat, fold.train] = True
            learnt = fold.train[np.isfinite(data.y[:, fold.train]).any(axis=0)]
            fitted = _fit(data, (among, learnt), uses, rules)
            risk = np.nan_to_num(data.risk[repeat, fold.test], nan=0.5)
            parts.append((fold.test, fitted.answer(risk, data.X.iloc[fold.test])))
        found.append(_in_order(parts, plan.n_rows))
    return found


def _in_order(parts: list[tuple[Index, Answers]], n_rows: int) -> Answers:
    order = np.empty(n_rows, dtype=np.int64)
    order[np.concatenate([rows for rows, _ in parts])] = np.arange(n_rows)

    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(a, name) for _, a in parts], axis=-1)[..., order]

    return Answers(*(joined(n) for n in ("sets", "lower", "upper", "distance", "reasons")))
