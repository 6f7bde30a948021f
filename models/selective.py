"""What is gained by answering only some: error against the share that is answered.

Rows are answered in the order of certainty, the most certain first; or abstention decides. In
both cases the error among the answered is an observation: nothing guarantees that it is lower,
and where it is not this says so.

References
----------
.. [Geifman2017] Geifman, El-Yaniv. Selective classification for deep neural networks. NeurIPS
   2017 (risk-coverage curve).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.estimate import Estimate, Reason, with_interval
from models.judged import Judged, bootstrap_weights

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
SHARES = np.round(np.linspace(0.1, 1.0, 10), 2)
ERRORS = ("wrong_side", "brier")
FEWER_ERRORS = "fewer errors among the answered"
MORE_ERRORS = "more errors among the answered"
NOT_SHOWN = "no difference in error has been shown"
NOBODY = "nobody was refused, or everybody"


@dataclass(frozen=True)
class Resamples:
    """Rows with what they are resampled by.

    Attributes
    ----------
    judged : Judged
    risks : ndarray of shape (n_repeats, n_rows)
    n_resamples, seed : int
    """

    judged: Judged
    risks: Matrix
    n_resamples: int
    seed: int

    def weights(self) -> Matrix:
        """Return how often each row is drawn, shape (1 + n_resamples, n_rows)."""
        return bootstrap_weights(self.judged, self.n_resamples, self.seed)


def errors(y: Vector, risk: Vector) -> dict[str, Vector]:
    """Error of every row by each name of :data:`ERRORS`.

    ``wrong_side``: 1 where the less probable class happened; ``brier``: squared error of the risk.
    """
    return {
        "wrong_side": ((risk >= 0.5) != (y == 1)).astype(np.float64),
        "brier": (risk - y) ** 2,
    }


def coverage_risk(rows: Resamples) -> pd.DataFrame:
    """Error among the most certain, at several shares answered.

    Returns
    -------
    DataFrame
        ``share`` (of bouts answered), ``error`` (its name), ``estimate, lower, upper, method``:
        mean over repeats, interval over resamples of the persons. Certainty is the larger of the
        two class probabilities; of equally certain rows the share that fits is taken of each.
    """
    weights = rows.weights()
    curves = {name: np.zeros((len(SHARES), len(weights))) for name in ERRORS}
    n_repeats = 0
    for (part, at), risk in zip(rows.judged.repeats(), rows.risks, strict=True):
        n_repeats += 1
        for name, values in errors(part.y, risk[at]).items():
            curves[name] += _curve(np.abs(risk[at] - 0.5), values, weights[:, at])
    return pd.DataFrame(
        [
            {"share": share, "error": name, **_plain(with_interval(found, Reason.NOT_COMPUTABLE))}
            for name in ERRORS
            for share, found in zip(SHARES, curves[name] / n_repeats, strict=True)
        ]
    )


def _curve(certainty: Vector, values: Vector, weights: Matrix) -> Matrix:
    """Error among the most certain :data:`SHARES`, shape (n_shares, n_resamples)."""
    _, code = np.unique(-certainty, return_inverse=True)
    steps = np.zeros((len(certainty), code.max() + 1))
    steps[np.arange(len(certainty)), code] = 1.0
    count = np.cumsum(weights @ steps, axis=1)
    wrong = np.cumsum((weights * values) @ steps, axis=1)
    found = np.empty((len(SHARES), len(weights)))
    for b, (n, e) in enumerate(zip(count, wrong, strict=True)):
        answered = SHARES * n[-1]
        # Between two certainties the error grows in proportion: ties are not divided by order.
        found[:, b] = np.interp(answered, np.r_[0.0, n], np.r_[0.0, e]) / answered
    return found


def abstention_effect(rows: Resamples, abstained: Flags) -> dict[str, Any]:
    """Compare the error of the answered with that of everybody.

    Parameters
    ----------
    rows : Resamples
    abstained : ndarray of bool, shape (n_repeats, n_rows)

    Returns
    -------
    dict with ``share_answered`` and, per error, ``everybody``, ``answered``, ``difference``
    (answered minus everybody, with interval) and ``sentence``
    """
    weights = rows.weights()
    sums = {name: np.zeros((3, len(weights))) for name in ("n", *ERRORS)}
    for (part, at), risk, refused in zip(rows.judged.repeats(), rows.risks, abstained, strict=True):
        w = weights[:, at]
        kept = ~refused[at]
        table = {"n": np.ones(len(at)), **errors(part.y, risk[at])}
        for name, values in table.items():
            sums[name] += np.stack([w @ values, w @ (values * kept), w @ (values * ~kept)])
    n = sums["n"]
    result: dict[str, Any] = {"share_answered": _plain(_ratio(n[1], n[0]))}
    for name in ERRORS:
        everybody, answered = _divide(sums[name][0], n[0]), _divide(sums[name][1], n[1])
        difference = with_interval(answered - everybody, Reason.NOT_COMPUTABLE)
        some = 0 < n[1][0] < n[0][0]
        result[name] = {
            "everybody": _plain(with_interval(everybody, Reason.NOT_COMPUTABLE)),
            "answered": _plain(with_interval(answered, Reason.NOT_COMPUTABLE)),
            "difference": _plain(difference),
            "sentence": _verdict(difference) if some else NOBODY,
        }
    return result


def _verdict(difference: Estimate) -> str:
    if difference.upper < 0:
        return FEWER_ERRORS
    return MORE_ERRORS if difference.lower > 0 else NOT_SHOWN


def _ratio(part: Vector, whole: Vector) -> Estimate:
    return with_interval(_divide(part, whole), Reason.NOT_COMPUTABLE)


def _divide(part: Vector, whole: Vector) -> Vector:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _plain(found: Estimate) -> dict[str, Any]:
    return found.to_dict()
