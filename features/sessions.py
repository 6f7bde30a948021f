"""Which bouts repeat each other: persons by sessions, from a table of changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.columns import KEYS
from features.exercise import build_exercise
from features.resampling import Codes
from features.spec import Vector

# A bout repeats another one if all of these, and the class of intensity, are equal.
SAME_EXERCISE = (
    "modality",
    "body_region",
    "loads_painful_region",
    "duration_min",
    "frequency_per_week",
    "programme_weeks",
)
# What may differ between sessions that are taken for repeats; where it does, it is said.
CIRCUMSTANCES = ("drug", "site_id")


@dataclass(frozen=True)
class SessionTable:
    """Rows are units (a person, or a person and an exercise), columns sessions in their order.

    Attributes
    ----------
    values : ndarray of shape (n_units, k), NaN where a unit has fewer sessions
    person : ndarray of shape (n_units,), int
    bouts_per_session : int
        Largest number of bouts that were averaged to one session's value.
    varying : circumstances that differ between the sessions of a unit
    """

    values: Vector
    person: Codes
    bouts_per_session: int
    varying: tuple[str, ...]

    @property
    def repeated(self) -> SessionTable:
        """Only the units with two sessions or more: the others say nothing about error."""
        several = np.isfinite(self.values).sum(axis=1) >= 2
        values = self.values[several]
        return SessionTable(values, self.person[several], self.bouts_per_session, self.varying)

    @property
    def is_exact(self) -> bool:
        """Whether there are units, each with every session, and no person occurs twice."""
        complete = len(self.person) > 1 and bool(np.isfinite(self.values).all())
        return complete and len(np.unique(self.person)) == len(self.person)


def with_sessions(changes: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Add to each row what tells repeats: ``_session``, ``_order``, ``_exercise``, circumstances.

    The session is the visit; where a study names no visits, every bout is its own. Sessions are
    in the order of ``period`` where there is one, else in that of their names.
    """
    known = cases[list(KEYS)].assign(
        _exercise=exercise_codes(cases),
        _order=cases["period"].astype("float64") if "period" in cases.columns else np.nan,
        **{c: cases[c] for c in CIRCUMSTANCES if c in cases.columns},
    )
    joined = changes.merge(known, on=list(KEYS), validate="many_to_one")
    unnamed = joined["visit_id"].isna() | (joined["visit_id"] == "")
    joined["_session"] = joined["visit_id"].mask(unnamed, joined["session_id"])
    return joined


def exercise_codes(cases: pd.DataFrame) -> Codes:
    """Number the exercises: equal in modality, region, loading, dose and class of intensity."""
    table = cases[[c for c in SAME_EXERCISE if c in cases.columns]].assign(
        _intensity=build_exercise(cases)["intensity_class"]
    )
    return np.asarray(table.groupby(list(table.columns), dropna=False).ngroup(), dtype=np.int64)


def tabulate_sessions(rows: pd.DataFrame, column: str, unit: Sequence[str]) -> SessionTable:
    """Arrange ``column`` as units by sessions; several bouts of one session are averaged.

    Parameters
    ----------
    rows : DataFrame
        From :func:`with_sessions`, with ``_person`` (code) and whatever ``unit`` names.
    column : str
    unit : names of the columns that make a unit, ``_person`` among them
    """
    known = rows.dropna(subset=[column])
    by = [*unit, "_session"]
    sessions = known.groupby(by, sort=True).agg(
        value=(column, "mean"), order=("_order", "min"), bouts=(column, "size")
    )
    sessions = sessions.reset_index().sort_values([*unit, "order", "_session"], kind="stable")
    sessions["_rank"] = sessions.groupby(list(unit)).cumcount()
    wide = sessions.pivot(index=list(unit), columns="_rank", values="value")
    person = wide.index.get_level_values("_person") if len(unit) > 1 else wide.index
    differing = [
        c
        for c in CIRCUMSTANCES
        if c in known.columns and (known.groupby(list(unit))[c].nunique() > 1).any()
    ]
    return SessionTable(
        values=wide.to_numpy(dtype=np.float64).reshape(len(wide), -1),
        person=np.asarray(person, dtype=np.int64),
        bouts_per_session=int(sessions["bouts"].max()) if len(sessions) else 0,
        varying=tuple(differing),
    )


def complete_rows(values: Vector) -> Vector:
    """Rows and columns of an incomplete table that make a complete one.

    The first k sessions of every unit that has at least k, with the k that leaves most degrees
    of freedom for error, (number of units) * (k - 1).

    Parameters
    ----------
    values : ndarray of shape (n_units, k), each row filled from the left, then NaN

    Returns
    -------
    ndarray of shape (n_complete, k_chosen)

    Examples
    --------
    >>> complete_rows(np.array([[1.0, 2, 3], [4, 5, np.nan], [6, 7, np.nan]])).tolist()
    [[1.0, 2.0], [4.0, 5.0], [6.0, 7.0]]
    """
    counts = np.isfinite(values).sum(axis=1)
    sizes = range(2, values.shape[1] + 1)
    if not len(sizes):
        return np.empty((0, 2))
    best = max(sizes, key=lambda k: ((counts >= k).sum() * (k - 1), -k))
    complete: Vector = values[counts >= best, :best]
    return complete
