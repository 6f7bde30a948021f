"""The dose of exercise: time, frequency, length and volume."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns import CASES_BY_NAME
from features.spec import FeatureSpec, Vector, delivered_or, level_codes, log1p, numbers


def met_minutes(mets: Vector, duration_min: Vector) -> Vector:
    """Energy cost of a bout: METs * minutes (Herrmann 2024, Compendium), MET-min.

    Examples
    --------
    >>> met_minutes(np.array([6.0]), np.array([20.0]))
    array([120.])
    """
    return mets * duration_min


def session_rpe_load(rating_cr10: Vector, duration_min: Vector) -> Vector:
    """Planned session load: CR10 rating * minutes, arbitrary units (Foster 2001).

    Examples
    --------
    >>> session_rpe_load(np.array([5.0]), np.array([20.0]))
    array([100.])
    """
    return rating_cr10 * duration_min


def isometric_impulse(percent_mvc: Vector, contraction_s: Vector, contractions: Vector) -> Vector:
    """Force-time integral of isometric work: %MVC * seconds * contractions (a proposal), %MVC*s.

    Examples
    --------
    Three contractions of 60 s at 30 % of the maximum:

    >>> isometric_impulse(np.array([30.0]), np.array([60.0]), np.array([3.0]))
    array([5400.])
    """
    return percent_mvc * contraction_s * contractions


def resistance_volume(sets: Vector, repetitions: Vector, load: Vector) -> Vector:
    """Sets * repetitions * load; the unit is that of the load (%1RM or kg).

    Examples
    --------
    >>> resistance_volume(np.array([3.0]), np.array([10.0]), np.array([70.0]))
    array([2100.])
    """
    return sets * repetitions * load


def _intensities(cases: pd.DataFrame, metrics: tuple[str, ...]) -> tuple[Vector, ...]:
    """``intensity_value`` once for each metric: where it is measured in it, else NaN."""
    levels = CASES_BY_NAME["intensity_metric"].levels
    codes, value = level_codes(cases, "intensity_metric"), numbers(cases, "intensity_value")
    return tuple(np.where(codes == levels.index(m), value, np.nan) for m in metrics)


def build_dose(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return time, frequency, length, and volume on every scale the plan allows."""
    duration, weekly = numbers(cases, "duration_min"), numbers(cases, "frequency_per_week")
    mets, cr10, mvc, rm = _intensities(cases, ("mets", "cr10", "percent_mvc", "percent_1rm"))
    of_bout = met_minutes(delivered_or(numbers(cases, "exercise_mets"), mets), duration)
    return {
        "duration_log_min": log1p(duration),
        "frequency_per_week": weekly,
        "programme_weeks": numbers(cases, "programme_weeks"),
        "programme_log_bouts": log1p(weekly * numbers(cases, "programme_weeks")),
        "dose_log_met_min": log1p(of_bout),
        "dose_log_met_min_week": log1p(of_bout * weekly),
        "dose_log_session_rpe": log1p(session_rpe_load(cr10, duration)),
        **_muscular(cases, mvc, rm),
    }


def _muscular(cases: pd.DataFrame, mvc: Vector, rm: Vector) -> dict[str, Vector]:
    sets, repetitions = numbers(cases, "sets"), numbers(cases, "repetitions")
    impulse = isometric_impulse(mvc, numbers(cases, "contraction_s"), sets * repetitions)
    share = resistance_volume(sets, repetitions, rm)
    load = resistance_volume(sets, repetitions, numbers(cases, "load_kg"))
    return {
        "dose_log_impulse_mvc_s": log1p(impulse),
        "dose_log_volume_1rm": log1p(share),
        "dose_log_volume_kg": log1p(load),
    }


def _dose(
    name: str, unit: str, sources: tuple[str, ...], text: str, block: str = "exercise_dose"
) -> FeatureSpec:
    return FeatureSpec(name, "exercise", unit, sources, text, block=block)


_INTENSITY = ("intensity_metric", "intensity_value")
_METS = ("exercise_mets", *_INTENSITY, "duration_min")
_SETS = ("sets", "repetitions")
DOSE_SPECS: tuple[FeatureSpec, ...] = (
    _dose("duration_log_min", "ln(1 + min)", ("duration_min",), "planned duration"),
    _dose(
        "frequency_per_week",
        "1/week",
        ("frequency_per_week",),
        "bouts per week",
        "exercise_programme",
    ),
    _dose(
        "programme_weeks",
        "weeks",
        ("programme_weeks",),
        "length of the programme",
        "exercise_programme",
    ),
    _dose(
        "programme_log_bouts",
        "ln(1 + bouts)",
        ("frequency_per_week", "programme_weeks"),
        "bouts of the whole programme",
        "exercise_programme",
    ),
    _dose("dose_log_met_min", "ln(1 + MET-min)", _METS, "MET-minutes of a bout"),
    _dose(
        "dose_log_met_min_week",
        "ln(1 + MET-min/week)",
        (*_METS, "frequency_per_week"),
        "MET-minutes of a week",
        "exercise_programme",
    ),
    _dose(
        "dose_log_session_rpe",
        "ln(1 + CR10 * min)",
        (*_INTENSITY, "duration_min"),
        "session load, intensity planned in CR10",
    ),
    _dose(
        "dose_log_impulse_mvc_s",
        "ln(1 + %MVC * s)",
        (*_INTENSITY, "contraction_s", *_SETS),
        "isometric impulse, intensity planned in %MVC",
    ),
    _dose(
        "dose_log_volume_1rm",
        "ln(1 + repetitions * %1RM)",
        (*_INTENSITY, *_SETS),
        "resistance volume, intensity planned in %1RM",
    ),
    _dose(
        "dose_log_volume_kg",
        "ln(1 + repetitions * kg)",
        ("load_kg", *_SETS),
        "resistance volume in kilograms",
    ),
)
