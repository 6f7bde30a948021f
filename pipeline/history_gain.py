"""Tool ``history-gain``: what a person's own earlier bouts add to the prediction of the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.build import build_features
from features.columns import KEYS
from features.history import HISTORY, HISTORY_NAMES, ONE_CHANGE_RELIABILITY
from models.errors import NotEnoughDataError
from models.splits import make_split_plan
from pipeline.biomarker_columns import Marker, refuse_leaks
from pipeline.biomarker_record import Judging
from pipeline.biomarker_study import MEASURED, StudyRows, label_rows, read_study_rows
from pipeline.biomarker_words import contrast_of
from pipeline.config import BiomarkerParams, LabelParams
from pipeline.errors import ConfigError
from pipeline.own_history import with_history
from pipeline.stratify_source import Base, base_set
from pipeline.study_folder import read_cases, read_design, read_measurements

HISTORY_FEATURES = frozenset(s.name for s in HISTORY.specs)
# Of the history, what is judged: how many bouts and their shrunken mean would say it once more.
JUDGED = ("history_mean_change", "history_last_change")


def run(
    params: tuple[BiomarkerParams, LabelParams], folder: Path, target: str, base: tuple[str, ...]
) -> dict[str, Any]:
    """Judge the history over the base set, on the bouts that have one.

    Parameters
    ----------
    params : (BiomarkerParams, LabelParams)
        Splits, resamples, base set and rules; the responder rule.
    folder : Path
    target : str
    base : tuple of str
        What is known without a history; empty: that of the parameters, as far as measured.
        ``none``: nothing.

    Returns
    -------
    dict with ``history`` (a record as of ``eih biomarker``), ``base`` and
    ``base_left_out``, ``n_bouts`` and ``n_bouts_without_history``, ``sentence``

    Raises
    ------
    ConfigError
        For a base set that holds the history.
    LeakageError
        For a base set that is known too late, or made of the outcome or its reference.
    NotEnoughDataError
        Where nobody, or too few, have an earlier bout.
    """
    settings = params[0]
    study, n_without = _rows_with_history(params, folder, target)
    known = _base(study, settings, base)
    columns = known.columns
    marker = _marker(study)
    refuse_leaks(
        marker,
        study.outcomes[[c for c in MEASURED if c in study.outcomes.columns]],
        study.coupled,
        settings.decision_time,
    )
    contrast = contrast_of(study.card, study.cases)
    record = Judging(study, settings, columns, marker, None).record(target, contrast)
    result: dict[str, Any] = {
        "study": study.card.get("name", ""),
        "simulated": bool(study.card.get("simulated", False)),
        "target": target,
        "endpoint": study.endpoint,
        "rule": study.rule,
        "base": list(columns.columns),
        "base_left_out": list(known.left_out),
        "n_bouts": len(study.cases),
        "n_persons": len(np.unique(study.person)),
        "n_bouts_without_history": n_without,
        "mean_earlier_bouts": float(study.cases["history_bouts"].mean()),
        "shrunken_by": ONE_CHANGE_RELIABILITY,
        "history": record,
    }
    result["sentence"] = sentence(result)
    return result


def _rows_with_history(
    params: tuple[BiomarkerParams, LabelParams], folder: Path, target: str
) -> tuple[StudyRows, int]:
    settings = params[0]
    study = read_study_rows(params, folder, target)
    whole = with_history(read_cases(folder), read_measurements(folder), read_design(folder))
    joined = study.cases[list(KEYS)].merge(
        whole[[*KEYS, *HISTORY_NAMES]], on=list(KEYS), how="left", validate="one_to_one"
    )
    has = (joined["history_bouts"] > 0).to_numpy()
    own = study.outcomes[target].to_numpy(dtype=np.float64)[has]
    if len(np.unique(own[np.isfinite(own)])) < 2:
        raise NotEnoughDataError(
            f"{folder}, target '{target}': expected events and others among bouts that follow an "
            f"earlier one of the same person (column 'period'), found {int(np.nansum(own))} events "
            f"in {int(has.sum())} such bouts."
        )
    cases = study.cases.assign(**{n: joined[n].to_numpy() for n in HISTORY_NAMES})
    person = np.unique(study.person[has], return_inverse=True)[1].astype(np.int64)
    kept = replace(
        study,
        cases=cases[has].reset_index(drop=True),
        features=build_features(cases[has].reset_index(drop=True)),
        outcomes=study.outcomes[has].reset_index(drop=True),
        person=person,
        plan=make_split_plan(
            np.nan_to_num(own),
            person,
            repeats=settings.repeats,
            folds=settings.folds,
            inner_folds=2,
            seed=settings.seed,
        ),
    )
    return label_rows(kept, ()), int((~has).sum())


def _base(study: StudyRows, settings: BiomarkerParams, asked: tuple[str, ...]) -> Base:
    """Return the base set, in which no history may be: it would be judged against itself."""
    found = base_set(study, settings, asked)
    if own := [c for c in found.columns.columns if c in HISTORY_FEATURES]:
        raise ConfigError(
            f"base: expected what is known without a history, found '{own[0]}', which is judged."
        )
    return found


def _marker(study: StudyRows) -> Marker:
    """The history's columns; the last change left out where it is the mean in every row."""
    columns = study.features[list(JUDGED)]
    values: npt.NDArray[np.float64] = columns.to_numpy(dtype=np.float64)
    if np.allclose(values[:, 0], values[:, 1]):
        columns = columns[[JUDGED[0]]]
    names = list(columns.columns)
    units = dict.fromkeys(names, "unit of the change")
    return Marker("history", "family", columns, units, {n: (n,) for n in names})


def sentence(result: dict[str, Any]) -> str:
    """Say what the history added, out of fold, and how sure that is."""
    found = result["history"]["log_loss_difference"]
    auc = result["history"]["auc_difference"]
    said = "Simulated data. " if result["simulated"] else ""
    if found["upper"] < 0:
        verdict = "a person's earlier bouts improve the prediction of the next"
    elif found["lower"] > 0:
        verdict = "a person's earlier bouts make the prediction of the next worse"
    else:
        verdict = "a person's earlier bouts have not been shown to help predict the next"
    return (
        f"{said}{result['endpoint']}, {result['target']}: {verdict} (log loss "
        f"{_interval(found)}, AUC {_interval(auc)}, out of fold, with minus without; "
        f"{_judged(result['history'])})."
    )


def _judged(record: dict[str, Any]) -> str:
    """Count what the figures are of; rows that lack something are said, not passed over."""
    said = f"{record['n']} bouts of {record['n_participants']} persons"
    left = record["n_left_out"]
    return f"{said}; {left} more lack the base set or a decided class" if left else said


def _interval(found: dict[str, Any]) -> str:
    return f"{found['estimate']:+.3f} ({found['lower']:+.3f} to {found['upper']:+.3f})"
