"""Tool ``stability``: how far predictions, classes and calibration move over resamples."""

from __future__ import annotations

from typing import Any

import pandas as pd

from models.bootstrap import Resampled
from models.stability import Stability, measure_stability
from pipeline.figures import calibration_instability_figure, prediction_instability_figure
from pipeline.io import write_table
from pipeline.optimism import bootstrap
from pipeline.protocols import Subject

# Riley and Collins 2023 ask for at least this many.
ENOUGH = 200


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
    folder = subject.protocols
    keys = subject.data.keys.reset_index(drop=True)
    write_table(pd.concat([keys, found.rows], axis=1), folder / f"stability_{candidate}.parquet")
    write_table(found.curves, folder / f"calibration_instability_{candidate}.csv")
    prediction_instability_figure(
        resampled.original, resampled.risks, folder / f"prediction_instability_{candidate}.png"
    )
    calibration_instability_figure(
        found.curves, folder / f"calibration_instability_{candidate}.png"
    )
