"""What groups of persons are worth: their outcomes, and their predictions beside the markers' own.

Cutting a marker throws away what it says within a group ([Royston2006]_). Groups are therefore
judged against the markers they were cut from, taken as straight lines and as splines, on persons
that neither the models nor the cut points have seen.

References
----------
.. [Royston2006] Royston, Altman, Sauerbrei. Dichotomizing continuous predictors in multiple
   regression: a bad idea. Stat Med 25:127.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as t_distribution

from models.biomarker import compare
from models.errors import NotEnoughDataError
from models.estimate import Estimate, Reason, unknown
from models.incremental import (
    Draws,
    describe,
    increments,
    predict_change,
    predict_risk,
    r2_of_predictions,
)
from models.judged import Judged
from models.linear_increment import linear_increment
from models.marker_shape import n_knots
from models.nested import Nested, fit_nested, independent_columns, reduced
from models.splines import place_knots, spline_terms
from models.splits import SplitPlan

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
# Given the rows to learn from, the group of every row; negative = unknown.
Grouper = Callable[[Index], Index]
GROUPS, LINEAR, SPLINE, NOTHING = "groups", "linear", "spline", "nothing"
# The codings of the markers that groups must beat, all of them, to be called better.
CONTINUOUS = (LINEAR, SPLINE)
CODINGS = (GROUPS, *CONTINUOUS, NOTHING)
LEARNER = "unpenalised"
# Persons per column of a spline; with fewer it has fewer knots.
PERSONS_PER_TERM = 15


@dataclass(frozen=True)
class Grouped:
    """Rows of persons with markers, groups and outcomes.

    Attributes
    ----------
    markers : ndarray of shape (n_rows, n_markers)
    base : ndarray of shape (n_rows, n_base)
        What every coding knows besides.
    y : ndarray of shape (n_rows,), 0/1, NaN = undecided
    labels : ndarray of shape (n_folds, n_rows)
        The same as each fold's training persons make them.
    change : ndarray of shape (n_rows,)
    known : ndarray of shape (n_rows,), bool
        Rows whose markers, base set and group are known.
    person : ndarray of shape (n_rows,), int
    plan : SplitPlan
    grouper : callable
    """

    markers: Matrix
    base: Matrix
    y: Vector
    labels: Matrix
    change: Vector
    known: npt.NDArray[np.bool_]
    person: Index
    plan: SplitPlan
    grouper: Grouper

    def groups(self) -> Index:
        """Return each row's group, learnt from all known rows."""
        return self.grouper(np.flatnonzero(self.known))


def outcome_of_groups(data: Grouped, number_of_groups: int, smallest: int) -> list[dict[str, Any]]:
    """Share of events and mean change of each group, with intervals over persons.

    Groups are held as they are: the intervals do not know that cut points were estimated.

    Parameters
    ----------
    data : Grouped
    number_of_groups : int
    smallest : int
        A group of fewer persons has no figures.

    Returns
    -------
    list of dict, one per group, also where nobody is in it
    """
    group = np.where(data.known, data.groups(), -1)
    return [_outcome(data, group == at, smallest) for at in range(number_of_groups)]


def _outcome(data: Grouped, rows: npt.NDArray[np.bool_], smallest: int) -> dict[str, Any]:
    judged = rows & np.isfinite(data.y)
    record = {
        "n_rows": int(rows.sum()),
        "n_participants": len(np.unique(data.person[rows])),
        "n_judged": int(judged.sum()),
        "n_events": int(data.y[judged].sum()),
    }
    small = len(np.unique(data.person[judged])) < smallest
    share = unknown(Reason.SMALL_CELL) if small else share_of(data.y[judged], data.person[judged])
    change = unknown(Reason.SMALL_CELL) if small else mean_of(data.change[rows], data.person[rows])
    return record | {"share": share.to_dict(), "change": change.to_dict()}


def _person_variance(values: Vector, person: Index) -> tuple[float, int]:
    """Return the variance of the mean by persons' summed deviations, and the number of persons."""
    number = np.unique(person, return_inverse=True)[1]
    persons = int(number.max()) + 1
    sums = np.bincount(number, values - values.mean())
    return float((sums**2).sum()) / len(values) ** 2 * persons / (persons - 1), persons


