"""Who is who in a predictions file: the columns that make subgroups, and the tables of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import KEYS
from models.judged import Judged, Matrix
from models.subgroups import NAMES, Cell, Group, judge_groups
from pipeline.config import EvaluateParams
from pipeline.errors import ConfigError, TableError
from pipeline.judging import judging_settings, read_known

AGE, AGE_BAND = "age_years", "age_band"
MISSING = "missing"
# More levels than this are an identifier or a measurement, not groups.
MOST_LEVELS = 50


def with_cases(rows: pd.DataFrame, cases: Path | None) -> pd.DataFrame:
    """Add the columns of ``cases`` that the rows lack, joined by the keys.

    Raises
    ------
    TableError
        If a row's case is not there, or the keys are not unique in ``cases``.
    """
    if cases is None:
        return rows
    table = read_known(cases)
    for name in KEYS:
        for where, columns in ((str(cases), table.columns), ("the predictions", rows.columns)):
            if name not in columns:
                raise TableError(f"{where}: expected the key '{name}', found it missing.")
    keys = [*KEYS]
    added = table[[*KEYS, *(c for c in table.columns if c not in rows.columns)]]
    text = {c: added[c].astype(str) for c in keys}
    added = added.assign(**text)
    if twice := int(added.duplicated(keys).sum()):
        raise TableError(f"{cases}: expected each case once, found {twice} twice.")
    own = rows.assign(**{c: rows[c].astype(str) for c in keys})
    joined = own.merge(added, on=keys, how="left", indicator="found", validate="many_to_one")
    if lost := int((joined["found"] != "both").sum()):
        raise TableError(
            f"{cases}: expected a case for every judged row, found none for {lost} of them."
        )
    return joined.drop(columns="found")


def labels(rows: pd.DataFrame, column: str, bands: tuple[float, ...]) -> npt.NDArray[np.object_]:
    """Level of each row; a missing value is the level ``missing``.

    ``age_band`` is cut from ``age_years``; any other column is taken as it is.

    Raises
    ------
    TableError
        For a column that is not there, or one with too many values to make groups of.
    """
    if column == AGE_BAND and column not in rows.columns and AGE in rows.columns:
        return _age_band(rows[AGE], bands)
    if column not in rows.columns:
        raise TableError(f"subgroups: expected the column '{column}', found it missing.")
    values = rows[column]
    if values.nunique() > MOST_LEVELS:
        raise TableError(
            f"subgroups, column '{column}': expected groups, found {values.nunique()} different "
            "values. Cut it into bands first."
        )
    return np.array([MISSING if pd.isna(v) else str(v) for v in values], dtype=object)


def _age_band(age: pd.Series, bands: tuple[float, ...]) -> npt.NDArray[np.object_]:
    if list(bands) != sorted(set(bands)) or not bands:
        raise ConfigError("evaluate, age_bands: expected rising ages, found others or none.")
    names = [f"under {bands[0]:g}"]
    names += [f"{a:g} to under {b:g}" for a, b in zip(bands[:-1], bands[1:], strict=True)]
    names += [f"{bands[-1]:g} and over"]
    years = pd.to_numeric(age, errors="coerce").to_numpy(dtype=np.float64)
    at = np.searchsorted(np.array(bands), years, side="right")
    return np.array(
        [MISSING if np.isnan(y) else names[i] for y, i in zip(years, at, strict=True)],
        dtype=object,
    )


def usable(rows: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, str]:
    """Return why each declared column cannot make subgroups here; empty where it can."""
    reasons = {}
    for column in columns:
        source = AGE if column == AGE_BAND and column not in rows.columns else column
        if source not in rows.columns:
            reasons[column] = "the column is not among the predictions or cases"
        elif rows[source].isna().all():
            reasons[column] = "the column is empty"
        else:
            reasons[column] = ""
    return reasons


def judge_columns(
    params: EvaluateParams,
    predictions: tuple[Judged, dict[str, Matrix]],
    rows: pd.DataFrame,
    columns: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Judge each model within each level of each column: one record per model, column and level."""
    judged, risks = predictions
    cell = Cell(params.minimum_cell_persons, params.minimum_cell_events)
    settings = judging_settings(params)
    records: list[dict[str, Any]] = []
    for column in columns:
        named = labels(rows, column, params.age_bands)
        for model, risk in risks.items():
            groups = judge_groups(judged, risk, named, cell, settings)
            records += [_record(g) | {"model": model, "column": column} for g in groups]
    return records


def _record(group: Group) -> dict[str, Any]:
    return {
        "level": group.level,
        "n": group.n,
        "n_participants": group.n_participants,
        "n_events": group.n_events,
        **{name: estimate.to_dict() for name, estimate in group.metrics.items()},
        "classification": {n: e.to_dict() for n, e in group.classification.items()},
        "net_benefit": group.net_benefit,
    }


def flat_table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per model, column, level: each figure with its interval, and why one is missing."""
    first = ("model", "column", "level", "n", "n_participants", "n_events")
    rows = []
    for record in records:
        row = {name: record[name] for name in first}
        for name, found in {**{n: record[n] for n in NAMES}, **record["classification"]}.items():
            row |= {
                name: found["estimate"],
                f"{name}_lower": found["lower"],
                f"{name}_upper": found["upper"],
                f"{name}_reason": found["reason_code"],
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else list(first))
