"""Stage ``report``: the study's results as one page, every number from an artefact."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from models.optimism import WHY_632
from pipeline.check_results import read_checks, summary
from pipeline.config import ReportParams
from pipeline.evaluate import ladder_table
from pipeline.io import atomic_path, read_json, write_table
from pipeline.protocol_sections import protocol_sections
from pipeline.study_folder import CARD, read_card
from pipeline.target_folder import NOT_ENOUGH_DATA

SIMULATED = (
    "Simulated data: this report shows what the software does, not that the response to exercise "
    "is predictable."
)


def run(params: ReportParams, folder: Path, targets: tuple[str, ...], output: Path) -> Path:
    """Write ``index.html`` and the result tables of a study into ``output``.

    Parameters
    ----------
    folder : Path
        ``outputs/<study>`` after evaluation and explanation of ``targets``.
    """
    card = read_card(folder)
    labels = read_json(folder / "outcomes.json")
    sections = [_target_section(folder / target, target, output) for target in targets]
    content = {
        "title": params.title or card["study"].get("title") or folder.name,
        "simulated": SIMULATED if card["study"].get("simulated") else "",
        "study": card["study"],
        "has_card": (folder / CARD).exists(),
        "design": labels["design"],
        "endpoints": labels["endpoints"],
        "reliability": labels["reliability"],
        "targets": sections,
        "why_not_plain_optimism": WHY_632,
        "joint": _optional(folder / "joint" / "metrics.json"),
        "cautions": cautions(labels["design"]),
        "checks": _checks(folder),
    }
    page = output / "index.html"
    with atomic_path(page) as temporary:
        temporary.write_text(_template().render(content), encoding="utf-8")
    return page


def _checks(folder: Path) -> dict[str, Any] | None:
    """What the checks found, with the counts in words; None where they were not run."""
    found = read_checks(folder)
    return None if found is None else {**found, "summary": summary(found)}


def cautions(design: dict[str, Any]) -> list[str]:
    """Sentences a reader needs beside the figures, from the way the outcome was made."""
    whose = "every condition" if design["sem_by"] == "condition" else "everybody"
    found = [
        "Internal validation only: nothing is known about other laboratories or clinics.",
        f"The responder class rests on one measurement error for {whose}; a class near the "
        "threshold is uncertain.",
    ]
    if design["rule"] == "posterior":
        found.append(
            "Persons whose class is uncertain are not judged: figures on the decided ones are "
            "higher than they would be on everybody."
        )
    if design["reference"] == "pre" and any(
        e["measure"] == "pain_nrs" for e in design["endpoints"]
    ):
        found.append(
            "The change is counted from pain before the programme, and pain before the programme "
            "is also a predictor: part of any skill is regression to the mean, which the "
            "'baseline' candidate makes visible."
        )
    if design["sem_source"] == "trials":
        found.append(
            "The measurement error comes from trials within bouts and misses drift between "
            "bouts: it is a lower bound, so that responders are counted generously."
        )
    return found


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("pipeline"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure_text
    return environment.get_template("report.html.jinja")


def figure_text(value: Any, digits: int = 3) -> str:
    """Format a number for the page; a dash where it could not be computed."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _target_section(folder: Path, target: str, output: Path) -> dict[str, Any]:
    metrics = read_json(folder / "evaluate" / "metrics.json")
    if NOT_ENOUGH_DATA in metrics:
        return {"name": target, "reason": metrics[NOT_ENOUGH_DATA]}
    explained = read_json(folder / "explain" / "explain.json")
    ladder = ladder_table(metrics)
    write_table(ladder, output / f"ladder_{target}.csv")
    shown = metrics["verdict"]["shown"]
    figures = {
        "AUC of every candidate": folder / "evaluate" / "plots" / "ladder.png",
        "ROC": folder / "evaluate" / "plots" / "roc.png",
        "Calibration": folder / "evaluate" / "plots" / "calibration.png",
        "Error among the most certain": folder / "evaluate" / "plots" / "coverage_risk.png",
        "Decision curve": folder / "evaluate" / "plots" / "net_benefit.png",
        **explanation_figures(folder / "explain", shown),
    }
    return {
        "name": target,
        "reason": "",
        "metrics": metrics,
        "ladder": _records(ladder),
        "families": explained.get(shown, {}).get("families", {}),
        "family_ranks": explained.get(shown, {}).get("family_ranks", []),
        "reasons": (explained.get(shown, {}).get("reasons") or {}).get("sentence", ""),
        "shown": shown,
        "uncertainty": _optional(folder / "evaluate" / "uncertainty.json"),
        "figures": _shown(figures),
        "protocols": [
            {"title": s.title, "sentences": s.sentences, "figures": _shown(s.figures)}
            for s in protocol_sections(folder)
        ],
    }


def _shown(figures: dict[str, Path]) -> dict[str, str]:
    return {title: _data_uri(path) for title, path in figures.items() if path.exists()}


def _optional(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def explanation_figures(folder: Path, candidate: str) -> dict[str, Path]:
    """Titles and files of a candidate's explanation; persons have letters, never ids."""
    titles = {
        "Contributions to the log-odds": "beeswarm",
        "Importance, with the range of ranks over refits": "importance",
        "Contributions by value": "dependence",
        "Largest interaction": "interaction",
        "A person of low predicted risk": "person_1",
        "A person of middling predicted risk": "person_2",
        "A person of high predicted risk": "person_3",
    }
    return {f"{t}, '{candidate}'": folder / f"{n}_{candidate}.png" for t, n in titles.items()}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
