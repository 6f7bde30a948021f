"""Temporal summation, wind-up and offset analgesia."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.columns_modulation import TRAIN
from features.spec import FeatureSpec, Role, Vector, delivered_or, log_ratio, numbers, ratio

RATINGS = tuple(f"ts_rating_{i}" for i in range(1, TRAIN + 1))


def temporal_summation(first_nrs: Vector, last_nrs: Vector) -> Vector:
    """Temporal summation: last - first rating of the train, + = facilitation, points of 10.

    Examples
    --------
    >>> temporal_summation(np.array([2.0]), np.array([5.0]))
    array([3.])
    """
    return last_nrs - first_nrs


def train_slope(ratings: Sequence[Vector]) -> Vector:
    """Least-squares slope of a train of ratings over the number of the stimulus.

    Parameters
    ----------
    ratings : sequence of ndarray of shape (n_rows,), points of 10, NaN = not rated
        In the order of the stimuli.

    Returns
    -------
    ndarray of shape (n_rows,), points per stimulus, + = facilitation
        NaN with fewer than three ratings: two lie on a line whatever they are.

    Examples
    --------
    Ratings that rise by half a point with every stimulus, one of them lost:

    >>> train_slope([np.array([v]) for v in (1.0, 1.5, np.nan, 2.5)])
    array([0.5])
    """
    n, sum_x, sum_y, sum_xx, sum_xy = (np.zeros(len(ratings[0])) for _ in range(5))
    # One stimulus at a time: a row's sums must not depend on how many rows there are.
    for number, rating in enumerate(ratings, start=1):
        rated = ~np.isnan(rating)
        y = np.where(rated, rating, 0.0)
        n += rated
        sum_x += number * rated
        sum_xx += number**2 * rated
        sum_y += y
        sum_xy += number * y
    usable = n >= 3
    spread = np.where(usable, n * sum_xx - sum_x**2, 1.0)
    return np.where(usable, (n * sum_xy - sum_x * sum_y) / spread, np.nan)


def windup_ratio(single_nrs: Vector, train_nrs: Vector) -> Vector:
    """Wind-up ratio: mean rating of the trains / mean rating of the single stimuli (Rolke 2006).

    NaN where the single stimuli were rated 0: the ratio has no value there, and adding a
    constant would make it depend on the constant. :func:`ratio_undefined` tells these rows.

    Examples
    --------
    >>> windup_ratio(np.array([2.0, 0.0]), np.array([5.0, 3.0]))
    array([2.5, nan])
    """
    return ratio(train_nrs, single_nrs)


def ratio_undefined(denominator: Vector, numerator: Vector) -> Vector:
    """1 where both ratings are known and the lower one is 0, else 0; NaN where one is missing."""
    unknown = np.isnan(denominator) | np.isnan(numerator)
    return np.where(unknown, np.nan, (denominator == 0).astype(np.float64))


def offset_analgesia_percent(t2_nrs: Vector, t3_nrs: Vector) -> Vector:
    """Depression of the rating from T2 to T3 in percent of T2, + = inhibition; NaN where T2 is 0.

    The magnitude of offset analgesia of reviews (Szikszay 2019, 10.1097/AJP.0000000000000657,
    abstract: difference between groups in percent).

    Examples
    --------
    >>> offset_analgesia_percent(np.array([8.0]), np.array([2.0]))
    array([75.])
    """
    return 100.0 * ratio(t2_nrs - t3_nrs, t2_nrs)


def _train(cases: pd.DataFrame) -> dict[str, Vector]:
    """First, last and highest rating, and the slope; delivered first and last ratings win."""
    ratings = [numbers(cases, name) for name in RATINGS]
    last = peak = np.full(len(cases), np.nan)
    for rating in ratings:
        last = delivered_or(rating, last)
        peak = np.fmax(peak, rating)
    # One rating alone is no train: it has no last one.
    several = sum((~np.isnan(r)).astype(np.int64) for r in ratings) > 1
    first = delivered_or(numbers(cases, "ts_first_nrs"), ratings[0])
    last = delivered_or(numbers(cases, "ts_last_nrs"), np.where(several, last, np.nan))
    peak = np.where(several, peak, np.nan)
    return {
        "ts_difference_nrs": temporal_summation(first, last),
        "ts_peak_difference_nrs": peak - first,
        "ts_slope_nrs": train_slope(ratings),
        "ts_last_first_ratio": ratio(last, first),
        "ts_last_first_undefined": ratio_undefined(first, last),
    }


def _windup(cases: pd.DataFrame) -> dict[str, Vector]:
    single, train = numbers(cases, "ts_single_nrs"), numbers(cases, "ts_train_nrs")
    return {
        "ts_windup_log_ratio": log_ratio(train, single),
        "ts_windup_ratio": windup_ratio(single, train),
        "ts_windup_undefined": ratio_undefined(single, train),
    }


def _offset(cases: pd.DataFrame) -> dict[str, Vector]:
    t1, t2, t3 = (numbers(cases, f"oa_t{i}_nrs") for i in (1, 2, 3))
    return {
        "oa_nrs": t2 - t3,
        "oa_percent": offset_analgesia_percent(t2, t3),
        "oa_same_temperature_nrs": t1 - t3,
        "oa_controlled_nrs": numbers(cases, "oa_constant_t3_nrs") - t3,
    }


def build_summation(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return temporal summation, wind-up and offset analgesia."""
    return {**_train(cases), **_windup(cases), **_offset(cases)}


