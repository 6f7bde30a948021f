"""The exercise proposed: modality, intensity on one 0-1 scale, dose, region."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns import MODALITIES, REGIONS
from features.reference import load_reference
from features.spec import Builder, FeatureSpec, Vector, indicators, numbers

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


def _relative_intensity_of(cases: pd.DataFrame) -> Vector:
    value = numbers(cases, "intensity_value")
    relative = np.full(len(cases), np.nan)
    if "intensity_metric" in cases.columns:
        metrics = cases["intensity_metric"]
        for metric in metrics.dropna().unique():
            rows = (metrics == metric).to_numpy()
            relative[rows] = relative_intensity(value[rows], metric)
    return relative


def build_exercise(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return the features of the exercise proposed."""
    relative = _relative_intensity_of(cases)
    return {
        **indicators(cases, "modality"),
        "intensity_relative": relative,
        "intensity_class": intensity_class(relative),
        "duration_log_min": np.log1p(numbers(cases, "duration_min")),
        "frequency_per_week": numbers(cases, "frequency_per_week"),
        "programme_weeks": numbers(cases, "programme_weeks"),
        **indicators(cases, "body_region"),
        "loads_painful_region": numbers(cases, "loads_painful_region"),
    }


def _one(name: str, unit: str, source: str, text: str) -> FeatureSpec:
    return FeatureSpec(name, "exercise", unit, (source,), text)


_INTENSITY_SOURCES = ("intensity_metric", "intensity_value")
EXERCISE = Builder(
    "exercise",
    (
        *(
            FeatureSpec(
                f"modality_{level}",
                "exercise",
                "0/1",
                ("modality",),
                f"exercise is {level.replace('_', ' ')}",
                role="stratum",
            )
            for level in MODALITIES
        ),
        FeatureSpec(
            "intensity_relative",
            "exercise",
            "0-1",
            _INTENSITY_SOURCES,
            "relative intensity on the scale of %HRR / 100",
        ),
        FeatureSpec(
            "intensity_class",
            "exercise",
            "0-4",
            _INTENSITY_SOURCES,
            "ACSM class, " + ", ".join(f"{i} {c}" for i, c in enumerate(INTENSITY_CLASSES)),
            role="stratum",
        ),
        _one("duration_log_min", "ln(1 + min)", "duration_min", "planned duration"),
        _one("frequency_per_week", "1/week", "frequency_per_week", "bouts per week"),
        _one("programme_weeks", "weeks", "programme_weeks", "length of the programme"),
        *(
            _one(f"body_region_{level}", "0/1", "body_region", f"exercised region: {level}")
            for level in REGIONS
        ),
        _one("loads_painful_region", "0/1", "loads_painful_region", "loads a painful region"),
    ),
    build_exercise,
)