def share_of(y: Vector, person: Index) -> Estimate:
    """Share of events with Wilson's interval for an effective number of rows [Korn1998]_.

    That number is the rows a simple sample of the same variance would have; with one row per
    person, and where all rows or none are events, the number of persons. The quantile is that of
    t for the persons, whose number the variance rests on.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    person : ndarray of shape (n_rows,), int
        Two persons at least.

    References
    ----------
    .. [Korn1998] Korn, Graubard. Confidence intervals for proportions with small expected number
       of positive counts estimated from survey data. Surv Methodol 24:193.

    Examples
    --------
    >>> found = share_of(np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 0, 0]), np.arange(10))
    >>> round(found.estimate, 3), round(found.lower, 3), round(found.upper, 3)
    (0.2, 0.048, 0.555)
    """
    variance, persons = _person_variance(y, person)
    share, size = float(y.mean()), float(persons)
    if 0 < share < 1 and persons < len(y):
        size = min(float(len(y)), share * (1 - share) / variance) if variance > 0 else len(y)
    z2 = float(t_distribution.ppf(0.975, persons - 1)) ** 2
    middle = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * size)) / size) / (1 + z2 / size)
    lower = 0.0 if share == 0 else float(middle - half)
    upper = 1.0 if share == 1 else float(middle + half)
    method = f"Wilson, effective size {size:.1f} of {len(y)} rows, t of {persons} persons"
    return Estimate(share, lower, upper, method)


def mean_of(values: Vector, person: Index) -> Estimate:
    """Mean with the interval of persons' summed deviations, and of t for their number.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    person : ndarray of shape (n_rows,), int
        Two persons at least.
    """
    variance, persons = _person_variance(values, person)
    half = float(t_distribution.ppf(0.975, persons - 1)) * float(np.sqrt(variance))
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, f"clustered by person, t of {persons} persons")


def association(data: Grouped) -> dict[str, Any]:
    """Test whether groups differ, whether they add to the markers' splines, and the reverse.

    Groups are made of markers alone, never of the outcome: given the markers they are fixed, and
    the tests hold for cut points and clusters that were learnt from the same persons.

    Parameters
    ----------
    data : Grouped
    """
    rows = data.known & np.isfinite(data.y)
    group = data.groups()
    dummies = group_columns(group)[rows]
    knots = _knots(data, rows)
    splines = spline_columns(data.markers, knots)[rows]
    continuous = np.column_stack([data.base[rows], splines])
    return {
        "groups_differ": _test(data, rows, data.base[rows], dummies),
        "beyond_markers": _test(data, rows, continuous, dummies),
        "beyond_groups": _test(data, rows, np.column_stack([data.base[rows], dummies]), splines),
        "change_differs": _change_test(data, group_columns(group)),
    }


def _test(data: Grouped, rows: npt.NDArray[np.bool_], base: Matrix, added: Matrix) -> Any:
    try:
        nested = reduced(Nested(data.y[rows], base, added, data.person[rows]))
    except NotEnoughDataError as error:
        return {"p_value": np.nan, "reason": str(error)}
    return compare(nested, fit_nested(nested))["test"]


def _change_test(data: Grouped, added: Matrix) -> dict[str, Any]:
    rows = data.known & np.isfinite(data.change)
    ones, base = np.ones((int(rows.sum()), 1)), data.base[rows]
    base = base[:, independent_columns(base, ones)]
    own = added[rows]
    own = own[:, independent_columns(own, np.column_stack([ones, base]))]
    # No classes are needed of a continuous change.
    nested = Nested(np.full(len(base), np.nan), base, own, data.person[rows])
    if nested.n_persons < base.shape[1] + own.shape[1] + 4:
        return {"p_value": np.nan, "reason": f"{nested.n_persons} persons are too few"}
    found = linear_increment(data.change[rows], nested)
    return {**found["wald"], "r2_increment": found["r2_increment"], "reason": ""}


def group_columns(group: Index) -> Matrix:
    """Return an indicator per group but the first; an unknown group is none of them.

    Examples
    --------
    >>> group_columns(np.array([0, 2, 1, -1])).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    """
    most = int(group.max(initial=0))
    return np.asarray(group[:, None] == np.arange(1, most + 1), dtype=np.float64)


def _knots(data: Grouped, rows: npt.NDArray[np.bool_]) -> list[tuple[float, ...]]:
    """As many knots as the learning persons bear, at most those of a single marker."""
    persons = len(np.unique(data.person[rows]))
    most = n_knots(persons)
    markers = data.markers.shape[1]
    while most > 3 and markers * (most - 1) * PERSONS_PER_TERM > persons:
        most -= 1
    return [place_knots(column[rows], most) for column in data.markers.T]


