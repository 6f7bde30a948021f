"""The rows a marker is judged on: cases, features, changes, splits, and labels under every rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import build_features
from features.columns import CASES_BY_NAME, KEYS
from features.coupling import coupled_columns
from features.outcome import SOFT_LABELS, TARGETS, OutcomeDesign, compute_changes, outcome_table
from features.responder import RULES
from models.errors import NotEnoughDataError
from models.splits import SplitPlan, make_split_plan
from pipeline.config import BiomarkerParams, LabelParams
from pipeline.errors import ConfigError
from pipeline.label import outcome_design
from pipeline.own_history import check_delivered
from pipeline.relabel import LabelSource, labels_per_fold
from pipeline.study_folder import read_card, read_cases, read_design, read_measurements

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
OWN_RULE = "study"
# Outcome columns whose values no marker may carry.
MEASURED = ("reference", "after", "change", "change_log_ratio", "change_absolute", "change_percent")


@dataclass(frozen=True)
class Labels:
    """A target under one rule: learnt from everybody, and within each fold.

    ``y`` has shape (n_rows,), ``by_fold`` (n_folds, n_rows); NaN = undecided.
    """

    y: Vector
    by_fold: Matrix


@dataclass(frozen=True)
class StudyRows:
    """Rows with a known change, sorted by key, and all that markers are judged with.

    ``labels`` holds the study's own rule (``study``) first; ``unlabelled`` says which other rule
    cannot be applied and why. Both are empty before :func:`label_rows`.
    """

    card: Mapping[str, Any]
    endpoint: str
    rule: str
    cases: pd.DataFrame
    features: pd.DataFrame
    outcomes: pd.DataFrame
    coupled: Mapping[str, str]
    person: npt.NDArray[np.int64]
    plan: SplitPlan
    source: LabelSource
    labels: Mapping[str, Labels] = field(default_factory=dict)
    unlabelled: Mapping[str, str] = field(default_factory=dict)

    @property
    def change(self) -> Vector:
        """Return the continuous change, positive = less pain."""
        return self.outcomes["change"].to_numpy(dtype=np.float64)


def read_study_rows(
    params: tuple[BiomarkerParams, LabelParams], folder: Path, target: str
) -> StudyRows:
    """Read a study folder: its rows, changes and splits; :func:`label_rows` adds the labels.

    Raises
    ------
    ConfigError
        For an unknown target or endpoint.
    NotEnoughDataError
        Without two classes of the target, or too few persons of one for the folds.
    """
    settings, label_params = params
    if target not in TARGETS:
        raise ConfigError(f"target: expected one of {', '.join(TARGETS)}, found '{target}'.")
    cases, measurements = read_cases(folder), read_measurements(folder)
    check_delivered(cases, measurements, read_design(folder))
    design = outcome_design(folder, label_params)
    changes = compute_changes(cases, measurements, design)
    chosen = _of_endpoint(outcome_table(changes, measurements, design), settings.endpoint)
    rows = cases.merge(chosen[list(KEYS)], on=list(KEYS)).sort_values(list(KEYS), ignore_index=True)
    outcomes = rows[list(KEYS)].merge(chosen, on=list(KEYS), validate="one_to_one")
    y = outcomes[target].to_numpy(dtype=np.float64)
    if len(np.unique(y[np.isfinite(y)])) < 2:
        raise NotEnoughDataError(
            f"target '{target}': expected events and others, found "
            f"{int(np.nansum(y))} events in {int(np.isfinite(y).sum())} rows."
        )
    endpoint = str(outcomes["endpoint"].iloc[0])
    person = rows.groupby(["study_id", "participant_id"], sort=True).ngroup().to_numpy()
    return StudyRows(
        card=read_card(folder)["study"],
        endpoint=endpoint,
        rule=design.rule,
        cases=rows,
        features=build_features(rows),
        outcomes=outcomes,
        coupled=_coupled(cases, measurements, design, endpoint),
        person=np.asarray(person, dtype=np.int64),
        plan=_plan(y, np.asarray(person, dtype=np.int64), settings),
        source=LabelSource(changes[changes["endpoint"] == endpoint], design, target),
    )


def label_rows(study: StudyRows, rules: tuple[str, ...]) -> StudyRows:
    """Add the labels of the study's own rule and of others, which takes the time that it takes.

    Raises
    ------
    ConfigError
        For a rule there is not.
    """
    labels, unlabelled = _every_rule(study.source, study.outcomes, study.plan, rules)
    return replace(study, labels=labels, unlabelled=unlabelled)


def _of_endpoint(table: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    names = ["primary", *dict.fromkeys(table["endpoint"])]
    if endpoint not in names:
        raise ConfigError(f"endpoint: expected one of {', '.join(names)}, found '{endpoint}'.")
    wanted = table["is_primary"] if endpoint == "primary" else table["endpoint"] == endpoint
    if not wanted.any():
        raise NotEnoughDataError(f"endpoint '{endpoint}': expected changes, found none.")
    return table[wanted & table["change"].notna()]


def _plan(y: Vector, person: npt.NDArray[np.int64], settings: BiomarkerParams) -> SplitPlan:
    return make_split_plan(
        np.nan_to_num(y),
        person,
        repeats=settings.repeats,
        folds=settings.folds,
        inner_folds=2,
        seed=settings.seed,
    )


def _every_rule(
    own: LabelSource, outcomes: pd.DataFrame, plan: SplitPlan, others: tuple[str, ...]
) -> tuple[dict[str, Labels], dict[str, str]]:
    """Label by the study's own rule and by the others; a flare has no rule but its own."""
    if own.target not in SOFT_LABELS:
        y = outcomes[own.target].to_numpy(dtype=np.float64)
        return {OWN_RULE: Labels(y, np.broadcast_to(y, (len(plan.folds), len(y))))}, {}
    labels, unlabelled = {OWN_RULE: _labels(own, outcomes, plan)}, {}
    for rule in others:
        found = _labels(replace(own, design=with_rule(own.design, rule)), outcomes, plan)
        known = found.y[np.isfinite(found.y)]
        if len(np.unique(known)) < 2:
            unlabelled[rule] = f"one class only among {len(known)} decided rows"
        else:
            labels[rule] = found
    return labels, unlabelled


