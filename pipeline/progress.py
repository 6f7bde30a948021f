"""How far a long run is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def counting(what: str, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how much more is done.

    Parameters
    ----------
    what, unit : str
        What runs, and in what it is counted ("predict", "rows").
    total : int, optional
        How much there is, where that is known.

    Notes
    -----
    Everything goes to standard error: standard output belongs to results.
    """
    if sys.stderr.isatty():
        with _bar(what, unit, total) as advance:
            yield advance
    else:
        yield _lines(what, unit, total)


@contextmanager
def _bar(what: str, unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], TimeElapsedColumn(), TimeRemainingColumn())
    count = TextColumn("{task.completed:,.0f} " + unit)
    with Progress(*columns, count, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


def _lines(what: str, unit: str, total: int | None) -> Callable[[int], None]:
    begin = last = time.monotonic()
    reached = 0

    def advance(done: int) -> None:
        nonlocal last, reached
        reached += done
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            of_total = f" of {total:,}" if total else ""
            rate = reached / (now - begin)
            sys.stderr.write(f"{what}: {reached:,}{of_total} {unit}, {rate:,.0f} {unit}/s\n")

    return advance
