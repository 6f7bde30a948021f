"""Tools ``where`` and ``results``: where a run's results are, and every study in one table."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from features.reference import SEEDS
from models.errors import NotEnoughDataError
from pipeline import evaluate, featurize, label, study, train
from pipeline.config import Params
from pipeline.errors import ConfigError
from pipeline.io import atomic_path
from pipeline.study_folder import read_design
from pipeline.target_folder import NOT_ENOUGH_DATA

OUTPUTS = Path("outputs")
COLUMNS = (
    "study",
    "endpoint",
    "target",
    "persons",
    "bouts",
    "events",
    "AUC, logistic (95 %)",
    "AUC, condition and exercise",
    "AUC ceiling (95 %)",
    "chosen",
    "log loss against condition and exercise (95 %)",
    "verdict",
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
    the study and its endpoint differ. A study whose files are absent is named as such, and one
    without an outcome of exercise with its reason.
    """
    names = ["demo", *sorted(p.stem for p in (SEEDS / "studies").glob("*.toml"))]
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [row for name in names for row in _study_rows(params, name)]
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _study_rows(params: Params, name: str) -> Iterator[tuple[str, ...]]:
    folder = OUTPUTS / "results" / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        study.run(replace(params.study, name=name, source=""), folder)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        yield _row(name, verdict="files not at hand")
        return
    try:
        label.run(params.label, folder, folder / "outcomes.parquet")
    except NotEnoughDataError as error:
        yield _row(name, verdict=str(error).removeprefix(f"{folder}: ").split(". ")[0] + ".")
        return
    featurize.run(params.featurize, folder, folder / "features.parquet")
    for endpoint in read_design(folder).endpoints:
        for target in params.targets:
            yield _target_row(params, folder, endpoint.name, target)


def _row(*cells: str, verdict: str) -> tuple[str, ...]:
    return (*cells, *[""] * (len(COLUMNS) - len(cells) - 1), verdict)


def _target_row(params: Params, folder: Path, endpoint: str, target: str) -> tuple[str, ...]:
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    output = folder / endpoint / target
    train.run_or_record(replace(params.train, endpoint=endpoint), tables, target, output)
    metrics = evaluate.run_ladder(
        params.evaluate, output / "train" / "predictions.parquet", output / "evaluate"
    )
    if NOT_ENOUGH_DATA in metrics:
        return _row(folder.name, endpoint, target, verdict=metrics[NOT_ENOUGH_DATA])
    judgement = metrics["verdict"]
    return _row(
        folder.name,
        endpoint,
        target,
        # Labels are those of the folds: the number of events is a mean over repeats.
        *(f"{metrics[n]:.4g}" for n in ("n_participants", "n", "n_events")),
        _figures(metrics["candidates"]["logistic"]["auc"], ".2f"),
        _figures(metrics["candidates"]["stratum"]["auc"], ".2f"),
        _ceiling(metrics["ceiling"]),
        metrics["selected"],
        f"{judgement['shown']} "
        + _figures(metrics["against_stratum"][judgement["shown"]]["log_loss"], "+.3f"),
        verdict=judgement["opening"],
    )


def _ceiling(found: dict[str, Any]) -> str:
    if not np.isfinite(found["auc"]["estimate"]):
        return "unknown"
    return _figures(found["auc"], ".2f") + (" exceeded" if found["suspicious"] else "")


def _figures(found: dict[str, Any], form: str) -> str:
    return (
        f"{format(found['estimate'], form)} "
        f"({format(found['lower'], form)} to {format(found['upper'], form)})"
    )
