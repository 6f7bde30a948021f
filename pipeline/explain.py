"""Stage ``explain``: exact contributions of the candidates that use predictors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import SPECS
from models.bundle import Bundle
from models.explain import (
    check_additivity,
    family_table,
    importance_table,
    interaction_table,
    value_groups,
)
from models.explain_refits import (
    INTERVAL,
    Refits,
    explain_refits,
    family_sizes,
    feature_sizes,
    reason_stability,
    stability_summary,
    with_intervals,
)
from models.scorers import BoostedScorer, Contributions
from pipeline.artefacts import read_bundle
from pipeline.beeswarm import beeswarm_figure, waterfall_figure
from pipeline.config import ExplainParams, TrainParams
from pipeline.errors import ConfigError
from pipeline.explanation_figures import (
    clinical,
    dependence_figure,
    importance_figure,
    interaction_figure,
)
from pipeline.io import read_table, write_json, write_table
from pipeline.progress import show_progress
from pipeline.protocols import Subject, subject_of
from pipeline.target_folder import ONE_PERSON, why_no_model

FAMILIES = {s.name: s.family for s in SPECS}
UNITS = {s.name: s.unit for s in SPECS}
# Whose risks are low, middling and high: the figures name them, never an id.
N_DEPENDENCE = 6
N_EXAMPLE = 8
SHOWN = {"person A": 0.1, "person B": 0.5, "person C": 0.9}


@dataclass(frozen=True)
class Refitting:
    """Where the outcomes are and how candidates are trained, to repeat it on resampled persons."""

    outcomes: Path
    train: TrainParams


@dataclass(frozen=True)
class _Explained:
    """A candidate's contributions to the rows it was trained on."""

    bundle: Bundle
    rows: pd.DataFrame
    log_odds: np.ndarray
    contributions: Contributions
    refits: Refits | None

    @property
    def name(self) -> str:
        return self.bundle.candidate


def run(
    params: ExplainParams,
    target_folder: Path,
    features: Path,
    output: Path,
    refitting: Refitting | None = None,
) -> dict[str, Any]:
    """Explain the training rows of a target, candidate by candidate.

    Parameters
    ----------
    target_folder : Path
        Output folder of the target; its ``train/`` holds candidates and predictions.
    features : Path
        The feature table the target was trained on.
    output : Path
        Gets, per candidate, ``importance_*.csv``, ``families_*.csv``, ``interactions_*.csv``
        (tabulated trees), ``contributions_*.parquet``, ``dependence_*.csv`` and
        ``person_examples_*.csv``, with refits ``reasons_*.parquet``, and the
        figures; and ``explain.json`` (empty for a target without a model).
    refitting : Refitting, optional
        Without it ranks have no intervals, and nothing is said of how reasons recur.
    """
    if why_no_model(target_folder):
        write_json({}, output / "explain.json")
        return {}
    rows = _training_rows(target_folder / "train" / "predictions.parquet", read_table(features))
    subject = None
    if refitting is not None and params.refits:
        tables = (features, refitting.outcomes)
        train = replace(refitting.train, soft_labels=False)
        subject = subject_of(train, tables, target_folder.parent, target_folder.name)
    summary = {}
    for name in params.candidates:
        folder = target_folder / "train" / "candidates" / name
        if not folder.is_dir():
            known = sorted(p.name for p in folder.parent.iterdir())
            raise ConfigError(
                f"explain, candidates: expected names from {', '.join(known)}, found '{name}'."
            )
        summary[name] = _explain_candidate(params, read_bundle(folder), (rows, subject), output)
    write_json(summary, output / "explain.json")
    return summary


def _training_rows(predictions: Path, features: pd.DataFrame) -> pd.DataFrame:
    keys = ["study_id", "participant_id", "session_id"]
    trained = read_table(predictions).drop_duplicates(keys)[keys]
    return trained.merge(features, on=keys, how="left", validate="one_to_one")


def _explain_candidate(
    params: ExplainParams, bundle: Bundle, about: tuple[pd.DataFrame, Subject | None], output: Path
) -> dict[str, Any]:
    rows, subject = about
    log_odds = bundle.scorer.log_odds(rows)
    refits = None if subject is None else _refit(subject, bundle.candidate, rows, params.refits)
    found = _Explained(bundle, rows, log_odds, bundle.explain(rows), refits)
    gap = check_additivity(found.contributions, log_odds)
    importance, families = _importance(found)
    write_table(importance, output / f"importance_{found.name}.csv")
    write_table(families, output / f"families_{found.name}.csv")
    values = pd.DataFrame(found.contributions.values, columns=list(found.contributions.names))
    keyed = pd.concat([rows.iloc[:, :3], values], axis=1)
    keyed = keyed.assign(baseline=found.contributions.baseline, log_odds=log_odds)
    write_table(keyed, output / f"contributions_{found.name}.parquet")
    _figures(found, importance, output, params.max_display)
    return {
        "scale": "log-odds",
        "baseline": found.contributions.baseline,
        "largest_additivity_gap": gap,
        "n_rows": len(rows),
        "families": dict(zip(families["family"], families["mean_abs_log_odds"], strict=True)),
        "family_ranks": _ranks(families),
        "features": {
            f: float(np.round(v, 6))
            for f, v in zip(importance["feature"], importance["mean_abs_log_odds"], strict=True)
        },
        "interactions": _interactions(found, output),
        **_reasons(found, output, params.top_reasons),
    }


def _refit(subject: Subject, name: str, rows: pd.DataFrame, n_refits: int) -> Refits:
    execution = replace(
        subject.execution(f"explain_{name}"),
        store=None,
        progress=show_progress(f"explain {name} {subject.target}", "refits"),
    )
    data = (subject.learning, subject.data.person)
    return explain_refits(
        subject.procedure(name), data, rows[subject.X.columns], n_refits, execution
    )


