"""Bring a real study in: find its files, apply its map, check, write, and report every loss."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import KEYS, MEASUREMENTS, Column
from features.contract import Checked, Violation, check_cases, check_measurements
from features.reference import SEEDS
from pipeline.errors import ConfigError, TableError
from pipeline.ingest_report import measured, missing_shares
from pipeline.io import (
    describe,
    file_sha256,
    write_json,
    write_table,
)
from pipeline.labelled import LabelledTable, read_source
from pipeline.source_table import SourceTable
from pipeline.study_map import StudyMap, parse_study_map
from pipeline.study_tables import Block, Emptied, build_cases, build_measurements, prepare_tables

MAPS = SEEDS / "studies"
STUDIES = "studies"  # below the current folder; git-ignored, holds what users downloaded
STUDIES_VARIABLE = "EIH_STUDIES_DIR"
# What out_of_range = "missing" forgives: single readings. An unknown word, unit or number format
# concerns the map, and is refused all the same.
FORGIVABLE = frozenset({"out_of_range", "not_an_integer"})


@dataclass(frozen=True)
class Part:
    """A mapped table after its check: source rows in its violations, faults forgiven or not."""

    label: str
    where: str
    table: pd.DataFrame
    refused: tuple[Violation, ...]
    forgiven: tuple[Violation, ...]
    without_key: tuple[int, ...] = ()


def load_study_map(study: str) -> StudyMap:
    """Read the map ``study``: a name in seeds/studies, or a path that ends in .toml.

    Raises
    ------
    ConfigError
        Where there is no such map, or the map is not what it should be.

    Examples
    --------
    >>> load_study_map("peep").study.doi
    '10.7554/eLife.102392'
    """
    path = Path(study) if study.endswith(".toml") else MAPS / f"{study}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in MAPS.glob("*.toml")))
        raise ConfigError(
            f"study map '{study}': expected a path that ends in .toml or one of {known}, "
            "found no such map."
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigError(f"study map '{study}': expected TOML ({error}).") from None
    return parse_study_map(path.stem, content)


def find_source(study_map: StudyMap) -> Path:
    """Return the folder of the study's files: below ``studies``, then ``$EIH_STUDIES_DIR``.

    Raises
    ------
    ConfigError
        Where it is in neither place; says where to download the study.
    """
    folder, root = study_map.study.folder, os.environ.get(STUDIES_VARIABLE, "")
    places = [Path(STUDIES) / folder, *([Path(root) / folder] if root else [])]
    for place in places:
        if place.is_dir():
            return place
    unset = "" if root else ", which is not set"
    raise ConfigError(
        f"study '{study_map.study.name}': expected its files in {STUDIES}/{folder} or in "
        f"${STUDIES_VARIABLE}/{folder}{unset}, found neither folder. "
        f"Download them from {study_map.study.download}"
    )


@dataclass(frozen=True)
class Ingested:
    """A study brought in: its checked tables, its card and the report of every loss."""

    cases: pd.DataFrame
    measurements: pd.DataFrame
    card: Mapping[str, Any]
    report: dict[str, Any]

    def write(self, output: Path) -> None:
        """Write ``cases``, ``measurements``, ``study.json`` and ``ingest_report.json``."""
        write_table(self.cases, output / "cases.parquet")
        write_table(self.measurements, output / "measurements.parquet")
        write_json(self.card, output / "study.json")
        write_json(self.report, output / "ingest_report.json")


def ingest(
    study: str, source: Path | None, output: Path, *, cases_only: bool = False
) -> dict[str, Any]:
    """Turn a study's own files into checked tables; nothing is written unless all is well.

    Writes ``cases.parquet``, ``measurements.parquet`` (canonical units), ``study.json``
    (``study`` and ``outcome`` of the map) and ``ingest_report.json`` to ``output``.

    Parameters
    ----------
    study : str
        Name of a map in seeds/studies, or a path to a .toml.
    source : Path or None
        Folder of the study's files; None: see :func:`find_source`.
    output : Path
        A folder; made where it does not exist.
    cases_only : bool, default=False
        Leave the map's readings alone: people to predict have none yet.

    Returns
    -------
    dict
        The report, see :func:`describe_report`. It holds counts and row numbers, never a
        participant's value.

    Raises
    ------
    ConfigError
        For a fault of the map, or without the study's folder.
    TableError
        Where a file cannot be read or mapped, or with every violation of the contract.
    """
    ingested = read_study(study, source, cases_only=cases_only)
    ingested.write(output)
    return ingested.report


def read_study(study: str, source: Path | None, *, cases_only: bool = False) -> Ingested:
    """Read, map and check a study; write nothing. Parameters and errors as :func:`ingest`."""
    study_map = load_study_map(study)
    if cases_only:
        study_map = replace(study_map, measurements=())
    folder = find_source(study_map) if source is None else source
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected the folder of the study's files, found none.")
    paths = {key: folder / file.path for key, file in study_map.files.items()}
    raw = {key: read_source(paths[key], study_map.files[key]) for key in paths}
    names = {key: str(path) for key, path in paths.items()}
    sources, emptied = prepare_tables(
        study_map,
        {key: read.table for key, read in raw.items()},
        names,
        {key: read.labels for key, read in raw.items()},
    )
    case_rows = build_cases(study_map, sources)
    blocks = build_measurements(study_map, sources, case_rows)
    cases, parts = _check_all(study_map, case_rows, blocks, names)
    measurements = _combine(study_map, parts)
    declared = [record for key, read in raw.items() for record in _declared_records(key, read)]
    report = {
        **_head(study_map, cases, measurements),
        "files": [_file_record(key, paths[key], len(raw[key].table)) for key in paths],
        "set_missing": [
            {**asdict(e), "columns": list(e.columns), "row_numbers": list(e.row_numbers)}
            for e in (*declared, *emptied)
        ],
        "case_rows": _case_record(study_map, sources, case_rows, cases),
        "blocks": [_block_record(b, p) for b, p in zip(blocks, parts, strict=True)],
        "out_of_range": [r for part in (cases, *parts) for r in _forgiven_records(part)],
        "measured": measured(measurements),
        "cases_missing": missing_shares(cases.table),
    }
    return Ingested(cases.table, measurements, _card(study_map), report)


# ---- reading ---------------------------------------------------------------------------------


def _declared_records(key: str, read: LabelledTable) -> list[Emptied]:
    """Say what the file itself calls missing, as if a rule of the map had."""
    reason = "declared missing in the SPSS file"
    return [
        Emptied(key, (column,), reason, len(rows), len(rows), rows)
        for column, rows in read.declared_missing.items()
        if rows
    ]


# ---- checking --------------------------------------------------------------------------------


def _check_all(
    study_map: StudyMap, case_rows: pd.DataFrame, blocks: Sequence[Block], names: Mapping[str, str]
) -> tuple[Part, list[Part]]:
    """Check cases and every block; raise once, with the violations of all of them."""
    lenient = study_map.out_of_range == "missing"
    name = study_map.study.name
    where = f"{names[study_map.cases.file]}, cases of study '{name}'"
    checked = check_cases(case_rows.reset_index(drop=True))
    cases = _part("cases", where, checked, case_rows.index, lenient=lenient)
    parts = []
    for block in blocks:
        where = f"{names[block.file]}, {block.label} of study '{name}'"
        checked = check_measurements(block.table.reset_index(drop=True))
        parts.append(_part(block.label, where, checked, block.table.index, lenient=lenient))
    lines = [describe(p.refused, Path(p.where)) for p in (cases, *parts) if p.refused]
    if lines:
        raise TableError("\n".join(lines))
    return cases, parts


def _part(label: str, where: str, checked: Checked, positions: pd.Index, *, lenient: bool) -> Part:
    """Sort the violations into refused and forgiven; name rows of the source file.

    Where the map forgives, a row without an identifier is left out: no one's row, such as the
    empty lines at the end of an export.
    """
    table = checked.table
    refused, forgiven = [], []
    keyless = _rows_without_key(checked) if lenient else set()
    for violation in checked.violations:
        rows = [r for r in violation.rows if r not in keyless]
        if violation.rows and not rows:
            continue
        located = replace(violation, rows=tuple(int(positions[r]) for r in rows))
        if lenient and violation.code in FORGIVABLE:
            # The check empties most faulty values itself, but not an intensity that its own
            # metric cannot take.
            table.loc[rows, violation.column] = np.nan
            forgiven.append(located)
        else:
            refused.append(located)
    table = table.drop(index=sorted(keyless)).reset_index(drop=True)
    lost = tuple(int(positions[r]) for r in sorted(keyless))
    return Part(label, where, table, tuple(refused), tuple(forgiven), lost)


def _rows_without_key(checked: Checked) -> set[int]:
    missing = [v for v in checked.violations if v.code == "missing_value" and v.column in KEYS]
    return {row for violation in missing for row in violation.rows}


def _combine(study_map: StudyMap, parts: Sequence[Part]) -> pd.DataFrame:
    """Stack the blocks, in canonical units; refuse keys that occur in two of them."""
    valued = [part.table[part.table["value"].notna()] for part in parts]
    if not any(len(table) for table in valued):
        return pd.DataFrame({c.name: pd.Series(dtype=_dtype(c)) for c in MEASUREMENTS})
    checked = check_measurements(pd.concat(valued, ignore_index=True))
    if checked.violations:
        where = Path(f"all measurements of study '{study_map.study.name}'")
        raise TableError(describe(checked.violations, where))
    return checked.table


def _dtype(column: Column) -> str:
    return "float64" if column.kind in ("number", "integer") else "str"


# ---- reporting -------------------------------------------------------------------------------


def _card(study_map: StudyMap) -> dict[str, Any]:
    return {"study": asdict(study_map.study), "outcome": study_map.outcome}


def _head(study_map: StudyMap, cases: Part, measurements: pd.DataFrame) -> dict[str, Any]:
    return {
        "study": study_map.study.name,
        "title": study_map.study.title,
        "simulated": study_map.study.simulated,
        "no_outcome": study_map.study.no_outcome,
        "participants": int(cases.table["participant_id"].nunique()),
        "bouts": len(cases.table),
        "measurements": len(measurements),
    }


def _file_record(key: str, path: Path, rows: int) -> dict[str, Any]:
    return {"file": key, "name": path.name, "sha256": file_sha256(path), "rows": rows}


def _case_record(
    study_map: StudyMap,
    sources: Mapping[str, SourceTable],
    case_rows: pd.DataFrame,
    cases: Part,
) -> dict[str, Any]:
    source = sources[study_map.cases.file]
    selected = int(source.matches(study_map.cases.where).sum())
    return {
        "file": study_map.cases.file,
        "rows_read": len(source.table),
        "not_selected": len(source.table) - selected,
        "repeated": selected - len(case_rows),
        "no_key": len(cases.without_key),
        "rows_without_key": list(cases.without_key),
        "rows_kept": len(cases.table),
    }


def _block_record(block: Block, part: Part) -> dict[str, Any]:
    counts = {k: v for k, v in asdict(replace(block, table=pd.DataFrame())).items() if k != "table"}
    kept = int(part.table["value"].notna().sum())
    return {**counts, "out_of_range": len(part.table) - kept, "rows_kept": kept}


def _forgiven_records(part: Part) -> list[dict[str, Any]]:
    return [
        {"part": part.label, "column": v.column, "code": v.code, "rows": list(v.rows)}
        for v in part.forgiven
    ]
