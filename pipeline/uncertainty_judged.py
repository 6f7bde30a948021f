"""Whether what was said about being sure held: coverage of sets, calibration, abstention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.outcome import PERSON
from models.estimate import Reason, with_interval
from models.judged import Judged, person_counts
from models.selective import Resamples, abstention_effect, coverage_risk
from models.uncertainty import REASONS
from pipeline.config import EvaluateParams
from pipeline.figures import coverage_risk_figure
from pipeline.io import read_table, write_json, write_table
from pipeline.target_folder import UNCERTAINTY

CLASS_NAMES = ("no", "yes")
# Always written, empty where nothing was said of being sure: the graph names it.
JUDGED = "uncertainty.json"


def judge_uncertainty(params: EvaluateParams, train: Path, output: Path) -> dict[str, Any]:
    """Judge what the chosen model said of every row as if it were new.

    Parameters
    ----------
    params : EvaluateParams
    train : Path
        Folder with the table that training left.
    output : Path
        Gets ``uncertainty.json`` and, in ``plots/``, ``coverage_risk.csv`` and ``.png``.

    Returns
    -------
    dict with ``coverage`` (per class, of persons, with interval), ``sets`` (share of each),
    ``interval_width``, ``abstained`` (share per reason) and ``abstention``
    (:func:`models.selective.abstention_effect`); empty for a folder without that table
    """
    path = train / UNCERTAINTY
    if not path.exists():
        write_json({}, output / JUDGED)
        return {}
    said = read_table(path)
    rows = _resamples(params, said)
    reasons = said["abstain_reasons"].fillna("")
    shape = rows.risks.shape
    result = {
        "coverage": {
            name: _coverage(said, label, params) for label, name in enumerate(CLASS_NAMES)
        },
        "sets": {str(k): float(v) for k, v in said["set"].value_counts(normalize=True).items()},
        "interval_width": float((said["p_upper"] - said["p_lower"]).mean()),
        "abstained": {r: float(reasons.str.contains(r).mean()) for r in REASONS},
        "abstention": abstention_effect(rows, (reasons != "").to_numpy().reshape(shape)),
    }
    curve = coverage_risk(rows)
    write_json(result, output / JUDGED)
    write_table(curve, output / "plots" / "coverage_risk.csv")
    coverage_risk_figure(curve, output / "plots" / "coverage_risk.png")
    return result


def _persons(said: pd.DataFrame) -> np.ndarray:
    return np.asarray(said.groupby(list(PERSON), sort=True).ngroup(), dtype=np.int64)


def _resamples(params: EvaluateParams, said: pd.DataFrame) -> Resamples:
    n_repeats = int(said["repeat"].max()) + 1
    shape = (n_repeats, len(said) // n_repeats)
    y, risk = (said[c].to_numpy(dtype=np.float64).reshape(shape) for c in ("y", "p"))
    person = _persons(said).reshape(shape)[0]
    judged = Judged(y, person, np.zeros(shape, dtype=np.int64))
    return Resamples(judged, risk, params.resamples, params.seed)


def _coverage(said: pd.DataFrame, label: int, params: EvaluateParams) -> dict[str, Any]:
    """Mean over persons of the share of their bouts of a class whose set holds it."""
    own = said[said["y"] == label]
    held = own["set"].isin([CLASS_NAMES[label], "no;yes"]).astype(float)
    each = held.groupby(_persons(own)).mean().to_numpy()
    if not len(each):
        return {
            "n_participants": 0,
            **with_interval(np.array([np.nan]), Reason.ONE_CLASS).to_dict(),
        }
    counts = person_counts(len(each), params.resamples, params.seed)
    values = np.concatenate([[each.mean()], counts @ each / len(each)])
    found = with_interval(values, Reason.NOT_COMPUTABLE)
    return {"n_participants": len(each), **found.to_dict()}
