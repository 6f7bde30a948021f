"""What error in a marker hides, and what averaging more trials of it would show.

References
----------
.. [Carroll2006] Carroll, Ruppert, Stefanski, Crainiceanu. Measurement Error in Nonlinear Models,
   2nd ed., chapters 3 and 4 (regression calibration).
.. [Spearman1910] Spearman. Correlation calculated from faulty data. Br J Psychol 3:271.
.. [Brown1910] Brown. Some experimental results in the correlation of mental abilities. Br J
   Psychol 3:296.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

AVERAGED = (1, 2, 3, 4, 8)


def averaged_reliability(reliability: float, k: float) -> float:
    """Reliability of the mean of k parallel measurements [Spearman1910]_ [Brown1910]_.

    Examples
    --------
    >>> averaged_reliability(0.5, 3)
    0.75
    """
    return k * reliability / (1 + (k - 1) * reliability)


def remaining_share(reliability: float, explained: float) -> float:
    """Share of the true signal in what a marker adds to the base set.

    The base set explains true signal only: of the rest, noise is the larger part. NaN where it
    explains as much as the reliability leaves.

    Parameters
    ----------
    reliability : float in (0, 1]
        Of the marker as measured.
    explained : float in [0, 1)
        R² of the marker given the base set.

    Examples
    --------
    >>> round(remaining_share(0.7, 0.4), 3)
    0.5
    """
    if not explained < reliability:
        return float("nan")
    return (reliability - explained) / (1 - explained)


def disattenuate(
    per_sd: float, reliability: float, explained: float, averaged: Sequence[int] = AVERAGED
) -> dict[str, Any]:
    """Return the association a marker without error would have, and with k averaged trials.

    Regression calibration: exact for a linear model, a good approximation for a logistic one
    while the association is moderate [Carroll2006]_. The base set is taken as free of error.

    Parameters
    ----------
    per_sd : float
        Coefficient per SD of the marker as measured.
    reliability, explained : float
        See :func:`remaining_share`.
    averaged : sequence of int

    Returns
    -------
    dict
        ``per_sd`` of the marker as measured (its SD stays the unit), ``disattenuated`` the same
        without error; ``averaged``: per k the reliability, the coefficient, and ``ratio``, by
        which what the marker adds (chi-square beyond its df, increment of R²) would grow.
    """
    share = remaining_share(reliability, explained)
    reason = "" if np.isfinite(share) else "the base set explains all the reliable variance"
    rows = []
    for k in averaged:
        own = averaged_reliability(reliability, k)
        # Averaging shrinks the noise: the variance the base set does not explain shrinks too.
        signal, noise = reliability - explained, (1 - reliability) / k
        of_k = signal / (signal + noise) if np.isfinite(share) else np.nan
        rows.append(
            {
                "trials": k,
                "reliability": own,
                "per_sd": per_sd / share * of_k,
                "ratio": of_k / share,
            }
        )
    return {
        "reliability": reliability,
        "explained_by_base": explained,
        "per_sd": per_sd,
        "disattenuated": per_sd / share,
        "averaged": rows,
        "reason": reason,
    }
