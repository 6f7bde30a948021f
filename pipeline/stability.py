"""Tool ``stability``: how far predictions, classes and calibration move over resamples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from models.bootstrap import Resampled
from models.stability import Stability, measure_stability
from pipeline.figures import (
    calibration_instability_figure,
    classification_instability_figure,
    mape_figure,
    prediction_instability_figure,
)
from pipeline.io import write_table
from pipeline.optimism import bootstrap
from pipeline.protocols import Subject

# Riley and Collins 2023 ask for at least this many.
ENOUGH = 200
# The figures, by the start of their file names.
PREDICTION, MAPE = "prediction_instability", "mape"
CLASSIFICATION, CALIBRATION = "classification_instability", "calibration_instability"


def run(
    subject: Subject, candidate: str, n_resamples: int, threshold: float | None
) -> dict[str, Any]:
    """Measure a candidate's instability; write tables and figures beside the result.

    Parameters
    ----------
    threshold : float or None
        Risk from which a person counts as predicted event; None takes the event rate.
    """
    resampled = bootstrap(subject, candidate, n_resamples)
    cut = float(resampled.y.mean()) if threshold is None else threshold
    found = measure_stability(resampled, cut)
    _write(subject, candidate, found, resampled)
    content = {
        "candidate": candidate,
        **resampled.summary(),
        "enough_resamples": len(resampled.risks) >= ENOUGH,
        **found.summary,
    }
    return subject.write(content, f"stability_{candidate}")


def _write(subject: Subject, candidate: str, found: Stability, resampled: Resampled) -> None:
    """Write the tables, and the four figures with the numbers they show as CSV.

    The CSV of the rows is in the order of the risk and names nobody.
    """

    def place(name: str, extension: str) -> Path:
        return subject.protocols / f"{name}_{candidate}.{extension}"

    keys = subject.data.keys.reset_index(drop=True)
    write_table(pd.concat([keys, found.rows], axis=1), place("stability", "parquet"))
    by_risk = found.rows.sort_values(list(found.rows.columns), ignore_index=True)
    write_table(by_risk, place(PREDICTION, "csv"))
    write_table(found.curves, place(CALIBRATION, "csv"))
    prediction_instability_figure(resampled.original, resampled.risks, place(PREDICTION, "png"))
    mape_figure(by_risk, place(MAPE, "png"))
    threshold = found.summary["threshold"]
    classification_instability_figure(by_risk, threshold, place(CLASSIFICATION, "png"))
    calibration_instability_figure(found.curves, place(CALIBRATION, "png"))
