"""Stage and tool ``predict``: raw cases in, probabilities out, every bad row accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import build_features
from features.columns import KEYS
from features.contract import Violation, check_cases
from models.blocks import absent_blocks, blocks_of
from models.bundle import Bundle
from models.scorers import Contributions
from pipeline.artefacts import find_bundles
from pipeline.config import PredictParams
from pipeline.errors import TableError
from pipeline.io import RaggedRow, TableWriter, atomic_path, describe, iter_tables

REJECT_COLUMNS = ("row", *KEYS, "column", "code", "reason")
ABSENT_BLOCKS = "absent_blocks"
TEXTS = frozenset({*REJECT_COLUMNS[1:], ABSENT_BLOCKS})
NO_EXERCISE = "no_exercise"


@dataclass(frozen=True)
class Scored:
    """Predictions and rejects of a chunk; together they hold every input row once."""

    predictions: pd.DataFrame
    rejects: pd.DataFrame


def predict(cases: pd.DataFrame, bundles: Mapping[str, Bundle], *, explain: bool = False) -> Scored:
    """Score raw cases.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        Raw rows, text or typed; the index is taken as the row's position in its source.
    bundles : mapping of target to Bundle
    explain : bool, default=False
        Whether to add each target's contributions on the log-odds scale.

    Returns
    -------
    Scored
        ``predictions`` has ``row``, the keys, ``absent_blocks`` (what the models were trained
        with and the row has no value of, joined by ';') and ``p_<target>``; ``rejects`` has one
        line per rejected row with everything that is wrong with it.

    Raises
    ------
    TableError
        If a required column is missing: then no row could be scored.

    Notes
    -----
    A row's prediction depends on that row alone. Rows that repeat another's keys are scored.
    """
    position = cases.index.to_numpy()
    checked = check_cases(cases.reset_index(drop=True), unique=False)
    fatal = [v for v in checked.table_violations() if v.code == "missing_column"]
    if fatal:
        raise TableError(describe(fatal, Path("input")))
    table = checked.table
    violations = [v for v in checked.violations if v.rows] + _resting(table)
    rejected = np.zeros(len(table), dtype=bool)
    for violation in violations:
        rejected[list(violation.rows)] = True
    good = table[~rejected].reset_index(drop=True)
    predictions = pd.DataFrame({"row": position[~rejected], **{k: good[k] for k in KEYS}})
    features = build_features(good)
    columns: dict[str, Any] = {ABSENT_BLOCKS: absent_blocks(features, blocks_of(bundles.values()))}
    for target, bundle in bundles.items():
        if explain:
            risk, explained = bundle.predict_and_explain(features)
            columns |= {f"p_{target}": risk, **_contributions(target, explained)}
        else:
            columns[f"p_{target}"] = bundle.predict(features) if len(good) else np.zeros(0)
    return Scored(predictions.assign(**columns), _rejects(cases, position, violations))


def _resting(table: pd.DataFrame) -> list[Violation]:
    rows = tuple(int(r) for r in np.flatnonzero(table["modality"] == "rest"))
    expected = "an exercise; a quiet-rest control has no response to predict"
    return [Violation("modality", NO_EXERCISE, rows, expected, "rest")] if rows else []


def _contributions(target: str, explained: Contributions) -> dict[str, Any]:
    values = {
        f"{target}_contribution_{name}": explained.values[:, i]
        for i, name in enumerate(explained.names)
    }
    return {f"{target}_baseline_log_odds": explained.baseline, **values}


def _rejects(
    cases: pd.DataFrame, position: np.ndarray, violations: list[Violation]
) -> pd.DataFrame:
    """One line per rejected row: its violations' columns, codes and reasons, joined by '; '."""
    by_row: dict[int, list[Violation]] = {}
    for violation in violations:
        for row in violation.rows:
            by_row.setdefault(row, []).append(violation)
    keys = {k: cases[k].to_numpy() for k in KEYS}
    lines = [
        (
            position[row],
            *(keys[k][row] for k in KEYS),
            "; ".join(v.column for v in found),
            "; ".join(v.code for v in found),
            "; ".join(f"{v.column}: expected {v.expected}" for v in found),
        )
        for row, found in sorted(by_row.items())
    ]
    return pd.DataFrame(lines, columns=list(REJECT_COLUMNS))


def _ragged(rows: list[RaggedRow], n_columns: int) -> pd.DataFrame:
    reason = f"expected {n_columns} cells as in the header"
    lines = [(r, None, None, None, "", "ragged_row", f"{reason}, found {n}") for r, n in rows]
    return pd.DataFrame(lines, columns=list(REJECT_COLUMNS))


@dataclass
class Summary:
    """What happened to the rows of a run."""

    rows_in: int = 0
    predicted: int = 0
    rejected: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, scored: Scored) -> None:
        """Count a chunk."""
        self.predicted += len(scored.predictions)
        self.rejected += len(scored.rejects)
        self.rows_in = self.predicted + self.rejected
        for codes in scored.rejects["code"]:
            self.by_reason.update(set(codes.split("; ")))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON content."""
        return {
            "rows_in": self.rows_in,
            "predicted": self.predicted,
            "rejected": self.rejected,
            "rejected_by_reason": dict(sorted(self.by_reason.items())),
        }


def run(
    params: PredictParams, model: Path, source: Path, output: Path, options: PredictOptions
) -> dict[str, Any]:
    """Score a file in chunks; the result does not depend on their size.

    Parameters
    ----------
    params : PredictParams
    model : Path
        A bundle folder, or a study's output folder (all its targets are predicted).
    source : Path
        Cases as .csv, .tsv, .parquet, .xlsx or .sav.
    output : Path
        Predictions, .csv, .tsv or .parquet; appears only when complete.
    options : PredictOptions

    Returns
    -------
    dict with ``rows_in, predicted, rejected, rejected_by_reason`` and ``targets``

    Raises
    ------
    TableError, BundleError
    """
    bundles = find_bundles(model)
    rejects = options.rejects or output.with_name(f"{output.stem}.rejects.csv")
    summary = Summary()
    with (
        atomic_path(output) as out_path,
        atomic_path(rejects) as reject_path,
        TableWriter(out_path, TEXTS) as predicted,
        TableWriter(reject_path, TEXTS) as rejected,
    ):
        for scored in _score_chunks(source, params.chunk_rows, bundles, options.explain):
            summary.add(scored)
            predicted.write(scored.predictions)
            rejected.write(scored.rejects)
        if summary.rows_in == 0:
            raise TableError(f"{source}: expected at least one row, found none.")
    return summary.to_dict() | {"targets": list(bundles), "rejects": str(rejects)}


@dataclass(frozen=True)
class PredictOptions:
    """Where rejects go (default: beside the output), and whether to explain every row."""

    rejects: Path | None = None
    explain: bool = False


def _score_chunks(
    source: Path, chunk_rows: int, bundles: Mapping[str, Bundle], explain: bool
) -> Iterator[Scored]:
    for frame, ragged in iter_tables(source, chunk_rows):
        try:
            scored = predict(frame, bundles, explain=explain)
        except TableError as error:
            raise TableError(str(error).replace("input", str(source), 1)) from None
        broken = _ragged(ragged, frame.shape[1])
        rejects = [r for r in (scored.rejects, broken) if len(r)]
        merged = pd.concat(rejects).sort_values("row") if rejects else scored.rejects
        yield Scored(scored.predictions, merged)
