"""Stage and tool ``evaluate``: judge any model's predictions, or a whole ladder of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score

from models.errors import NotEnoughDataError
from models.metrics import Estimate, Judged, differences, estimates, resample_metrics
from models.selection import COMPARATORS, verdict
from pipeline.ceiling import add_ceiling, judge_ceiling, reliability_beside
from pipeline.config import EvaluateParams
from pipeline.errors import TableError
from pipeline.figures import calibration_figure, ladder_figure, roc_curves, roc_figure
from pipeline.io import read_json, read_table, write_json, write_table
from pipeline.target_folder import NOT_ENOUGH_DATA, SELECTION

Matrix = npt.NDArray[np.float64]
CALIBRATION = ("in_the_large", "intercept", "slope")


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a predictions file.

    ``cluster`` may be several (a person's key); ``repeat`` and ``fold`` are used where present.
    """

    outcome: str = "y"
    cluster: tuple[str, ...] = ("study_id", "participant_id")
    repeat: str = "repeat"
    fold: str = "fold"


def read_predictions(
    path: Path, columns: Columns, probabilities: list[str]
) -> tuple[Judged, dict[str, Matrix], int]:
    """Read predictions to be judged.

    Rows without an outcome or without one of the probabilities cannot be judged; they are left
    out and counted. So is a row whose outcome is not known in every repeat. Where labels derived
    within the folds differ between repeats, all are judged by those of the first one.

    Returns
    -------
    judged, risks by column name (each of shape (n_repeats, n_rows)), rows left out

    Raises
    ------
    TableError
        For missing columns, values that are no 0/1 outcome or no probability, or repeats that
        do not hold the same rows.
    """
    table = read_table(path)
    cluster = [c for c in columns.cluster if c in table.columns]
    for name in (columns.outcome, *probabilities, *([] if cluster else columns.cluster[-1:])):
        if name not in table.columns:
            raise TableError(f"{path}: expected the column '{name}', found it missing.")
    numeric = table[[columns.outcome, *probabilities]].apply(pd.to_numeric, errors="coerce")
    known = numeric.notna().all(axis=1)
    _check_values(numeric[known], columns.outcome, path)
    if not known.any():
        raise NotEnoughDataError(f"{path}: expected rows with outcome and risk, found none.")
    known &= _known_throughout(table, known, columns)
    left_out = int((~known).sum())
    table = table.assign(**{c: numeric[c] for c in numeric})[known]
    repeat = table[columns.repeat] if columns.repeat in table.columns else pd.Series(0, table.index)
    parts = [table[repeat == r] for r in sorted(repeat.unique())]
    if len({len(p) for p in parts}) != 1:
        raise TableError(f"{path}: expected the same rows in every repeat, found other numbers.")
    fold = [p[columns.fold] if columns.fold in p.columns else np.zeros(len(p)) for p in parts]
    judged = Judged(
        y=parts[0][columns.outcome].to_numpy(dtype=np.float64),
        person=np.asarray(parts[0].groupby(cluster, sort=True).ngroup(), dtype=np.int64),
        block=np.array([np.asarray(f, dtype=float).astype(np.int64) for f in fold]),
    )
    risks = {
        p: np.array([part[p].to_numpy(dtype=np.float64) for part in parts]) for p in probabilities
    }
    return judged, risks, left_out


def _known_throughout(table: pd.DataFrame, known: pd.Series, columns: Columns) -> pd.Series:
    """Mark the rows that can be judged in every repeat."""
    if columns.repeat not in table.columns or "row" not in table.columns:
        return known
    return known.groupby(table["row"]).transform("all")


def _check_values(numeric: pd.DataFrame, outcome: str, path: Path) -> None:
    bad = np.flatnonzero(~numeric[outcome].isin([0, 1]))
    if len(bad):
        raise TableError(
            f"{path}, column '{outcome}': expected 0 or 1, found {len(bad)} other values "
            f"(first in row {numeric.index[bad[0]]})."
        )
    for name in numeric.columns.drop(outcome):
        bad = np.flatnonzero((numeric[name] < 0) | (numeric[name] > 1))
        if len(bad):
            raise TableError(
                f"{path}, column '{name}': expected probabilities in 0 to 1, found {len(bad)} "
                f"outside (first in row {numeric.index[bad[0]]})."
            )


def run(
    params: EvaluateParams,
    predictions: Path,
    columns: Columns,
    probability: str,
    versus: str | None = None,
) -> dict[str, Any]:
    """Judge one model's predictions, and its difference from a second one's.

    Returns
    -------
    dict with the keys of the JSON contract (README, "Judging predictions")
    """
    names = [probability, *([versus] if versus else [])]
    judged, risks, left_out = read_predictions(predictions, columns, names)
    values = resample_metrics(judged, risks, n_resamples=params.resamples, seed=params.seed)
    own = risks[probability]
    found = estimates(judged, own, values[probability])
    result = {**_people(judged, left_out), **_figures(judged, own, found)}
    if versus:
        paired = differences(values[probability], values[versus])
        result["versus"] = {f"{n}_difference": e.to_dict() for n, e in paired.items()}
    aucs = {probability: result["auc"]["estimate"]}
    result["ceiling"] = judge_ceiling(reliability_beside(predictions), result["prevalence"], aucs)
    return result


