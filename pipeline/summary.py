"""Tools ``where`` and ``results``: where a run's results are, and every study in one table."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from features.reference import SEEDS
from models.errors import NotEnoughDataError
from pipeline import evaluate, featurize, label, study, train
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.io import atomic_path
from pipeline.study_folder import read_design

OUTPUTS = Path("outputs")
HEADER = (
    "| study | endpoint | target | persons | bouts | events | AUC of logistic (95 %) "
    "| AUC of condition and exercise | selected | verdict |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def where(params: Params) -> str:
    """Say where report, predictions and the MLflow store of the current study are."""
    folder = OUTPUTS / params.study.name
    return "\n".join(
        (
            f"report       {folder / 'report' / 'index.html'}",
            f"predictions  {folder / 'predictions.parquet'}",
            f"bundles      {folder}/<target>/bundle",
            f"tracking     .venv/bin/mlflow ui --backend-store-uri {params.register.tracking_uri}",
        )
    )


def results(params: Params, output: Path) -> None:
    """Run the demo and every real study at hand, and write one Markdown table.

    Every study goes through the functions of the stages, with the settings of ``params``; only
    the study and its endpoint differ. A study whose files are absent is named as such.
    """
    names = ["demo", *sorted(p.stem for p in (SEEDS / "studies").glob("*.toml"))]
    lines = [line for name in names for line in _study_lines(params, name)]
    with atomic_path(output) as temporary:
        temporary.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")


def _study_lines(params: Params, name: str) -> Iterator[str]:
    folder = OUTPUTS / "results" / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        study.run(replace(params.study, name=name, source=""), folder)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        yield f"| {name} | files not at hand | | | | | | | | |"
        return
    label.run(params.label, folder, folder / "outcomes.parquet")
    featurize.run(params.featurize, folder, folder / "features.parquet")
    for endpoint in read_design(folder).endpoints:
        for target in params.targets:
            yield _line(params, folder, endpoint.name, target)


def _line(params: Params, folder: Path, endpoint: str, target: str) -> str:
    place = f"| {folder.name} | {endpoint} | {target} "
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    target_folder = folder / endpoint / target
    try:
        train.run(replace(params.train, endpoint=endpoint), tables, target, target_folder)
    except NotEnoughDataError as error:
        return f"{place}| | | | | | | Not enough data: {error} |"
    metrics = evaluate.run_ladder(
        params.evaluate,
        target_folder / "train" / "predictions.parquet",
        target_folder / "evaluate",
    )
    return (
        f"{place}| {metrics['n_participants']} | {metrics['n']} | {metrics['n_events']} "
        f"| {_auc(metrics, 'logistic')} | {_auc(metrics, 'stratum')} | {metrics['selected']} "
        f"| {metrics['verdict']['sentence']} |"
    )


def _auc(metrics: dict[str, Any], candidate: str) -> str:
    found = metrics["candidates"][candidate]["auc"]
    return f"{found['estimate']:.2f} ({found['lower']:.2f} to {found['upper']:.2f})"
