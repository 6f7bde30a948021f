"""Stage and tool ``evaluate``: judge any model's predictions, or a whole ladder of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.discrimination import Interval
from models.estimate import Estimate
from models.judged import Judged
from models.judgement import Judgement, judge, net_benefit_differences
from models.metrics import auc_versus, bootstrap_name, differences
from models.sample_size import Available, outcome_icc, sample_size_verdict
from models.selection import COMPARATORS, verdict
from pipeline.ceiling import add_ceiling, judge_ceiling, reliability_beside
from pipeline.config import EvaluateParams, build
from pipeline.errors import ConfigError
from pipeline.figures import (
    calibration_figure,
    decision_figure,
    ladder_figure,
    roc_curves,
    roc_figure,
)
from pipeline.io import read_json, read_table, write_json, write_table
from pipeline.judging import EVERY_ROW, Columns, Predictions, judging_settings, read_predictions
from pipeline.operating_points import risk_histogram, threshold_table
from pipeline.paths import make_folder
from pipeline.progress import tracked
from pipeline.subgroups import flat_table, judge_columns, usable, with_cases
from pipeline.target_folder import NOT_ENOUGH_DATA, SELECTION
from pipeline.uncertainty_judged import JUDGED, judge_uncertainty

CALIBRATION = ("in_the_large", "intercept", "slope", "oe_ratio", "ici", "e50", "e90", "emax")
OVERALL = ("average_precision", "brier", "brier_scaled", "log_loss", "r2_nagelkerke")
SIZED = "logistic"
SUMMARY = "summary.json"


def run(
    params: EvaluateParams,
    predictions: Path,
    columns: Columns,
    probabilities: tuple[str, str | None],
    by: tuple[tuple[str, ...], Path | None] = ((), None),
) -> dict[str, Any]:
    """Judge one model's predictions, and its difference from a second one's.

    Parameters
    ----------
    predictions : Path
    columns : Columns
    probabilities : (column of the risk, column of a second model's risk or None)
    by : (columns of subgroups, table of cases to take them from or None)

    Returns
    -------
    dict with the keys of the JSON contract (docs/concepts.md, "Judging predictions")

    Raises
    ------
    ConfigError
        Where a model is to be compared with itself.
    """
    probability, versus = probabilities
    if versus == probability:
        raise ConfigError(f"--versus: expected another column than --probability, found {versus}.")
    read = read_predictions(predictions, columns, [p for p in probabilities if p])
    settings = judging_settings(params)
    found = {n: judge(read.judged, r, settings) for n, r in read.risks.items()}
    own = found[probability]
    result = {**_people(read), **_figures(own)}
    result["calibration"]["curve"] = own.curve_rows()
    if versus:
        result["versus"] = _versus(own, found[versus])
    aucs = {probability: result["auc"]["estimate"]}
    result["ceiling"] = judge_ceiling(reliability_beside(predictions), result["prevalence"], aucs)
    groups, cases = by
    if groups:
        rows = with_cases(read.rows, cases)
        judged = (read.judged, {probability: own.risks})
        result["subgroups"] = judge_columns(params, judged, rows, groups)
    return result


def with_options(
    params: EvaluateParams, interval: str | None, harm_ratio: float | None, thresholds: str | None
) -> EvaluateParams:
    """Replace parameters by what the command line says.

    Raises
    ------
    ConfigError
        For an unknown interval, or thresholds that are no numbers.
    """
    if interval is not None:
        params = replace(params, interval=build(Interval, interval, "--interval"))
    if harm_ratio is not None:
        params = replace(params, harm_ratio=harm_ratio)
    if thresholds is not None:
        try:
            params = replace(params, thresholds=tuple(float(t) for t in thresholds.split(",")))
        except ValueError:
            raise ConfigError(
                "--thresholds: expected numbers joined by commas, found other text."
            ) from None
    return params


def sentence(result: dict[str, Any]) -> str:
    """Say the main figures of :func:`run` in one line."""
    found = result["auc"]
    persons = f"; {result['clusters']}" if result["clusters"] == EVERY_ROW else ""
    return (
        f"AUC {found['estimate']:.3f} ({found['lower']:.3f} to {found['upper']:.3f}, "
        f"{found['method']}), Brier {result['brier']:.4f}, log loss {result['log_loss']:.4f}, "
        f"calibration slope {result['calibration']['slope']:.2f}; {result['n']} rows, "
        f"{result['n_participants']} persons, {result['n_events']} events, "
        f"{result['n_left_out']} rows left out{persons}"
    )


def _people(read: Predictions) -> dict[str, Any]:
    judged = read.judged
    repeats = [part for part, _ in judged.repeats()]
    events = float(np.mean([part.y.sum() for part in repeats]))
    with_event = [len(np.unique(part.person[part.y == 1])) for part in repeats]
    return {
        "n": len(judged.person),
        "n_participants": judged.n_persons,
        # Labels made within folds may differ between repeats: then these are means over repeats.
        "n_events": _whole(events),
        "n_participants_with_event": _whole(float(np.mean(with_event))),
        "n_left_out": sum(read.left_out.values()),
        "left_out": read.left_out,
        "clusters": read.clusters,
        "prevalence": judged.prevalence,
    }


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _figures(judgement: Judgement) -> dict[str, Any]:
    found = judgement.estimates()
    auc_found = judgement.auc()
    return {
        "auc": auc_found.to_dict(),
        "dxy": 2 * (auc_found.estimate - 0.5),
        **{name: found[name].estimate for name in OVERALL},
        "calibration": {n: found[n].estimate for n in CALIBRATION},
        "net_benefit": judgement.net_benefit_rows(),
        "classification": _plain_mixed(judgement.classification()),
        "intervals": {n: e.to_dict() for n, e in found.items() if n != "auc"},
    }


def _plain_mixed(content: dict[str, Any]) -> dict[str, Any]:
    return {k: v.to_dict() if isinstance(v, Estimate) else v for k, v in content.items()}


def _versus(own: Judgement, other: Judgement) -> dict[str, Any]:
    paired = differences(own.metrics, other.metrics, bootstrap_name(own.judged))
    pair = ((own.risks, other.risks), (own.metrics, other.metrics))
    paired["auc"] = auc_versus(own.judged, *pair, own.settings.interval)
    result: dict[str, Any] = {f"{n}_difference": e.to_dict() for n, e in paired.items()}
    result["net_benefit_difference"] = net_benefit_differences(own, other)
    return result


def run_ladder(
    params: EvaluateParams, predictions: Path, output: Path, cases: Path | None = None
) -> dict[str, Any]:
    """Judge every candidate of a training run; write metrics, curves and figures to ``output``.

    Parameters
    ----------
    predictions : Path
        ``train/predictions.parquet`` of a target; ``selection.json`` lies beside it.
    output : Path
        Gets ``metrics.json``, ``summary.json`` (what 'dvc metrics diff' compares),
        ``subgroups.json`` and ``.csv``, and in ``plots/`` the tables and figures ``roc``,
        ``calibration``, ``net_benefit`` and ``ladder``, and the tables ``thresholds`` and
        ``risks``; of a chosen model that says how sure it is, ``coverage_risk`` (and
        ``uncertainty.json``, empty otherwise). A target that had too little data gets the
        reason only.
    cases : Path, optional
        The study's cases: gives the columns that make subgroups.
    """
    make_folder(output / "plots")
    selection = read_json(predictions.parent / SELECTION)
    if NOT_ENOUGH_DATA in selection:
        write_json(selection, output / "metrics.json")
        write_json({}, output / JUDGED)
        write_json({}, output / SUMMARY)
        _write_subgroups([], {}, output)
        return dict(selection)
    names = [c for c in read_table(predictions).columns if c.startswith("p_")]
    read = read_predictions(predictions, Columns(), names)
    settings = judging_settings(params)
    risks = tracked(list(read.risks.items()), "evaluate", "candidates")
    found = {n.removeprefix("p_"): judge(read.judged, r, settings) for n, r in risks}
    metrics = {
        **_people(read),
        "n_without_target": selection["n_without_target"],
        "selected": selection["selected"],
        "best": selection["best"],
        **_against(found, selection["selected"]),
        "candidates": {n: _figures(j) for n, j in found.items()},
        "sample_size": _sample_size(params, read.judged, predictions.parent),
    }
    add_ceiling(metrics, selection)
    write_json(metrics, output / "metrics.json")
    write_json(headline(metrics), output / SUMMARY)
    _write_curves(found, metrics, output / "plots")
    judge_uncertainty(params, predictions.parent, output)
    shown = {n: found[n].risks for n in {metrics["selected"], metrics["verdict"]["shown"]}}
    rows = with_cases(read.rows, cases)
    reasons = usable(rows, params.subgroups)
    columns = tuple(c for c, reason in reasons.items() if not reason)
    records = judge_columns(params, (read.judged, dict(sorted(shown.items()))), rows, columns)
    _write_subgroups(records, {c: r for c, r in reasons.items() if r}, output)
    return metrics


def _against(found: dict[str, Judgement], selected: str) -> dict[str, Any]:
    """Compare every candidate with the rungs it has to beat, and say what that shows."""
    models = [n for n in found if n not in COMPARATORS]
    name = bootstrap_name(found[selected].judged)
    against = {
        rung: {n: differences(found[n].metrics, found[rung].metrics, name) for n in models}
        for rung in ("stratum", "baseline")
    }
    losses = {rung: {n: d["log_loss"] for n, d in pairs.items()} for rung, pairs in against.items()}
    n_persons = found[selected].judged.n_persons
    return {
        "verdict": verdict(selected, losses["stratum"], losses["baseline"], n_persons),
        **{f"against_{rung}": _plain(pairs) for rung, pairs in against.items()},
    }


def _plain(found: dict[str, dict[str, Estimate]]) -> dict[str, Any]:
    return {n: {k: e.to_dict() for k, e in d.items()} for n, d in found.items()}


def _sample_size(params: EvaluateParams, judged: Judged, train: Path) -> dict[str, Any]:
    """Compare persons and events with what the logistic rung's parameters ask for."""
    scorer = train / "candidates" / SIZED / "scorer.json"
    if not scorer.exists():
        return {"sentence": f"No verdict on the sample size: there is no '{SIZED}' candidate."}
    parameters = len(read_json(scorer)["coefficients"])
    part, _ = next(judged.repeats())
    events = judged.prevalence * len(judged.person)
    at_hand = Available(
        judged.n_persons, len(judged.person), events, outcome_icc(part.y, part.person)
    )
    try:
        return sample_size_verdict(at_hand, parameters, params.anticipated_c_statistic)
    except ValueError as error:
        raise ConfigError(f"evaluate, anticipated_c_statistic: {error}") from None


def _write_subgroups(records: list[dict[str, Any]], left_out: dict[str, str], output: Path) -> None:
    write_json({"groups": records, "columns_left_out": left_out}, output / "subgroups.json")
    write_table(flat_table(records), output / "subgroups.csv")


def _write_curves(found: dict[str, Judgement], metrics: dict[str, Any], output: Path) -> None:
    write_table(ladder_table(metrics), output / "ladder.csv")
    ladder_figure(ladder_table(metrics), output / "ladder.png")
    selected = metrics["selected"]
    judgement = found[selected]
    curves = roc_curves(judgement.judged, {n: j.risks for n, j in found.items()})
    write_table(curves, output / "roc.csv")
    roc_figure(curves, output / "roc.png")
    calibration = pd.DataFrame(judgement.curve_rows())
    write_table(calibration, output / "calibration.csv")
    calibration_figure(calibration, judgement.risks, output / "calibration.png")
    write_table(risk_histogram(judgement.risks), output / "risks.csv")
    risks = {n: j.risks for n, j in found.items()}
    at = threshold_table(judgement.judged, risks, judgement.settings.thresholds)
    write_table(at, output / "thresholds.csv")
    rows = [
        pd.DataFrame(j.net_benefit_rows()).assign(candidate=n)
        for n, j in found.items()
        if j.settings.thresholds
    ]
    if rows:
        benefit = pd.concat(rows, ignore_index=True)
        write_table(benefit, output / "net_benefit.csv")
        decision_figure(benefit, output / "net_benefit.png")


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the few figures by which two runs are compared ('dvc metrics diff')."""
    own = metrics["candidates"][metrics["selected"]]
    shown = metrics["verdict"]["shown"]
    gain = metrics["against_stratum"].get(shown, {})
    return {
        "selected": metrics["selected"],
        "promoted": metrics["verdict"]["promoted"],
        "n_participants": metrics["n_participants"],
        "n_events": metrics["n_events"],
        "auc": own["auc"]["estimate"],
        "auc_ceiling": metrics["ceiling"]["auc"]["estimate"],
        "log_loss": own["log_loss"],
        "brier": own["brier"],
        "calibration_slope": own["calibration"]["slope"],
        "calibration_in_the_large": own["calibration"]["in_the_large"],
        "against_stratum": {
            "of": shown,
            **{n: gain[n]["estimate"] for n in ("auc", "log_loss") if n in gain},
        },
    }


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
