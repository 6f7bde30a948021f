"""The exercise proposed: modality, intensity on one 0-1 scale, region, and the whole family."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns import CASES_BY_NAME
from features.columns_exercise import HEART_RATE, MODALITIES, PROGRESSIONS, REGIONS
from features.dose import DOSE_SPECS, build_dose
from features.reference import load_reference
from features.spec import (
    Builder,
    FeatureSpec,
    Role,
    Vector,
    delivered_or,
    indicators,
    level_codes,
    numbers,
)

INTENSITY_CLASSES: tuple[str, ...] = tuple(load_reference("exercise_intensity.toml")["classes"])


def relative_intensity(value: Vector, metric: str) -> Vector:
    """Map an intensity onto the common 0-1 scale (that of %HRR / 100).

    Piecewise linear through the boundaries of the ACSM classes in
    seeds/exercise_intensity.toml, so that a class begins at the same relative intensity
    whatever the metric. Values beyond the top of the scale are 1.

    Parameters
    ----------
    value : ndarray of shape (n_rows,), in the metric's unit, NaN allowed
    metric : str
        A key of ``metrics`` in seeds/exercise_intensity.toml.

    Returns
    -------
    ndarray of shape (n_rows,), unitless in [0, 1], NaN where value is

    Examples
    --------
    Vigorous begins at 60 %HRR and at a perceived exertion of 14:

    >>> relative_intensity(np.array([60.0]), "percent_hrr")
    array([0.6])
    >>> relative_intensity(np.array([14.0]), "rpe_6_20")
    array([0.6])
    """
    table = load_reference("exercise_intensity.toml")
    relative: Vector = np.interp(value, table["metrics"][metric]["value"], table["relative"])
    return relative


def intensity_class(relative: Vector) -> Vector:
    """ACSM class as an ordinal, 0 = very light ... 4 = near maximal; NaN where missing.

    A value on a boundary belongs to the higher class (40 %HRR is moderate).

    Examples
    --------
    >>> intensity_class(np.array([0.39, 0.40, 0.95]))
    array([1., 2., 4.])
    """
    bounds = np.array(load_reference("exercise_intensity.toml")["relative"][1:-1])
    # Interpolation can leave a boundary a few ulp short of itself.
    ordinal = np.searchsorted(bounds, relative + 1e-12, side="right").astype(np.float64)
    return np.where(np.isnan(relative), np.nan, ordinal)


def predicted_maximal_heart_rate(age_years: Vector) -> Vector:
    """Maximal heart rate from age by the formula named in seeds/exercise_intensity.toml, 1/min.

    208 - 0.7 * age (Tanaka 2001) as shipped; a person's own maximum lies within about
    +-20 / min of it.

    Examples
    --------
    >>> predicted_maximal_heart_rate(np.array([40.0]))
    array([180.])
    """
    rate = load_reference("exercise_intensity.toml")["heart_rate"]
    formula = rate["formulas"][rate["formula"]]
    maximal: Vector = formula["intercept"] + formula["slope"] * age_years
    return maximal


def relative_heart_rate(rate_bpm: Vector, resting_bpm: Vector, maximal_bpm: Vector) -> Vector:
    """Map a heart rate onto the common 0-1 scale: by %HRR, or by %HRmax without a resting rate.

    Parameters
    ----------
    rate_bpm, resting_bpm, maximal_bpm : ndarray of shape (n_rows,), 1/min, NaN allowed

    Returns
    -------
    ndarray of shape (n_rows,), unitless in [0, 1]
        NaN without a rate or a maximum, or where the maximum is not above the resting rate.

    Examples
    --------
    60 % of the reserve between 60 and 180, and 77 % of the maximum, are both vigorous:

    >>> rate, rest = np.array([132.0, 138.6]), np.array([60.0, np.nan])
    >>> relative_heart_rate(rate, rest, np.array([180.0, 180.0]))
    array([0.6, 0.6])
    """
    reserve = maximal_bpm - resting_bpm
    usable = reserve > 0
    share = np.where(usable, (rate_bpm - resting_bpm) / np.where(usable, reserve, 1.0), np.nan)
    by_maximum = relative_intensity(100.0 * rate_bpm / maximal_bpm, "percent_hrmax")
    by_reserve = relative_intensity(100.0 * share, "percent_hrr")
    return np.where(np.isnan(resting_bpm), by_maximum, by_reserve)


def _heart_rate_of(cases: pd.DataFrame) -> Vector:
    """Relative intensity of intensity_value read as a heart rate.

    Under a beta blocker only a measured maximum counts: the rate no longer follows age.
    """
    predicted = predicted_maximal_heart_rate(numbers(cases, "age_years"))
    predicted = np.where(numbers(cases, "beta_blocker_use") == 1.0, np.nan, predicted)
    maximal = delivered_or(numbers(cases, "maximal_heart_rate_bpm"), predicted)
    resting = numbers(cases, "resting_heart_rate_bpm")
    return relative_heart_rate(numbers(cases, "intensity_value"), resting, maximal)


def _relative_intensity_of(cases: pd.DataFrame) -> Vector:
    value = numbers(cases, "intensity_value")
    relative = np.full(len(cases), np.nan)
    metrics = CASES_BY_NAME["intensity_metric"].levels
    codes = level_codes(cases, "intensity_metric")
    for code in np.unique(codes[codes >= 0]):
        rows = codes == code
        if metrics[code] == HEART_RATE:
            relative[rows] = _heart_rate_of(cases)[rows]
        else:
            relative[rows] = relative_intensity(value[rows], metrics[code])
    return relative


def _same_region(cases: pd.DataFrame, column: str) -> Vector:
    """1 where the exercised region is that of ``column``; a whole body holds every region."""
    exercised, other = level_codes(cases, "body_region"), level_codes(cases, column)
    whole = REGIONS.index("whole_body")
    same = (exercised == other) | (exercised == whole) | (other == whole)
    return np.where((exercised < 0) | (other < 0), np.nan, same.astype(np.float64))


def build_exercise(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the features of the exercise proposed."""
    relative = _relative_intensity_of(cases)
    return {
        **indicators(cases, "modality"),
        "intensity_relative": relative,
        "intensity_class": intensity_class(relative),
        **build_dose(cases),
        **indicators(cases, "progression"),
        **indicators(cases, "body_region"),
        "test_site_local": _same_region(cases, "tested_region"),
        "loads_painful_region": delivered_or(
            numbers(cases, "loads_painful_region"), _same_region(cases, "painful_region")
        ),
    }


