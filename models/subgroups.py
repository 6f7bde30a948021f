"""Performance within groups of people, with a smallest cell below which nothing is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decision import CLASSIFICATION
from models.estimate import Estimate, Reason, unknown
from models.judged import Index, Judged, Matrix
from models.judgement import Settings, judge, no_net_benefit_rows, row_thresholds

NAMES = (
    "auc",
    "average_precision",
    "brier",
    "brier_scaled",
    "log_loss",
    "r2_nagelkerke",
    "in_the_large",
    "intercept",
    "slope",
    "oe_ratio",
    "ici",
    "e50",
    "e90",
    "emax",
)


@dataclass(frozen=True)
class Cell:
    """The smallest group that is reported: persons, and events and non-events (bouts)."""

    persons: int
    events: int


@dataclass(frozen=True)
class Group:
    """One group's size and figures.

    Attributes
    ----------
    level : str
        Value of the column that makes the group.
    n, n_participants : int
        Rows and persons.
    n_events : float
        Events among the rows, the mean over repeats.
    metrics : dict of str to Estimate
        NaN with the reason where the group is smaller than the smallest cell.
    classification : dict of str to Estimate
        Sensitivity and the like, at the thresholds of the whole data.
    net_benefit : list of dict
        A row per declared threshold; ``treat_all`` is acting on all of the group.
    """

    level: str
    n: int
    n_participants: int
    n_events: float
    metrics: dict[str, Estimate]
    classification: dict[str, Estimate]
    net_benefit: list[dict[str, Any]]


def judge_groups(
    judged: Judged,
    risks: Matrix,
    labels: npt.NDArray[np.object_],
    cell: Cell,
    settings: Settings,
) -> Iterator[Group]:
    """Judge one model's predictions within each level of ``labels``.

    Persons are resampled within the group. A model is not refitted, and a threshold is not chosen
    anew: a group's figures say how the one model, used as it would be, does in it.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    labels : ndarray of shape (n_rows,), str
        Every row has one; a missing value is a level of its own.
    cell : Cell
    settings : Settings

    Yields
    ------
    Group, by level
    """
    cuts = row_thresholds(judged, risks, settings.harm_ratio)
    for level in sorted(set(labels)):
        rows = np.flatnonzero(labels == level)
        part = _only(judged, rows)
        events = [(repeat.y.sum(), (1 - repeat.y).sum()) for repeat, _ in part.repeats()]
        small = part.n_persons < cell.persons or np.min(events) < cell.events
        figures = _unknown(settings) if small else _figures(part, (risks, cuts), rows, settings)
        n_events = float(np.mean([e for e, _ in events]))
        yield Group(str(level), len(rows), part.n_persons, n_events, *figures)


def _only(judged: Judged, rows: Index) -> Judged:
    """Keep some rows, and number their persons anew."""
    person = np.unique(judged.person[rows], return_inverse=True)[1].astype(np.int64)
    return Judged(judged.y[..., rows], person, judged.block[:, rows])


Figures = tuple[dict[str, Estimate], dict[str, Estimate], list[dict[str, Any]]]


def _unknown(settings: Settings) -> Figures:
    small = unknown(Reason.SMALL_CELL)
    empty = no_net_benefit_rows(settings, Reason.SMALL_CELL)
    return dict.fromkeys(NAMES, small), dict.fromkeys(CLASSIFICATION, small), empty


def _figures(
    judged: Judged, whole: tuple[Matrix, Matrix], rows: Index, settings: Settings
) -> Figures:
    risks, cuts = (values[:, rows] for values in whole)
    found = judge(judged, risks, settings, cuts)
    metrics = found.estimates() | {"auc": found.auc()}
    classified = found.classification()
    return (
        {name: metrics[name] for name in NAMES},
        {name: classified[name] for name in CLASSIFICATION},
        found.net_benefit_rows(),
    )
