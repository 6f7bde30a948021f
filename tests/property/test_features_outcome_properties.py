"""What holds of outcomes for any data, and what pure noise must look like."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.outcome import (
    Endpoint,
    OutcomeDesign,
    StatedSem,
    classify,
    compute_changes,
    estimate_sem,
    label_outcomes,
    signed_change,
)
from features.units import MEASURES

MANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None)
PPT = Endpoint("ppt_local", "ppt", "local", "post")
HEAT = Endpoint("heat_remote", "heat_threshold", "remote", "post")
OUTCOMES = tuple(n for n, m in MEASURES.items() if m.less_pain)
values = st.floats(1, 1000)


def study(pre, post, endpoint, modalities):
    """Cases and single trials of people with one bout per modality; arrays people x bouts."""
    people, n_bouts = pre.shape
    person = np.repeat([f"p{i}" for i in range(people)], n_bouts)
    bout = np.tile([f"b{i}" for i in range(n_bouts)], people)
    keys = {"study_id": "s", "participant_id": person, "session_id": bout}
    cases = pd.DataFrame({**keys, "visit_id": "v", "modality": np.tile(modalities, people)})
    blocks = [
        pd.DataFrame(
            {
                **keys,
                "measure": endpoint.measure,
                "site_role": endpoint.site_role,
                "timepoint": timepoint,
                "trial": 1.0,
                "value": block.ravel(),
            }
        )
        for timepoint, block in (("pre", pre), ("post", post))
    ]
    return cases, pd.concat(blocks, ignore_index=True)


# ---- change


@MANY
@given(measure=st.sampled_from(OUTCOMES), before=values, after=values)
def test_a_change_turns_its_sign_with_time(measure, before, after):
    one, other = np.array([before]), np.array([after])

    there, back = signed_change(one, other, measure), signed_change(other, one, measure)

    assert there["absolute"] == -back["absolute"]
    assert there["log_ratio"] == pytest.approx(-back["log_ratio"], abs=1e-12)


@MANY
@given(measure=st.sampled_from(OUTCOMES), before=values, after=values)
def test_the_scales_of_a_change_agree_with_each_other(measure, before, after):
    change = signed_change(np.array([before]), np.array([after]), measure)
    sign = MEASURES[measure].less_pain

    assert change["absolute"] * sign == after - before
    assert change["percent"] == pytest.approx(100 * change["absolute"] / before)
    assert sign * change["percent"] == pytest.approx(
        100 * np.expm1(sign * change["log_ratio"]), rel=1e-9, abs=1e-9
    )


@MANY
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=20), st.floats(0.01, 1))
def test_a_mirrored_change_exchanges_the_classes(changes, threshold):
    change, limit = np.array(changes), np.full(len(changes), threshold)

    better, worse = classify(change, limit)
    mirrored_better, mirrored_worse = classify(-change, limit)

    assert better.tolist() == mirrored_worse.tolist()
    assert worse.tolist() == mirrored_better.tolist()
    assert better.tolist() == [float(c > threshold) for c in changes]


# ---- tables


def small_study(data, people=4):
    shape = (people, 3)
    numbers = data.draw(
        st.lists(st.floats(50, 900), min_size=2 * math.prod(shape), max_size=2 * math.prod(shape))
    )
    pre, post = np.array(numbers).reshape(2, *shape)
    return study(pre, post, PPT, ["aerobic", "isometric", "rest"])


@FEW
@given(data=st.data())
def test_the_order_of_rows_changes_no_outcome(data):
    cases, readings = small_study(data)
    design = OutcomeDesign((PPT,))
    shuffled = [t.iloc[data.draw(st.permutations(range(len(t))))] for t in (cases, readings)]

    other = label_outcomes(*shuffled, design)

    pd.testing.assert_frame_equal(other, label_outcomes(cases, readings, design))


@FEW
@given(data=st.data(), gone=st.integers(0, 3))
def test_a_person_s_change_does_not_depend_on_the_others(data, gone):
    cases, readings = small_study(data)
    design = OutcomeDesign((PPT,))
    keep = [t[t["participant_id"] != f"p{gone}"] for t in (cases, readings)]

    with_all, without = compute_changes(cases, readings, design), compute_changes(*keep, design)

    others = with_all[with_all["participant_id"] != f"p{gone}"].reset_index(drop=True)
    pd.testing.assert_frame_equal(without, others)


@FEW
@given(data=st.data(), factor=st.floats(0.5, 2))
def test_a_common_factor_changes_no_outcome_on_the_ratio_scale(data, factor):
    cases, readings = small_study(data)
    design = OutcomeDesign((PPT,))

    scaled = compute_changes(cases, readings.assign(value=readings["value"] * factor), design)

    expected = compute_changes(cases, readings, design)
    np.testing.assert_allclose(scaled["change"], expected["change"], atol=1e-12)
    np.testing.assert_allclose(
        scaled["change_absolute"], expected["change_absolute"] * factor, atol=1e-9
    )


@FEW
@given(data=st.data())
def test_exercise_that_does_what_rest_does_has_no_change(data):
    cases, readings = small_study(data)
    own = readings["participant_id"] + readings["timepoint"]
    same = readings.assign(value=readings["value"].groupby(own).transform("first"))

    changes = compute_changes(cases, same, OutcomeDesign((PPT,)))

    exercise = changes[~changes["is_rest"]]
    np.testing.assert_allclose(exercise["change"], 0, atol=1e-12)
    np.testing.assert_allclose(exercise["change_absolute"], 0, atol=1e-9)


# ---- noise only (evidence A3): without any effect, the classes are what the normal tail says

N_PEOPLE = 3000
TAIL_OF_ONE_SEM = 0.1587  # P(Z > 1)
TAIL_OF_SINGLE = 0.2398  # P(Z > 1 / sqrt(2))


def noise(seed, endpoint, modalities):
    """A study without effects: every block is the person's own level and independent noise."""
    rng = np.random.default_rng(seed)
    shape = (N_PEOPLE, len(modalities))
    level = rng.normal(45, 1.5, (N_PEOPLE, 1))
    pre, post = level + rng.normal(0, 0.7, shape), level + rng.normal(0, 0.7, shape)
    if endpoint is PPT:
        # Noise is normal on the scale of the change: the logarithm.
        pre, post = 300 * np.exp((pre - 45) / 5), 300 * np.exp((post - 45) / 5)
    return study(pre, post, endpoint, modalities)


