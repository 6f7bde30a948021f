"""Report, first sections: who was measured, what is missing, how reliable the outcome is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from features.columns import CASES_BY_NAME
from pipeline.io import read_json, read_table
from pipeline.report_exhibit import Exhibit, figure_text
from pipeline.report_figures import Forest, bars, dumbbell, forest
from pipeline.small_cells import FEW, hidden_cells, written_as
from pipeline.study_folder import CASES
from pipeline.target_folder import NOT_ENOUGH_DATA

MOST_COLUMNS = 25
DESCRIBED = (
    "age_years",
    "bmi_kg_m2",
    "pain_duration_months",
    "pain_now_nrs",
    "duration_min",
    "sex",
    "condition",
    "modality",
    "site_id",
)
REASONS = {
    "not_selected": "not selected by the map",
    "repeated": "repeated",
    "no_key": "without an identifier",
    "no_value": "without a value",
    "no_case": "of no case",
    "out_of_range": "out of range",
}


def flow_exhibits(folder: Path, metrics: Mapping[str, Mapping[str, Any]]) -> list[Exhibit]:
    """Who entered, who was judged, who they were, and what is missing.

    Parameters
    ----------
    folder : Path
        ``outputs/<study>``; without cases only what the outcomes say is shown.
    metrics : mapping of target to its ``metrics.json``
    """
    labels = read_json(folder / "outcomes.json")
    path = folder / CASES
    cases = read_table(path) if path.exists() else pd.DataFrame()
    found = [_flow(cases, labels["endpoints"], metrics)]
    losses = folder / "ingest_report.json"
    if losses.exists():
        found += _losses(read_json(losses))
    if len(cases):
        exercise = cases[cases["modality"] != "rest"] if "modality" in cases else cases
        found += [_people(cases), *_missing(exercise)]
    return found


def _flow(
    cases: pd.DataFrame, endpoints: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]
) -> Exhibit:
    rows: list[dict[str, Any]] = []
    if len(cases):
        rows.append({"step": "in the study's tables", **_count(cases)})
        if "modality" in cases:
            exercise = cases[cases["modality"] != "rest"]
            rows.append({"step": "bouts of exercise (no rest)", **_count(exercise)})
    for e in endpoints:
        step = f"with a change of {e['endpoint']}"
        rows.append({"step": step, "persons": e["n_participants"], "bouts": e["n_bouts"]})
    for target, found in metrics.items():
        if NOT_ENOUGH_DATA in found:
            rows.append({"step": f"{target}: not judged, too few", "persons": None, "bouts": None})
            continue
        step = f"{target}: judged out of fold"
        rows.append({"step": step, "persons": found["n_participants"], "bouts": found["n"]})
        step = f"{target}: left out, no outcome class"
        rows.append({"step": step, "persons": None, "bouts": found["n_without_target"]})
    return Exhibit(
        "study-flow",
        "Study flow",
        "Read from top to bottom: each line is what is left of the one it follows. A person may "
        "have several bouts; persons, never bouts, are divided between training and judging.",
        pd.DataFrame(rows).astype({"persons": "Int64", "bouts": "Int64"}),
    )


def _count(cases: pd.DataFrame) -> dict[str, int]:
    keys = [c for c in ("study_id", "participant_id") if c in cases]
    return {"persons": len(cases[keys].drop_duplicates()), "bouts": len(cases)}


def _losses(report: Mapping[str, Any]) -> list[Exhibit]:
    rows = []
    for study in [s for s in report.get("studies", [report]) if "case_rows" in s]:
        parts = [("cases", study.get("case_rows", {}))]
        parts += [(b["label"], b) for b in study.get("blocks", [])]
        for name, counts in parts:
            said = [f"{counts[k]} {why}" for k, why in REASONS.items() if counts.get(k)]
            rows.append(
                {
                    "part": name,
                    "rows_read": counts.get("rows_read"),
                    "rows_kept": counts.get("rows_kept"),
                    "left_out": ", ".join(said) or "none",
                }
            )
    if not rows:
        return []
    return [
        Exhibit(
            "study-losses",
            "Rows read and kept at ingest",
            "Nothing is dropped silently: each row of the study's files that was not kept is "
            "counted with its reason.",
            pd.DataFrame(rows),
        )
    ]


def _people(cases: pd.DataFrame) -> Exhibit:
    keys = [c for c in ("study_id", "participant_id") if c in cases]
    persons = cases.drop_duplicates(keys)
    rows: list[dict[str, Any]] = []
    for name in [c for c in DESCRIBED if c in cases.columns]:
        own = (
            cases[cases["modality"] != "rest"] if name in ("duration_min", "modality") else persons
        )
        known = own[name].dropna()
        if known.empty:
            continue
        of = "bouts" if own is not persons else "persons"
        missing = len(own) - len(known)
        if pd.api.types.is_numeric_dtype(known):
            low, middle, high = known.quantile([0.25, 0.5, 0.75])
            unit = CASES_BY_NAME[name].unit if name in CASES_BY_NAME else ""
            said = f"median {middle:.3g}, quartiles {low:.3g} to {high:.3g}"
            rows.append(_described(name, unit, of, said, missing))
            continue
        levels = known.astype(str).value_counts()
        for (level, n), hidden in zip(levels.items(), hidden_cells(levels.tolist()), strict=True):
            said = written_as(f"{n} ({n / len(known):.0%})", n, hidden)
            rows.append(_described(name, str(level), of, said, missing))
    return Exhibit(
        "study-people",
        "Who took part",
        f"Persons at their first bout; exercise by bout. Groups of {FEW} are not counted out, nor "
        "others from which they would follow. A prediction for somebody unlike these rests on no "
        "data.",
        pd.DataFrame(rows, columns=["characteristic", "level_or_unit", "of", "value", "missing"]),
    )


def _described(name: str, level: str, of: str, said: str, missing: int) -> dict[str, Any]:
    return {
        "characteristic": name,
        "level_or_unit": level,
        "of": of,
        "value": said,
        "missing": missing,
    }


def _missing(cases: pd.DataFrame) -> list[Exhibit]:
    shares = cases.isna().mean()
    stems = [re.sub(r"_\d+$", " items", str(c)) for c in shares.index]
    grouped = shares.groupby(stems).mean().sort_values(ascending=False, kind="stable")
    table = pd.DataFrame({"column": grouped.index, "share_missing": grouped.to_numpy()})
    table = table[table["share_missing"] > 0].reset_index(drop=True)
    if table.empty:
        return []
    shown = table.head(MOST_COLUMNS)
    more = len(table) - len(shown)
    return [
        Exhibit(
            "study-missing",
            "What is missing in cases",
            "The longer the bar, the more bouts lack the value before exercise; items of one "
            "questionnaire are averaged. Missing values are kept as missing and handled inside "
            "each fold."
            + (f" {more} columns with less missing are in the CSV only." if more else ""),
            table,
            svg=bars(shown, "column", "share_missing", "share of bouts without a value", "missing"),
        )
    ]


def outcome_exhibits(folder: Path) -> list[Exhibit]:
    """Endpoints, how reliable each is, and what each responder rule counts."""
    labels = read_json(folder / "outcomes.json")
    return [_endpoints(labels), *_reliability(labels), *_rules(labels)]


def _endpoints(labels: Mapping[str, Any]) -> Exhibit:
    rows = [
        {
            "endpoint": e["endpoint"],
            "persons": e["n_participants"],
            "bouts": e["n_bouts"],
            "response": e["n_response"],
            "hyperalgesia": e["n_hyperalgesia"],
            "flare": e["n_flare"] if e["n_flare_known"] else None,
            "mean_change": e["change_mean"],
            "sd_change": e["change_sd"],
            "sem_of_change": e["sem_change_median"],
            "scale": e["change_scale"],
            "error_from": e["sem_source"],
        }
        for e in labels["endpoints"]
    ]
    return Exhibit(
        "outcome-endpoints",
        "Endpoints",
        "The first is the primary one. A change is positive where there is less pain; compare its "
        "SD with the SEM of a change: where they are alike, most of what is seen is noise.",
        pd.DataFrame(rows),
    )


def _reliability(labels: Mapping[str, Any]) -> list[Exhibit]:
    rows = [
        {"endpoint": name, **{k: r[k] for k in ("estimate", "lower", "upper", "source", "reason")}}
        for name, r in labels["reliability"].items()
    ]
    table = pd.DataFrame(rows)
    table["reason"] = table["reason"].fillna("")
    known = table[pd.to_numeric(table["estimate"], errors="coerce").notna()]
    how = Forest("endpoint", "estimate", "lower", "upper", "reliability, 95 % interval")
    return [
        Exhibit(
            "outcome-reliability",
            "Reliability of the outcome",
            "1 would be an outcome without noise, 0 nothing but noise. A model cannot predict "
            "noise: this sets the ceiling below. Endpoints without a figure carry the reason.",
            table,
            svg=forest(known.astype({"estimate": float}), how, "reliability") if len(known) else "",
        )
    ]


def _rules(labels: Mapping[str, Any]) -> list[Exhibit]:
    rows = [
        {
            "endpoint": e["endpoint"],
            "rule": rule,
            "observed": r["observed_hypoalgesia"],
            "expected_of_noise": r["noise_hypoalgesia"],
            "undecided": r["n_indeterminate"],
            "observed_worse": r["observed_hyperalgesia"],
            "noise_worse": r["noise_hyperalgesia"],
        }
        for e in labels.get("rules", [])
        for rule, r in e["rules"].items()
    ]
    if not rows:
        return []
    table = pd.DataFrame(rows)
    first = table[table["endpoint"] == table["endpoint"].iloc[0]]
    drawn = dumbbell(first, "rule", ("observed", "expected_of_noise"), "share of bouts", "rules")
    return [
        Exhibit(
            "outcome-rules",
            f"Responders under each rule, {first['endpoint'].iloc[0]}",
            "The dot is the share counted as responders, the cross the share that measurement "
            "error alone would put there. Where they are close, the class says little. The rule "
            f"used here is '{labels['design']['rule']}'"
            f" of the {figure_text(labels['design']['sem_of'])}.",
            table,
            svg=drawn,
        )
    ]
