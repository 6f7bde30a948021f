"""Stage and tool ``predict``: raw cases in, probabilities out, every bad row accounted for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pandas as pd

from features.build import contract_hash
from models.bundle import Bundle
from models.drift import Limits
from pipeline.artefacts import bundle_id, find_bundles
from pipeline.batch import Score, Summary, Work, score_all
from pipeline.batch_assembly import Assembly, put_together
from pipeline.batch_input import Chunk, find_files, rows_per_chunk
from pipeline.batch_parts import Parts
from pipeline.config import PredictParams
from pipeline.errors import ConfigError, TableError, WorkerLostError
from pipeline.io import writing
from pipeline.key_texts import key_fingerprint, read_key
from pipeline.paths import STDIN, check_file
from pipeline.rejects import ragged_rejects
from pipeline.scoring import (
    ScoreBatch,
    Scored,
    ScoredTables,
    ScoreOptions,
    predict,
    score_batch,
    to_arrow,
)
from pipeline.spark_engine import LOCAL, score_on_spark
from pipeline.table_writer import check_writable
from pipeline.watch import drift_summary

__all__ = ["PredictOptions", "ScoreOptions", "Scored", "predict", "run", "score_batch"]


SPARK = "spark"
Progress = Callable[[int], None]
ENGINES = ("local", SPARK)


@dataclass(frozen=True)
class PredictOptions:
    """How a batch run differs from the plain one.

    Parameters
    ----------
    rejects : Path, optional
        Where rejected rows go; default: beside the output.
    explain : bool
        Whether to add every contribution.
    strict : bool
        Whether any reject is an error: the files are written, and the command ends with 11.
    resume : bool
        Whether to go on with a run that was killed.
    workers : int
        Processes; the output does not depend on it.
    input_format : str
        What comes on standard input.
    top : int
        How many of the largest contributions to name, instead of giving all.
    pseudonymise : Path, optional
        File of the secret by which participants' ids are replaced, in predictions and rejects.
    engine : {'local', 'spark'}
    spark_master : str, optional
        See :mod:`pipeline.spark_engine`.
    """

    rejects: Path | None = None
    explain: bool = False
    strict: bool = False
    resume: bool = False
    workers: int = 1
    input_format: str = "csv"
    top: int = 0
    pseudonymise: Path | None = None
    engine: str = "local"
    spark_master: str = LOCAL

    def check_engine(self) -> None:
        """Refuse an unknown engine, and what Spark takes care of itself.

        Raises
        ------
        ConfigError
        """
        if self.engine not in ENGINES:
            raise ConfigError(f"--engine: expected local or spark, found '{self.engine}'.")
        if self.engine == SPARK and (self.resume or self.workers > 1):
            option = "--resume" if self.resume else "--jobs"
            raise ConfigError(
                f"{option}: expected it with --engine local only. Spark has its own workers and "
                "tries lost tasks again."
            )

    def score_options(self) -> ScoreOptions:
        """Return what concerns a single row."""
        key = None if self.pseudonymise is None else read_key(self.pseudonymise)
        return ScoreOptions(self.explain, self.top, key)


@dataclass(frozen=True)
class _Model:
    """What scores, and by what name it goes."""

    bundles: Mapping[str, Bundle]
    options: ScoreOptions
    contract: str

    @cached_property
    def ids(self) -> dict[str, str]:
        return {target: bundle_id(b) for target, b in self.bundles.items()}

    def state(self) -> dict[str, Any]:
        key = self.options.pseudonym_key
        return {
            "model": self.ids,
            "contract": self.contract,
            "explain": self.options.explain,
            "top": self.options.top,
            "pseudonym key": None if key is None else key_fingerprint(key),
        }

    def metadata(self) -> dict[str, str]:
        ids = {f"eih_model_{target}": found for target, found in self.ids.items()}
        return {"eih_contract": self.contract, **ids}


def run(
    params: PredictParams,
    model: Path,
    source: str | Path,
    output: Path,
    options: PredictOptions,
    progress: Progress = lambda rows: None,
) -> dict[str, Any]:
    """Score a file, a folder of files, a pattern of names or standard input.

    Parameters
    ----------
    params : PredictParams
    model : Path
        A bundle folder, or a study's output folder (all its targets are predicted).
    source : str or Path
        Cases as .csv, .tsv, .parquet, .xlsx or .sav; ``-`` for standard input.
    output : Path
        Predictions, .csv, .tsv or .parquet; appears only when complete.
    options : PredictOptions
    progress : callable
        Told the number of rows of every finished piece.

    Returns
    -------
    dict with ``rows_in, predicted, rejected, rejected_by_reason, targets, models, contract,
    rejects, drift, seconds, rows_per_s``

    Raises
    ------
    TableError
        For input that cannot be read and output that cannot be written; with ``strict`` for
        any reject.
    BundleError
    """
    begin = time.perf_counter()
    options.check_engine()
    outputs = {"predictions": output, "rejects": options.rejects or _beside(output)}
    _check_outputs(outputs, str(source))
    loaded = _Model(find_bundles(model), options.score_options(), contract_hash())
    parts = Parts.beside(output)
    make_score = _score_maker(model, loaded, options)

    def score(parts: Parts) -> Summary:
        work = _prepare(params, str(source), parts, options, loaded)
        with Assembly(parts, outputs, loaded.metadata()) as assembly:

            def done(task: int, rows: int) -> None:
                assembly.take(task)
                progress(rows)

            if options.engine == SPARK:
                summary = score_on_spark(work, make_score, parts, options.spark_master)
            else:
                summary = score_all(work, make_score, parts, done)
            _check_unchanged(work, parts)
            if summary.rows_in == 0:
                raise TableError(f"{source}: expected at least one row, found none.")
            put_together(assembly)
        return summary

    with writing(output):
        summary = _with_parts(parts, options.resume, score)
    if options.strict and summary.rejected:
        raise TableError(
            f"{source}: expected no rejected row (--strict), found {summary.rejected}. "
            f"Their reasons are in {outputs['rejects']}."
        )
    seconds = time.perf_counter() - begin
    return {
        **summary.to_dict(),
        "targets": list(loaded.bundles),
        "models": loaded.ids,
        "contract": loaded.contract,
        "rejects": str(outputs["rejects"]),
        "drift": drift_summary(summary.watched, loaded.bundles, Limits()),
        "seconds": round(seconds, 3),
        "rows_per_s": round(summary.rows_in / seconds),
    }


def _check_outputs(outputs: Mapping[str, Path], source: str) -> None:
    """Refuse, before anything is read, what could only fail or destroy the input at the end."""
    for path in outputs.values():
        check_writable(path)
        _check_place(path)
        if source != STDIN and path.resolve() == Path(source).resolve():
            raise ConfigError(f"{path}: expected another file than the input.")
    if outputs["predictions"].resolve() == outputs["rejects"].resolve():
        raise ConfigError(f"{outputs['rejects']}: expected another file than the predictions.")


def _check_place(path: Path) -> None:
    """Raise TableError where a file of this name cannot come to be."""
    with writing(path):
        if path.is_dir():
            raise TableError(f"{path}: expected the name of a file, found a folder.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass


def _with_parts(parts: Parts, resume: bool, score: Callable[[Parts], Summary]) -> Summary:
    """Score with a folder of pieces that goes at the end, unless they may be of use."""
    goes_on = False
    try:
        goes_on = parts.begin(resume=resume)
        summary = score(parts)
    except WorkerLostError:
        raise
    except Exception:
        # An interrupted run is no Exception and keeps its pieces, as does one that was resumed.
        if not goes_on:
            parts.remove()
        raise
    parts.remove()
    return summary


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.stem}.rejects.csv")


def _prepare(
    params: PredictParams, source: str, parts: Parts, options: PredictOptions, model: _Model
) -> Work:
    """Find the input, and claim the folder of pieces for exactly this run."""
    if source == STDIN and options.resume:
        raise ConfigError("--resume: standard input cannot be read again. Give a file.")
    paths = find_files(source, parts.folder, options.input_format)
    chunk_rows = params.chunk_rows or rows_per_chunk(paths)
    inputs = [_fingerprint(p) for p in paths]
    parts.claim({"input": inputs, "chunk_rows": chunk_rows, **model.state()})
    return Work(tuple(paths), chunk_rows, options.workers)


def _check_unchanged(work: Work, parts: Parts) -> None:
    """Refuse to put together what was read from files that were written to in the meantime."""
    before = parts.state()["input"]
    for path, stored in zip(work.paths, before, strict=True):
        check_file(path)
        if _fingerprint(path) != stored:
            raise TableError(f"{path}: expected an input that stays as it is, found it changed.")


def _fingerprint(path: Path) -> dict[str, Any]:
    found = path.stat()
    return {"name": str(path), "bytes": found.st_size, "modified_ns": found.st_mtime_ns}


def _score_maker(model: Path, loaded: _Model, options: PredictOptions) -> Callable[[], Score]:
    """One process scores with what it has loaded; several load the model each."""
    if options.workers > 1 or options.engine == SPARK:
        return partial(_load_score, model.resolve(), loaded.options)
    return partial(_chunk_scorer, loaded.bundles, loaded.options)


def _load_score(model: Path, options: ScoreOptions) -> Score:
    # One thread a process: several processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return _chunk_scorer(find_bundles(model), options)


def _chunk_scorer(bundles: Mapping[str, Bundle], options: ScoreOptions) -> Score:
    return partial(_score_chunk, score_batch(bundles, options))


def _score_chunk(score: ScoreBatch, chunk: Chunk) -> ScoredTables:
    scored = score(chunk.frame)
    if not chunk.ragged:
        return scored
    rejects = ragged_rejects(chunk.ragged, chunk.n_columns)
    if scored.rejects.num_rows:
        rejects = pd.concat([scored.rejects.to_pandas(), rejects])
    return scored._replace(rejects=to_arrow(rejects.sort_values("row")))
