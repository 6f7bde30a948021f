"""Many independent pieces of work: in parallel, kept as they finish, taken up where they ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from joblib import Parallel, delayed

from models.threads import one_thread

Result = dict[str, Any]
Task = tuple[Callable[..., Result], tuple[Any, ...]]
Progress = Callable[[int, int], None]


class Store(Protocol):
    """Where finished pieces are kept; whoever owns files supplies it."""

    def load(self) -> Mapping[str, Result]:
        """Return every finished piece by its key."""

    def save(self, key: str, result: Result) -> None:
        """Keep a piece: plain numbers, text, lists and dicts (JSON content)."""


class Forgetful:
    """A store that keeps nothing: the run starts anew every time."""

    def load(self) -> Mapping[str, Result]:
        """Return nothing."""
        return {}

    def save(self, key: str, result: Result) -> None:
        """Keep nothing."""


def silent(done: int, total: int) -> None:
    """Report no progress."""


def run_tasks(
    tasks: Mapping[str, Task],
    *,
    n_jobs: int = 1,
    store: Store | None = None,
    progress: Progress = silent,
) -> dict[str, Result]:
    """Do every task once, in any number of processes; finished ones of an earlier run are kept.

    Parameters
    ----------
    tasks : mapping of key to (function, arguments)
        A result must depend on the arguments alone, so that order and processes do not matter.
    n_jobs : int, default=1
        Processes. Every task uses one thread.
    store : Store, optional
        Asked first; told of every result as it comes.
    progress : callable of (done, total)

    Returns
    -------
    dict of key to result, in the order of ``tasks``
    """
    keeper = Forgetful() if store is None else store
    kept = keeper.load()
    results = {key: kept[key] for key in tasks if key in kept}
    waiting = [key for key in tasks if key not in results]
    progress(len(results), len(tasks))
    # The generator hands results on as they come: a run that is killed loses one piece a process.
    finished = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_named)(key, *tasks[key]) for key in waiting
    )
    for key, result in finished:
        keeper.save(key, result)
        results[key] = result
        progress(len(results), len(tasks))
    return {key: results[key] for key in tasks}


def _named(
    key: str, function: Callable[..., Result], arguments: tuple[Any, ...]
) -> tuple[str, Result]:
    with one_thread():
        return key, function(*arguments)
