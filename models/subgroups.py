"""Performance within groups of people, with a smallest cell below which nothing is reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.discrimination import Interval
from models.estimate import Estimate, Reason, unknown
from models.judged import Index, Judged, Matrix
from models.metrics import auc_with_interval, estimates, resample_metrics

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
    """

    level: str
    n: int
    n_participants: int
    n_events: float
    metrics: dict[str, Estimate]


def judge_groups(
    judged: Judged,
    risks: Matrix,
    labels: npt.NDArray[np.object_],
    cell: Cell,
    draws: tuple[int, int, Interval],
) -> Iterator[Group]:
    """Judge one model's predictions within each level of ``labels``.

    Persons are resampled within the group. A model is not refitted: a group's figures say how the
    one model does in it.

    Parameters
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    labels : ndarray of shape (n_rows,), str
        Every row has one; a missing value is a level of its own.
    cell : Cell
    draws : (n_resamples, seed, interval of the AUC)

    Yields
    ------
    Group, by level
    """
    for level in sorted(set(labels)):
        rows = np.flatnonzero(labels == level)
        part = _only(judged, rows)
        events = [(repeat.y.sum(), (1 - repeat.y).sum()) for repeat, _ in part.repeats()]
        small = part.n_persons < cell.persons or np.min(events) < cell.events
        metrics = _unknown() if small else _metrics(part, risks[:, rows], draws)
        n_events = float(np.mean([e for e, _ in events]))
        yield Group(str(level), len(rows), part.n_persons, n_events, metrics)


def _only(judged: Judged, rows: Index) -> Judged:
    """Keep some rows, and number their persons anew."""
    person = np.unique(judged.person[rows], return_inverse=True)[1].astype(np.int64)
    return Judged(judged.y[..., rows], person, judged.block[:, rows])


def _unknown() -> dict[str, Estimate]:
    return {name: unknown(Reason.SMALL_CELL) for name in NAMES}


def _metrics(
    judged: Judged, risks: Matrix, draws: tuple[int, int, Interval]
) -> dict[str, Estimate]:
    n_resamples, seed, interval = draws
    values = resample_metrics(judged, {"": risks}, n_resamples=n_resamples, seed=seed)[""]
    found = estimates(judged, risks, values)
    found["auc"] = auc_with_interval(judged, risks, values, interval)
    return {name: found[name] for name in NAMES}
