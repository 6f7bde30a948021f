"""Tables behind figures of a judged ladder: what each threshold gives, how risks are spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.decision import classification
from models.judged import Judged

Matrix = npt.NDArray[np.float64]
N_BINS = 40


def threshold_table(
    judged: Judged, risks: dict[str, Matrix], thresholds: tuple[float, ...]
) -> pd.DataFrame:
    """Return sensitivity, specificity and predictive values of every candidate and threshold.

    Parameters
    ----------
    judged : Judged
    risks : dict of candidate to ndarray of shape (n_repeats, n_rows)
    thresholds : tuple of float
        Declared before looking.

    Returns
    -------
    DataFrame
        Means over repeats; NaN where a share has no denominator (nobody flagged, say).
    """
    rows = [
        {"candidate": name, "threshold": threshold, **_at(judged, per_repeat, threshold)}
        for name, per_repeat in risks.items()
        for threshold in thresholds
    ]
    return pd.DataFrame(rows, columns=["candidate", "threshold", *NAMES])


NAMES = ("sensitivity", "specificity", "ppv", "npv", "share_flagged")


def _at(judged: Judged, per_repeat: Matrix, threshold: float) -> dict[str, float]:
    found = [
        classification(part.y, risk[rows] >= threshold, np.ones((1, len(rows))))
        for (part, rows), risk in zip(judged.repeats(), per_repeat, strict=True)
    ]
    return {name: float(np.mean([f[name][0] for f in found])) for name in NAMES}


def risk_histogram(risks: Matrix) -> pd.DataFrame:
    """Return the share of out-of-fold risks in each fortieth of 0 to 1, up to the last in use.

    Parameters
    ----------
    risks : ndarray of shape (n_repeats, n_rows), NaN = not judged
    """
    known = risks[np.isfinite(risks)]
    counts, edges = np.histogram(known, bins=N_BINS, range=(0.0, 1.0))
    last = int(np.flatnonzero(counts).max(initial=0)) + 1
    share = counts[:last] / max(1, len(known))
    return pd.DataFrame({"lower": edges[:last], "upper": edges[1 : last + 1], "share": share})
