"""How many persons a new study needs to confirm what a marker added in this one."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

ALPHA = 0.05
POWERS = (0.8, 0.9)


def needed_noncentrality(df: int, power: float, alpha: float = ALPHA) -> float:
    """Noncentrality of a chi-square test that rejects with this probability.

    Examples
    --------
    One coefficient, 80 %: (1.96 + 0.84)²

    >>> round(needed_noncentrality(1, 0.8), 2)
    7.85
    """
    cut = chi2.ppf(1 - alpha, df)
    return float(brentq(lambda c: ncx2.sf(cut, df, c) - power, 1e-9, 1e4))


def persons_to_confirm(statistic: float, df: int, n_persons: int) -> dict[str, Any]:
    """Persons of a new study of the same kind that would find the marker again.

    What the test exceeds its df by estimates the noncentrality, which grows with the persons. A
    finding picked because it was strong is stronger than the truth: half of the effect is shown
    beside it (a quarter of the noncentrality).

    Parameters
    ----------
    statistic : float
        Chi-square of the marker (that for repeated rows where persons repeat).
    df : int
    n_persons : int
        Persons it comes from, each with as many bouts as a person of the new study.

    Returns
    -------
    dict with ``power_80``, ``power_90`` and the same ``_at_half_the_effect``; None with a
    ``reason`` where the marker exceeds nothing
    """
    beyond = statistic - df
    names = [f"power_{round(100 * p)}" for p in POWERS]
    if not beyond > 0:
        reason = "no more was added than noise would add: nothing to confirm"
        empty = dict.fromkeys([*names, *(f"{n}_at_half_the_effect" for n in names)])
        return {**empty, "reason": reason}
    found: dict[str, Any] = {"reason": ""}
    for name, power in zip(names, POWERS, strict=True):
        exact = needed_noncentrality(df, power) * n_persons / beyond
        found[name] = ceil(exact)
        found[f"{name}_at_half_the_effect"] = ceil(4 * exact)
    return found


def persons_for_r2(increment: float, r2_full: float, df: int) -> dict[str, Any]:
    """Persons, one row each, that would find an increment of R² again (test of df coefficients).

    Cohen's f² = increment / (1 - R² of the full model), times the persons, is the noncentrality.
    """
    names = [f"power_{round(100 * p)}" for p in POWERS]
    if not (increment > 0 and r2_full < 1 and np.isfinite(increment)):
        return {**dict.fromkeys(names), "reason": "no increment: nothing to confirm"}
    effect = increment / (1 - r2_full)
    needed = {
        n: ceil(needed_noncentrality(df, p) / effect) for n, p in zip(names, POWERS, strict=True)
    }
    return {**needed, "reason": ""}
