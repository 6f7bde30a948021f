"""Batch prediction on Apache Spark: the same function on the same chunks, on many machines.

Every row group of the input is one Spark task. Executors read it, score it with the function that
a local run uses (under ``mapInArrow``), and give finished pieces back; Spark writes those, so
that a task that is tried again, or was tried twice, counts once. The driver then puts the pieces
together as a local run does: the bytes are equal.

Input, output and model must be visible under the same path to driver and executors, and this
program be installed there. See docs/scale.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.batch import MakeScore, Score, Summary, Work, summarise, write_piece
from pipeline.batch_input import Task, iter_tasks
from pipeline.batch_parts import Parts
from pipeline.errors import ConfigError, TableError, WorkerLostError
from pipeline.scoring import ScoredTables

# A worker that dies is replaced, and its task tried up to four times; plain local[*] never does.
LOCAL = "local[*,4]"
CONFIGURED = "configured"
MOST_PARTITIONS = 10_000
SCHEMA = "name string, predictions binary, rejects binary, watched string"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class GroupTask:
    """A row group, as it travels to an executor."""

    number: int
    path: str
    first_row: int
    group: int


def score_on_spark(work: Work, make_score: MakeScore, parts: Parts, master: str) -> Summary:
    """Score every chunk on Spark, and leave the pieces where a local run leaves its own.

    Parameters
    ----------
    work : Work
        Of Parquet files.
    make_score : callable
        Gives the function that scores a chunk; picklable, called once in every Python worker.
    parts : Parts
        Open; gets the pieces.
    master : str
        Spark's master URL; ``configured``: as spark-submit or spark-defaults.conf say.

    Raises
    ------
    ConfigError
        Without pyspark or Java, or for input that is not Parquet.
    TableError
        For input that an executor cannot read.
    WorkerLostError
        If a task fails as often as Spark tries it.
    """
    tasks = _group_tasks(work)
    spark = _session(master)
    spool = parts.folder / "spark"
    score = partial(score_groups, tasks=tasks, chunk_rows=work.chunk_rows, make_score=make_score)
    try:
        _run_job(spark, score, len(tasks), spool)
    finally:
        spark.stop()
    for name, scored in _pieces(spool):
        write_piece(parts, name, scored)
    return summarise(parts)


def _group_tasks(work: Work) -> list[GroupTask]:
    other = [p for p in work.paths if p.suffix.lower() != ".parquet"]
    if other:
        raise ConfigError(
            f"{other[0]}: expected Parquet for --engine spark, found '{other[0].suffix}'. A text "
            "file cannot be divided among machines: convert it, or use --engine local."
        )
    return [
        GroupTask(t.number, str(t.path.resolve()), t.first_row, t.group or 0)
        for t in iter_tasks(work.paths, work.chunk_rows)
    ]


def _session(master: str) -> Any:
    """Start Spark, or say in one line what is missing."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError(
            "--engine spark: expected the package pyspark, found none. Install the extra 'spark'."
        ) from None
    local = master.startswith("local")
    if local and not _has_java():
        raise ConfigError(
            "--engine spark: expected Java 17, found none. Install it, or set JAVA_HOME."
        )
    builder = SparkSession.builder.appName("eih predict")
    if master != CONFIGURED:
        builder = builder.master(master)
    if local:
        # Workers are this Python with this program; nothing listens beyond this machine.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        settings = {"spark.ui.enabled": "false", "spark.executorEnv.PYTHONPATH": path}
        for name, value in settings.items():
            builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        raise ConfigError(
            f"--engine spark: Spark did not start ({_first_line(error)}). It needs Java 17 or 21."
        ) from None
    session.sparkContext.setLogLevel("OFF" if local else "ERROR")
    return session


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else None) is not None


def _run_job(
    spark: Any, score: Callable[[Iterator[pa.RecordBatch]], Any], n_tasks: int, spool: Path
) -> None:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    numbers = spark.range(0, n_tasks, 1, min(n_tasks, MOST_PARTITIONS))
    try:
        with warnings.catch_warnings():
            # Of Spark's own frames; what we give it and take from it is Arrow.
            warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
            scored = numbers.mapInArrow(score, SCHEMA)
            scored.write.mode("overwrite").parquet(spool.resolve().as_uri())
    except (PySparkException, Py4JError) as error:
        raise _told(error) from None


def _told(error: Exception) -> ConfigError | TableError:
    """Return an executor's mistake of the user as it is, anything else as a lost worker."""
    table = re.search(r"pipeline\.errors\.TableError: (.+)", str(error))
    if table:
        return TableError(table.group(1))
    return WorkerLostError(
        f"--engine spark: a task failed as often as it may ({_first_line(error)}). "
        "Spark's log says where."
    )


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip()[:160] if lines else type(error).__name__


# A Python worker serves many tasks: its model is loaded once. Keyed by what made it.
_loaded: dict[str, Score] = {}


def score_groups(
    batches: Iterator[pa.RecordBatch],
    *,
    tasks: Sequence[GroupTask],
    chunk_rows: int,
    make_score: MakeScore,
) -> Iterator[pa.RecordBatch]:
    """Score row groups: what runs on an executor.

    Parameters
    ----------
    batches : iterator of RecordBatch
        With the column ``id``: places in ``tasks``.
    tasks : sequence of GroupTask
    chunk_rows : int
    make_score : callable

    Yields
    ------
    RecordBatch of one row: a piece's name, its tables as Arrow streams and its counts as JSON
    """
    key = repr(make_score)
    if key not in _loaded:
        _loaded[key] = make_score()
    score = _loaded[key]
    for batch in batches:
        for place in batch.column(0).to_pylist():
            task = tasks[place]
            group = Task(task.number, Path(task.path), task.first_row, group=task.group)
            for number, chunk in enumerate(group.chunks(chunk_rows)):
                # As long a number as any input needs: names sort as the input does.
                yield _packed(f"{task.number:012d}-{number:06d}", score(chunk))


def _packed(name: str, scored: ScoredTables) -> pa.RecordBatch:
    columns = {
        "name": pa.array([name]),
        "predictions": pa.array([_stream(scored.predictions)], pa.binary()),
        "rejects": pa.array([_stream(scored.rejects)], pa.binary()),
        "watched": pa.array([json.dumps(scored.watched)]),
    }
    return pa.RecordBatch.from_pydict(columns)


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _pieces(spool: Path) -> Iterator[tuple[str, ScoredTables]]:
    """Yield what Spark wrote, one piece in memory at a time."""
    for path in sorted(spool.glob("part-*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(1):
            row: Mapping[str, Any] = batch.to_pylist()[0]
            predictions, rejects = (
                pa.ipc.open_stream(row[kind]).read_all() for kind in ("predictions", "rejects")
            )
            watched = json.loads(row["watched"])
            yield row["name"], ScoredTables(predictions, rejects, watched)
