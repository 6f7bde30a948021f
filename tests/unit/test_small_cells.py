"""Small counts are not written, and do not follow from those that are."""

from __future__ import annotations

import itertools

import pytest

from pipeline.small_cells import hidden_cells, is_small, written_as


def open_values(counts: list[int], hidden: list[bool], at: int, marked: bool) -> set[int]:
    """Small values that one hidden count may have for a reader who knows the whole.

    He sees which parts are hidden and, where they are marked, which of these are small.
    """
    others = [i for i, out in enumerate(hidden) if out and i != at]
    rest = sum(n for n, out in zip(counts, hidden, strict=True) if out)
    small, large, any_count = range(1, 5), range(5, rest + 1), range(1, rest + 1)
    ranges = [any_count if not marked else small if counts[i] < 5 else large for i in others]
    sums = {sum(chosen) for chosen in itertools.product(*ranges)}
    return {value for value in small if rest - value in sums}


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ([30, 20, 10], [False, False, False]),
        ([30, 0, 10], [False, False, False]),
        ([30, 4, 10], [False, True, True]),
        ([30, 4, 0, 10], [False, True, False, True]),
        # Both small: four and four are known from eight.
        ([30, 4, 4, 10], [False, True, True, True]),
        # One and five: the five is known to be no less.
        ([30, 1, 5, 10], [False, True, True, True]),
        ([3], [True]),
    ],
)
def test_hidden_cells_are_the_small_ones_and_those_they_would_follow_from(
    counts: list[int], hidden: list[bool]
) -> None:
    assert hidden_cells(counts) == hidden


def test_hidden_cells_are_taken_in_the_order_asked_for() -> None:
    assert hidden_cells([21, 62, 3, 38], spare=(1, 0)) == [False, True, True, False]
    # Nobody is in the first: it would hide nothing.
    assert hidden_cells([0, 62, 3, 38], spare=(0, 1)) == [False, True, True, False]


def test_hidden_cells_of_two_counts_hide_either() -> None:
    events, others = [3, 4, 5, 5], [23, 1, 15, 7]

    assert hidden_cells(events, others, marked=False) == [True, True, False, False]
    assert hidden_cells([9, 8, 7], [20, 30, 2]) == [False, True, True]


@pytest.mark.parametrize("marked", [True, False])
def test_a_small_count_may_be_any_for_a_reader_who_subtracts(marked: bool) -> None:
    tried = 0
    for counts in itertools.product([0, 1, 2, 4, 5, 6, 20], repeat=4):
        hidden = hidden_cells(counts, marked=marked)
        for at, count in enumerate(counts):
            if is_small(count) and max(counts) == 20:
                tried += 1
                assert open_values(list(counts), hidden, at, marked) == {1, 2, 3, 4}, counts
    assert tried > 1000


def test_a_hidden_cell_is_written_as_small_or_as_not_given() -> None:
    assert written_as("12%", 12, hidden=False) == "12%"
    assert written_as("3%", 3, hidden=True) == "fewer than 5"
    assert written_as("12%", 12, hidden=True) == "not given"
