"""Raw cases in, probabilities and rejects out: the one way from a row to a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import build_features
from features.columns import KEYS
from features.contract import Violation, check_cases
from models.blocks import absent_blocks, blocks_of
from models.bundle import Bundle
from pipeline.errors import TableError
from pipeline.io import RaggedRow, describe

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
        columns[f"p_{target}"] = bundle.predict(features) if len(good) else np.zeros(0)
        if explain:
            columns |= _contributions(target, bundle, features)
    return Scored(predictions.assign(**columns), _rejects(cases, position, violations))


def _resting(table: pd.DataFrame) -> list[Violation]:
    rows = tuple(int(r) for r in np.flatnonzero(table["modality"] == "rest"))
    expected = "an exercise; a quiet-rest control has no response to predict"
    return [Violation("modality", NO_EXERCISE, rows, expected, "rest")] if rows else []


def _contributions(target: str, bundle: Bundle, features: pd.DataFrame) -> dict[str, Any]:
    explained = bundle.explain(features)
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


def ragged_rejects(rows: Sequence[RaggedRow], n_columns: int) -> pd.DataFrame:
    """Rejects for lines whose cells cannot be assigned to columns."""
    reason = f"expected {n_columns} cells as in the header"
    lines = [(r, None, None, None, "", "ragged_row", f"{reason}, found {n}") for r, n in rows]
    return pd.DataFrame(lines, columns=list(REJECT_COLUMNS))
