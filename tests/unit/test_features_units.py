"""Units: factors from their definitions, offsets, and the guess of a mistaken unit."""

import numpy as np
import pytest

from features.units import KPA_PER_UNIT, MEASURES, likely_unit

NEWTON_PER_KGF = 9.80665
NEWTON_PER_LBF = 4.4482216152605
CM_PER_INCH = 2.54
# 1 N/cm2 = 1 N / 1e-4 m2 = 1e4 Pa.
KPA_PER_NEWTON_PER_CM2 = 1 / 1e-4 / 1000
# Conventional millimetre of mercury: 13.5951 g/cm3 times standard gravity.
PA_PER_MMHG = 13.5951 * NEWTON_PER_KGF

PRESSURE_MEASURES = ("ppt", "cuff_ppt", "pressure_tolerance")


def to_canonical(measure, unit, value):
    factor, offset = MEASURES[measure].conversion(unit)
    return factor * value + offset


@pytest.mark.parametrize(
    ("unit", "kpa"),
    [
        ("kPa", 1.0),
        ("kgf/cm2", NEWTON_PER_KGF * KPA_PER_NEWTON_PER_CM2),
        ("kg/cm2", NEWTON_PER_KGF * KPA_PER_NEWTON_PER_CM2),
        ("kgf", NEWTON_PER_KGF * KPA_PER_NEWTON_PER_CM2),
        ("N/cm2", KPA_PER_NEWTON_PER_CM2),
        ("N", KPA_PER_NEWTON_PER_CM2),
        ("lbf", NEWTON_PER_LBF * KPA_PER_NEWTON_PER_CM2),
        ("lbf/in2", NEWTON_PER_LBF / CM_PER_INCH**2 * KPA_PER_NEWTON_PER_CM2),
        ("bar", 100.0),
        ("mmHg", PA_PER_MMHG / 1000),
        ("Pa", 1 / 1000),
    ],
)
def test_pressure_units_follow_from_their_definitions(unit, kpa):
    # Factors are written with 13 digits.
    assert KPA_PER_UNIT[unit] == pytest.approx(kpa, rel=1e-12)


def test_one_kgf_per_cm2_is_exactly_98_0665_kpa():
    assert KPA_PER_UNIT["kgf/cm2"] == 98.0665


@pytest.mark.parametrize("measure", PRESSURE_MEASURES)
def test_every_pressure_unit_serves_every_pressure_measure(measure):
    for unit, factor in KPA_PER_UNIT.items():
        assert MEASURES[measure].conversion(unit) == (factor, 0.0)


@pytest.mark.parametrize(("fahrenheit", "celsius"), [(32, 0), (212, 100), (113, 45), (98.6, 37)])
def test_fahrenheit_becomes_celsius(fahrenheit, celsius):
    assert to_canonical("heat_threshold", "degF", fahrenheit) == pytest.approx(celsius, abs=1e-12)


@pytest.mark.parametrize("measure", ["pain_rating_heat", "pain_rating_pressure"])
@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("1-101", 1, 0),
        ("1-101", 101, 100),
        ("0-10", 10, 100),
        ("mm", 37, 37),
        ("0-100", 37, 37),
    ],
)
def test_ratings_become_0_to_100(measure, unit, value, expected):
    assert to_canonical(measure, unit, value) == expected


@pytest.mark.parametrize(("unit", "value"), [("0-100", 70), ("mm", 70), ("0-10", 7)])
def test_clinical_pain_becomes_0_to_10(unit, value):
    assert to_canonical("pain_nrs", unit, value) == pytest.approx(7)


@pytest.mark.parametrize("name", MEASURES)
def test_the_canonical_unit_is_never_changed(name):
    measure = MEASURES[name]

    assert measure.conversion(measure.unit) == (1.0, 0.0)


@pytest.mark.parametrize("name", MEASURES)
def test_an_unknown_unit_has_no_conversion(name):
    assert MEASURES[name].conversion("furlong") is None


@pytest.mark.parametrize("name", MEASURES)
def test_typical_values_are_plausible_values(name):
    measure = MEASURES[name]

    assert measure.low <= measure.typical[0] < measure.typical[1] <= measure.high


def test_a_higher_threshold_is_less_pain_and_a_higher_rating_is_more():
    direction = {name: m.less_pain for name, m in MEASURES.items()}

    assert direction == {
        "ppt": +1,
        "cuff_ppt": +1,
        "pressure_tolerance": +1,
        "heat_threshold": +1,
        "pain_rating_heat": -1,
        "pain_rating_pressure": -1,
        "pain_nrs": -1,
        "cold_pain_threshold": -1,
        "mechanical_pain_threshold": +1,
        "mechanical_pain_sensitivity": -1,
        "cold_pressor_tolerance": +1,
        "pain_rating_cold": -1,
        "electrical_pain_threshold": +1,
        # A stimulus felt without pain, a ratio and a score of fear are no pain outcomes.
        "cold_detection_threshold": 0,
        "warm_detection_threshold": 0,
        "mechanical_detection_threshold": 0,
        "vibration_detection_threshold": 0,
        "wind_up_ratio": 0,
        "tsk17_total": 0,
        "tsk11_total": 0,
        "pcs_total": 0,
        "rpe": 0,
        "exercise_work": 0,
    }


@pytest.mark.parametrize("name", ["ppt", "cuff_ppt", "pressure_tolerance"])
def test_thresholds_of_pressure_change_by_a_ratio(name):
    assert MEASURES[name].primary_scale == "log_ratio"


# ---- the guess


@pytest.mark.parametrize(
    ("measure", "declared", "median", "guess"),
    [
        ("ppt", "kPa", 4.0, "kgf/cm2"),  # 392 kPa
        ("ppt", "kPa", 15.0, "N/cm2"),  # 150 kPa; 1471 kPa if it were kgf/cm2
        ("ppt", "kPa", 3e5, "Pa"),
        ("ppt", "kgf/cm2", 300.0, "kPa"),
        ("heat_threshold", "degC", 113.0, "degF"),
        ("pain_nrs", "0-10", 55.0, "0-100"),
        ("pain_rating_heat", "0-100", 300.0, None),
        ("rpe", "6-20", 40.0, None),
        ("ppt", "kPa", 0.0, None),
        ("ppt", "kPa", float("nan"), None),
    ],
)
def test_likely_unit_is_the_one_in_which_the_median_is_typical(measure, declared, median, guess):
    assert likely_unit(MEASURES[measure], declared, median) == guess


def test_likely_unit_is_never_the_declared_one():
    for measure in MEASURES.values():
        for unit in (measure.unit, *measure.units):
            for median in np.geomspace(0.01, 1e5, 60):
                assert likely_unit(measure, unit, float(median)) != unit


@pytest.mark.parametrize(
    ("measure", "declared", "median", "guess"),
    [("heat_threshold", "degF", 45.0, "degC"), ("pain_rating_heat", "0-10", 55.0, "0-100")],
)
def test_likely_unit_can_be_the_canonical_one(measure, declared, median, guess):
    assert likely_unit(MEASURES[measure], declared, median) == guess


@pytest.mark.parametrize(
    ("measure", "declared", "median"), [("ppt", "kPa", 115.0), ("pain_nrs", "0-10", 4.0)]
)
def test_likely_unit_is_none_where_the_declared_unit_fits(measure, declared, median):
    assert likely_unit(MEASURES[measure], declared, median) is None