def _importance(found: _Explained) -> tuple[pd.DataFrame, pd.DataFrame]:
    importance = importance_table(found.contributions, FAMILIES)
    families = family_table(found.contributions, FAMILIES)
    if found.refits is None:
        return importance, families
    return (
        with_intervals(importance, "feature", feature_sizes(found.refits)),
        with_intervals(families, "family", family_sizes(found.refits, FAMILIES)),
    )


def _ranks(families: pd.DataFrame) -> list[dict[str, Any]]:
    """Families with the range of their rank over refits, for the report."""
    if "rank_lower" not in families:
        return []
    return [{str(k): v for k, v in row.items()} for row in families.to_dict("records")]


def _reasons(found: _Explained, output: Path, top: int) -> dict[str, Any]:
    if found.refits is None:
        return {"refits": None, "reasons": None}
    reasons = reason_stability(found.contributions, found.refits, top)
    keyed = pd.concat([found.rows.iloc[:, :3], reasons], axis=1)
    write_table(keyed, output / f"reasons_{found.name}.parquet")
    return {
        "refits": {
            "n": len(found.refits.values),
            "failures": found.refits.failures,
            "interval": list(INTERVAL),
            "what": "the whole procedure, tuning and recalibration included, on resampled persons",
        },
        "reasons": stability_summary(reasons, top),
    }


def _interactions(found: _Explained, output: Path) -> dict[str, Any]:
    scorer = found.bundle.scorer
    pairs = scorer.pairs(found.rows) if isinstance(scorer, BoostedScorer) else None
    if pairs is None:
        return {"reason": "additive on the scale of the model, or not computed for such trees"}
    table = interaction_table(pairs)
    write_table(table, output / f"interactions_{found.name}.csv")
    if len(table):
        first = (table["feature"].iloc[0], table["with_feature"].iloc[0])
        path = output / f"interaction_{found.name}.png"
        interaction_figure(pairs[first], found.rows, first, UNITS, path)
    shown = table.head(5).itertuples(index=False)
    return {"largest": [[r[0], r[1], float(np.round(r[2], 6))] for r in shown]}


def _figures(found: _Explained, importance: pd.DataFrame, output: Path, max_display: int) -> None:
    name, contributions = found.name, found.contributions
    beeswarm_figure(contributions, found.rows, output / f"beeswarm_{name}.png", max_display)
    importance_figure(importance.head(max_display), output / f"importance_{name}.png")
    first = [f for f in importance["feature"].head(4) if f in found.rows.columns]
    if first:
        path = output / f"dependence_{name}.png"
        dependence_figure(contributions, found.rows, first, UNITS, path)
    write_table(_dependence(found, importance), output / f"dependence_{name}.csv")
    order = np.argsort(found.log_odds, kind="stable")
    write_table(_examples(found, order), output / f"{ONE_PERSON}examples_{name}.csv")
    for number, (person, share) in enumerate(SHOWN.items(), start=1):
        row = _example_row(order, share)
        path = output / f"{ONE_PERSON}{number}_{name}.png"
        waterfall_figure(contributions, found.rows.iloc[row], (row, person), UNITS, path)


def _example_row(order: np.ndarray, share: float) -> int:
    """Position of the row at this share of the rows in the order of their risk."""
    return int(order[round(share * (len(order) - 1))])


def _dependence(found: _Explained, importance: pd.DataFrame) -> pd.DataFrame:
    """Mean contribution by groups of the value, of the most important features."""
    parts = []
    for name in [f for f in importance["feature"].head(N_DEPENDENCE) if f in found.rows]:
        raw = found.rows[name].to_numpy(dtype=np.float64)
        values, unit = clinical(raw, UNITS.get(name, ""))
        own = found.contributions.values[:, found.contributions.names.index(name)]
        parts.append(value_groups(values, own).assign(feature=name, unit=unit))
    if not parts:
        return pd.DataFrame(columns=["feature", "unit"])
    table = pd.concat(parts, ignore_index=True)
    return table[["feature", "unit", *table.columns.drop(["feature", "unit"])]]


def _examples(found: _Explained, order: np.ndarray) -> pd.DataFrame:
    """Three persons by a letter: largest contributions, their sum and the rest.

    Values are rounded to two digits: enough to follow a prediction, too little to look up a row.
    """
    contributions, rows = found.contributions, []
    for person, share in SHOWN.items():
        at = _example_row(order, share)
        own = contributions.values[at]
        risk = float(1 / (1 + np.exp(-found.log_odds[at])))
        largest = np.argsort(-np.abs(own), kind="stable")[:N_EXAMPLE]
        head = {"person": person, "risk": risk}
        rows.append(head | {"feature": "start", "value": "", "log_odds": contributions.baseline})
        for column in largest:
            name = contributions.names[column]
            value = _two_digits(found.rows.iloc[at].get(name, np.nan), UNITS.get(name, ""))
            rows.append(head | {"feature": name, "value": value, "log_odds": float(own[column])})
        rest = float(own.sum() - own[largest].sum())
        rows.append(head | {"feature": "all others", "value": "", "log_odds": rest})
    return pd.DataFrame(rows)


def _two_digits(value: object, unit: str) -> str:
    known = np.array([value], dtype=np.float64)
    if not np.isfinite(known[0]):
        return "missing"
    shown, word = clinical(known, unit)
    rounded = float(f"{shown[0]:.2g}")
    # Of an indicator or a code the number is all there is to say.
    return f"{rounded:g}" if word[:1].isdigit() else f"{rounded:g} {word}".strip()
