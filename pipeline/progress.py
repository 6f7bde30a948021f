"""How far a command is: a bar on a terminal, a line now and then elsewhere.

Everything goes to standard error: standard output belongs to results. A command that ends within
two seconds shows nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

SECONDS_BEFORE_BAR = 2.0
SECONDS_BETWEEN_LINES = 15.0
Item = TypeVar("Item")


@dataclass(frozen=True)
class Count:
    """Something that is counted ("predict", "rows"), how much is done and, if known, of what."""

    what: str
    unit: str
    done: int
    total: int | None


class _Display(Protocol):
    def show(self, count: Count) -> None: ...

    def close(self) -> None: ...


# Displays that are open, the outermost first: a process has one standard error.
_open: list[_Display] = []


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that a command runs; what is counted inside is shown in its place.

    Parameters
    ----------
    what : str
        What runs, as "label".
    """
    with _display(what):
        yield


@contextmanager
def counting(what: str, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how much more is done.

    Parameters
    ----------
    what, unit : str
        What runs, and in what it is counted ("predict", "rows").
    total : int, optional
        How much there is, where that is known.
    """
    reached = 0
    with _display(what) as display:

        def advance(done: int) -> None:
            nonlocal reached
            reached += done
            display.show(Count(what, unit, reached, total))

        yield advance


def tracked(items: Sequence[Item], what: str, unit: str) -> Iterator[Item]:
    """Yield items, and show how many are done.

    Examples
    --------
    >>> list(tracked([1, 2], "fold", "folds"))
    [1, 2]
    """
    show = show_progress(what, unit)
    for done, item in enumerate(items):
        show(done, len(items))
        yield item
    show(len(items), len(items))


def show_progress(what: str, unit: str = "") -> Callable[[int, int], None]:
    """Return a callback of (done, total); pieces that are there at first are said to be.

    Outside a command, lines are written.
    """
    alone = _Lines(what, ticking=False)
    first = -1

    def show(done: int, total: int) -> None:
        nonlocal first
        if first < 0:
            first = done
            if done:
                sys.stderr.write(f"{what}: {done} of {total} are there from an earlier run\n")
        (_open[-1] if _open else alone).show(Count(what, unit, done, total))

    return show


@contextmanager
def _display(what: str) -> Iterator[_Display]:
    """Open a bar or lines; inside another display, use that one."""
    if _open:
        yield _open[-1]
        return
    display = _Bar(what) if sys.stderr.isatty() else _Lines(what)
    _open.append(display)
    try:
        yield display
    finally:
        _open.remove(display)
        display.close()


class _Bar:
    """A bar that appears after two seconds and leaves nothing behind."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            *Progress.get_default_columns()[:2],
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        # Standard output stays untouched: it may be a file.
        self._progress = Progress(
            *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
        )
        self._whole = self._what = what
        self._task = self._progress.add_task(what, total=None, count="")
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(SECONDS_BEFORE_BAR, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        with self._lock:
            if not self._ended:
                self._progress.start()

    def show(self, count: Count) -> None:
        if count.done == count.total:  # what follows is not counted
            self._name(self._whole, None)
            self._progress.update(self._task, count="")
            return
        self._name(count.what, count.total)
        self._progress.update(
            self._task, completed=count.done, count=f"{_share(count)} {count.unit}".rstrip()
        )

    def _name(self, what: str, total: int | None) -> None:
        if what != self._what:
            self._what = what
            self._progress.reset(self._task, description=what)
        task = self._progress.tasks[0]
        if total != task.total:
            task.total = total

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._progress.live.is_started:
                self._progress.stop()


class _Lines:
    """A line every fifteen seconds: what is counted or, ``ticking``, the time alone."""

    def __init__(self, what: str, *, ticking: bool = True) -> None:
        self._what = what
        self._began = self._last = self._since = time.monotonic()
        self._first: Count | None = None
        self._ended = threading.Event()
        if ticking:
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LINES):
            now = time.monotonic()
            # A whole interval without a count: half of one is left for the clock's grain.
            if now - self._last >= SECONDS_BETWEEN_LINES / 2:
                self._write(f"{self._what}: {now - self._began:.0f} s", now)

    def show(self, count: Count) -> None:
        now = time.monotonic()
        if self._first is None or self._first.what != count.what:
            self._first, self._since = count, now
        if now - self._last >= SECONDS_BETWEEN_LINES:
            unit = f" {count.unit}" if count.unit else ""
            left = self._left(count, now)
            self._write(
                f"{count.what}: {_share(count)}{unit}, {now - self._began:.0f} s{left}", now
            )

    def _left(self, count: Count, now: float) -> str:
        fresh = count.done - (self._first.done if self._first else 0)
        if not fresh or count.total is None or count.done >= count.total:
            return ""
        return f", about {(now - self._since) / fresh * (count.total - count.done):.0f} s left"

    def _write(self, line: str, now: float) -> None:
        self._last = now
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def close(self) -> None:
        self._ended.set()


def _share(count: Count) -> str:
    return f"{count.done:,}" + (f" of {count.total:,}" if count.total is not None else "")