def shares(labels):
    return labels["response"].mean(), labels["hyperalgesia"].mean()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("endpoint", [PPT, HEAT], ids=lambda e: e.measure)
@pytest.mark.parametrize(
    ("sem_of", "expected"), [("change", TAIL_OF_ONE_SEM), ("single", TAIL_OF_SINGLE)]
)
def test_noise_alone_exceeds_the_sem_as_often_as_the_normal_tail(seed, endpoint, sem_of, expected):
    cases, readings = noise(seed, endpoint, ["aerobic", "rest"])
    design = OutcomeDesign((endpoint,), sem_of=sem_of, subtract_rest=False)

    better, worse = shares(label_outcomes(cases, readings, design))

    # Standard error of a share: sqrt(.24 * .76 / 3000) = .0078; the SEM itself is known within
    # 1 / sqrt(2 * 3000) = 1.3 %, which moves the share by .003. Together .0084, four times: .034.
    assert better == pytest.approx(expected, abs=0.034)
    assert worse == pytest.approx(expected, abs=0.034)


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_exceeds_the_sem_of_a_change_minus_rest_just_as_often(seed):
    cases, readings = noise(seed, HEAT, ["aerobic", "rest"])

    labels = label_outcomes(cases, readings, OutcomeDesign((HEAT,)))

    # Without the factor sqrt(2) for the rest bout's own error it would be .24.
    assert labels["rest_change"].notna().all()
    assert shares(labels) == pytest.approx((TAIL_OF_ONE_SEM, TAIL_OF_ONE_SEM), abs=0.034)


@pytest.mark.parametrize("seed", range(3))
def test_the_sem_of_a_change_is_sqrt_two_times_the_noise_of_a_block(seed):
    cases, readings = noise(seed, HEAT, ["aerobic", "rest"])
    design = OutcomeDesign((HEAT,))

    sem = estimate_sem(compute_changes(cases, readings, design), design).iloc[0]

    # Standard error of an SD: 1 / sqrt(2 * 3000) = 1.3 %, four times: 5.2 %.
    assert sem["sem_single"] == pytest.approx(0.7, rel=0.052)
    assert sem["sem_pair"] == pytest.approx(0.7 * math.sqrt(2), rel=0.052)


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_changes_minus_rest_is_the_sem_that_the_table_states(seed):
    cases, readings = noise(seed, HEAT, ["aerobic", "rest"])

    labels = label_outcomes(cases, readings, OutcomeDesign((HEAT,)))

    # Two SDs of 3000, each known within 1.3 %: sqrt(2) * 1.3 % = 1.8 %, four times: 7.3 %.
    assert labels["change"].std() == pytest.approx(labels["sem_change"].iloc[0], rel=0.073)


@pytest.mark.parametrize("seed", range(3))
def test_a_stated_sem_gives_the_same_shares_as_the_one_it_states(seed):
    cases, readings = noise(seed, HEAT, ["aerobic"])
    stated = (StatedSem("heat_threshold", 0.7, "known by construction"),)
    design = OutcomeDesign((HEAT,), sem_source="stated", stated_sem=stated)

    # Standard error .0067, four times: .027.
    assert shares(label_outcomes(cases, readings, design)) == pytest.approx(
        (TAIL_OF_ONE_SEM, TAIL_OF_ONE_SEM), abs=0.027
    )


# ---- coupling (evidence A3.6): the same noisy pre in predictor and outcome


def coupling(rho, seed, *, independent):
    """Correlation of a baseline threshold with a change that is noise alone."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, math.sqrt(rho), (N_PEOPLE, 1))
    blocks = 45 + level + rng.normal(0, math.sqrt(1 - rho), (N_PEOPLE, 3))
    cases, readings = study(blocks[:, [0]], blocks[:, [1]], HEAT, ["aerobic"])
    changes = compute_changes(cases, readings, OutcomeDesign((HEAT,)))
    # Both are sorted by key, not by person's number.
    order = np.argsort([f"p{i}" for i in range(N_PEOPLE)])
    changes = changes.sort_values("participant_id")
    baseline = blocks[order, 2] if independent else changes["reference"]
    return np.corrcoef(baseline, changes["change"])[0, 1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rho", [0.75, 0.80, 0.90])
def test_the_pre_value_of_the_outcome_predicts_a_change_that_is_noise(seed, rho):
    # r(pre, post - pre) = -sqrt((1 - rho) / 2); standard error (1 - r^2) / sqrt(3000) < .0183.
    assert coupling(rho, seed, independent=False) == pytest.approx(
        -math.sqrt((1 - rho) / 2), abs=4 * 0.0183
    )


@pytest.mark.parametrize("seed", range(3))
def test_an_independent_baseline_does_not_predict_a_change_that_is_noise(seed):
    # Standard error 1 / sqrt(3000) = .0183.
    assert coupling(0.80, seed, independent=True) == pytest.approx(0, abs=4 * 0.0183)