def _people(judged: Judged, left_out: int) -> dict[str, Any]:
    return {
        "n": len(judged.y),
        "n_participants": judged.n_persons,
        "n_events": int(judged.y.sum()),
        "n_participants_with_event": len(np.unique(judged.person[judged.y == 1])),
        "n_left_out": left_out,
        "prevalence": float(judged.y.mean()),
    }


def _figures(judged: Judged, risks: Matrix, found: dict[str, Estimate]) -> dict[str, Any]:
    prevalence = float(judged.y.mean())
    reference = prevalence * (1 - prevalence)
    brier = found["brier"].estimate
    return {
        "auc": found["auc"].to_dict(),
        "average_precision": _average_precision(judged, risks),
        "brier": brier,
        "brier_scaled": 1 - brier / reference if reference > 0 else np.nan,
        "log_loss": found["log_loss"].estimate,
        "calibration": {n: found[n].estimate for n in CALIBRATION},
        "intervals": {n: e.to_dict() for n, e in found.items() if n != "auc"},
    }


def _average_precision(judged: Judged, risks: Matrix) -> float:
    if judged.y.max() == 0:
        return float("nan")
    return float(np.mean([average_precision_score(judged.y, r) for r in risks]))


def run_ladder(params: EvaluateParams, predictions: Path, output: Path) -> dict[str, Any]:
    """Judge every candidate of a training run; write metrics, curves and figures to ``output``.

    Parameters
    ----------
    predictions : Path
        ``train/predictions.parquet`` of a target; ``selection.json`` lies beside it.
    output : Path
        Gets ``metrics.json``, and ``roc``, ``calibration`` and ``ladder`` as tables and figures
        in ``plots/``. A target that had too little data gets the reason only.
    """
    (output / "plots").mkdir(parents=True, exist_ok=True)
    selection = read_json(predictions.parent / SELECTION)
    if NOT_ENOUGH_DATA in selection:
        write_json(selection, output / "metrics.json")
        return dict(selection)
    table = read_table(predictions)
    names = [c for c in table.columns if c.startswith("p_")]
    judged, risks, left_out = read_predictions(predictions, Columns(), names)
    risks = {n.removeprefix("p_"): r for n, r in risks.items()}
    values = resample_metrics(judged, risks, n_resamples=params.resamples, seed=params.seed)
    models = [n for n in risks if n not in COMPARATORS]
    against = {
        rung: {n: differences(values[n], values[rung]) for n in models}
        for rung in ("stratum", "baseline")
    }
    losses = {rung: {n: d["log_loss"] for n, d in found.items()} for rung, found in against.items()}
    metrics = {
        **_people(judged, left_out),
        "n_without_target": selection["n_without_target"],
        "selected": selection["selected"],
        "best": selection["best"],
        "verdict": verdict(
            selection["selected"], losses["stratum"], losses["baseline"], judged.n_persons
        ),
        "candidates": {
            n: _figures(judged, r, estimates(judged, r, values[n])) for n, r in risks.items()
        },
        **{f"against_{rung}": _plain(found) for rung, found in against.items()},
    }
    add_ceiling(metrics, selection)
    write_json(metrics, output / "metrics.json")
    _write_curves(judged, risks, metrics, output / "plots")
    return metrics


def _plain(found: dict[str, dict[str, Estimate]]) -> dict[str, Any]:
    return {n: {k: e.to_dict() for k, e in d.items()} for n, d in found.items()}


def _write_curves(
    judged: Judged, risks: dict[str, Matrix], metrics: dict[str, Any], output: Path
) -> None:
    write_table(ladder_table(metrics), output / "ladder.csv")
    curves = roc_curves(judged.y, risks)
    write_table(curves, output / "roc.csv")
    roc_figure(curves, output / "roc.png")
    selected = metrics["selected"]
    write_table(
        calibration_figure(judged.y, risks[selected], output / "calibration.png"),
        output / "calibration.csv",
    )
    ladder_figure(ladder_table(metrics), output / "ladder.png")


def ladder_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """One row per candidate: AUC, Brier, log loss, calibration, each with its interval."""
    rows = []
    for name, figures in metrics["candidates"].items():
        row: dict[str, Any] = {"candidate": name, "selected": name == metrics["selected"]}
        for metric in ("auc", "brier", "log_loss", "in_the_large", "intercept", "slope"):
            found = figures["auc"] if metric == "auc" else figures["intervals"][metric]
            row |= {
                metric: found["estimate"],
                f"{metric}_lower": found["lower"],
                f"{metric}_upper": found["upper"],
            }
        rows.append(row)
    return pd.DataFrame(rows)
