"""Stage ``report``: the study's results as one page, every number from an artefact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from models.optimism import WHY_632
from pipeline.check_results import read_checks, summary
from pipeline.config import ReportParams
from pipeline.io import read_json, write_text
from pipeline.model_card import model_card
from pipeline.paper import paper, write_paper
from pipeline.report_choice import choice_parts
from pipeline.report_exhibit import Exhibit, figure_text, interval_text, write_csvs
from pipeline.report_model import explanation_exhibits, judged_exhibits, ladder_exhibit
from pipeline.report_study import flow_exhibits, outcome_exhibits
from pipeline.report_trust import (
    Part,
    biomarker_part,
    stability_parts,
    subgroup_part,
    uncertainty_part,
)
from pipeline.reporting_guides import fill_guides, write_guides
from pipeline.study_folder import CARD, read_card
from pipeline.study_text import read_study_text
from pipeline.target_folder import NOT_ENOUGH_DATA
from pipeline.use import Use, use_of

SIMULATED = (
    "Simulated data: this report shows what the software does, not that the response to exercise "
    "is predictable."
)


@dataclass(frozen=True)
class Target:
    """What the page shows of one target; ``reason`` says why there is nothing."""

    name: str
    reason: str
    metrics: dict[str, Any]
    shown: str
    ladder: list[Exhibit]
    judged: list[Exhibit]
    told: str
    explained: list[Exhibit]
    reasons: str
    markers: Part
    stability: list[Part]
    subgroups: Part
    uncertainty: Part
    use: Use

    @property
    def exhibits(self) -> list[Exhibit]:
        """Everything with a CSV."""
        parts = [self.markers, *self.stability, self.subgroups, self.uncertainty]
        own = [*self.ladder, *self.judged, *self.explained]
        return own + [e for p in parts for e in p.exhibits]


def run(params: ReportParams, folder: Path, targets: tuple[str, ...], output: Path) -> Path:
    """Write ``index.html``, its CSVs, the reporting sheets and the texts for a paper.

    Parameters
    ----------
    folder : Path
        ``outputs/<study>`` after evaluation and explanation of ``targets``. What a stage or tool
        has not made is named in one line with the command that makes it.
    output : Path
        Gets ``index.html``, one CSV per figure or table, ``tripod_ai.md``, ``probast_ai.md``,
        ``methods.md``, ``results_table.csv`` and ``.md``, ``references.bib`` and, per target with
        a model, ``model_card_<target>.md``.
    """
    card = read_card(folder)
    found = [_target(folder / target, target) for target in targets]
    content = _content(params, folder, found)
    written = paper(folder, {t.name: t.metrics for t in found if not t.reason}, content["title"])
    text = read_study_text(params.study_text, folder.name)
    guides = fill_guides(folder, targets, text)
    chosen = [e for part in content["choice"] for e in part.exhibits]
    write_csvs([*content["flow"], *content["outcome"], *chosen], output)
    for target in found:
        write_csvs(target.exhibits, output)
        if not target.reason:
            write_text(model_card(folder / target.name), output / f"model_card_{target.name}.md")
    write_paper(written, output)
    write_guides(guides, content["title"], output)
    page = output / "index.html"
    content |= {"card": card, "paper": written, "guides": guides}
    write_text(_template().render(content), page)
    return page


def _content(params: ReportParams, folder: Path, found: list[Target]) -> dict[str, Any]:
    card = read_card(folder)
    labels = read_json(folder / "outcomes.json")
    return {
        "title": params.title or card["study"].get("title") or folder.name,
        "simulated": SIMULATED if card["study"].get("simulated") else "",
        "study": card["study"],
        "folder": f"outputs/{folder.name}",
        "has_card": (folder / CARD).exists(),
        "design": labels["design"],
        "reliability": labels["reliability"],
        "targets": found,
        "flow": flow_exhibits(folder, {t.name: t.metrics for t in found}),
        "outcome": outcome_exhibits(folder),
        "choice": choice_parts(folder),
        "why_not_plain_optimism": WHY_632,
        "cautions": cautions(labels["design"]),
        "checks": _checks(folder),
    }


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
    environment.filters["interval"] = interval_text
    return environment.get_template("report.html.jinja")


def _target(folder: Path, target: str) -> Target:
    metrics = read_json(folder / "evaluate" / "metrics.json")
    if NOT_ENOUGH_DATA in metrics:
        reason = str(metrics[NOT_ENOUGH_DATA])
        nothing = Part(target, [reason])
        return Target(
            target,
            reason,
            metrics,
            "",
            [],
            [],
            "",
            [],
            "",
            nothing,
            [],
            nothing,
            nothing,
            Use([], []),
        )
    path = folder / "explain" / "explain.json"
    explained = read_json(path) if path.exists() else {}
    shown, selected = metrics["verdict"]["shown"], metrics["selected"]
    told = shown if shown in explained else next(iter(explained), shown)
    return Target(
        target,
        "",
        metrics,
        shown,
        [ladder_exhibit(metrics, target)],
        judged_exhibits(folder, metrics, target),
        told,
        explanation_exhibits(folder, told, target),
        (explained.get(told, {}).get("reasons") or {}).get("sentence", ""),
        biomarker_part(folder, target),
        stability_parts(folder, target),
        subgroup_part(folder, shown, target),
        uncertainty_part(folder, selected, target),
        use_of(folder),
    )
