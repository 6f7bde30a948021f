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

from features.contract import Checked, Violation, check_cases, check_measurements
from features.reference import SEEDS
from pipeline.errors import ConfigError, TableError
from pipeline.io import describe, file_sha256, read_table, write_json, write_table
from pipeline.study_map import StudyMap, parse_study_map
from pipeline.study_tables import Block, build_cases, build_measurements, prepare_tables

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


def ingest(study: str, source: Path | None, output: Path) -> dict[str, Any]:
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

    Returns
    -------
    dict
        The report, see :func:`describe_report`. It holds counts, never a participant's value.

    Raises
    ------
    ConfigError
        For a fault of the map, or without the study's folder.
    TableError
        Where a file cannot be read or mapped, or with every violation of the contract.
    """
    study_map = load_study_map(study)
    folder = find_source(study_map) if source is None else source
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected the folder of the study's files, found none.")
    paths = {key: folder / file.path for key, file in study_map.files.items()}
    raw = {key: read_table(path, study_map.files[key].delimiter) for key, path in paths.items()}
    names = {key: str(path) for key, path in paths.items()}
    sources, emptied = prepare_tables(study_map, raw, names)
    case_rows = build_cases(study_map, sources)
    blocks = build_measurements(study_map, sources, case_rows)
    cases, parts = _check_all(study_map, case_rows, blocks, names)
    measurements = _combine(study_map, parts)
    report = {
        **_head(study_map, cases, measurements),
        "files": [_file_record(key, paths[key], len(raw[key])) for key in paths],
        "set_missing": [{**asdict(e), "columns": list(e.columns)} for e in emptied],
        "blocks": [_block_record(b, p) for b, p in zip(blocks, parts, strict=True)],
        "out_of_range": [r for part in (cases, *parts) for r in _forgiven_records(part)],
        "measured": _measured(measurements),
        "cases_missing": _missing_shares(cases.table),
    }
    write_table(cases.table, output / "cases.parquet")
    write_table(measurements, output / "measurements.parquet")
    write_json(_card(study_map), output / "study.json")
    write_json(report, output / "ingest_report.json")
    return report


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
    """Sort the violations into refused and forgiven; name rows of the source file."""
    table = checked.table
    refused, forgiven = [], []
    for violation in checked.violations:
        located = replace(violation, rows=tuple(int(positions[r]) for r in violation.rows))
        if lenient and violation.code in FORGIVABLE:
            # The check empties most faulty values itself, but not an intensity that its own
            # metric cannot take.
            table.loc[list(violation.rows), violation.column] = np.nan
            forgiven.append(located)
        else:
            refused.append(located)
    return Part(label, where, table, tuple(refused), tuple(forgiven))


def _combine(study_map: StudyMap, parts: Sequence[Part]) -> pd.DataFrame:
    """Stack the blocks, in canonical units; refuse keys that occur in two of them."""
    valued = [part.table[part.table["value"].notna()] for part in parts]
    checked = check_measurements(pd.concat(valued, ignore_index=True))
    if checked.violations:
        where = Path(f"all measurements of study '{study_map.study.name}'")
        raise TableError(describe(checked.violations, where))
    return checked.table


# ---- reporting -------------------------------------------------------------------------------


def _card(study_map: StudyMap) -> dict[str, Any]:
    return {"study": asdict(study_map.study), "outcome": study_map.outcome}


def _head(study_map: StudyMap, cases: Part, measurements: pd.DataFrame) -> dict[str, Any]:
    return {
        "study": study_map.study.name,
        "title": study_map.study.title,
        "simulated": study_map.study.simulated,
        "participants": int(cases.table["participant_id"].nunique()),
        "bouts": len(cases.table),
        "measurements": len(measurements),
    }


def _file_record(key: str, path: Path, rows: int) -> dict[str, Any]:
    return {"file": key, "name": path.name, "sha256": file_sha256(path), "rows": rows}


def _block_record(block: Block, part: Part) -> dict[str, Any]:
    counts = {k: v for k, v in asdict(replace(block, table=pd.DataFrame())).items() if k != "table"}
    kept = int(part.table["value"].notna().sum())
    return {**counts, "out_of_range": len(part.table) - kept, "rows_kept": kept}


def _forgiven_records(part: Part) -> list[dict[str, Any]]:
    return [
        {"part": part.label, "column": v.column, "code": v.code, "rows": list(v.rows)}
        for v in part.forgiven
    ]


def _measured(measurements: pd.DataFrame) -> list[dict[str, Any]]:
    """Count persons, bouts and values per measure, site and moment: dropout must be visible."""
    grouped = measurements.groupby(["measure", "site_role", "timepoint"], sort=False)
    return [
        {
            "measure": measure,
            "site_role": site_role,
            "timepoint": timepoint,
            "participants": int(group["participant_id"].nunique()),
            "bouts": len(group[["participant_id", "session_id"]].drop_duplicates()),
            "values": len(group),
        }
        for (measure, site_role, timepoint), group in grouped
    ]


def _missing_shares(cases: pd.DataFrame) -> dict[str, float]:
    return {str(c): round(float(share), 4) for c, share in cases.isna().mean().items()}


def describe_report(report: Mapping[str, Any]) -> list[str]:
    """Return the ingest report as lines for a terminal.

    Parameters
    ----------
    report : mapping
        As :func:`ingest` returns and ``ingest_report.json`` holds it.

    Returns
    -------
    list of str
        One line for the study, then per file, block, known fault, faulty column, measure and
        share of missing values.
    """
    lines = [
        f"{report['study']}: {report['participants']} persons, {report['bouts']} bouts, "
        f"{report['measurements']} measurements"
    ]
    lines += [f"  {f['name']}: {f['rows']} rows, {f['sha256'][:12]}" for f in report["files"]]
    lines += [_describe_block(b) for b in report["blocks"]]
    lines += [
        f"  set missing: {e['values']} values in {e['rows']} rows of {e['file']} "
        f"({', '.join(e['columns'])}): {e['reason']}"
        for e in report["set_missing"]
    ]
    lines += [
        f"  faulty, now missing: {len(f['rows'])} values of {f['column']} in {f['part']} "
        f"({f['code']})"
        for f in report["out_of_range"]
    ]
    lines += [
        f"  {m['measure']}, {m['site_role']}, {m['timepoint']}: {m['participants']} persons, "
        f"{m['bouts']} bouts, {m['values']} values"
        for m in report["measured"]
    ]
    return lines + _describe_missing(report["cases_missing"])


def _describe_block(block: Mapping[str, Any]) -> str:
    reasons = {
        "not selected": block["not_selected"],
        "repeated": block["repeated"],
        "without a value": block["no_value"],
        "of no case": block["no_case"],
        "out of range": block["out_of_range"],
    }
    left_out = "".join(f", {n} {reason}" for reason, n in reasons.items() if n)
    return f"  {block['label']}: {block['rows_kept']} of {block['rows_read']} rows kept{left_out}"


def _describe_missing(shares: Mapping[str, float]) -> list[str]:
    by_percent: dict[str, list[str]] = {}
    for column, share in sorted(shares.items(), key=lambda pair: -pair[1]):
        if share > 0:
            by_percent.setdefault(f"{share:.0%}", []).append(column)
    return [f"  missing in {p} of cases: {', '.join(names)}" for p, names in by_percent.items()]
