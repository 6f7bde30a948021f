"""What holds for every table: intraclass correlations, kappa, ceilings and pooled variances."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.agreement import FORMS, intraclass_correlations
from features.ceiling import (
    LabelShares,
    auc_ceiling,
    kappa_between_labels,
    kappa_ceiling,
    r2_ceiling,
)
from features.one_way import fit_one_way
from features.repeatability import bland_altman, cohen_kappa
from features.resampling import draw_persons, person_sums, pooled_variance

MANY = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SINGLE = FORMS[:3]
CELLS = st.floats(-100, 100, allow_nan=False, width=32)


@st.composite
def tables(draw):
    """Complete tables with some spread within and between rows."""
    shape = (draw(st.integers(3, 12)), draw(st.integers(2, 4)))
    noise = np.random.default_rng(draw(st.integers(0, 10_000))).normal(size=shape)
    return draw(arrays(np.float64, shape, elements=CELLS)) + noise


def estimates(table):
    return {form: f.estimate for form, f in intraclass_correlations(table).items()}


def same(found, expected):
    # The ratio behind a form close to -1/(k - 1) is a difference of nearly equal numbers.
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


# An intraclass correlation has no unit: a scale of the values or a common shift changes nothing.
@MANY
@given(tables(), st.floats(0.01, 50), st.floats(-300, 300))
def test_icc_does_not_depend_on_the_unit(table, scale, shift):
    before, after = estimates(table), estimates(scale * table + shift)

    for form in SINGLE:
        same(after[form], before[form])


# Sessions have no names: their order changes nothing. Nor has that of persons.
@MANY
@given(tables(), st.randoms(use_true_random=False))
def test_icc_does_not_depend_on_the_order_of_rows_or_columns(table, random):
    rows, columns = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)

    for form in SINGLE:
        same(estimates(table[rows][:, columns])[form], estimates(table)[form])


# Consistency forgives a shift of a column; that is what the word means.
@MANY
@given(tables(), st.floats(-50, 50))
def test_consistency_does_not_see_a_shift_of_a_session(table, shift):
    shifted = table + shift * (np.arange(table.shape[1]) == 0)

    same(estimates(shifted)["ICC(C,1)"], estimates(table)["ICC(C,1)"])


# No correlation of equicorrelated values lies outside -1/(k-1) to 1.
@MANY
@given(tables())
def test_one_way_and_consistency_forms_stay_in_their_range_and_their_limits(table):
    lowest = -1 / (table.shape[1] - 1) - 1e-9

    for form in ("ICC(1)", "ICC(C,1)"):
        found = intraclass_correlations(table)[form]
        assert lowest <= found.lower <= found.estimate <= found.upper <= 1


# For a complete table restricted maximum likelihood has the mean squares' closed form.
@MANY
@given(tables())
def test_reml_of_a_complete_table_is_the_one_way_icc(table):
    expected = estimates(table)["ICC(1)"]
    # At the very edge of its range the search stops a millionth short of it.
    assume(-1 / (table.shape[1] - 1) + 1e-4 < expected < 1 - 1e-4)

    n = len(table)
    found = fit_one_way(table, np.arange(n), np.ones((1, n))).icc[0]

    assert found == pytest.approx(expected, abs=1e-5)


# More reliability cannot lower what is reachable; nor can it leave the range of the figure.
@MANY
@given(st.floats(-0.5, 1), st.floats(-0.5, 1), st.floats(0.02, 0.6), st.floats(0, 0.3))
def test_ceilings_rise_with_reliability(one, other, event, unlabelled):
    low, high = sorted((one, other))
    shares = LabelShares(event, unlabelled)

    for measure, floor in ((auc_ceiling, 0.5), (kappa_ceiling, 0.0), (r2_ceiling, 0.0)):
        assert floor - 1e-6 <= measure(low, shares) <= measure(high, shares) + 1e-6 <= 1 + 2e-6


# Two noisy labels agree less than a noisy and a perfect one.
@MANY
@given(st.floats(0.01, 0.99), st.floats(0.05, 0.95))
def test_two_sessions_agree_less_than_a_perfect_model_would(reliability, event):
    shares = LabelShares(event)

    assert kappa_between_labels(reliability, shares) <= kappa_ceiling(reliability, shares) + 1e-4


# Calling events non-events turns the question round and changes no answer.
@MANY
@given(st.floats(0.01, 0.99), st.floats(0.05, 0.6), st.floats(0, 0.3))
def test_auc_ceiling_is_the_same_for_a_class_and_its_opposite(reliability, event, unlabelled):
    opposite = LabelShares(1 - event - unlabelled, unlabelled)

    assert auc_ceiling(reliability, LabelShares(event, unlabelled)) == pytest.approx(
        auc_ceiling(reliability, opposite), abs=1e-5
    )


CLASSES = arrays(np.float64, st.integers(2, 40), elements=st.sampled_from([-1.0, 0.0, 1.0]))


# Agreement is mutual, and knows no names of classes.
@MANY
@given(CLASSES, st.integers(0, 1000))
def test_kappa_is_symmetric_and_blind_to_names(first, seed):
    second = np.random.default_rng(seed).permutation(first)

    found = cohen_kappa(first, second).estimate

    assert found == pytest.approx(cohen_kappa(second, first).estimate, nan_ok=True)
    assert found == pytest.approx(cohen_kappa(5 - first, 5 - second).estimate, nan_ok=True)
    assert not found > 1 + 1e-9


# Second minus first: swapped, everything changes its sign and the limits their places.
@MANY
@given(tables())
def test_bland_altman_turns_round_with_the_sessions(table):
    one, other = bland_altman(table[:, 0], table[:, 1]), bland_altman(table[:, 1], table[:, 0])

    assert one.bias.estimate == pytest.approx(-other.bias.estimate)
    assert one.upper_limit.upper == pytest.approx(-other.lower_limit.lower)
    assert one.lower_limit.estimate <= one.bias.estimate <= one.upper_limit.estimate


# Drawn once each, the persons are the sample.
@MANY
@given(arrays(np.float64, st.integers(2, 30), elements=CELLS), st.integers(0, 100))
def test_pooled_variance_of_the_sample_is_numpys(values, seed):
    person = np.random.default_rng(seed).integers(0, 5, size=len(values))
    draws = draw_persons(5, 3, seed)

    found = pooled_variance(values, person, draws)

    assert found[0] == pytest.approx(values.var(ddof=1), abs=1e-9)
    by_hand = [(draws[i][person] * values).sum() for i in range(4)]
    assert person_sums(values, person, draws) == pytest.approx(by_hand, abs=1e-6)


# Every resample draws as many persons as there are.
@MANY
@given(st.integers(1, 30), st.integers(0, 50), st.integers(0, 1000))
def test_resamples_draw_as_many_persons_as_there_are(n_persons, n_resamples, seed):
    draws = draw_persons(n_persons, n_resamples, seed)

    assert draws.shape == (1 + n_resamples, n_persons)
    assert (draws[0] == 1).all()
    assert (draws.sum(axis=1) == n_persons).all()
