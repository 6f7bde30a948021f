"""Counts so small that they might point at a person, and those that would give them away."""

from __future__ import annotations

from collections.abc import Sequence

# Counts from one to below this are not written on a page.
SMALLEST_CELL = 5
FEW = f"fewer than {SMALLEST_CELL}"
NOT_GIVEN = "not given"


def is_small(count: int) -> bool:
    """Return whether a count is of somebody, and of few."""
    return 0 < count < SMALLEST_CELL


def hidden_cells(
    *counts: Sequence[int], spare: Sequence[int] = (), marked: bool = True
) -> list[bool]:
    """Return which parts of a whole are not written.

    Those with a small count are not. A reader may know the whole, from here or from another table,
    and subtract what is written: other parts are hidden too until the small counts may be any. A
    part of nobody hides nothing.

    Parameters
    ----------
    *counts : sequence of int
        What is counted of each part, such as its events, and its others.
    spare : sequence of int, optional
        Parts that may be hidden besides, in this order; default: the smaller count first.
    marked : bool, default=True
        Whether small parts are written as small. Hidden without a word they hide each other.

    Examples
    --------
    >>> hidden_cells([35, 5, 21, 13]), hidden_cells([29, 4, 21, 12])
    ([False, False, False, False], [False, True, False, True])
    >>> hidden_cells([21, 62, 3, 0, 38], spare=(1, 0))
    [False, True, True, False, False]
    """
    parts = list(zip(*counts, strict=True))
    hidden = [any(map(is_small, part)) for part in parts]
    at_risk = [own for own in counts if any(map(is_small, own))]
    for at in spare or sorted(range(len(parts)), key=lambda at: min(parts[at])):
        if all(_covers(own, hidden, marked) for own in at_risk):
            break
        hidden[at] = hidden[at] or any(own[at] > 0 for own in at_risk)
    return hidden


def _covers(counts: Sequence[int], hidden: Sequence[bool], marked: bool) -> bool:
    """Whether, given the sum of the hidden counts, each small one may be any from one."""
    own = [n for n, out in zip(counts, hidden, strict=True) if out and n > 0]
    small = sum(map(is_small, own)) if marked else len(own)
    large = len(own) - small
    # The largest small count, and the least that all others can be.
    needed = (SMALLEST_CELL - 1) + (small - 1) + large * SMALLEST_CELL
    return len(own) > 1 and (large > 0 or not marked) and sum(own) >= needed


def written_as(text: str, count: int, hidden: bool) -> str:
    """Return a cell's text; of a hidden one, that it is small or that it is not given."""
    if not hidden:
        return text
    return FEW if is_small(count) else NOT_GIVEN
