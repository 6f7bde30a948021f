"""A model card: what one registered model is for, how well it does, and where it must not go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.io import read_json
from pipeline.report_exhibit import figure_text, interval_text
from pipeline.report_facts import TargetFacts, read_target
from pipeline.study_folder import read_card


def model_card(target_folder: Path) -> str:
    """Return the card of a target's model as Markdown, from its artefacts.

    Parameters
    ----------
    target_folder : Path
        ``outputs/<study>/<target>`` after evaluation.

    Returns
    -------
    str
        Empty where there is no model.
    """
    target = read_target(target_folder)
    if target.reason or not target.bundle:
        return ""
    study = read_card(target_folder.parent)["study"]
    name = f"eih-{target_folder.parent.name}-{target.name}"
    simulated = ["**Simulated data: for trying the software, for nobody's care.**", ""]
    lines = [
        f"# Model card: {name}",
        "",
        *(simulated if study.get("simulated") else []),
        target.metrics["verdict"]["sentence"],
        "",
        "## Intended use",
        "",
        f"To say, before a bout of exercise, how probable '{target.name}' is for a person and a "
        "proposed exercise, with how far that can be trusted. For research on responders.",
        "",
        "## Not for",
        "",
        *(f"- {s}" for s in target.use.excluded),
        "",
        "## Data",
        "",
        *(f"- {s}" for s in _data(study, target)),
        "",
        "## Performance, out of fold",
        "",
        *_performance(target),
        "",
        "## When it stays silent",
        "",
        *_silence(target_folder),
        "",
        "## Limits",
        "",
        *(f"- {s}" for s in _limits(target)),
        "",
        "## Made with",
        "",
        *(f"- {k}: {v}" for k, v in _record(target).items()),
        "",
    ]
    return "\n".join(_as_text(line) for line in lines)


def _data(study: Any, target: TargetFacts) -> list[str]:
    said = [str(study.get("title", "")), str(study.get("citation", "")), *target.use.covered]
    if study.get("licence"):
        said.append(f"Licence: {study['licence']}.")
    return [s for s in said if s]


def _performance(target: TargetFacts) -> list[str]:
    lines = [
        "| model | AUC (95 %) | log loss (95 %) | calibration slope (95 %) |",
        "| --- | --- | --- | --- |",
    ]
    chosen = target.metrics["selected"]
    for name in dict.fromkeys((chosen, "stratum", "baseline")):
        own = target.metrics["candidates"][name]
        found = own["intervals"]
        lines.append(
            f"| {name}{' (this model)' if name == chosen else ''} | {interval_text(own['auc'])} | "
            f"{interval_text(found['log_loss'], 3)} | {interval_text(found['slope'])} |"
        )
    return [*lines, "", target.metrics["ceiling"]["sentence"]]


def _silence(folder: Path) -> list[str]:
    path = folder / "evaluate" / "uncertainty.json"
    sure = read_json(path) if path.exists() else {}
    if not sure:
        return ["This model was made without rules of abstention: it answers everybody."]
    reasons = ", ".join(f"{r.replace('_', ' ')} {s:.1%}" for r, s in sure["abstained"].items())
    side = sure["abstention"]["wrong_side"]["sentence"]
    return [
        f"{figure_text(sure['abstention']['share_answered']['estimate'], 2)} of bouts like those "
        f"of training are answered. Reasons for silence: {reasons}. Abstention: {side}."
    ]


def _limits(target: TargetFacts) -> list[str]:
    return [
        "Internal validation only: nothing is known about other laboratories or clinics.",
        target.metrics["sample_size"]["sentence"],
        "Contributions say what the model uses, not what changes the response.",
        "Calibration drifts: 'eih monitor' compares risks with outcomes once they are known.",
    ]


def _record(target: TargetFacts) -> dict[str, str]:
    record = target.bundle["record"]
    stack = ", ".join(f"{n} {v}" for n, v in record["versions"].items())
    names = ("endpoint", "decision_time", "data_sha256", "split_sha256", "contract_hash")
    return {
        "candidate": str(target.bundle["candidate"]),
        **{n: str(record[n]) for n in names},
        "commit": str(record["git_commit"]),
        "versions": stack,
    }


def _as_text(line: str) -> str:
    return line.replace("<", "&lt;")