def _labels(source: LabelSource, outcomes: pd.DataFrame, plan: SplitPlan) -> Labels:
    keys = outcomes[list(KEYS)]
    y = np.asarray(source.labels(keys, None, soft=False)[0], dtype=np.float64)
    return Labels(y, labels_per_fold(source, keys, plan, soft=False).judged)


def with_rule(design: OutcomeDesign, rule: str) -> OutcomeDesign:
    """Return the design under another of :data:`features.responder.RULES`.

    Raises
    ------
    ConfigError
        For a rule that is none of them.
    """
    if rule not in RULES:
        raise ConfigError(f"rules: expected {', '.join(RULES)}, found '{rule}'.")
    if rule == "sem_change":
        return replace(design, rule="sem", sem_of="change")
    if rule == "sem_single":
        return replace(design, rule="sem", sem_of="single")
    return replace(design, rule="mdc95" if rule == "mdc95" else "posterior")


def _coupled(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign, endpoint: str
) -> dict[str, str]:
    """Columns of cases, declared or not, that the endpoint's reference trials determine."""
    new = [c for c in cases.columns if c not in CASES_BY_NAME]
    numeric = {c: pd.to_numeric(cases[c], errors="coerce").astype(np.float64) for c in new}
    also = [c for c, values in numeric.items() if values.notna().any()]
    found = coupled_columns(cases.assign(**numeric), measurements, design, also)
    return {c.column: endpoint for c in found if c.endpoint == endpoint}
