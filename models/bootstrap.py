"""The whole procedure repeated on resamples of the persons: one run for optimism and stability.

What a resample's model says about the original rows is all that is kept of it. Its apparent
performance on its own resample follows from that, each row counting as often as it was drawn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xgboost.core import XGBoostError

from models.errors import NotEnoughDataError
from models.learning import Learning, Matrix, Vector
from models.procedure import Persons, Procedure
from models.runs import Result, run_tasks
from models.validation import Execution

ORIGINAL = "original"
FAILED = "failed"


@dataclass(frozen=True)
class Resampled:
    """What the models of all successful resamples say about the original rows.

    Attributes
    ----------
    y : ndarray of shape (n_rows,)
    person : ndarray of shape (n_rows,), int, 0 ... n_persons - 1
    original : ndarray of shape (n_rows,)
        Risks of the model fitted on the data as they are.
    risks : ndarray of shape (n_successful, n_rows)
    counts : ndarray of shape (n_successful, n_rows)
        How often each row was drawn.
    n_resamples : int
        Resamples asked for.
    failures : dict of reason to number
    chosen : dict of candidate to number of resamples that ended with it
    """

    y: Vector
    person: Persons
    original: Vector
    risks: Matrix
    counts: Matrix
    n_resamples: int
    failures: dict[str, int]
    chosen: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """Return the counts every result of the run carries."""
        return {
            "n_resamples": self.n_resamples,
            "n_successful": len(self.risks),
            "failures": self.failures,
            "chosen": self.chosen,
            "n_rows": len(self.y),
            "n_participants": int(self.person.max()) + 1,
            "n_events": float(self.y.sum()),
        }


def draw_counts(person: Persons, seed: int, resample: int) -> npt.NDArray[np.int64]:
    """How often each row is in a resample of the persons, shape (n_rows,).

    A function of seed and number alone, so that resamples can be made in any order.
    """
    n_persons = int(person.max()) + 1
    rng = np.random.default_rng([seed, resample])
    return np.asarray(rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons))[person])


def resample_procedure(
    procedure: Procedure,
    data: Learning,
    person: Persons,
    n_resamples: int,
    execution: Execution,
) -> Resampled:
    """Repeat a procedure on resamples of the persons, drawn with replacement.

    Parameters
    ----------
    procedure : Procedure
    data : Learning
        Rows with a known 0/1 outcome.
    person : ndarray of shape (n_rows,), int, 0 ... n_persons - 1
    n_resamples : int
    execution : Execution

    Raises
    ------
    NotEnoughDataError
        If fewer than half of the resamples can be fitted.
    """
    names = [ORIGINAL, *(str(b) for b in range(n_resamples))]
    tasks = {n: (_one_resample, (procedure, data, person, n)) for n in names}
    done = run_tasks(
        tasks, n_jobs=execution.n_jobs, store=execution.store, progress=execution.progress
    )
    if FAILED in done[ORIGINAL]:
        raise NotEnoughDataError(f"the procedure fails on the data: {done[ORIGINAL][FAILED]}.")
    good = [b for b in range(n_resamples) if FAILED not in done[str(b)]]
    failures = Counter(r[FAILED] for r in done.values() if FAILED in r)
    if len(good) < max(2, n_resamples / 2):
        raise NotEnoughDataError(
            f"expected at least half of {n_resamples} resamples to be fitted, found {len(good)} "
            f"({', '.join(f'{n} x {reason}' for reason, n in failures.items())})."
        )
    return Resampled(
        data.y,
        person,
        np.array(done[ORIGINAL]["risk"]),
        np.array([done[str(b)]["risk"] for b in good]),
        np.array([draw_counts(person, procedure.seed, b) for b in good], dtype=np.float64),
        n_resamples,
        dict(failures),
        dict(Counter(done[str(b)]["chosen"] for b in good)),
    )


def _one_resample(procedure: Procedure, data: Learning, person: Persons, name: str) -> Result:
    """Fit on one resample (or the data as they are) and predict the original rows."""
    rows = np.arange(len(person))
    if name != ORIGINAL:
        rows = np.repeat(rows, draw_counts(person, procedure.seed, int(name)))
    drawn = data.at(rows)
    if np.ptp(drawn.y) == 0:
        return {FAILED: "only one class was drawn"}
    try:
        fitted = procedure.fit(drawn, person[rows])
    except (np.linalg.LinAlgError, XGBoostError) as error:
        return {FAILED: f"{type(error).__name__} while fitting"}
    risk = fitted.risk(data.X)
    if not np.isfinite(risk).all():
        return {FAILED: "a risk is not a number"}
    return {"risk": risk.tolist(), "chosen": fitted.name, "record": fitted.record}
