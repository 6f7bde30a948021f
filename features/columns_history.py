"""Columns of the person's own earlier bouts; filled by :mod:`features.history`."""

from __future__ import annotations

from features.column import Column, count, number

_HOW = (
    "eih history: the study's first endpoint, bouts of earlier periods whose outcome was known by "
    "then, primary scale of the measure, rest bouts not subtracted"
)

HISTORY_COLUMNS: tuple[Column, ...] = (
    count(
        "history_bouts",
        (0, 1000),
        "own earlier bouts with a known change (0 = none yet)",
        source=_HOW,
    ),
    number(
        "history_mean_change",
        "unit of the change",
        (-200, 200),
        "mean change of the own earlier bouts, + = less pain",
        source=_HOW,
    ),
    number(
        "history_last_change",
        "unit of the change",
        (-200, 200),
        "change of the own last bout, + = less pain",
        source=_HOW,
    ),
)
