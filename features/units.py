"""Measures of pain and pain sensitivity: their units, plausible ranges and direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Exact by definition: 1 kgf = 9.80665 N, 1 lbf = 4.4482216152605 N, 1 in = 2.54 cm.
# A bare force (N, kgf, lbf) is read as pressed through the usual 1 cm2 tip.
KPA_PER_UNIT: Mapping[str, float] = MappingProxyType(
    {
        "kPa": 1.0,
        "kgf/cm2": 98.0665,
        "kg/cm2": 98.0665,
        "N/cm2": 10.0,
        "N": 10.0,
        "kgf": 98.0665,
        "lbf": 44.482216152605,
        "lbf/in2": 6.894757293168,
        "bar": 100.0,
        "mmHg": 0.133322387415,
        "Pa": 0.001,
    }
)
IDENTITY: Mapping[str, tuple[float, float]] = MappingProxyType({})


@dataclass(frozen=True)
class Measure:
    """One kind of measurement.

    ``units`` maps an accepted unit to (factor, offset): canonical = factor * value + offset.
    ``less_pain`` is +1 where a higher value means less pain (a threshold), -1 where it means
    more (a rating), 0 where it is no pain outcome. ``low``/``high`` bound plausible canonical
    values, ``typical`` the span in which the median of a whole table is expected, ``source``
    says where they come from.
    """

    name: str
    unit: str
    low: float
    high: float
    typical: tuple[float, float]
    less_pain: int
    primary_scale: str
    units: Mapping[str, tuple[float, float]] = field(default_factory=lambda: IDENTITY)
    source: str = ""

    def conversion(self, unit: str) -> tuple[float, float] | None:
        """Return (factor, offset) from ``unit`` to the canonical unit, or None if unknown."""
        if unit == self.unit:
            return (1.0, 0.0)
        return self.units.get(unit)


def convert(value: Vector, measure: Measure, declared: str, wanted: str) -> Vector:
    """Convert readings of a measure from one of its units to another.

    Parameters
    ----------
    value : ndarray of shape (n_rows,), in ``declared``, NaN allowed
    measure : Measure
    declared, wanted : str
        The measure's own unit or one of ``measure.units``.

    Raises
    ------
    KeyError
        For a unit the measure does not have.

    Examples
    --------
    >>> convert(np.array([4.0]), MEASURES["ppt"], "kgf/cm2", "kPa")
    array([392.266])
    """
    pairs = [measure.conversion(unit) for unit in (declared, wanted)]
    if pairs[0] is None or pairs[1] is None:
        raise KeyError(declared if pairs[0] is None else wanted)
    (factor, offset), (back, shift) = pairs[0], pairs[1]
    return (factor * value + offset - shift) / back


_PRESSURE = MappingProxyType({u: (f, 0.0) for u, f in KPA_PER_UNIT.items()})
_RATING_100 = MappingProxyType({"0-10": (10.0, 0.0), "mm": (1.0, 0.0), "1-101": (1.0, -1.0)})
_RATING_10 = MappingProxyType({"0-100": (0.1, 0.0), "mm": (0.1, 0.0)})

_TEMPERATURE = MappingProxyType({"degF": (5 / 9, -160 / 9)})
# 1 gf = 9.80665 mN exactly; filaments are sold by the gram or by the millinewton.
_FORCE = MappingProxyType({"g": (9.80665, 0.0), "gf": (9.80665, 0.0), "N": (1000.0, 0.0)})
_SECONDS = MappingProxyType({"min": (60.0, 0.0)})
_DFNS = "Rolke 2006, doi 10.1016/j.pain.2006.01.041 (protocol; limits of the devices)"

# Quantitative sensory testing. Ranges are what the devices can give, not norms: a thermode
# stops at 0 and at 50 to 55 degC, so that readings at an end are censored, not measured.
# less_pain is 0 where the stimulus is felt without pain: a detection threshold is no pain outcome.
_SENSORY = (
    Measure(
        "cold_pain_threshold", "degC", 0, 32, (2, 28), -1, "absolute", _TEMPERATURE, source=_DFNS
    ),
    Measure(
        "cold_detection_threshold",
        "degC",
        0,
        32,
        (24, 32),
        0,
        "absolute",
        _TEMPERATURE,
        source=_DFNS,
    ),
    Measure(
        "warm_detection_threshold",
        "degC",
        30,
        55,
        (32, 42),
        0,
        "absolute",
        _TEMPERATURE,
        source=_DFNS,
    ),
    Measure(
        "mechanical_detection_threshold",
        "mN",
        0.01,
        3000,
        (0.1, 20),
        0,
        "log_ratio",
        _FORCE,
        source=_DFNS,
    ),
    Measure(
        "mechanical_pain_threshold",
        "mN",
        0.1,
        10000,
        (8, 1500),
        +1,
        "log_ratio",
        _FORCE,
        source=f"{_DFNS}; the heaviest filaments press with more than 512 mN, its last pinprick",
    ),
    Measure("mechanical_pain_sensitivity", "0-100", 0, 100, (0, 50), -1, "absolute", source=_DFNS),
    # Ratio of two ratings; undefined where the single stimulus is rated 0 (evidence D5).
    Measure("wind_up_ratio", "ratio", 0, 100, (0.8, 8), 0, "log_ratio", source=_DFNS),
    Measure("vibration_detection_threshold", "0-8", 0, 8, (4, 8), 0, "absolute", source=_DFNS),
    Measure(
        "cold_pressor_tolerance",
        "s",
        0,
        600,
        (10, 300),
        +1,
        "log_ratio",
        _SECONDS,
        source="usual cut-offs are 120 to 300 s; a time at the cut-off is censored",
    ),
    Measure("pain_rating_cold", "0-100", 0, 100, (5, 90), -1, "absolute", _RATING_100),
    Measure(
        "electrical_pain_threshold",
        "mA",
        0.01,
        100,
        (0.5, 20),
        +1,
        "log_ratio",
        source="plausibility limit of constant-current stimulators",
    ),
)
# Totals measured again later: kept as measurements, because only what is known before the bout
# is a case. They are no pain outcome: no sign says "less pain".
_SCORES = (
    Measure("tsk17_total", "points", 17, 68, (25, 55), 0, "absolute", source="17 items of 1 to 4"),
    Measure("tsk11_total", "points", 11, 44, (14, 36), 0, "absolute", source="11 items of 1 to 4"),
    Measure("pcs_total", "points", 0, 52, (0, 45), 0, "absolute", source="13 items of 0 to 4"),
)

# Ranges are plausibility limits, not norms: 20 kPa is 0.2 kgf/cm2, 2000 kPa is beyond the
# cut-off of every hand-held algometer. Cuff pressures are another scale (evidence D7) and
# have a measure of their own.
MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        m.name: m
        for m in (
            Measure("ppt", "kPa", 20, 2000, (100, 900), +1, "log_ratio", _PRESSURE),
            Measure("cuff_ppt", "kPa", 1, 120, (5, 70), +1, "log_ratio", _PRESSURE),
            Measure("pressure_tolerance", "kPa", 20, 3000, (150, 1500), +1, "log_ratio", _PRESSURE),
            Measure(
                "heat_threshold",
                "degC",
                30,
                55,
                (38, 50),
                +1,
                "absolute",
                MappingProxyType({"degF": (5 / 9, -160 / 9)}),
            ),
            Measure("pain_rating_heat", "0-100", 0, 100, (5, 90), -1, "absolute", _RATING_100),
            Measure("pain_rating_pressure", "0-100", 0, 100, (5, 90), -1, "absolute", _RATING_100),
            Measure("pain_nrs", "0-10", 0, 10, (0, 9), -1, "absolute", _RATING_10),
            Measure("rpe", "6-20", 6, 20, (8, 18), 0, "absolute"),
            Measure("exercise_work", "W*s", 0, 1e7, (0, 1e7), 0, "absolute"),
            *_SENSORY,
            *_SCORES,
        )
    }
)


def likely_unit(measure: Measure, declared: str, median: float) -> str | None:
    """Name the unit in which a median value would be typical of the measure, if there is one.

    None also where the declared unit fits: a few wild values do not put it in doubt.

    Examples
    --------
    A pressure pain threshold of 4 declared in kPa was most likely read in kgf/cm2:

    >>> likely_unit(MEASURES["ppt"], "kPa", 4.0)
    'kgf/cm2'
    """
    low, high = measure.typical
    fitting = [
        unit
        for unit in dict.fromkeys((measure.unit, *measure.units))
        if (conversion := measure.conversion(unit)) is not None
        and low <= conversion[0] * median + conversion[1] <= high
    ]
    return None if declared in fitting or not fitting else fitting[0]
