"""Pain modulation and sensitivity: CPM, temporal summation, independent baseline thresholds.

Every sign is the same way round: positive = more inhibition (CPM), more facilitation (temporal
summation), less sensitive (threshold).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.spec import Builder, FeatureSpec, Vector, indicators, log_ratio, numbers


def cpm_of_threshold(unconditioned_kpa: Vector, conditioned_kpa: Vector) -> Vector:
    """Conditioned pain modulation of a pressure threshold, as a log ratio.

    ln(conditioned / unconditioned): + = inhibition (the threshold rises). The log ratio is used
    because thresholds are close to log-normal (Rolke 2006).

    Parameters
    ----------
    unconditioned_kpa, conditioned_kpa : ndarray of shape (n_rows,), kPa, > 0, NaN allowed

    Returns
    -------
    ndarray of shape (n_rows,), unitless; NaN where either is missing or not positive

    Examples
    --------
    A threshold that rises by a fifth under the conditioning stimulus:

    >>> cpm_of_threshold(np.array([200.0]), np.array([240.0])).round(4)
    array([0.1823])
    """
    return log_ratio(conditioned_kpa, unconditioned_kpa)


def cpm_of_rating(unconditioned_nrs: Vector, conditioned_nrs: Vector) -> Vector:
    """Conditioned pain modulation of a pain rating: unconditioned - conditioned, + = inhibition.

    Examples
    --------
    >>> cpm_of_rating(np.array([6.0]), np.array([4.5]))
    array([1.5])
    """
    return unconditioned_nrs - conditioned_nrs


def temporal_summation(first_nrs: Vector, last_nrs: Vector) -> Vector:
    """Temporal summation: last - first rating of the train, + = facilitation, points of 10.

    Examples
    --------
    >>> temporal_summation(np.array([2.0]), np.array([5.0]))
    array([3.])
    """
    return last_nrs - first_nrs


def build_modulation(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the modulation and sensitivity features."""
    local = numbers(cases, "ppt_baseline_local_kpa")
    remote = numbers(cases, "ppt_baseline_remote_kpa")
    one = np.ones(len(cases))
    return {
        "cpm_ppt_log_ratio": cpm_of_threshold(
            numbers(cases, "cpm_ppt_unconditioned_kpa"), numbers(cases, "cpm_ppt_conditioned_kpa")
        ),
        "cpm_rating_nrs": cpm_of_rating(
            numbers(cases, "cpm_rating_unconditioned_nrs"),
            numbers(cases, "cpm_rating_conditioned_nrs"),
        ),
        "cpm_parallel": indicators(cases, "cpm_timing")["cpm_timing_parallel"],
        "ts_difference_nrs": temporal_summation(
            numbers(cases, "ts_first_nrs"), numbers(cases, "ts_last_nrs")
        ),
        "ppt_baseline_local_log_kpa": log_ratio(local, one),
        "ppt_baseline_remote_log_kpa": log_ratio(remote, one),
    }


MODULATION = Builder(
    "modulation",
    (
        FeatureSpec(
            "cpm_ppt_log_ratio",
            "modulation",
            "ln ratio",
            ("cpm_ppt_unconditioned_kpa", "cpm_ppt_conditioned_kpa"),
            "conditioned pain modulation of the pressure threshold, + = inhibition",
        ),
        FeatureSpec(
            "cpm_rating_nrs",
            "modulation",
            "points",
            ("cpm_rating_unconditioned_nrs", "cpm_rating_conditioned_nrs"),
            "conditioned pain modulation of a rating, + = inhibition",
        ),
        FeatureSpec(
            "cpm_parallel",
            "modulation",
            "0/1",
            ("cpm_timing",),
            "CPM test stimulus given during the conditioning stimulus",
        ),
        FeatureSpec(
            "ts_difference_nrs",
            "modulation",
            "points",
            ("ts_first_nrs", "ts_last_nrs"),
            "temporal summation, last - first rating, + = facilitation",
        ),
        FeatureSpec(
            "ppt_baseline_local_log_kpa",
            "sensitivity",
            "ln kPa",
            ("ppt_baseline_local_kpa",),
            "pressure threshold of an independent block, local site",
            role="baseline",
        ),
        FeatureSpec(
            "ppt_baseline_remote_log_kpa",
            "sensitivity",
            "ln kPa",
            ("ppt_baseline_remote_kpa",),
            "pressure threshold of an independent block, remote site",
            role="baseline",
        ),
    ),
    build_modulation,
)
