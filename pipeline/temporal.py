"""Tool ``temporal``: later rows predicted from earlier rows of other persons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.judged import Judged
from models.metrics import estimates, resample_metrics
from models.protocol_plans import temporal
from pipeline.errors import TableError
from pipeline.protocols import Subject

RESAMPLES = 500


def run(subject: Subject, by: str, cut: float | None, names: tuple[str, ...]) -> dict[str, Any]:
    """Learn up to ``cut`` of a column that orders the rows in time, predict after it.

    Parameters
    ----------
    by : str
        A numeric column of cases: ``period``, the order of a person's bouts, or a date number.
    cut : float or None
        None takes the middle of the column's values.
    """
    data = subject.data
    order = pd.to_numeric(subject.column(by), errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(order).any():
        raise TableError(f"cases, column '{by}': expected numbers that order rows, found none.")
    known = order[np.isfinite(order)]
    at = float((known.min() + known.max()) / 2) if cut is None else cut
    plan = temporal(data.y, data.person, order, at, subject.protocol)
    execution = subject.execution(f"temporal_{by}", by, at)
    risks, labels = subject.predict(plan, subject.candidates(names), execution)
    rows = np.flatnonzero(np.isfinite(labels[0]))
    block = np.full(len(data.y), -1)
    for fold in plan.folds:
        block[fold.test] = fold.fold
    _, person = np.unique(data.person[rows], return_inverse=True)
    judged = Judged(labels[0][rows], person, block[None, rows])
    own = {name: risks[name][:, rows] for name in names}
    values = resample_metrics(judged, own, n_resamples=RESAMPLES, seed=subject.params.seed)
    content = {
        "by": by,
        "cut": at,
        "n_rows_learnt_from": int((order <= at).sum()),
        "n_rows_predicted": len(rows),
        "n_participants_predicted": judged.n_persons,
        "n_events_predicted": int(judged.y.sum()),
        "candidates": {
            name: {m: e.to_dict() for m, e in estimates(judged, own[name], values[name]).items()}
            for name in names
        },
    }
    return subject.write(content, f"temporal_{by}")