def _ts(
    name: str, unit: str, sources: tuple[str, ...], text: str, role: Role = "alternative"
) -> FeatureSpec:
    return FeatureSpec(name, "modulation", unit, sources, text, role, block="temporal_summation")


def _oa(
    name: str, unit: str, sources: tuple[str, ...], text: str, role: Role = "alternative"
) -> FeatureSpec:
    return FeatureSpec(name, "modulation", unit, sources, text, role, block="offset_analgesia")


_ENDS = ("ts_first_nrs", "ts_last_nrs", *RATINGS)
_WINDUP = ("ts_single_nrs", "ts_train_nrs")
_DEPRESSION = ("oa_t2_nrs", "oa_t3_nrs")
SUMMATION_SPECS: tuple[FeatureSpec, ...] = (
    _ts(
        "ts_difference_nrs",
        "points",
        _ENDS,
        "temporal summation, last - first rating, + = facilitation",
        "predictor",
    ),
    _ts(
        "ts_peak_difference_nrs",
        "points",
        ("ts_first_nrs", *RATINGS),
        "temporal summation, highest - first rating",
    ),
    _ts("ts_slope_nrs", "points/stimulus", RATINGS, "temporal summation, slope of the train"),
    _ts("ts_last_first_ratio", "ratio", _ENDS, "temporal summation, last / first rating"),
    _ts(
        "ts_last_first_undefined",
        "0/1",
        _ENDS,
        "the first rating is 0: the ratio has no value",
        "quality",
    ),
    _ts(
        "ts_windup_log_ratio",
        "ln ratio",
        _WINDUP,
        "wind-up ratio (trains / single stimuli), + = facilitation",
        "predictor",
    ),
    _ts("ts_windup_ratio", "ratio", _WINDUP, "wind-up ratio (trains / single stimuli)"),
    _ts(
        "ts_windup_undefined",
        "0/1",
        _WINDUP,
        "the single stimuli are rated 0: the wind-up ratio has no value",
        "quality",
    ),
    _oa(
        "oa_nrs",
        "points",
        _DEPRESSION,
        "offset analgesia, T2 - T3 rating, + = inhibition",
        "predictor",
    ),
    _oa("oa_percent", "%", _DEPRESSION, "offset analgesia, T2 - T3 in percent of T2"),
    _oa(
        "oa_same_temperature_nrs",
        "points",
        ("oa_t1_nrs", "oa_t3_nrs"),
        "offset analgesia, T1 - T3 rating at the same temperature",
    ),
    _oa(
        "oa_controlled_nrs",
        "points",
        ("oa_constant_t3_nrs", "oa_t3_nrs"),
        "offset analgesia, constant trial - offset trial at the time of T3",
    ),
)