def spline_columns(markers: Matrix, knots: list[tuple[float, ...]]) -> Matrix:
    """Return each marker and its spline's nonlinear terms; a line where there are no knots."""
    parts = [
        np.column_stack([column, spline_terms(column, k)]) if k else column[:, None]
        for column, k in zip(markers.T, knots, strict=True)
    ]
    return np.column_stack(parts)


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold predictions of every coding, of the known rows.

    ``risks`` and ``changes``: coding to ndarray of shape (n_repeats, n_known).
    """

    judged: Judged
    risks: Mapping[str, Matrix]
    changes: Mapping[str, Matrix]


def predict_codings(data: Grouped) -> Predictions:
    """Predict every known row by models, cut points and knots that have not seen its person.

    Raises
    ------
    NotEnoughDataError
        Where a fold's training rows hold one class.
    """
    shape = (data.plan.n_repeats, len(data.y))
    y, block = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    risks = {c: np.full(shape, np.nan) for c in CODINGS}
    changes = {c: np.full(shape, np.nan) for c in CODINGS}
    for fold, label in zip(data.plan.folds, data.labels, strict=True):
        seen, test = fold.train[data.known[fold.train]], fold.test[data.known[fold.test]]
        train = seen[np.isfinite(label[seen])]
        if len(np.unique(label[train])) < 2:
            raise NotEnoughDataError(
                f"repeat {fold.repeat}, fold {fold.fold}: expected events and others among the "
                f"training rows, found one class in {len(train)} rows."
            )
        y[fold.repeat, test], block[fold.repeat, test] = label[test], fold.fold
        for coding, columns in _coded(data, seen).items():
            risks[coding][fold.repeat, test] = predict_risk(
                LEARNER, columns[train], label[train], columns[test]
            )
            changes[coding][fold.repeat, test] = predict_change(
                columns[seen], data.change[seen], columns[test]
            )
    known = data.known
    number = np.unique(data.person[known], return_inverse=True)[1]
    return Predictions(
        Judged(y[:, known], number, block[:, known]),
        {c: r[:, known] for c, r in risks.items()},
        {c: r[:, known] for c, r in changes.items()},
    )


def _coded(data: Grouped, seen: Index) -> dict[str, Matrix]:
    """Columns of every coding, learnt from the rows ``seen``."""
    rows = np.zeros(len(data.y), dtype=bool)
    rows[seen] = True
    columns = {
        GROUPS: group_columns(data.grouper(seen)),
        LINEAR: data.markers,
        SPLINE: spline_columns(data.markers, _knots(data, rows)),
        NOTHING: np.empty((len(data.y), 0)),
    }
    return {name: np.column_stack([data.base, own]) for name, own in columns.items()}


def compare_codings(data: Grouped, draws: Draws) -> dict[str, Any]:
    """Differences of groups from each other coding: groups minus it, on the same persons.

    Returns
    -------
    dict
        ``versus``: coding to differences of AUC, Brier score, log loss and R² of the change with
        intervals; ``verdict``: :func:`verdict`.
    """
    found = predict_codings(data)
    versus = {}
    for coding in (*CONTINUOUS, NOTHING):
        pair = (found.risks[coding], found.risks[GROUPS])
        differences = increments(found.judged, pair, draws)
        record = describe(differences, draws.thresholds)
        predicted = np.stack([found.changes[coding], found.changes[GROUPS]])
        record["r2_difference"] = r2_of_predictions(
            predicted, data.change[data.known], data.person[data.known], draws
        )
        versus[coding] = record
    return {"versus": versus, "verdict": verdict(versus)}


def verdict(versus: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how groups predict beside their markers, by the log loss of people not learnt from.

    Groups are ``better`` only where they beat every continuous coding, each interval excluding
    zero, and ``worse`` only where every one beats them: a union of alternatives would need a
    correction, an intersection keeps its level.

    Returns
    -------
    {'better', 'worse', 'undecided'}
    """
    own = [versus[c]["log_loss_difference"] for c in CONTINUOUS]
    if all(d["upper"] < 0 for d in own):
        return "better"
    return "worse" if all(d["lower"] > 0 for d in own) else "undecided"