def _one(
    name: str,
    unit: str,
    sources: tuple[str, ...],
    text: str,
    *,
    block: str,
    role: Role = "predictor",
) -> FeatureSpec:
    return FeatureSpec(name, "exercise", unit, sources, text, role, block=block)


_INTENSITY_SOURCES = (
    "intensity_metric",
    "intensity_value",
    "age_years",
    "resting_heart_rate_bpm",
    "maximal_heart_rate_bpm",
    "beta_blocker_use",
)
EXERCISE = Builder(
    "exercise",
    (
        *(
            _one(
                f"modality_{level}",
                "0/1",
                ("modality",),
                f"exercise is {level.replace('_', ' ')}",
                block="exercise_type",
                role="stratum",
            )
            for level in MODALITIES
        ),
        _one(
            "intensity_relative",
            "0-1",
            _INTENSITY_SOURCES,
            "relative intensity on the scale of %HRR / 100",
            block="exercise_intensity",
        ),
        _one(
            "intensity_class",
            "0-4",
            _INTENSITY_SOURCES,
            "ACSM class, " + ", ".join(f"{i} {c}" for i, c in enumerate(INTENSITY_CLASSES)),
            block="exercise_intensity",
            role="stratum",
        ),
        *DOSE_SPECS,
        *(
            _one(
                f"progression_{level}",
                "0/1",
                ("progression",),
                f"load of the programme rises: {level}",
                block="exercise_programme",
            )
            for level in PROGRESSIONS
        ),
        *(
            _one(
                f"body_region_{level}",
                "0/1",
                ("body_region",),
                f"exercised region: {level}",
                block="exercise_region",
            )
            for level in REGIONS
        ),
        _one(
            "test_site_local",
            "0/1",
            ("body_region", "tested_region"),
            "the response is measured in the exercised region",
            block="exercise_region",
        ),
        _one(
            "loads_painful_region",
            "0/1",
            ("loads_painful_region", "body_region", "painful_region"),
            "loads a painful region, as delivered, else where the regions are the same",
            block="exercise_region",
        ),
    ),
    build_exercise,
)
