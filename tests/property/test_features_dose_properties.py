"""What holds of units, intensities, modulation, trials and markers for any value."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from features.biology import with_detection_limit
from features.contract import check_cases
from features.exercise import intensity_class, relative_heart_rate, relative_intensity
from features.modulation import build_cpm
from features.reference import load_reference
from features.sensitivity import mean_of_trials
from features.summation import train_slope
from features.units import MEASURES, convert
from models.blocks import absent_blocks

MANY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
PAIRS = tuple((m.name, u) for m in MEASURES.values() for u in dict.fromkeys((m.unit, *m.units)))
INTENSITY = load_reference("exercise_intensity.toml")
METRICS = tuple(INTENSITY["metrics"])


# ---- units


@pytest.mark.parametrize(("name", "unit"), PAIRS)
@MANY
@given(share=st.floats(0, 1))
def test_a_reading_converted_there_and_back_is_the_same(name, unit, share):
    measure = MEASURES[name]
    value = np.array([measure.low + share * (measure.high - measure.low)])

    there = convert(value, measure, measure.unit, unit)
    back = convert(there, measure, unit, measure.unit)

    np.testing.assert_allclose(back, value, rtol=1e-12, atol=1e-12 * measure.high)


@MANY
@given(value=st.floats(0.1, 100), data=st.data())
def test_a_way_through_a_third_unit_leads_to_the_same_reading(value, data):
    measure = MEASURES["ppt"]
    first, second, third = (data.draw(st.sampled_from(sorted(measure.units))) for _ in range(3))
    reading = np.array([value])

    straight = convert(reading, measure, first, third)
    round_about = convert(convert(reading, measure, first, second), measure, second, third)

    np.testing.assert_allclose(round_about, straight, rtol=1e-12)


def test_a_unit_a_measure_does_not_have_is_refused():
    with pytest.raises(KeyError, match="furlong"):
        convert(np.array([1.0]), MEASURES["ppt"], "kPa", "furlong")


# ---- intensity


@pytest.mark.parametrize("metric", METRICS)
@MANY
@given(
    boundary=st.integers(1, 4),
    distance=st.just(0.0) | st.floats(1e-6, 5) | st.floats(-5, -1e-6),
)
def test_a_class_is_the_number_of_boundaries_reached(metric, boundary, distance):
    points = INTENSITY["metrics"][metric]["value"]
    value = points[boundary] + distance

    found = intensity_class(relative_intensity(np.array([value]), metric))

    assert found.tolist() == [sum(value >= b for b in points[1:-1])]


@MANY
@given(
    rates=st.lists(st.floats(40, 230), min_size=2, max_size=8),
    resting=st.none() | st.floats(30, 110),
    maximal=st.floats(120, 220),
)
def test_a_higher_heart_rate_is_never_a_lower_intensity(rates, resting, maximal):
    rate = np.array(sorted(rates))
    rest = np.full(len(rate), np.nan if resting is None else resting)

    relative = relative_heart_rate(rate, rest, np.full(len(rate), maximal))

    assert (np.diff(relative) >= 0).all()
    assert ((relative >= 0) & (relative <= 1)).all()


@MANY
@given(share=st.floats(0, 120), resting=st.floats(30, 110), reserve=st.floats(20, 150))
def test_a_heart_rate_is_as_intense_as_its_share_of_the_reserve(share, resting, reserve):
    rate = np.array([resting + share / 100 * reserve])

    found = relative_heart_rate(rate, np.array([resting]), np.array([resting + reserve]))

    assert found == pytest.approx(relative_intensity(np.array([share]), "percent_hrr"), abs=1e-9)


# ---- modulation


@MANY
@given(alone=st.floats(20, 2000), conditioned=st.floats(20, 2000))
def test_every_scale_of_cpm_of_a_threshold_has_the_same_sign(alone, conditioned):
    assume(alone == conditioned or abs(alone - conditioned) > 1e-9)
    cases = pd.DataFrame(
        {"cpm_ppt_unconditioned_kpa": [alone], "cpm_ppt_conditioned_kpa": [conditioned]}
    )

    found = build_cpm(cases)

    signs = {float(np.sign(found[f"cpm_ppt_{s}"][0])) for s in ("kpa", "percent", "log_ratio")}
    assert signs == {float(np.sign(conditioned - alone))}


@MANY
@given(alone=st.floats(0.1, 10), conditioned=st.floats(0.1, 10))
def test_every_scale_of_cpm_of_a_rating_has_the_same_sign(alone, conditioned):
    assume(alone == conditioned or abs(alone - conditioned) > 1e-9)
    cases = pd.DataFrame(
        {"cpm_rating_unconditioned_nrs": [alone], "cpm_rating_conditioned_nrs": [conditioned]}
    )

    found = build_cpm(cases)

    signs = {float(np.sign(found[f"cpm_rating_{s}"][0])) for s in ("nrs", "percent", "log_ratio")}
    assert signs == {float(np.sign(alone - conditioned))}


@MANY
@given(ratings=st.lists(st.none() | st.floats(0, 10), min_size=3, max_size=10))
def test_the_slope_of_a_train_is_the_least_squares_one(ratings):
    known = [(i, r) for i, r in enumerate(ratings, start=1) if r is not None]

    found = train_slope([np.array([np.nan if r is None else r]) for r in ratings])

    if len(known) < 3:
        assert np.isnan(found).all()
    else:
        x, y = np.array(known).T
        expected = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
        np.testing.assert_allclose(found, [expected], rtol=1e-9, atol=1e-9)


@MANY
@given(values=st.lists(st.floats(20, 2000), min_size=2, max_size=6), data=st.data())
def test_the_order_of_trials_does_not_matter_and_numpy_agrees(values, data):
    shuffled = data.draw(st.permutations(values))

    mean, error, n = mean_of_trials([np.array([v]) for v in shuffled])

    np.testing.assert_allclose(mean, [np.mean(values)], rtol=1e-12)
    np.testing.assert_allclose(
        error, [np.std(values, ddof=1) / np.sqrt(len(values))], rtol=1e-6, atol=1e-6
    )
    assert n.tolist() == [len(values)]


# ---- markers


@MANY
@given(value=st.floats(0, 50), limit=st.floats(0.01, 50), flagged=st.booleans())
def test_what_stands_in_for_a_value_below_the_limit_is_below_it_and_flagged(value, limit, flagged):
    found, below = with_detection_limit(
        np.array([value]), np.array([limit]), np.array([float(flagged)])
    )

    assert below[0] == (flagged or value < limit)
    assert found[0] == (limit / np.sqrt(2) if below[0] else value)
    assert not below[0] or 0 < found[0] < limit


# ---- texts of the contract


@MANY
@given(
    values=st.lists(
        st.sampled_from([1, 1.0, True, 2.5, "1", " healthy ", "NA", " n/a", "", None, np.nan, "x"])
        | st.text(max_size=4),
        min_size=1,
        max_size=12,
    )
)
@example(values=[1, True, 1.0, "1"])
def test_a_text_is_read_as_if_it_stood_alone(values):
    """Values that are equal and differ as texts (1, 1.0, True) are kept apart."""
    column = pd.Series(values, dtype="object")

    together = check_cases(pd.DataFrame({"site_id": column})).table["site_id"]

    for i in range(len(values)):
        alone = check_cases(pd.DataFrame({"site_id": column.iloc[[i]]})).table["site_id"].iloc[0]
        assert together[i] == alone or (pd.isna(together[i]) and pd.isna(alone))


# ---- blocks


@MANY
@given(
    cells=st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 11), max_size=10, unique=True),
)
def test_absent_blocks_are_those_without_any_value_row_by_row(cells, cuts):
    known = np.array(cells)
    table = pd.DataFrame(np.where(known, 1.0, np.nan), columns=[f"c{i}" for i in range(12)])
    edges = [0, *sorted(cuts), 12]
    blocks = {
        f"b{i}": [f"c{j}" for j in range(edges[i], edges[i + 1])] for i in range(len(edges) - 1)
    }

    found = absent_blocks(table, blocks)

    expected = [
        ";".join(b for b, names in blocks.items() if table.loc[i, names].isna().all())
        for i in range(len(table))
    ]
    assert found.shown.tolist() == expected
    assert [absent_blocks(table.iloc[[i]], blocks).shown[0] for i in range(len(table))] == expected
