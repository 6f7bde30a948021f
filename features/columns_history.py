"""Columns of the person's own earlier bouts; filled by :mod:`features.history`."""

from __future__ import annotations

from features.column import Column, count, number

_HOW = "features/history.py: bouts of earlier periods, primary scale, rest bouts not subtracted"

HISTORY_COLUMNS: tuple[Column, ...] = (
    count("history_bouts", (0, 1000), "own earlier bouts with a known change", source=_HOW),
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
