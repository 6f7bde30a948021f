"""Texts ready to paste: a methods paragraph, a table of results, and the references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from features.reference import load_reference
from pipeline.io import write_table, write_text
from pipeline.report_exhibit import interval_text
from pipeline.report_facts import Facts, TargetFacts, read_facts

CITED = ("tripod_ai", "probast_ai", "riley2019", "vickers2006", "xgboost", "shap", "mcgraw1996")
SIMULATED = "Simulated data: no sentence here is about people."


@dataclass(frozen=True)
class Paper:
    """What a paper's methods and results can start from."""

    methods: list[str]
    results: pd.DataFrame
    references: str
    versions: Mapping[str, str]


def paper(folder: Path, metrics: Mapping[str, Mapping[str, Any]], title: str) -> Paper:
    """Write the texts from what the stages recorded.

    Parameters
    ----------
    folder : Path
        ``outputs/<study>``.
    metrics : mapping of target with a model to its ``metrics.json``
    title : str
        Of the study.
    """
    facts = read_facts(folder, tuple(metrics))
    versions = facts.judged[0].bundle["record"]["versions"] if facts.judged else {}
    return Paper(
        _methods(facts), results_table(metrics), bibtex(facts.study, title), dict(versions)
    )


def _methods(facts: Facts) -> list[str]:
    opening = [SIMULATED] if facts.simulated else []
    said = [*opening, _outcome(facts)]
    if facts.judged:
        first = facts.judged[0]
        said += [_models(first), _validation(first), _measures(first)]
        record = first.bundle["record"]
        stack = ", ".join(f"{n} {v}" for n, v in record["versions"].items() if n != "eih")
        said.append(
            f"Analyses were made with eih {record['versions']['eih']} (commit "
            f"{record['git_commit']}; {stack}). Reporting follows TRIPOD+AI [@tripod_ai]; risk of "
            "bias was considered by the domains of PROBAST+AI [@probast_ai]."
        )
    return said


def _outcome(facts: Facts) -> str:
    design, first = facts.labels["design"], facts.labels["endpoints"][0]
    scale = str(first["change_scale"]).replace("_", " ")
    rest = " minus that of a rest bout" if design["subtract_rest"] else ""
    reliability = facts.labels["reliability"].get(first["endpoint"], {})
    return (
        f"The outcome was the change ({scale}) of {first['endpoint']} from "
        f"{reference_words(design['reference'])}{rest}, positive where there is less pain, in "
        f"{first['n_participants']} persons with {first['n_bouts']} bouts. Bouts were classed as "
        f"response, no change or hyperalgesia by the rule '{design['rule']}' of the "
        f"{design['sem_of']}, with the error of measurement from {design['sem_source']}; the "
        f"reliability of the change was {interval_text(reliability)} [@mcgraw1996]. Labels were "
        "made anew in every fold where the error was estimated from the data."
    )


def reference_words(reference: str) -> str:
    """Say what a change is counted from."""
    return {
        "pre": "the reading before the bout",
        "bout": "another bout of the same person",
    }.get(reference, reference)


def _models(target: TargetFacts) -> str:
    families = sorted({f["family"] for f in target.bundle["features"]})
    return (
        f"Candidate predictors, all known at '{target.bundle['record']['decision_time']}', came "
        f"from {len(families)} families ({', '.join(families)}). Six models of growing flexibility "
        "were fitted and all are reported: prevalence; condition and exercise (stratum); stratum "
        "with pain and sensitivity before the bout (baseline); ridge logistic regression; ridge "
        "regression of the continuous change; boosted trees [@xgboost] with monotone constraints "
        "where published evidence agrees on a direction, and recalibration."
    )


def _validation(target: TargetFacts) -> str:
    folds, repeats = target.folds
    sized = target.metrics["sample_size"]["sentence"]
    return (
        f"Models were validated by nested cross-validation, {folds} folds repeated {repeats} "
        "times, with persons (never bouts) divided and all preparation, tuning and recalibration "
        "inside the folds. The simplest model within one standard error of the best log loss was "
        f"chosen. Sample size by the criteria of Riley [@riley2019]: {sized}"
    )


def _measures(target: TargetFacts) -> str:
    method = target.metrics["candidates"][target.metrics["selected"]]["auc"]["method"]
    return (
        "Discrimination (AUC), Brier score, log loss, calibration (in the large, slope, smooth "
        "curve) and net benefit [@vickers2006] are out of fold; 95 % intervals are by "
        f"{method}. Exact additive contributions on the log-odds [@shap] describe what the model "
        "uses, not what changes the response."
    )


def results_table(metrics: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per target and candidate, estimates with intervals as text."""
    rows = []
    for target, found in metrics.items():
        for name, figures in found["candidates"].items():
            intervals = figures["intervals"]
            rows.append(
                {
                    "target": target,
                    "candidate": name,
                    "chosen": "yes" if name == found["selected"] else "",
                    "persons": found["n_participants"],
                    "bouts": found["n"],
                    "AUC (95 %)": interval_text(figures["auc"]),
                    "log loss (95 %)": interval_text(intervals["log_loss"], 3),
                    "Brier (95 %)": interval_text(intervals["brier"], 3),
                    "calibration slope (95 %)": interval_text(intervals["slope"]),
                    "in the large (95 %)": interval_text(intervals["in_the_large"]),
                }
            )
    return pd.DataFrame(rows)


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table of texts as Markdown."""
    lines = [[str(c) for c in table.columns], ["---"] * len(table.columns)]
    lines += [[str(v).replace("|", "\\|") for v in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def bibtex(study: Mapping[str, Any], title: str) -> str:
    """Return the references as BibTeX, the study's own last."""
    entries = [_entry(key, load_reference("references.toml")[key]) for key in CITED]
    if study.get("citation"):
        fields = {"title": title, "note": str(study["citation"]), "doi": str(study.get("doi", ""))}
        entries.append(_entry("study", {"type": "misc", **{k: v for k, v in fields.items() if v}}))
    return "\n".join(entries)


def _entry(key: str, fields: Mapping[str, str]) -> str:
    body = "".join(f"  {name} = {{{v}}},\n" for name, v in fields.items() if name != "type")
    return f"@{fields['type']}{{{key},\n{body}}}\n"


def write_paper(written: Paper, output: Path) -> None:
    """Write ``methods.md``, ``results_table.csv`` and ``.md``, and ``references.bib``."""
    write_text("# Methods\n\n" + "\n\n".join(written.methods) + "\n", output / "methods.md")
    write_text(written.references, output / "references.bib")
    write_table(written.results, output / "results_table.csv")
    note = f"{SIMULATED}\n\n" if SIMULATED in written.methods else ""
    write_text(note + markdown_table(written.results), output / "results_table.md")
