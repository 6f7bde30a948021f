"""The ceiling beside a result: how well any model could do against a label with this error.

The reliability travels with the outcome table (columns ``reliability*``), through
``selection.json``, to the metrics of every target.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.ceiling import (
    CLASS_TARGETS,
    LabelShares,
    auc_ceiling,
    ceiling,
    in_words,
    kappa_ceiling,
    label_shares,
    r2_ceiling,
)
from features.resampling import Figure, unknown
from pipeline.io import read_json
from pipeline.target_folder import SELECTION

NUMBERS = ("estimate", "lower", "upper")
TEXTS = ("source", "method", "reason")
MEASURES = {"auc": auc_ceiling, "r2": r2_ceiling, "kappa": kappa_ceiling}


def with_reliability(
    labels: pd.DataFrame, reliability: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Add the reliability of its endpoint, and the AUC ceiling of ``response``, to every row.

    Parameters
    ----------
    labels : DataFrame
        Outcome table.
    reliability : mapping of endpoint name to
        :func:`features.reliability_summary.label_reliability`
    """
    endpoint = labels["endpoint"]
    added: dict[str, pd.Series] = {}
    for name in NUMBERS:
        of_endpoint = {e: float(r[name]) for e, r in reliability.items()}
        added[_column(name)] = endpoint.map(of_endpoint).astype("float64")
    for name in TEXTS:
        of_endpoint_text = {e: str(r[name]) for e, r in reliability.items()}
        added[_column(name)] = endpoint.map(of_endpoint_text).astype("str")
    ceilings = {
        e: ceiling(auc_ceiling, _figure(r), label_shares(labels[endpoint == e], "response"))
        for e, r in reliability.items()
    }
    auc = endpoint.map({e: c.estimate for e, c in ceilings.items()}).astype("float64")
    return labels.assign(**added, auc_ceiling=auc)


def _column(name: str) -> str:
    return "reliability" if name == "estimate" else f"reliability_{name}"


def reliability_record(labels: pd.DataFrame, target: str) -> dict[str, Any]:
    """Read back the reliability of one endpoint's rows, as it concerns one target.

    Returns
    -------
    dict with ``estimate, lower, upper, source, method, reason`` and ``unlabelled`` (share of
    bouts with a change that the rule left without a class)
    """
    if target not in CLASS_TARGETS:
        return _unknown_record(f"'{target}' is no class of the change, whose reliability is known")
    if "reliability" not in labels.columns or labels.empty:
        return _unknown_record("the outcome table carries no reliability")
    row = labels.iloc[0]
    return {
        **{n: float(row[_column(n)]) for n in NUMBERS},
        **{n: str(row[_column(n)]) for n in TEXTS},
        "unlabelled": label_shares(labels, target).unlabelled,
    }


def reliability_beside(predictions: Path) -> dict[str, Any] | None:
    """Return the reliability of the label that a training run's predictions were judged by.

    None where the predictions come from elsewhere: then no ``selection.json`` lies beside them.
    """
    path = predictions.parent / SELECTION
    if not path.exists():
        return None
    record: dict[str, Any] | None = read_json(path).get("reliability")
    return record


def judge_ceiling(
    record: Mapping[str, Any] | None, prevalence: float, aucs: Mapping[str, float]
) -> dict[str, Any]:
    """Put the ceiling beside the AUCs that were found, and raise the alarm above it.

    Parameters
    ----------
    record : mapping or None
        From :func:`reliability_record`.
    prevalence : float in [0, 1]
        Share of events in the judged rows.
    aucs : mapping of candidate to AUC

    Returns
    -------
    dict with ``auc``, ``r2``, ``kappa`` (each estimate, lower, upper, ...), ``reliability``,
    ``source``, ``suspicious`` (an AUC lies above the upper limit), ``reason`` (why it is
    suspicious, or why nothing can be said) and ``sentence``
    """
    record = record or _unknown_record("no reliability of the outcome is known")
    reliability = _figure(record)
    unlabelled = float(record["unlabelled"])
    shares = LabelShares(prevalence * (1 - unlabelled), unlabelled)
    found = {name: ceiling(m, reliability, shares) for name, m in MEASURES.items()}
    above = {n: v for n, v in aucs.items() if v > found["auc"].upper}
    return {
        **{name: figure.to_dict() for name, figure in found.items()},
        "reliability": reliability.to_dict(),
        "source": record["source"],
        "suspicious": bool(above),
        "reason": _reason(found["auc"], above),
        "sentence": _sentence(found["auc"], reliability, record["source"], above),
    }


def _unknown_record(reason: str) -> dict[str, Any]:
    return {**unknown(reason).to_dict(), "source": "none", "unlabelled": 0.0}


def add_ceiling(metrics: dict[str, Any], selection: Mapping[str, Any]) -> None:
    """Put the ceiling into the metrics of a ladder, and its sentence after the verdict's."""
    aucs = {name: figures["auc"]["estimate"] for name, figures in metrics["candidates"].items()}
    found = judge_ceiling(selection.get("reliability"), metrics["prevalence"], aucs)
    metrics["ceiling"] = found
    metrics["verdict"] = {
        **metrics["verdict"],
        "sentence": f"{metrics['verdict']['sentence']} {found['sentence']}",
    }


def _figure(record: Mapping[str, Any]) -> Figure:
    estimate, lower, upper = (np.nan if record[n] is None else float(record[n]) for n in NUMBERS)
    return Figure(estimate, lower, upper, record["method"], record["reason"])


def _reason(auc: Figure, above: Mapping[str, float]) -> str:
    if above:
        names = ", ".join(f"'{n}' ({v:.2f})" for n, v in above.items())
        return f"the AUC of {names} exceeds the upper limit of the ceiling, {auc.upper:.2f}"
    if np.isnan(auc.estimate):
        return auc.reason
    return "the reliability has no interval" if np.isnan(auc.upper) else ""


def _sentence(auc: Figure, reliability: Figure, source: str, above: Mapping[str, float]) -> str:
    if np.isnan(auc.estimate):
        return in_words(reliability, auc)
    said = f"Reliability of this label, from {source}: {reliability.in_words()}. "
    said += in_words(reliability, auc)
    if above:
        said += (
            f" SUSPICIOUS: {_reason(auc, above)}. Look for a leak, or for a baseline that is part "
            "of the outcome, before believing it."
        )
    return said
