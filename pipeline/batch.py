"""The engine of batch prediction: bounded memory, several workers, and nothing lost on the way.

Every chunk of the input becomes a finished piece (``batch_parts``); they are put together in the
order of the input (``batch_assembly``). The output therefore depends neither on the size of the
chunks nor on the number of workers, and a run that was killed goes on from its finished pieces.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from pipeline.batch_input import Chunk, Task, iter_tasks
from pipeline.batch_parts import Parts, part_name
from pipeline.errors import WorkerLostError
from pipeline.scoring import ScoredTables
from pipeline.watch import Watched

Score = Callable[[Chunk], ScoredTables]
# Makes the function that scores; called once in every process.
MakeScore = Callable[[], Score]
# Told the number of a finished task and how many rows it has.
Done = Callable[[int, int], None]
# In one process two tasks take turns: while one computes, the other reads or writes. Most of the
# time is spent in numpy, Arrow and XGBoost, which let the other thread run. More tasks at once
# would take more memory.
THREADS = 2


@dataclass
class Summary:
    """What happened to the rows of a run."""

    rows_in: int = 0
    predicted: int = 0
    rejected: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    watched: Watched = field(default_factory=Watched)

    def add(self, counts: dict[str, Any]) -> None:
        """Count a finished piece."""
        self.predicted += counts["predicted"]
        self.rejected += counts["rejected"]
        self.rows_in = self.predicted + self.rejected
        self.by_reason.update(counts["by_reason"])
        self.watched.merge(Watched.from_dict(counts["watched"]))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON content."""
        return {
            "rows_in": self.rows_in,
            "predicted": self.predicted,
            "rejected": self.rejected,
            "rejected_by_reason": dict(sorted(self.by_reason.items())),
        }


@dataclass(frozen=True)
class Work:
    """What has to be scored, in which pieces, and by how many processes."""

    paths: tuple[Path, ...]
    chunk_rows: int
    workers: int = 1


def score_all(work: Work, make_score: MakeScore, parts: Parts, done: Done) -> Summary:
    """Score every chunk that is not finished yet.

    Parameters
    ----------
    work : Work
    make_score : callable
        Gives the function that scores a chunk; must be picklable where ``workers`` > 1.
    parts : Parts
        Open; gets the pieces.
    done : callable
        Told the number and the rows of every task that was finished, in any order.
    """
    tasks = iter_tasks(work.paths, work.chunk_rows)
    if work.workers == 1:
        score_one = partial(
            _score_task, chunk_rows=work.chunk_rows, score=make_score(), parts=parts
        )
        with ThreadPoolExecutor(THREADS) as threads:
            # One more than the threads: none waits while ``done`` works.
            _score_tasks(partial(threads.submit, score_one), tasks, THREADS + 1, done)
    else:
        _score_in_workers(work, tasks, make_score, parts, done)
    return summarise(parts)


def summarise(parts: Parts) -> Summary:
    """Add up what was counted of every piece."""
    summary = Summary()
    for counts in parts.counts():
        summary.add(counts)
    return summary


def _score_task(task: Task, chunk_rows: int, score: Score, parts: Parts) -> int:
    """Score a task's unfinished chunks; return how many rows it has."""
    rows = 0
    for number, chunk in enumerate(task.chunks(chunk_rows)):
        name = part_name(task.number, number)
        rows += len(chunk.frame) + len(chunk.ragged)
        if not parts.is_done(name):
            write_piece(parts, name, score(chunk))
    return rows


def write_piece(parts: Parts, name: str, scored: ScoredTables) -> None:
    """Write a scored chunk as a finished piece."""
    tables = {"predictions": scored.predictions, "rejects": scored.rejects}
    parts.write(name, tables, _counts(scored))


def _counts(scored: ScoredTables) -> dict[str, Any]:
    codes = Counter[str]()
    for text in scored.rejects["code"].to_pylist():
        codes.update(set(text.split("; ")))
    return {
        "predicted": scored.predictions.num_rows,
        "rejected": scored.rejects.num_rows,
        "by_reason": dict(sorted(codes.items())),
        "watched": scored.watched,
    }


# A worker's model, loaded once when its process starts.
_loaded: list[Score] = []


def _score_in_workers(
    work: Work, tasks: Iterator[Task], make_score: MakeScore, parts: Parts, done: Done
) -> None:
    score_one = partial(_score_in_worker, chunk_rows=work.chunk_rows, parts=parts)
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(work.workers, spawn, _start_worker, (make_score,)) as pool:
            _score_tasks(partial(pool.submit, score_one), tasks, 2 * work.workers, done)
    except BrokenProcessPool:
        raise WorkerLostError(
            f"--jobs {work.workers}: a process was killed, most likely for lack of memory. "
            "The finished pieces are kept: give --resume and fewer workers."
        ) from None


def _start_worker(make_score: MakeScore) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _loaded.append(make_score())


def _end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however it went."""
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _score_in_worker(task: Task, chunk_rows: int, parts: Parts) -> int:
    return _score_task(task, chunk_rows, _loaded[0], parts)


def _score_tasks(
    submit: Callable[[Task], Future[int]],
    tasks: Iterable[Task],
    limit: int,
    done: Done,
) -> None:
    """Keep at most ``limit`` tasks under way, so that text read ahead does not fill memory."""
    waiting: dict[Future[int], int] = {}
    try:
        for task in tasks:
            waiting[submit(task)] = task.number
            if len(waiting) >= limit:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    done(waiting.pop(future), future.result())
        for future in as_completed(list(waiting)):
            done(waiting.pop(future), future.result())
    finally:
        # After an error nothing more is begun.
        for future in waiting:
            future.cancel()
