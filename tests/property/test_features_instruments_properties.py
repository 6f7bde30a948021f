"""What holds of every declared instrument for any answers."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import check_cases
from features.instruments import INSTRUMENTS
from features.questionnaires import build_questionnaires, disagreements, score_cases

# Few examples each: there are nineteen instruments.
MANY = settings(max_examples=7, deadline=None, derandomize=True, database=None)
FORMS = [i for i in INSTRUMENTS if i.items]
SUMS = [i for i in FORMS if all(s.method != "rule" for s in i.scales.values())]
each = pytest.mark.parametrize("instrument", FORMS, ids=lambda i: i.name)
each_sum = pytest.mark.parametrize("instrument", SUMS, ids=lambda i: i.name)


def possible(item):
    """Answers that an item can take."""
    step = item.step or 1
    return st.integers(0, int((item.high - item.low) / step)).map(lambda k: item.low + k * step)


def people(instrument, *, holes=True):
    """Answers of a few people, now and then with missing ones."""
    cells = [st.none() | possible(i) if holes else possible(i) for i in instrument.items]
    complete = [possible(i) for i in instrument.items]
    return st.lists(st.tuples(*cells) | st.tuples(*complete), min_size=1, max_size=4)


def table_of(instrument, rows):
    return pd.DataFrame(rows, columns=instrument.item_columns(), dtype="float64")


def score_by_hand(instrument, scale, answers):
    """Exact score of one person, None where too many items are missing: no code of ours."""
    points = []
    for member in scale.members:
        item, answer = instrument.items[member - 1], answers[member - 1]
        if answer is None:
            continue
        point = Fraction(answer)
        if item.points:
            point = Fraction(item.points[int((answer - item.low) / item.step)])
        if member in instrument.reversed_items:
            point = Fraction(item.low) + Fraction(item.high) - point
        points.append(point)
    n = len(scale.members)
    if not points or n - len(points) > scale.max_missing:
        return None
    mean = sum(points) / len(points)
    return mean if scale.method == "mean" else mean * n


@each_sum
@MANY
@given(data=st.data())
def test_scores_equal_exact_arithmetic(instrument, data):
    rows = data.draw(people(instrument))

    scores = score_cases(table_of(instrument, rows), instrument)

    for name, scale in instrument.scales.items():
        for answers, score in zip(rows, scores[name], strict=True):
            expected = score_by_hand(instrument, scale, answers)
            if expected is None:
                assert np.isnan(score)
            else:
                assert score == pytest.approx(float(expected), rel=1e-13, abs=1e-13)


@each
@MANY
@given(data=st.data())
def test_scores_never_leave_their_range(instrument, data):
    rows = data.draw(people(instrument))

    scores = score_cases(table_of(instrument, rows), instrument)

    for name, scale in instrument.scales.items():
        known = scores[name][~np.isnan(scores[name])]
        assert (known >= scale.low - 1e-9).all()
        assert (known <= scale.high + 1e-9).all()


@each
@MANY
@given(data=st.data())
def test_the_order_of_the_columns_changes_nothing(instrument, data):
    table = table_of(instrument, data.draw(people(instrument)))
    order = data.draw(st.permutations(list(table.columns)))

    straight, other = build_questionnaires(table), build_questionnaires(table[order])

    for name, values in straight.items():
        np.testing.assert_array_equal(other[name], values)


@each_sum
@MANY
@given(data=st.data())
def test_scores_of_complete_answers_agree_with_themselves_and_no_others(instrument, data):
    rows = data.draw(people(instrument, holes=False))
    name = data.draw(st.sampled_from(list(instrument.scales)))
    table = table_of(instrument, rows)
    column, scale = instrument.scale_column(name), instrument.scales[name]
    own = score_cases(table, instrument)[name]

    assert list(disagreements(table.assign(**{column: own}))) == []

    wrong = own + scale.tolerance + 0.01
    ((found, which, mask),) = disagreements(table.assign(**{column: wrong}))
    assert (found.name, which.name, mask.all()) == (instrument.name, name, True)


@each_sum
@MANY
@given(data=st.data())
def test_a_score_that_missing_items_leave_possible_is_no_disagreement(instrument, data):
    rows = data.draw(people(instrument))
    filled = [
        [
            data.draw(possible(i)) if a is None else a
            for a, i in zip(row, instrument.items, strict=True)
        ]
        for row in rows
    ]
    stored = score_cases(table_of(instrument, filled), instrument)
    columns = {instrument.scale_column(n): values for n, values in stored.items()}

    assert list(disagreements(table_of(instrument, rows).assign(**columns))) == []


@each
@MANY
@given(data=st.data())
def test_possible_answers_break_no_rule_of_the_contract(instrument, data):
    table = table_of(instrument, data.draw(people(instrument)))
    keys = {"study_id": "s", "participant_id": [str(i) for i in range(len(table))]}
    cases = table.assign(**keys, session_id="a", condition="healthy", modality="rest")

    assert check_cases(cases).violations == ()


@each
@MANY
@given(data=st.data())
def test_classes_are_declared_ordinals(instrument, data):
    built = build_questionnaires(table_of(instrument, data.draw(people(instrument))))

    for name, levels in instrument.classes.items():
        values = built[f"{instrument.name}_{name}"]
        assert set(values[~np.isnan(values)]) <= set(range(len(levels)))
