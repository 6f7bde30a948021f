"""Stage and tool ``predict``: raw cases in, probabilities out, every bad row accounted for."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from features.build import contract_hash
from models.bundle import Bundle
from pipeline.artefacts import bundle_id, find_bundles
from pipeline.batch import Progress, Score, ScoredTables, Work, put_together, score_all
from pipeline.batch_input import STDIN, Chunk, find_files, rows_per_chunk
from pipeline.batch_parts import Parts
from pipeline.config import PredictParams
from pipeline.errors import ConfigError, TableError
from pipeline.io import writing
from pipeline.scoring import TEXTS, Scored, predict, ragged_rejects

__all__ = ["PredictOptions", "Scored", "predict", "run"]


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
    """

    rejects: Path | None = None
    explain: bool = False
    strict: bool = False
    resume: bool = False
    workers: int = 1
    input_format: str = "csv"


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
    dict with ``rows_in, predicted, rejected, rejected_by_reason, targets, rejects, rows_per_s``

    Raises
    ------
    TableError
        For input that cannot be read and output that cannot be written; with ``strict`` for
        any reject.
    BundleError
    """
    begin = time.perf_counter()
    bundles = find_bundles(model)
    outputs = {"predictions": output, "rejects": options.rejects or _beside(output)}
    parts = Parts.beside(output)
    make_score = partial(load_score, model, options.explain)
    goes_on = False
    try:
        with writing(output):
            goes_on = parts.begin(resume=options.resume)
            work = _prepare(params, str(source), parts, options, bundles)
            summary = score_all(work, make_score, parts, progress)
            if summary.rows_in == 0:
                raise TableError(f"{source}: expected at least one row, found none.")
            put_together(parts, outputs, _metadata(bundles))
    except Exception:
        # An interrupted run is no Exception and keeps its pieces, as does one that was resumed.
        if not goes_on:
            parts.remove()
        raise
    parts.remove()
    seconds = time.perf_counter() - begin
    if options.strict and summary.rejected:
        raise TableError(
            f"{source}: expected no rejected row (--strict), found {summary.rejected}. "
            f"Their reasons are in {outputs['rejects']}."
        )
    return {
        **summary.to_dict(),
        "targets": list(bundles),
        "rejects": str(outputs["rejects"]),
        "seconds": round(seconds, 3),
        "rows_per_s": round(summary.rows_in / seconds),
    }


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.stem}.rejects.csv")


def _prepare(
    params: PredictParams,
    source: str,
    parts: Parts,
    options: PredictOptions,
    bundles: Mapping[str, Bundle],
) -> Work:
    """Find the input, and open the folder of pieces for exactly this run."""
    if source == STDIN and options.resume:
        raise ConfigError("--resume: standard input cannot be read again. Give a file.")
    paths = find_files(source, parts.folder, options.input_format)
    chunk_rows = params.chunk_rows or rows_per_chunk(paths)
    state = {
        "input": [_fingerprint(p) for p in paths],
        "model": {t: bundle_id(b) for t, b in bundles.items()},
        "contract": contract_hash(),
        "explain": options.explain,
        "chunk_rows": chunk_rows,
    }
    parts.open(state)
    return Work(tuple(paths), chunk_rows, options.workers)


def _fingerprint(path: Path) -> dict[str, Any]:
    found = path.stat()
    return {"name": str(path), "bytes": found.st_size, "modified_ns": found.st_mtime_ns}


def _metadata(bundles: Mapping[str, Bundle]) -> dict[str, str]:
    models = {f"eih_model_{target}": bundle_id(b) for target, b in bundles.items()}
    return {"eih_contract": contract_hash(), **models}


def load_score(model: Path, explain: bool) -> Score:
    """Load the model in this process; return the function that scores a chunk."""
    # One thread a process: several processes share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return partial(_score_chunk, find_bundles(model), explain)


def _score_chunk(bundles: Mapping[str, Bundle], explain: bool, chunk: Chunk) -> ScoredTables:
    try:
        scored = predict(chunk.frame, bundles, explain=explain)
    except TableError as error:
        raise TableError(str(error).replace("input", str(chunk.path), 1)) from None
    rejects = scored.rejects
    if chunk.ragged:
        broken = ragged_rejects(chunk.ragged, chunk.frame.shape[1])
        rejects = pd.concat([rejects, broken]) if len(rejects) else broken
        rejects = rejects.sort_values("row")
    return _to_arrow(scored.predictions), _to_arrow(rejects)


def _to_arrow(table: pd.DataFrame) -> pa.Table:
    """Fix every column's type by its name, so that no chunk can decide otherwise."""
    arrays = {name: _array(table[name], str(name)) for name in table.columns}
    return pa.table(arrays)


def _array(column: pd.Series, name: str) -> pa.Array:
    if name == "row":
        return pa.array(column.to_numpy(), pa.int64())
    if name not in TEXTS:
        return pa.array(column.to_numpy(), pa.float64())
    texts = column.astype("object").where(column.notna(), None)
    return pa.array([None if t is None else str(t) for t in texts], pa.string())
