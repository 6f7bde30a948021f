"""What a whole procedure does over many studies whose truth is known.

Numbers in, numbers out: runs of simulated studies become rates with exact intervals, bias and
coverage. How a study is run is none of this module's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Rate:
    """How often something happened.

    ``lower`` and ``upper`` are the exact (Clopper-Pearson) 95 % limits; NaN without a run.
    """

    successes: int
    n: int

    @property
    def estimate(self) -> float:
        """Return successes / n."""
        return self.successes / self.n if self.n else np.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Return the exact 95 % interval."""
        if not self.n:
            return np.nan, np.nan
        found = binomtest(self.successes, self.n).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def to_dict(self) -> dict[str, Any]:
        """Return the rate as JSON content."""
        lower, upper = self.interval
        return {
            "estimate": self.estimate,
            "lower": lower,
            "upper": upper,
            "successes": self.successes,
            "n": self.n,
        }


@dataclass(frozen=True)
class AucRecord:
    """One candidate in one study: what was estimated, and what is true.

    Attributes
    ----------
    estimate, lower, upper : float
        Out-of-fold AUC with its 95 % interval.
    true : float
        AUC of the model finally fitted, in a large population of the same design.
    """

    estimate: float
    lower: float
    upper: float
    true: float


def summarise_auc(records: Sequence[AucRecord]) -> dict[str, Any]:
    """Bias and coverage of a candidate's AUC over studies.

    Two targets, since an interval may be asked either question. ``conditional``: the true AUC of
    the very model that this study fitted. ``procedure``: the mean of that over studies, which is
    what the procedure gives at this size.

    Parameters
    ----------
    records : sequence of AucRecord
        Studies whose AUC or interval could not be computed are left out and counted.

    Returns
    -------
    dict with ``n, n_left_out, mean_estimate, mean_true, bias, bias_standard_error, sd_estimate,
    mean_width, coverage_conditional, coverage_procedure``

    Examples
    --------
    >>> found = summarise_auc([AucRecord(0.6, 0.5, 0.7, 0.65), AucRecord(0.7, 0.66, 0.8, 0.65)])
    >>> round(found["mean_true"], 3), found["coverage_conditional"]["successes"]
    (0.65, 1)
    """
    table = np.array([[r.estimate, r.lower, r.upper, r.true] for r in records]).reshape(-1, 4)
    known = table[np.isfinite(table).all(axis=1)]
    result: dict[str, Any] = {"n": len(known), "n_left_out": len(table) - len(known)}
    if len(known) == 0:
        return result
    estimate, lower, upper, true = known.T
    mean_true = float(true.mean())
    error = estimate - true
    return result | {
        "mean_estimate": float(estimate.mean()),
        "mean_true": mean_true,
        "bias": float(error.mean()),
        "bias_standard_error": _standard_error(error),
        "sd_estimate": float(estimate.std(ddof=1)) if len(known) > 1 else np.nan,
        "mean_width": float((upper - lower).mean()),
        "coverage_conditional": _covered(lower, upper, true).to_dict(),
        "coverage_procedure": _covered(lower, upper, np.full_like(true, mean_true)).to_dict(),
    }


def _covered(lower: np.ndarray, upper: np.ndarray, target: np.ndarray) -> Rate:
    inside = (lower <= target) & (target <= upper)
    return Rate(int(inside.sum()), len(inside))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def summarise_runs(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise studies that were run from end to end.

    Parameters
    ----------
    runs : sequence of mapping
        Each with ``promoted`` (bool), ``selected`` (str) and ``auc`` (candidate to the fields of
        AucRecord), or with ``not_enough_data`` (str) instead.

    Returns
    -------
    dict with ``n_runs``, ``n_not_enough_data``, ``promoted`` (a rate among the studies that
    could be trained), ``selected`` (counts) and ``auc`` (:func:`summarise_auc` per candidate)
    """
    trained = [r for r in runs if "not_enough_data" not in r]
    names = list(trained[0]["auc"]) if trained else []
    chosen = [r["selected"] for r in trained]
    return {
        "n_runs": len(runs),
        "n_not_enough_data": len(runs) - len(trained),
        "promoted": Rate(sum(bool(r["promoted"]) for r in trained), len(trained)).to_dict(),
        "selected": {name: chosen.count(name) for name in dict.fromkeys(sorted(chosen))},
        "auc": {n: summarise_auc([AucRecord(**r["auc"][n]) for r in trained]) for n in names},
    }
