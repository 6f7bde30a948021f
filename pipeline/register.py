"""Stage ``register``: put a target's runs, figures and model into MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import Bundle
from pipeline.artefacts import probe_cases, read_bundle
from pipeline.config import RegisterParams
from pipeline.io import read_json, write_json
from pipeline.model_card import model_card
from pipeline.target_folder import NOT_ENOUGH_DATA, why_no_model
from pipeline.tracking import (
    CANDIDATE,
    CARD,
    CHAMPION,
    DatasetRecord,
    RunRecord,
    log_study_target,
)


def run(params: RegisterParams, target_folder: Path, output: Path) -> dict[str, Any]:
    """Log one run per study and target, with its candidates nested, and register the model.

    Parameters
    ----------
    target_folder : Path
        ``outputs/<study>/<target>`` after training, evaluation and explanation.
    output : Path
        Gets what was registered, without run ids: equal inputs give equal files. A target
        without a model gets the reason, and no run.
    """
    if reason := why_no_model(target_folder):
        write_json({NOT_ENOUGH_DATA: reason}, output)
        return {NOT_ENOUGH_DATA: reason}
    bundle = read_bundle(target_folder / "bundle")
    metrics = read_json(target_folder / "evaluate" / "metrics.json")
    study = target_folder.parent.name
    name = f"eih-{study}-{bundle.target}"
    candidates = [
        (_candidate_record(read_bundle(folder), metrics), folder)
        for folder in sorted((target_folder / "train" / "candidates").iterdir())
    ]
    logged = log_study_target(
        (params.tracking_uri, params.experiment),
        _parent_record(name, bundle, metrics, target_folder),
        candidates,
        (name, target_folder / "bundle", input_example()),
        promoted=bool(metrics["verdict"]["promoted"]),
    )
    content = {
        "model": name,
        "alias": CANDIDATE,
        "aliases": [CANDIDATE, CHAMPION] if metrics["verdict"]["promoted"] else [CANDIDATE],
        "candidate": bundle.candidate,
        "data_sha256": bundle.record["data_sha256"],
        "split_sha256": bundle.record["split_sha256"],
        "contract_hash": bundle.record["contract_hash"],
    }
    write_json(content, output)
    return content | {"run_id": logged.run_id, "version": logged.model_version}


def input_example() -> pd.DataFrame:
    """Two complete, made-up cases; never a participant's."""
    return probe_cases().head(2).dropna(axis=1)


def _parent_record(name: str, bundle: Bundle, metrics: dict[str, Any], folder: Path) -> RunRecord:
    hashes = ("data_sha256", "split_sha256", "contract_hash")
    return RunRecord(
        name=name,
        params={
            "study": bundle.record["study"],
            "endpoint": bundle.record["endpoint"],
            "target": bundle.target,
            "selected": metrics["selected"],
            **{h: bundle.record[h] for h in hashes},
        },
        metrics={
            "n_rows": metrics["n"],
            "n_participants": metrics["n_participants"],
            "n_events": metrics["n_events"],
            **_metric_values(metrics["candidates"][metrics["selected"]]),
        },
        tags={
            "verdict": metrics["verdict"]["sentence"],
            "promoted": str(metrics["verdict"]["promoted"]).lower(),
            "suspicious": str(metrics["ceiling"]["suspicious"]).lower(),
            "git_commit": bundle.record["git_commit"],
            **_where_from(bundle),
        },
        texts={CARD: model_card(folder)},
        dataset=_dataset(bundle, folder.parent.name),
        folders=(folder / "evaluate", folder / "explain", *_if_there(folder / "biomarker")),
    )


def _if_there(folder: Path) -> tuple[Path, ...]:
    return (folder,) if folder.is_dir() else ()


def _candidate_record(bundle: Bundle, metrics: dict[str, Any]) -> RunRecord:
    return RunRecord(
        name=bundle.candidate,
        params=bundle.record["settings"] | {"candidate": bundle.candidate},
        metrics=_metric_values(metrics["candidates"][bundle.candidate]),
        tags={
            "selected": str(bundle.candidate == metrics["selected"]).lower(),
            **_where_from(bundle),
        },
    )


def _where_from(bundle: Bundle) -> dict[str, str]:
    """Tags by which runs are found again: study, target, endpoint, candidate."""
    record = bundle.record
    return {
        "study": record["study"],
        "target": bundle.target,
        "endpoint": record["endpoint"],
        "candidate": bundle.candidate,
    }


def _dataset(bundle: Bundle, folder: str) -> DatasetRecord:
    return DatasetRecord(
        name=f"{folder}-features",
        sha256=bundle.record["data_sha256"],
        source=f"outputs/{folder}/features.parquet",
        columns=bundle.feature_names,
    )


def _metric_values(figures: dict[str, Any]) -> dict[str, float]:
    """Flatten figures with intervals; what could not be computed is left out, not logged as 0."""
    estimates = {"auc": figures["auc"], **figures["intervals"]}
    flat = {
        f"{name}{suffix}": estimate[key]
        for name, estimate in estimates.items()
        for key, suffix in (("estimate", ""), ("lower", "_lower"), ("upper", "_upper"))
    }
    return {k: float(v) for k, v in flat.items() if v is not None and np.isfinite(v)}
