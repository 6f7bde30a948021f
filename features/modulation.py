"""Conditioned pain modulation, and the family of modulation and sensitivity as a whole.

Every sign is the same way round: positive = more inhibition (CPM, offset analgesia), more
facilitation (temporal summation), less sensitive (threshold), gain of function (z-score).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features.columns_modulation import CPM_PARADIGMS, CPM_TIMINGS
from features.reference import load_reference
from features.sensitivity import SENSITIVITY_SPECS, build_sensitivity
from features.spec import (
    Builder,
    FeatureSpec,
    Role,
    Vector,
    delivered_or,
    indicators,
    level_codes,
    log_ratio,
    numbers,
    ratio,
)
from features.summation import SUMMATION_SPECS, build_summation


def cpm_of_threshold(unconditioned: Vector, conditioned: Vector) -> Vector:
    """Conditioned pain modulation of a pressure threshold, as a log ratio.

    ln(conditioned / unconditioned): + = inhibition (the threshold rises). The log ratio is used
    because thresholds are close to log-normal (Rolke 2006).

    Parameters
    ----------
    unconditioned, conditioned : ndarray of shape (n_rows,), one unit of pressure, > 0, NaN allowed

    Returns
    -------
    ndarray of shape (n_rows,), unitless; NaN where either is missing or not positive

    Examples
    --------
    A threshold that rises by a fifth under the conditioning stimulus:

    >>> cpm_of_threshold(np.array([200.0]), np.array([240.0])).round(4)
    array([0.1823])
    """
    return log_ratio(conditioned, unconditioned)


def cpm_percent_of_threshold(unconditioned: Vector, conditioned: Vector) -> Vector:
    """CPM of a threshold in percent of the unconditioned one, + = inhibition.

    Absolute and percent change are both reported, as the recommendations of Yarnitsky 2015
    (Eur J Pain 19:805) ask; there inhibition of a rating is negative, here it is positive.

    Examples
    --------
    >>> cpm_percent_of_threshold(np.array([200.0]), np.array([240.0]))
    array([20.])
    """
    return 100.0 * ratio(conditioned - unconditioned, unconditioned)


def cpm_of_rating(unconditioned_nrs: Vector, conditioned_nrs: Vector) -> Vector:
    """Conditioned pain modulation of a pain rating: unconditioned - conditioned, + = inhibition.

    Examples
    --------
    >>> cpm_of_rating(np.array([6.0]), np.array([4.5]))
    array([1.5])
    """
    return unconditioned_nrs - conditioned_nrs


def cpm_percent_of_rating(unconditioned_nrs: Vector, conditioned_nrs: Vector) -> Vector:
    """CPM of a rating in percent of the unconditioned one, + = inhibition; NaN where that is 0.

    Examples
    --------
    >>> cpm_percent_of_rating(np.array([6.0, 0.0]), np.array([4.5, 1.0]))
    array([25., nan])
    """
    return 100.0 * ratio(unconditioned_nrs - conditioned_nrs, unconditioned_nrs)


def is_efficient(gain: Vector, sem: Vector) -> Vector:
    """Whether inhibition exceeds its standard error of measurement: 1, 0, NaN where unknown.

    Facilitation is not called abnormal: some healthy people show it (Schliessbach 2019,
    10.1515/sjpain-2018-0356).

    Parameters
    ----------
    gain, sem : ndarray of shape (n_rows,), one unit, NaN allowed

    Examples
    --------
    >>> is_efficient(np.array([30.0, 20.0, -40.0, 30.0]), np.array([20.6, 20.6, 20.6, np.nan]))
    array([ 1.,  0.,  0., nan])
    """
    return np.where(np.isnan(gain) | np.isnan(sem), np.nan, (gain > sem).astype(np.float64))


def published_sem(cases: pd.DataFrame, stimulus: str) -> Vector:
    """SEM published for each row's paradigm and timing (seeds/modulation.toml); NaN without one."""
    sem = np.full(len(cases), np.nan)
    paradigm, timing = level_codes(cases, "cpm_paradigm"), level_codes(cases, "cpm_timing")
    for entry in load_reference("modulation.toml")["cpm_sem"]:
        if entry["stimulus"] == stimulus:
            fits = paradigm == CPM_PARADIGMS.index(entry["paradigm"])
            if entry["timing"]:
                fits &= timing == CPM_TIMINGS.index(entry["timing"])
            sem[fits] = entry["sem"]
    return sem


def _of_pressure(cases: pd.DataFrame, name: str) -> dict[str, Vector]:
    alone = numbers(cases, f"{name}_unconditioned_kpa")
    conditioned = numbers(cases, f"{name}_conditioned_kpa")
    return {
        f"{name}_log_ratio": cpm_of_threshold(alone, conditioned),
        f"{name}_percent": cpm_percent_of_threshold(alone, conditioned),
        f"{name}_kpa": conditioned - alone,
    }


