"""Predictions files: read, check, and line up their repeats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import MISSING_WORDS
from models.errors import NotEnoughDataError
from models.judged import Judged
from models.judgement import Settings
from pipeline.config import EvaluateParams
from pipeline.errors import ConfigError, TableError
from pipeline.io import read_table

Matrix = npt.NDArray[np.float64]
PERSON = ("study_id", "participant_id")
# What is said where a file does not tell persons apart.
EVERY_ROW = "every row is taken as one person"


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a predictions file.

    ``cluster`` may be several (a person's key). Empty: ``study_id`` and ``participant_id`` where
    present, and otherwise every row is taken as one person. ``repeat``, ``fold`` and ``row``
    (which row of the study this is, the same in every repeat) are used where present.
    """

    outcome: str = "y"
    cluster: tuple[str, ...] = ()
    repeat: str = "repeat"
    fold: str = "fold"
    row: str = "row"


@dataclass(frozen=True)
class Predictions:
    """What a predictions file holds.

    Attributes
    ----------
    judged : Judged
    risks : dict of column name to ndarray of shape (n_repeats, n_rows)
    left_out : dict of str to int
        Rows of the file that cannot be judged, by reason.
    clusters : str
        What was taken as a person.
    rows : DataFrame of shape (n_rows, n_columns)
        The file's row for each judged row (that of its first repeat): keys and other columns.
    """

    judged: Judged
    risks: dict[str, Matrix]
    left_out: dict[str, int]
    clusters: str
    rows: pd.DataFrame


def judging_settings(params: EvaluateParams) -> Settings:
    """Take the settings of judging from the parameters.

    Raises
    ------
    ConfigError
        For thresholds that are no risks between 0 and 1, or a harm ratio of zero or less.
    """
    bad = [t for t in params.thresholds if not 0 < t < 1]
    if bad:
        raise ConfigError(f"evaluate, thresholds: expected risks between 0 and 1, found {bad[0]}.")
    if params.harm_ratio is not None and not 0 < params.harm_ratio < float("inf"):
        raise ConfigError(
            f"evaluate, harm_ratio: expected a number above 0, found {params.harm_ratio}."
        )
    return Settings(
        params.resamples, params.seed, params.thresholds, params.harm_ratio, params.interval
    )


def read_predictions(path: Path, columns: Columns, probabilities: list[str]) -> Predictions:
    """Read predictions to be judged.

    Rows without an outcome or without one of the probabilities cannot be judged; they are left
    out of their repeat and counted. The outcome may differ between repeats (labels made within
    the folds).

    Raises
    ------
    TableError
        For missing columns, values that are no 0/1 outcome or no probability, rows without a
        person, or repeats that cannot be lined up.
    """
    table = read_known(path)
    cluster = _cluster(table, columns, path)
    for name in (columns.outcome, *probabilities):
        if name not in table.columns:
            raise TableError(f"{path}: expected the column '{name}', found it missing.")
    numeric = table[[columns.outcome, *probabilities]].apply(pd.to_numeric, errors="coerce")
    _check_numbers(table, numeric, path)
    outcome_known = numeric[columns.outcome].notna()
    known = numeric.notna().all(axis=1)
    _check_values(numeric, columns.outcome, path)
    if not known.any():
        raise NotEnoughDataError(f"{path}: expected rows with outcome and risk, found none.")
    left_out = {
        "no_outcome": int((~outcome_known).sum()),
        "no_probability": int((outcome_known & ~known).sum()),
    }
    place = _places(table, columns, path)
    keyed = table.assign(**{c: numeric[c] for c in numeric})
    return _line_up(keyed[known], place[known], (cluster, columns, path), probabilities, left_out)


def read_known(path: Path) -> pd.DataFrame:
    """Read a table; cells that say they are missing (empty, NA, ...) are missing."""
    table = read_table(path)
    texts = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    known = {
        c: table[c].where(~table[c].astype("str").str.strip().str.lower().isin(MISSING_WORDS))
        for c in texts
    }
    return table.assign(**known)


def _cluster(table: pd.DataFrame, columns: Columns, path: Path) -> list[str]:
    wanted = columns.cluster or tuple(c for c in PERSON if c in table.columns)
    for name in wanted:
        if name not in table.columns:
            raise TableError(
                f"{path}: expected the column '{name}' (persons), found it missing. Name the "
                "person's column(s) with --cluster."
            )
        if missing := int(table[name].isna().sum()):
            raise TableError(
                f"{path}, column '{name}': expected a person in every row, found {missing} "
                f"without (first in row {int(np.flatnonzero(table[name].isna())[0])})."
            )
    return list(wanted)


