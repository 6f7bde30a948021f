"""For whom a model may speak and for whom it must not be used, from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.io import read_json, read_table
from pipeline.study_folder import CASES, read_card
from pipeline.target_folder import NOT_ENOUGH_DATA

# Columns of cases whose levels say who and what is covered; indicators of the bundle miss a level
# that everybody has.
KINDS = {"condition": "conditions", "modality": "kinds of exercise"}
REST = "rest"


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
    path = target_folder.parent / CASES
    cases = read_table(path) if path.exists() else pd.DataFrame()
    simulated = read_card(target_folder.parent)["study"].get("simulated")
    nobody = ["Any real person: the data are simulated."] if simulated else []
    outside = _outside(bundle["training"]["features"], cases)
    return Use(_covered(bundle, cases), [*nobody, *outside, *_never(bundle, metrics)])


def _covered(bundle: dict[str, Any], cases: pd.DataFrame) -> list[str]:
    training, time = bundle["training"], bundle["record"]["decision_time"]
    said = [
        f"{training['n_participants']} persons with {training['n_rows']} bouts and "
        f"{training['n_events']} events, predicted at the time '{time}'."
    ]
    levels = {word: _levels(cases, word) for word in KINDS}
    return said + [f"{w.capitalize()}: {', '.join(found)}." for w, found in levels.items() if found]


def _levels(cases: pd.DataFrame, column: str) -> list[str]:
    if column not in cases:
        return []
    found = sorted(cases[column].dropna().astype(str).unique())
    return [level.replace("_", " ") for level in found if level != REST]


def _outside(features: dict[str, Any], cases: pd.DataFrame) -> list[str]:
    said = []
    age = features.get("age_years")
    if age and age["low"] is not None:
        said.append(f"Persons younger than {age['low']:.0f} or older than {age['high']:.0f} years.")
    named = [kinds for word, kinds in KINDS.items() if _levels(cases, word)]
    return said + [f"Other {kinds} than those the data hold." for kinds in named]


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
