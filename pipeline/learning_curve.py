"""Tool ``learning-curve``: performance out of fold by the number of persons learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.errors import NotEnoughDataError
from models.judged import Judged
from models.metrics import estimates, resample_metrics
from models.protocol_plans import learning_curve
from models.splits import SplitPlan, make_split_plan
from pipeline.figures import learning_curve_figure
from pipeline.io import write_table
from pipeline.protocols import Subject

RESAMPLES = 500
SHARES = (0.25, 0.4, 0.6, 0.8, 1.0)
METRICS = ("auc", "brier", "log_loss")


def run(subject: Subject, names: tuple[str, ...], sizes: tuple[int, ...] = ()) -> dict[str, Any]:
    """Predict the same persons from fewer and fewer others.

    Parameters
    ----------
    names : tuple of str
        Candidates.
    sizes : tuple of int
        Persons to learn from; empty takes shares of what a fold has.
    """
    data, params = subject.data, subject.params
    plan = make_split_plan(
        data.y,
        data.person,
        repeats=params.repeats,
        folds=params.folds,
        inner_folds=params.inner_folds,
        seed=params.seed,
    )
    most = min(len(np.unique(data.person[f.train])) for f in plan.folds)
    chosen = sorted({*(sizes or [round(s * most) for s in SHARES])})
    if chosen[-1] > most:
        raise NotEnoughDataError(f"expected sizes up to {most} persons, found {chosen[-1]}.")
    curve = learning_curve(data.y, data.person, plan, chosen, subject.protocol)
    execution = subject.execution("learning_curve", chosen)
    risks, labels = subject.predict(curve, subject.candidates(names), execution)
    table = pd.concat([_judge(subject, plan, (risks[n], labels), (n, chosen)) for n in names])
    write_table(table, subject.protocols / "learning_curve.csv")
    learning_curve_figure(table, subject.protocols / "learning_curve.png")
    content = {"sizes": chosen, "points": table.to_dict("records")}
    return subject.write(content, "learning_curve")


def _judge(
    subject: Subject,
    plan: SplitPlan,
    predicted: tuple[np.ndarray, np.ndarray],
    what: tuple[str, list[int]],
) -> pd.DataFrame:
    """One row per size: every metric with its interval over persons."""
    name, sizes = what
    block = np.zeros((plan.n_repeats, plan.n_rows), dtype=np.int64)
    for fold in plan.folds:
        block[fold.repeat, fold.test] = fold.fold
    shape = (len(sizes), plan.n_repeats, plan.n_rows)
    risks, labels = (part.reshape(shape) for part in predicted)
    rows = []
    for size, risk, y in zip(sizes, risks, labels, strict=True):
        judged = Judged(y, subject.data.person, block)
        own = {name: risk}
        values = resample_metrics(judged, own, n_resamples=RESAMPLES, seed=subject.params.seed)
        found = estimates(judged, risk, values[name])
        row: dict[str, Any] = {"candidate": name, "n_participants": size}
        for metric in METRICS:
            e = found[metric]
            row |= {metric: e.estimate, f"{metric}_lower": e.lower, f"{metric}_upper": e.upper}
        rows.append(row)
    return pd.DataFrame(rows)
