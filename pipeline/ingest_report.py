"""The ingest report: what was read, what was kept, and every loss with its reason and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

SHOWN = 5


def measured(measurements: pd.DataFrame) -> list[dict[str, Any]]:
    """Count persons, bouts and values per measure, site and moment: dropout must be visible.

    Parameters
    ----------
    measurements : DataFrame
        Checked; may have no rows.

    Returns
    -------
    list of dict
        ``lost`` counts the persons with a value before the bout and none at this moment.
    """
    if measurements.empty:
        return []
    before: dict[tuple[object, object], set[tuple[object, ...]]] = {}
    records = []
    moments = measurements.groupby(["measure", "site_role", "timepoint"], sort=False)
    for (measure, site_role, timepoint), group in moments:
        if timepoint == "pre":
            before[measure, site_role] = _persons(group)
    for (measure, site_role, timepoint), group in moments:
        persons = _persons(group)
        record = {
            "measure": measure,
            "site_role": site_role,
            "timepoint": timepoint,
            "participants": len(persons),
            "bouts": len(group[["study_id", "participant_id", "session_id"]].drop_duplicates()),
            "values": len(group),
            "lost": len(before.get((measure, site_role), set()) - persons),
        }
        records.append(record)
    return records


def _persons(measurements: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(zip(measurements["study_id"], measurements["participant_id"], strict=True))


def missing_shares(cases: pd.DataFrame) -> dict[str, float]:
    """Return the share of cases without a value, per column."""
    return {str(c): round(float(share), 4) for c, share in cases.isna().mean().items()}


def describe_report(report: Mapping[str, Any]) -> list[str]:
    """Return the ingest report as lines for a terminal.

    Parameters
    ----------
    report : mapping
        As :func:`pipeline.ingest.ingest` returns and ``ingest_report.json`` holds it, of one
        study or of several.

    Returns
    -------
    list of str
        One line for the study, then per file, case and block, known fault, faulty column,
        measure and share of missing values. Of several studies, each one's lines and then what
        they have in common.
    """
    if "studies" in report:
        return _describe_pool(report)
    lines = [_describe_head(report)]
    if report["no_outcome"]:
        lines.append(
            f"  no outcome of exercise: {report['no_outcome']}. Features and scores can be made; "
            "'eih label' will end with exit code 13."
        )
    lines += [f"  {f['name']}: {f['rows']} rows, {f['sha256'][:12]}" for f in report["files"]]
    lines.append(_describe_kept("cases", report["case_rows"]))
    lines += [_describe_kept(b["label"], b) for b in report["blocks"]]
    lines += [
        f"  set missing: {e['values']} values in {e['rows']} rows of {e['file']} "
        f"({_shorten(e['columns'])}): {e['reason']}{_rows(e['row_numbers'])}"
        for e in report["set_missing"]
    ]
    lines += [
        f"  faulty, now missing: {len(f['rows'])} values of {f['column']} in {f['part']} "
        f"({f['code']}){_rows(f['rows'])}"
        for f in report["out_of_range"]
    ]
    lines += [
        f"  {m['measure']}, {m['site_role']}, {m['timepoint']}: {m['participants']} persons, "
        f"{m['bouts']} bouts, {m['values']} values{_lost(m['lost'])}"
        for m in report["measured"]
    ]
    return lines + _describe_missing(report["cases_missing"])


def _describe_head(report: Mapping[str, Any]) -> str:
    return (
        f"{report['study']}: {report['participants']} persons, {report['bouts']} bouts, "
        f"{report['measurements']} measurements"
    )


def _describe_pool(report: Mapping[str, Any]) -> list[str]:
    lines = [line for study in report["studies"] for line in describe_report(study)]
    lines.append(_describe_head(report))
    lines.append(f"  in every study: {', '.join(report['common_columns']) or 'nothing but keys'}")
    lines += [
        f"  endpoint {name}: of {', '.join(studies)}"
        for name, studies in report["endpoint_studies"].items()
    ]
    if report["no_outcome"]:
        lines.append(f"  no outcome for the pool: {report['no_outcome']}")
    return lines


REASONS = {
    "not_selected": "not selected",
    "repeated": "repeated",
    "no_key": "without an identifier",
    "no_value": "without a value",
    "no_case": "of no case",
    "out_of_range": "out of range",
}


def _lost(persons: int) -> str:
    return f"; {persons} persons measured before are not" if persons else ""


def _describe_kept(label: str, counts: Mapping[str, Any]) -> str:
    left_out = "".join(f", {counts[k]} {why}" for k, why in REASONS.items() if counts.get(k))
    return f"  {label}: {counts['rows_kept']} of {counts['rows_read']} rows kept{left_out}"


def _rows(rows: Sequence[int]) -> str:
    """Return ", rows 3, 17 and 4 more" (positions in the source file), nothing without any."""
    if not rows:
        return ""
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    word = "row" if len(rows) == 1 else "rows"
    return f", {word} {', '.join(str(r) for r in rows[:SHOWN])}{more}"


def _shorten(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def _describe_missing(shares: Mapping[str, float]) -> list[str]:
    by_percent: dict[str, list[str]] = {}
    for column, share in sorted(shares.items(), key=lambda pair: -pair[1]):
        if share > 0:
            by_percent.setdefault(f"{share:.0%}", []).append(column)
    return [f"  missing in {p} of cases: {', '.join(names)}" for p, names in by_percent.items()]
