"""What the validation protocols of a target have found so far, for the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.io import read_json

INSTABILITY = {
    "Prediction instability": "prediction_instability",
    "Mean absolute prediction error": "mape",
    "Classification instability": "classification_instability",
    "Calibration instability": "calibration_instability",
}


@dataclass(frozen=True)
class Section:
    """One protocol's result: its title, what it says in sentences, and its figures."""

    title: str
    sentences: list[str]
    figures: dict[str, Path] = field(default_factory=dict)


def protocol_sections(target_folder: Path) -> list[Section]:
    """Return the sections of every protocol whose result is there.

    Parameters
    ----------
    target_folder : Path
        ``outputs/<study>/<target>``; protocols write into its folder ``protocols``.
    """
    folder = target_folder / "protocols"
    readers: dict[str, Callable[[dict[str, Any], Path], Section]] = {
        "optimism_*.json": _optimism,
        "stability_*.json": _stability,
        "internal_external_*.json": _internal_external,
        "temporal_*.json": _temporal,
        "learning_curve.json": _learning_curve,
        "audit.json": _audit,
    }
    return [
        read(read_json(path), folder)
        for pattern, read in readers.items()
        for path in sorted(folder.glob(pattern))
    ]


def _optimism(found: dict[str, Any], folder: Path) -> Section:
    quoted = found["headline"]
    return Section(
        f"Corrected for optimism: '{found['candidate']}'",
        [
            f"AUC {_number(quoted['auc'])}, Brier {_number(quoted['brier'])}, log loss "
            f"{_number(quoted['log_loss'])} by {quoted['method']} over {_resamples(found)} of the "
            "whole procedure.",
            f"Why {quoted['method']}: {quoted['why']}.",
        ],
    )


def _stability(found: dict[str, Any], folder: Path) -> Section:
    name = found["candidate"]
    said = [
        f"Over {_resamples(found)} a risk lies {_number(found['mape'])} from the model's on "
        f"average (90 % of rows below {_number(found['mape_p90'])}), and "
        f"{found['classification_instability']:.1%} of rows change sides of the threshold "
        f"{found['threshold']:.2f}. That says how much a model of other persons would say "
        "something else, not which is right.",
    ]
    if not found["enough_resamples"]:
        said.append("At least 200 resamples are asked for: this is a first look.")
    drawn = {title: folder / f"{start}_{name}.png" for title, start in INSTABILITY.items()}
    return Section(f"Stability: '{name}'", said, drawn)


def _internal_external(found: dict[str, Any], folder: Path) -> Section:
    said = []
    for name, across in found["candidates"].items():
        auc, spread = across["auc"], across["pooled"]["logit_auc"]["between_sd"]
        said.append(
            f"'{name}': AUC {_interval(auc)}, in a new {found['by']} between "
            f"{_number(auc['prediction_lower'])} and {_number(auc['prediction_upper'])} "
            f"(SD between settings {_number(spread)} on the logit scale), calibration slope "
            f"{_interval(across['slope'])}."
        )
    return Section(f"Left out in turn: {found['by']}, {len(found['settings'])} settings", said)


def _temporal(found: dict[str, Any], folder: Path) -> Section:
    said = [
        f"'{name}': AUC {_interval(figures['auc'])}, log loss {_interval(figures['log_loss'])}."
        for name, figures in found["candidates"].items()
    ]
    title = f"Later rows from earlier ones: {found['by']} after {found['cut']:g}"
    return Section(title, [f"{found['n_participants_predicted']} persons predicted.", *said])


def _learning_curve(found: dict[str, Any], folder: Path) -> Section:
    sizes = ", ".join(str(size) for size in found["sizes"])
    return Section(
        "Learning curve",
        [f"The same persons predicted from {sizes} others."],
        {"Learning curve": folder / "learning_curve.png"},
    )


def _audit(found: dict[str, Any], folder: Path) -> Section:
    return Section("Permutation audit", [found["sentence"]])


def _resamples(found: dict[str, Any]) -> str:
    return f"{found['n_successful']} of {found['n_resamples']} resamples of persons"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(found: dict[str, Any]) -> str:
    return f"{_number(found['estimate'])} ({_number(found['lower'])} to {_number(found['upper'])})"