def _of_rating(cases: pd.DataFrame) -> dict[str, Vector]:
    alone = numbers(cases, "cpm_rating_unconditioned_nrs")
    conditioned = numbers(cases, "cpm_rating_conditioned_nrs")
    return {
        "cpm_rating_nrs": cpm_of_rating(alone, conditioned),
        "cpm_rating_percent": cpm_percent_of_rating(alone, conditioned),
        "cpm_rating_log_ratio": log_ratio(alone, conditioned),
    }


def _efficient(cases: pd.DataFrame, built: Mapping[str, Vector]) -> dict[str, Vector]:
    kinds = (("cpm_ppt", "cpm_ppt_kpa", "kpa"), ("cpm_rating", "cpm_rating_nrs", "nrs"))
    return {
        f"{stimulus}_efficient": is_efficient(
            built[gain],
            delivered_or(
                numbers(cases, f"{stimulus}_sem_{suffix}"), published_sem(cases, stimulus)
            ),
        )
        for stimulus, gain, suffix in kinds
    }


def build_cpm(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return every scale of CPM, its class, timing and paradigm."""
    heat = numbers(cases, "cpm_heat_conditioned_degc") - numbers(
        cases, "cpm_heat_unconditioned_degc"
    )
    built = {
        **_of_pressure(cases, "cpm_ppt"),
        **_of_pressure(cases, "cpm_cuff"),
        "cpm_heat_degc": heat,
        **_of_rating(cases),
    }
    return {
        **built,
        **_efficient(cases, built),
        "cpm_parallel": indicators(cases, "cpm_timing")["cpm_timing_parallel"],
        **indicators(cases, "cpm_paradigm"),
    }


def _cpm(
    name: str, unit: str, sources: tuple[str, ...], text: str, role: Role = "predictor"
) -> FeatureSpec:
    return FeatureSpec(name, "modulation", unit, sources, text, role, block="cpm")


def _pressure_specs(name: str, device: str) -> tuple[FeatureSpec, ...]:
    sources = (f"{name}_unconditioned_kpa", f"{name}_conditioned_kpa")
    text = f"conditioned pain modulation of the {device} pressure threshold, "
    return (
        _cpm(f"{name}_log_ratio", "ln ratio", sources, f"{text}+ = inhibition"),
        _cpm(f"{name}_percent", "%", sources, f"{text}percent, + = inhibition", "alternative"),
        _cpm(f"{name}_kpa", "kPa", sources, f"{text}absolute, + = inhibition", "alternative"),
    )


def _efficient_spec(stimulus: str, suffix: str) -> FeatureSpec:
    names = ("unconditioned", "conditioned", "sem")
    sources = (*(f"{stimulus}_{n}_{suffix}" for n in names), "cpm_paradigm", "cpm_timing")
    text = f"{stimulus} exceeds its standard error of measurement (own, else published)"
    return _cpm(f"{stimulus}_efficient", "0/1", sources, text, "alternative")


_HEAT = ("cpm_heat_unconditioned_degc", "cpm_heat_conditioned_degc")
_RATING = ("cpm_rating_unconditioned_nrs", "cpm_rating_conditioned_nrs")
_OF_RATING = "conditioned pain modulation of a rating, "
CPM_SPECS: tuple[FeatureSpec, ...] = (
    *_pressure_specs("cpm_ppt", "hand-held"),
    *_pressure_specs("cpm_cuff", "cuff"),
    # A ratio of degrees Celsius means nothing: the zero of the scale is arbitrary.
    _cpm("cpm_heat_degc", "degC", _HEAT, "CPM of the heat pain threshold, + = inhibition"),
    _cpm("cpm_rating_nrs", "points", _RATING, f"{_OF_RATING}+ = inhibition"),
    _cpm("cpm_rating_percent", "%", _RATING, f"{_OF_RATING}percent, + = inhibition", "alternative"),
    _cpm(
        "cpm_rating_log_ratio",
        "ln ratio",
        _RATING,
        f"{_OF_RATING}+ = inhibition; missing where a rating is 0",
        "alternative",
    ),
    _efficient_spec("cpm_ppt", "kpa"),
    _efficient_spec("cpm_rating", "nrs"),
    _cpm(
        "cpm_parallel",
        "0/1",
        ("cpm_timing",),
        "CPM test stimulus given during the conditioning stimulus",
    ),
    *(
        _cpm(f"cpm_paradigm_{p}", "0/1", ("cpm_paradigm",), f"CPM conditioned by {p}")
        for p in CPM_PARADIGMS
    ),
)


def build_modulation(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the modulation and sensitivity features."""
    return {**build_cpm(cases), **build_summation(cases), **build_sensitivity(cases)}


MODULATION = Builder(
    "modulation", (*CPM_SPECS, *SUMMATION_SPECS, *SENSITIVITY_SPECS), build_modulation
)
