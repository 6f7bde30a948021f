"""Sensitivity before the bout: independent thresholds, their quality, and QST z-scores.

Hand-held and cuff algometers press another tissue volume over another area: their thresholds
are kept apart throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.columns_modulation import PPT_TRIALS, QST, QST_Z, SITES
from features.spec import FeatureSpec, Role, Vector, delivered_or, log_ratio, numbers


def mean_of_trials(trials: Sequence[Vector]) -> tuple[Vector, Vector, Vector]:
    """Mean of repeated readings, its standard error, and the number of readings.

    Parameters
    ----------
    trials : sequence of ndarray of shape (n_rows,), one unit, NaN = lost

    Returns
    -------
    mean, standard_error, n_trials : ndarray of shape (n_rows,)
        Mean in the unit of the readings, NaN without any; standard error s / sqrt(n) with
        s of n - 1 degrees of freedom, NaN with fewer than two; n_trials counts readings.

    Examples
    --------
    >>> mean, error, n = mean_of_trials([np.array([300.0]), np.array([340.0])])
    >>> mean, error.round(1), n
    (array([320.]), array([20.]), array([2.]))
    """
    n, total = np.zeros(len(trials[0])), np.zeros(len(trials[0]))
    for trial in trials:
        known = ~np.isnan(trial)
        n += known
        total += np.where(known, trial, 0.0)
    mean = np.where(n > 0, total / np.maximum(n, 1.0), np.nan)
    squares = np.zeros(len(mean))
    for trial in trials:
        squares += np.where(np.isnan(trial), 0.0, (trial - mean) ** 2)
    error = np.sqrt(squares / np.maximum(n - 1.0, 1.0) / np.maximum(n, 1.0))
    return mean, np.where(n > 1, error, np.nan), n


def _site(cases: pd.DataFrame, site: str) -> dict[str, Vector]:
    """One site's threshold; a delivered mean wins, as it may leave practice trials out."""
    names = [f"ppt_baseline_{site}_{i}_kpa" for i in range(1, PPT_TRIALS + 1)]
    delivered = numbers(cases, f"ppt_baseline_{site}_kpa")
    mean, error, n = mean_of_trials([numbers(cases, name) for name in names])
    stated = np.where(np.isnan(delivered), np.nan, numbers(cases, "ppt_baseline_n_trials"))
    one = np.ones(len(cases))
    return {
        f"ppt_baseline_{site}_log_kpa": log_ratio(delivered_or(delivered, mean), one),
        f"ppt_baseline_{site}_se_kpa": error,
        f"ppt_baseline_{site}_n_trials": np.where(n > 0, n, stated),
        f"cuff_ppt_baseline_{site}_log_kpa": log_ratio(
            numbers(cases, f"cuff_ppt_baseline_{site}_kpa"), one
        ),
    }


QUALITY = {
    "ppt_tip_area_cm2": ("cm2", "area of the algometer's tip"),
    "ppt_ramp_kpa_s": ("kPa/s", "rate of the pressure ramp"),
    "ppt_cutoff_kpa": ("kPa", "pressure at which a trial is stopped"),
}


# What has no z-score is taken as it is.
QST_PLAIN = {p["column"]: p for name, p in QST.items() if name not in QST_Z}


def build_sensitivity(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return thresholds of an independent block, how they were measured, and z-scores."""
    sites = {name: value for site in SITES for name, value in _site(cases, site).items()}
    plain = (*QUALITY, *QST_PLAIN, *(f"qst_{name}_z" for name in QST_Z))
    return {**sites, **{name: numbers(cases, name) for name in plain}}


def _spec(
    name: str, unit: str, sources: tuple[str, ...], text: str, role: Role, block: str
) -> FeatureSpec:
    return FeatureSpec(name, "sensitivity", unit, sources, text, role, block=block)


def _site_specs(site: str) -> tuple[FeatureSpec, ...]:
    trials = tuple(f"ppt_baseline_{site}_{i}_kpa" for i in range(1, PPT_TRIALS + 1))
    mean, block = f"ppt_baseline_{site}_kpa", "baseline_sensitivity"
    where = f"pressure threshold of an independent block, {site} site"
    return (
        _spec(f"ppt_baseline_{site}_log_kpa", "ln kPa", (mean, *trials), where, "baseline", block),
        _spec(
            f"ppt_baseline_{site}_se_kpa",
            "kPa",
            trials,
            f"{where}: standard error of the mean of its trials",
            "quality",
            block,
        ),
        _spec(
            f"ppt_baseline_{site}_n_trials",
            "trials",
            (*trials, mean, "ppt_baseline_n_trials"),
            f"{where}: number of trials",
            "quality",
            block,
        ),
        _spec(
            f"cuff_ppt_baseline_{site}_log_kpa",
            "ln kPa",
            (f"cuff_ppt_baseline_{site}_kpa",),
            f"cuff {where}",
            "baseline",
            "cuff_sensitivity",
        ),
    )


SENSITIVITY_SPECS: tuple[FeatureSpec, ...] = (
    *(spec for site in SITES for spec in _site_specs(site)),
    *(
        _spec(name, unit, (name,), text, "quality", "baseline_sensitivity")
        for name, (unit, text) in QUALITY.items()
    ),
    *(
        _spec(
            f"qst_{name}_z",
            "z",
            (f"qst_{name}_z",),
            f"{QST[name]['title']}, z-score, + = gain of function",
            "predictor",
            "qst",
        )
        for name in QST_Z
    ),
    *(
        _spec(column, p["unit"] or "count", (column,), p["title"], "predictor", "qst")
        for column, p in QST_PLAIN.items()
    ),
)