def _check_numbers(table: pd.DataFrame, numeric: pd.DataFrame, path: Path) -> None:
    for name in numeric:
        bad = np.flatnonzero(numeric[name].isna() & table[name].notna())
        if len(bad):
            raise TableError(
                f"{path}, column '{name}': expected numbers, found {len(bad)} other values "
                f"(first in row {bad[0]})."
            )


def _check_values(numeric: pd.DataFrame, outcome: str, path: Path) -> None:
    bad = np.flatnonzero(~(numeric[outcome].isin([0, 1]) | numeric[outcome].isna()))
    if len(bad):
        raise TableError(
            f"{path}, column '{outcome}': expected 0 or 1, found {len(bad)} other values "
            f"(first in row {bad[0]})."
        )
    for name in numeric.columns.drop(outcome):
        bad = np.flatnonzero((numeric[name] < 0) | (numeric[name] > 1))
        if len(bad):
            raise TableError(
                f"{path}, column '{name}': expected probabilities in 0 to 1, found {len(bad)} "
                f"outside (first in row {bad[0]})."
            )


def _places(table: pd.DataFrame, columns: Columns, path: Path) -> pd.DataFrame:
    """Repeat and row of every line of the file, as numbers from 0."""
    repeat = pd.Series(0.0, table.index)
    if columns.repeat in table.columns:
        repeat = table[columns.repeat].rank(method="dense").sub(1)
    if columns.row in table.columns:
        row = table[columns.row].rank(method="dense").sub(1)
    else:
        row = table.groupby(repeat).cumcount().astype(np.float64)
        if repeat.value_counts().nunique() > 1:
            raise TableError(
                f"{path}: expected the same rows in every repeat, found other numbers. Name each "
                f"row in a column '{columns.row}', the same in every repeat."
            )
    place = pd.DataFrame({"repeat": repeat, "row": row})
    if place.isna().any(axis=None) or (twice := int(place.duplicated().sum())):
        found = "some without" if place.isna().any(axis=None) else f"{twice} twice"
        raise TableError(f"{path}: expected each row once in every repeat, found {found}.")
    return place.astype(np.int64)


def _line_up(
    table: pd.DataFrame,
    place: pd.DataFrame,
    names: tuple[list[str], Columns, Path],
    probabilities: list[str],
    left_out: dict[str, int],
) -> Predictions:
    """Make matrices of repeats by rows; what a repeat does not judge is NaN in it."""
    cluster, columns, path = names
    rows, number = np.unique(place["row"], return_inverse=True)
    repeats, repeat = np.unique(place["repeat"], return_inverse=True)

    def matrix(values: pd.Series, fill: float) -> Matrix:
        filled = np.full((len(repeats), len(rows)), fill)
        filled[repeat, number] = values.to_numpy(dtype=np.float64)
        return filled

    # A file without persons has as many as rows: the same row is the same person in each repeat.
    person = table.groupby(cluster, sort=True).ngroup() if cluster else place["row"]
    persons = matrix(person, np.nan)
    if (np.nanmin(persons, axis=0) != np.nanmax(persons, axis=0)).any():
        raise TableError(
            f"{path}: expected the rows in the same order in every repeat, found other persons. "
            f"Name each row in a column '{columns.row}', the same in every repeat."
        )
    block = pd.Series(0.0, table.index)
    if columns.fold in table.columns:
        block = table[columns.fold].rank(method="dense").sub(1)
    y = matrix(table[columns.outcome], np.nan)
    alike = bool((y == y[0]).all())
    judged = Judged(
        y=y[0] if alike else y,
        person=np.unique(np.nanmin(persons, axis=0), return_inverse=True)[1].astype(np.int64),
        block=matrix(block.fillna(-1), -1).astype(np.int64),
    )
    first = np.unique(number, return_index=True)[1]
    return Predictions(
        judged,
        {p: matrix(table[p], np.nan) for p in probabilities},
        left_out,
        ", ".join(cluster) or EVERY_ROW,
        table.iloc[first].reset_index(drop=True),
    )
