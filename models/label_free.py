"""What a model's performance would be if its risks were right: an estimate without outcomes.

With calibrated risks the outcome of a row is a coin of known bias, so that the expected
performance follows from the risks alone (confidence-based performance estimation). It answers
"do these persons look as easy to tell apart as before?" and cannot see a model that has become
wrong: that takes outcomes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
ASSUMPTION = (
    "Expected, not observed: holds if the predicted risks are calibrated for these rows. A changed "
    "relation between predictors and outcome cannot be seen without outcomes."
)


def expected_performance(
    counts: npt.NDArray[np.int64], threshold: float | None = None
) -> dict[str, Any]:
    """Expected performance under the calibration assumption.

    Parameters
    ----------
    counts : ndarray of shape (n_bins,)
        Rows by predicted risk, in bins of equal width from 0 to 1.
    threshold : float, optional
        Risk from which a row is of the class; None: no expected accuracy.

    Returns
    -------
    dict with ``prevalence, brier, auc, accuracy`` (NaN where they cannot be computed),
    ``threshold`` and ``assumption``

    Notes
    -----
    A bin's rows are taken at its middle: with 1,000 bins every figure is exact to 0.001.

    Examples
    --------
    Half the rows at risk 0.25, half at 0.75: an event is above a non-event in 0.75 x 0.75 of
    their pairs, below in 0.25 x 0.25, and tied in the rest:

    >>> found = expected_performance(np.array([10_000, 10_000]), threshold=0.5)
    >>> [round(found[n], 3) for n in ("prevalence", "brier", "auc", "accuracy")]
    [0.5, 0.188, 0.75, 0.75]
    """
    total = int(counts.sum())
    middle = (np.arange(len(counts)) + 0.5) / len(counts)
    share = counts / total if total else np.full(len(counts), np.nan)
    accuracy = np.nan
    if threshold is not None:
        accuracy = float((share * np.where(middle >= threshold, middle, 1 - middle)).sum())
    return {
        "prevalence": float((share * middle).sum()),
        "brier": float((share * middle * (1 - middle)).sum()),
        "auc": _expected_auc(counts.astype(np.float64), middle),
        "accuracy": accuracy,
        "threshold": threshold,
        "assumption": ASSUMPTION,
    }


def _expected_auc(counts: Vector, risk: Vector) -> float:
    """Expected concordant pairs of different rows over expected pairs of an event and a non-event.

    The ratio of the expectations; it differs from the expected ratio by order 1 / n.
    """
    events, others = counts * risk, counts * (1 - risk)
    # A row is no pair with itself.
    same = counts * np.maximum(counts - 1, 0) * risk * (1 - risk)
    below = np.cumsum(others) - others
    won = (events * below).sum() + 0.5 * same.sum()
    pairs = (events.sum() * others.sum()) - (counts * risk * (1 - risk)).sum()
    return float(won / pairs) if pairs > 0 else float("nan")
