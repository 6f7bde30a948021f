"""What holds of features for any person: scores by an oracle, signs, order, lone rows."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.build import build_features
from features.columns import CASES, CASES_BY_NAME
from features.contract import check_cases
from features.exercise import build_exercise, intensity_class, relative_intensity
from features.modulation import cpm_of_rating, cpm_of_threshold
from features.person import body_mass_index
from features.questionnaires import Instrument, score_cases
from features.reference import load_reference
from features.spec import indicators
from features.summation import temporal_summation

MANY = settings(max_examples=40, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None)

# Keys by hand (evidence D1): number of items, lowest and highest answer, reversed items, scales.
KEYS_BY_HAND = (
    (
        "pcs",
        13,
        (0, 4),
        (),
        (
            ("rumination", (8, 9, 10, 11)),
            ("magnification", (6, 7, 13)),
            ("helplessness", (1, 2, 3, 4, 5, 12)),
            ("total", tuple(range(1, 14))),
        ),
    ),
    ("tsk17", 17, (1, 4), (4, 8, 12, 16), (("total", tuple(range(1, 18))),)),
    ("tsk11", 11, (1, 4), (), (("total", tuple(range(1, 12))),)),
)
METRICS = tuple(load_reference("exercise_intensity.toml")["metrics"])
thresholds = st.floats(20, 2000)
ratings = st.floats(0, 10)


def score_by_hand(answers, members, reversed_items, low, high):
    """Exact score of one person; None where more than one answer of the scale is missing."""
    if sum(answers[m - 1] is None for m in members) > 1:
        return None
    counted = [
        low + high - answers[m - 1] if m in reversed_items else answers[m - 1]
        for m in members
        if answers[m - 1] is not None
    ]
    return Fraction(sum(counted) * len(members), len(counted))


def forms(n, low, high):
    """Answers of a few people, now and then with a missing one."""
    answer = st.integers(low, high)
    complete = st.lists(answer, min_size=n, max_size=n)
    holes = st.lists(st.integers(0, n - 1), max_size=3)
    person = st.builds(
        lambda a, h: [None if i in h else v for i, v in enumerate(a)], complete, holes
    )
    return st.lists(person, min_size=1, max_size=5)


def items_table(name, people):
    columns = [f"{name}_{i}" for i in range(1, len(people[0]) + 1)]
    return pd.DataFrame(people, columns=columns, dtype="float64")


# ---- questionnaires


@pytest.mark.parametrize(("name", "n", "span", "reverse", "scales"), KEYS_BY_HAND)
@MANY
@given(data=st.data())
def test_scores_match_exact_arithmetic(name, n, span, reverse, scales, data):
    people = data.draw(forms(n, *span))
    instrument = Instrument.load(name)

    # A total beside the items must not matter, but for people who answered none.
    table = items_table(name, people).assign(**{f"{name}_total": float(span[0] * n)})
    scores = score_cases(table, instrument)

    assert scores.keys() == {s for s, _ in scales}
    for scale, members in scales:
        for answers, score in zip(people, scores[scale], strict=True):
            expected = score_by_hand(answers, members, reverse, *span)
            if expected is None:
                assert np.isnan(score)
            else:
                assert score == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(("name", "n", "span", "reverse", "scales"), KEYS_BY_HAND)
@MANY
@given(data=st.data())
def test_scores_never_leave_their_range(name, n, span, reverse, scales, data):
    # Extreme answers only: pro-rating must not carry them beyond the ends.
    people = data.draw(forms(n, *span).map(lambda p: [[_end(a, span) for a in row] for row in p]))

    scores = score_cases(items_table(name, people), Instrument.load(name))

    for scale, members in scales:
        known = scores[scale][~np.isnan(scores[scale])]
        column = CASES_BY_NAME[f"{name}_{scale}"]
        assert (known >= span[0] * len(members)).all()
        assert (known <= span[1] * len(members)).all()
        assert (column.low, column.high) == (span[0] * len(members), span[1] * len(members))


def _end(answer, span):
    return None if answer is None else span[answer > (span[0] + span[1]) / 2]


@FEW
@given(people=forms(17, 1, 4), data=st.data())
def test_the_order_of_columns_does_not_matter(people, data):
    table = items_table("tsk17", people)
    shuffled = table[data.draw(st.permutations(list(table.columns)))]
    tsk = Instrument.load("tsk17")

    straight, other = score_cases(table, tsk)["total"], score_cases(shuffled, tsk)["total"]

    np.testing.assert_array_equal(other, straight)


@MANY
@given(people=forms(17, 1, 4), item=st.integers(1, 17))
def test_one_step_of_one_item_is_one_point_in_its_direction(people, item):
    complete = [[1 if a is None else a for a in row] for row in people]
    raised = [[min(a + (i == item), 4) for i, a in enumerate(row, start=1)] for row in complete]
    tsk = Instrument.load("tsk17")

    before = score_cases(items_table("tsk17", complete), tsk)["total"]
    after = score_cases(items_table("tsk17", raised), tsk)["total"]

    steps = np.array([r[item - 1] - c[item - 1] for r, c in zip(raised, complete, strict=True)])
    assert (after - before).tolist() == (steps * (-1 if item in (4, 8, 12, 16) else 1)).tolist()


# ---- signs


@MANY
@given(alone=thresholds, with_conditioning=thresholds)
def test_cpm_of_a_threshold_has_the_sign_of_its_rise_and_turns_with_it(alone, with_conditioning):
    first, second = np.array([alone]), np.array([with_conditioning])

    cpm = cpm_of_threshold(first, second)

    assert np.sign(cpm) == np.sign(np.log(second) - np.log(first)) or abs(cpm[0]) < 1e-12
    assert cpm == pytest.approx(-cpm_of_threshold(second, first), abs=1e-12)
    # A change of unit changes nothing.
    assert cpm == pytest.approx(cpm_of_threshold(first / 98.0665, second / 98.0665), abs=1e-12)


@MANY
@given(first=ratings, second=ratings)
def test_inhibition_and_facilitation_of_ratings_are_opposite(first, second):
    one, other = np.array([first]), np.array([second])

    assert cpm_of_rating(one, other) == pytest.approx(first - second)
    assert temporal_summation(one, other) == pytest.approx(second - first)


@MANY
@given(weight=st.floats(25, 350), height=st.floats(100, 230))
def test_body_mass_index_gives_the_weight_back(weight, height):
    index = body_mass_index(np.array([weight]), np.array([height]))

    assert index * (height / 100) ** 2 == pytest.approx(weight)


# ---- exercise


@pytest.mark.parametrize("metric", METRICS)
@MANY
@given(data=st.data())
def test_intensity_never_falls_as_its_metric_rises(metric, data):
    limits = load_reference("exercise_intensity.toml")["metrics"][metric]
    values = data.draw(
        st.lists(st.floats(limits["value"][0], limits["limit"]), min_size=2, max_size=10)
    )

    relative = relative_intensity(np.array(sorted(values)), metric)
    classes = intensity_class(relative)

    assert (np.diff(relative) >= 0).all()
    assert (np.diff(classes) >= 0).all()
    assert ((relative >= 0) & (relative <= 1)).all()
    assert set(classes) <= {0.0, 1.0, 2.0, 3.0, 4.0}


@pytest.mark.parametrize("metric", METRICS)
@MANY
@given(share=st.floats(0, 1), other=st.floats(0, 1))
def test_intensity_rises_strictly_up_to_its_top(metric, share, other):
    points = load_reference("exercise_intensity.toml")["metrics"][metric]["value"]
    low, high = sorted(points[0] + s * (points[-1] - points[0]) for s in (share, other))

    relative = relative_intensity(np.array([low, high]), metric)

    assert relative[1] > relative[0] or high - low < 1e-9


@FEW
@given(
    column=st.sampled_from(["condition", "modality", "body_region", "cpm_timing"]),
    words=st.lists(
        st.sampled_from(["healthy", "rest", "aerobic", "trunk", "parallel", "nonsense", "NA", None])
        | st.text(max_size=5),
        min_size=1,
        max_size=6,
    ),
)
def test_indicators_of_a_checked_column_sum_to_one_or_are_all_missing(column, words):
    table = pd.DataFrame({"study_id": "s", "session_id": "a", "condition": "healthy"}, range(1))
    table = table.loc[[0] * len(words)].assign(participant_id=range(len(words)), modality="rest")

    checked = check_cases(table.assign(**{column: words}))
    matrix = np.column_stack(list(indicators(checked.table, column).values()))

    known = np.array([w in CASES_BY_NAME[column].levels for w in _stripped(words)])
    assert (matrix[known].sum(axis=1) == 1).all()
    assert np.isnan(matrix[~known]).all()


def _stripped(words):
    return [w if w is None else w.strip() for w in words]


def test_an_unknown_metric_cannot_reach_the_scale():
    checked = check_cases(
        pd.DataFrame({"intensity_metric": ["percent_fun", "cr10"], "intensity_value": [5, 5]})
    )

    features = build_exercise(checked.table)

    assert np.isnan(features["intensity_relative"]).tolist() == [True, False]


# ---- a row's features depend on that row alone


def any_cases(seed, n=24):
    """Typed cases with every column known before the bout, a sixth of the cells missing."""
    rng = np.random.default_rng(seed)
    columns = {}
    for column in CASES:
        if column.known_at in ("during", "after"):
            continue
        if column.levels:
            values = rng.choice(np.array(column.levels, dtype=object), n)
        elif column.kind == "integer":
            values = rng.integers(column.low, column.high, n, endpoint=True).astype(float)
        elif column.kind == "number":
            values = rng.uniform(column.low, column.high, n)
        else:
            values = np.array([f"{column.name}{i}" for i in range(n)], dtype=object)
        lost = (rng.random(n) < 1 / 6) & (not column.required)
        columns[column.name] = np.where(lost, np.nan, values)
    return pd.DataFrame(columns)


@FEW
@given(seed=st.integers(0, 1000), order=st.permutations(range(24)))
def test_features_of_shuffled_cases_are_the_shuffled_features(seed, order):
    cases = any_cases(seed)

    features = build_features(cases.iloc[order])

    # Exactly: a row is computed the same wherever it stands.
    pd.testing.assert_frame_equal(features, build_features(cases).iloc[order], check_exact=True)


@FEW
@given(seed=st.integers(0, 1000), rows=st.slices(24))
def test_features_of_a_slice_are_the_slice_of_the_features(seed, rows):
    cases = any_cases(seed)

    features = build_features(cases.iloc[rows])

    pd.testing.assert_frame_equal(features, build_features(cases).iloc[rows], check_exact=True)


@FEW
@given(seed=st.integers(0, 1000), row=st.integers(0, 23), column=st.integers(0, 10_000))
def test_a_change_of_one_cell_changes_its_own_row_only(seed, row, column):
    cases = any_cases(seed)
    changed = cases.copy()
    changed.iloc[row, column % cases.shape[1]] = np.nan

    before, after = build_features(cases), build_features(changed)

    others = np.arange(24) != row
    pd.testing.assert_frame_equal(after[others], before[others], check_exact=True)


@FEW
@given(seed=st.integers(0, 1000), data=st.data())
def test_the_order_of_the_columns_of_cases_changes_no_feature(seed, data):
    cases = any_cases(seed)
    order = data.draw(st.permutations(list(cases.columns)))

    pd.testing.assert_frame_equal(
        build_features(cases[order]), build_features(cases), check_exact=True
    )


@FEW
@given(seed=st.integers(0, 1000))
def test_no_feature_is_infinite(seed):
    features = build_features(any_cases(seed))

    assert not np.isinf(features.to_numpy()).any()
