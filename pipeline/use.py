"""For whom a model may speak and for whom it must not be used, from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.io import read_json
from pipeline.study_folder import read_card
from pipeline.target_folder import NOT_ENOUGH_DATA

INDICATORS = {"condition": "condition_", "modality": "modality_"}
GROUPS = ("condition_group_",)


@dataclass(frozen=True)
class Use:
    """Sentences: whom the training data hold, and where the model must not be used."""

    covered: list[str]
    excluded: list[str]


def use_of(target_folder: Path) -> Use:
    """Read the training record of a target's bundle.

    Parameters
    ----------
    target_folder : Path
        ``outputs/<study>/<target>``. Without a bundle both lists are empty.
    """
    path = target_folder / "bundle" / "bundle.json"
    if not path.exists():
        return Use([], [])
    bundle = read_json(path)
    metrics = read_json(target_folder / "evaluate" / "metrics.json")
    features = bundle["training"]["features"]
    simulated = read_card(target_folder.parent)["study"].get("simulated")
    nobody = ["Any real person: the data are simulated."] if simulated else []
    return Use(_covered(bundle), [*nobody, *_outside(features), *_never(bundle, metrics)])


def _covered(bundle: dict[str, Any]) -> list[str]:
    training = bundle["training"]
    said = [
        f"{training['n_participants']} persons with {training['n_rows']} bouts and "
        f"{training['n_events']} events, predicted at the time "
        f"'{bundle['record']['decision_time']}'."
    ]
    for word, start in INDICATORS.items():
        levels = _levels(training["features"], start)
        if levels:
            said.append(f"{word.capitalize()}: {', '.join(levels)}.")
    return said


def _levels(features: dict[str, Any], start: str) -> list[str]:
    names = [n for n in features if n.startswith(start) and not n.startswith(GROUPS)]
    return [
        n.removeprefix(start).replace("_", " ")
        for n in sorted(names)
        if features[n]["high"] is not None and features[n]["high"] > 0
    ]


def _outside(features: dict[str, Any]) -> list[str]:
    said = []
    age = features.get("age_years")
    if age and age["low"] is not None:
        said.append(f"Persons younger than {age['low']:.0f} or older than {age['high']:.0f} years.")
    for word, start in INDICATORS.items():
        levels = _levels(features, start)
        if levels:
            kinds = "conditions" if word == "condition" else "kinds of exercise"
            said.append(f"Other {kinds} than those named here.")
    return said


def _never(bundle: dict[str, Any], metrics: dict[str, Any]) -> list[str]:
    said = [
        "Withholding exercise from anybody, or choosing between treatments: the model predicts, it "
        "does not compare what would happen under another exercise.",
        "Persons for whom it abstains, and any decision without a clinician.",
    ]
    if NOT_ENOUGH_DATA not in metrics and not metrics["verdict"]["promoted"]:
        said.insert(
            0, "Any decision about a person: the predictors have not been shown to help here."
        )
    unknown = ", ".join(str(b).replace("_", " ") for b in bundle["training"]["blocks"]["absent"])
    if unknown:
        said.append(f"Questions that hang on what was not measured here: {unknown}.")
    return said
