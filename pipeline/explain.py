"""Stage ``explain``: exact contributions of the candidates that use predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import SPECS
from models.explain import check_additivity, family_table, importance_table
from pipeline.artefacts import read_bundle
from pipeline.beeswarm import beeswarm_figure
from pipeline.config import ExplainParams
from pipeline.errors import ConfigError
from pipeline.io import read_table, write_json, write_table
from pipeline.target_folder import why_no_model


def run(params: ExplainParams, target_folder: Path, features: Path, output: Path) -> dict[str, Any]:
    """Explain the training rows of a target, candidate by candidate.

    Parameters
    ----------
    target_folder : Path
        Output folder of the target; its ``train/`` holds candidates and predictions.
    features : Path
        The feature table the target was trained on.
    output : Path
        Gets, per candidate, ``importance_*.csv``, ``families_*.csv``, ``contributions_*.parquet``
        and ``beeswarm_*.png``; and ``explain.json`` (empty for a target without a model).
    """
    if why_no_model(target_folder):
        write_json({}, output / "explain.json")
        return {}
    rows = _training_rows(target_folder / "train" / "predictions.parquet", read_table(features))
    summary = {}
    for name in params.candidates:
        folder = target_folder / "train" / "candidates" / name
        if not folder.is_dir():
            known = sorted(p.name for p in folder.parent.iterdir())
            raise ConfigError(
                f"explain, candidates: expected names from {', '.join(known)}, found '{name}'."
            )
        summary[name] = _explain_candidate(folder, rows, output, params.max_display)
    write_json(summary, output / "explain.json")
    return summary


def _training_rows(predictions: Path, features: pd.DataFrame) -> pd.DataFrame:
    keys = ["study_id", "participant_id", "session_id"]
    trained = read_table(predictions).drop_duplicates(keys)[keys]
    return trained.merge(features, on=keys, how="left", validate="one_to_one")


def _explain_candidate(
    folder: Path, rows: pd.DataFrame, output: Path, max_display: int
) -> dict[str, Any]:
    bundle = read_bundle(folder)
    contributions = bundle.explain(rows)
    log_odds = bundle.scorer.log_odds(rows)
    gap = check_additivity(contributions, log_odds)
    families = {s.name: s.family for s in SPECS}
    importance = importance_table(contributions, families)
    by_family = family_table(contributions, families)
    name = bundle.candidate
    write_table(importance, output / f"importance_{name}.csv")
    write_table(by_family, output / f"families_{name}.csv")
    values = pd.DataFrame(contributions.values, columns=list(contributions.names))
    keyed = pd.concat([rows.iloc[:, :3], values], axis=1)
    keyed = keyed.assign(baseline=contributions.baseline, log_odds=log_odds)
    write_table(keyed, output / f"contributions_{name}.parquet")
    beeswarm_figure(contributions, rows, output / f"beeswarm_{name}.png", max_display)
    return {
        "scale": "log-odds",
        "baseline": contributions.baseline,
        "largest_additivity_gap": gap,
        "n_rows": len(rows),
        "families": dict(zip(by_family["family"], by_family["mean_abs_log_odds"], strict=True)),
        "features": {
            f: float(np.round(v, 6))
            for f, v in zip(importance["feature"], importance["mean_abs_log_odds"], strict=True)
        },
    }
