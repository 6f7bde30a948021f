"""A split plan: persons apart, every row tested once, reproducible, stored as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.errors import NotEnoughDataError
from models.splits import SplitPlan, make_split_plan

SETTINGS = {"repeats": 2, "folds": 5, "inner_folds": 3}


def study(n_persons=40, n_events=15):
    """Persons with one to four rows; the first ``n_events`` of a shuffled list have an event."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(n_persons), rng.integers(1, 5, n_persons))
    with_event = rng.permutation(n_persons)[:n_events]
    y = np.isin(person, with_event).astype(float)
    # Not every row of a person with an event has one: the second row, if any, has none.
    y[1:][person[1:] == person[:-1]] *= 0
    return y, person


@pytest.fixture
def plan():
    y, person = study()
    return make_split_plan(y, person, **SETTINGS, seed=1)


def all_splits(plan):
    inner = [split for fold in plan.folds for split in fold.inner]
    return [*((f.train, f.test) for f in plan.folds), *inner, *plan.final]


def test_plan_has_every_split_that_was_asked_for(plan):
    assert [(f.repeat, f.fold) for f in plan.folds] == [(r, f) for r in range(2) for f in range(5)]
    assert [len(f.inner) for f in plan.folds] == [3] * 10
    assert len(plan.final) == 3
    assert plan.n_repeats == 2


def test_every_row_is_tested_once_per_repeat(plan):
    for repeat in range(2):
        tested = np.concatenate([f.test for f in plan.folds if f.repeat == repeat])

        assert sorted(tested) == list(range(plan.n_rows))


def test_every_row_is_on_one_side_of_every_outer_split(plan):
    for fold in plan.folds:
        assert sorted([*fold.train, *fold.test]) == list(range(plan.n_rows))


def test_inner_splits_test_every_training_row_once_and_nothing_else(plan):
    for fold in plan.folds:
        tested = np.concatenate([test for _, test in fold.inner])

        assert sorted(tested) == sorted(fold.train)


def test_a_person_is_never_on_both_sides(plan):
    _, person = study()

    for train, test in all_splits(plan):
        assert not set(person[train]) & set(person[test])


def test_folds_are_stratified_by_persons_with_an_event(plan):
    # 15 of 40 persons have an event: 3 of the 8 persons in every one of five folds.
    y, person = study()
    with_event = set(person[y == 1])

    counts = [(len(p), len(p & with_event)) for f in plan.folds for p in [set(person[f.test])]]

    assert counts == [(40 / 5, 15 / 5)] * 10


def test_repeats_differ(plan):
    first, second = ([f.test.tolist() for f in plan.folds if f.repeat == r] for r in (0, 1))

    assert first != second


def test_the_same_seed_gives_the_same_plan_and_another_seed_another():
    y, person = study()

    hashes = [make_split_plan(y, person, **SETTINGS, seed=s).sha256() for s in (1, 1, 2, 3)]

    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_splits_depend_on_who_is_who_not_on_what_persons_are_called():
    y, person = study()
    names = np.array([f"p{p:03d}" for p in person])

    by_name = make_split_plan(y, names, **SETTINGS, seed=1)

    assert by_name.sha256() == make_split_plan(y, person, **SETTINGS, seed=1).sha256()


def test_plan_survives_json(plan):
    read = SplitPlan.from_dict(json.loads(json.dumps(plan.to_dict())))

    assert read.sha256() == plan.sha256()
    assert read.to_dict() == plan.to_dict()
    assert {part.dtype for split in all_splits(read) for part in split} == {np.dtype(np.int64)}


def test_hash_changes_with_every_index_list(plan):
    for path in (
        ("folds", 0, "train"),
        ("folds", 9, "test"),
        ("folds", 3, "inner", 1, "train"),
        ("final", 2, "test"),
    ):
        content = plan.to_dict()
        place = content
        for step in path:
            place = place[step]
        place[0], place[1] = place[1], place[0]

        assert SplitPlan.from_dict(content).sha256() != plan.sha256(), path


def test_too_few_persons_with_an_event_are_refused():
    y, person = study(n_persons=40, n_events=4)

    with pytest.raises(NotEnoughDataError) as caught:
        make_split_plan(y, person, **SETTINGS, seed=0)

    assert str(caught.value) == (
        "expected at least 5 persons with and 5 without an event for 5 folds, found 4 and 36."
    )


def test_many_rows_of_few_persons_are_not_enough():
    # 100 events, but all of one person: rows do not count.
    person = np.repeat([0, 1, 2], 100)

    with pytest.raises(NotEnoughDataError) as caught:
        make_split_plan((person == 0).astype(float), person, **SETTINGS, seed=0)

    assert str(caught.value) == (
        "expected at least 5 persons with and 5 without an event for 5 folds, found 1 and 2."
    )


def test_tuning_has_fewer_folds_when_events_run_short():
    # Five folds of five persons with an event leave four to tune with: four inner folds, not ten.
    y, person = np.repeat([1.0, 0.0], [5, 35]), np.arange(40)

    plan = make_split_plan(y, person, repeats=1, folds=5, inner_folds=10, seed=0)

    assert [len(f.inner) for f in plan.folds] == [5 - 1] * 5
    assert len(plan.final) == 5


def test_tuning_is_left_out_where_it_would_see_one_class_only():
    y, person = np.repeat([1.0, 0.0], [2, 20]), np.arange(22)

    plan = make_split_plan(y, person, repeats=1, folds=2, inner_folds=3, seed=0)

    assert [f.inner for f in plan.folds] == [(), ()]
