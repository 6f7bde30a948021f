"""Stage ``train``: validate the ladder by person, choose, and fit every candidate on all rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import SPECS, contract_hash, contract_parts
from features.evidence import evidence_signs
from features.outcome import SOFT_LABELS
from models.bundle import Bundle, describe_training, spec_dict
from models.classifiers import Candidate, LadderSettings, make_ladder
from models.decision import largest_youden
from models.errors import NotEnoughDataError
from models.fold_labels import double, first_copies, judged_labels, learnable
from models.profile import make_profile
from models.scorers import make_scorer
from models.selection import Selection, select_candidate
from models.splits import SplitPlan, make_split_plan
from models.validation import Execution, OutOfFold, cross_validate, fit_tuned
from pipeline.artefacts import (
    git_commit,
    probe_answers,
    stack_versions,
    write_bundle,
)
from pipeline.config import TrainParams
from pipeline.dataset import Dataset, block_record, feature_roles, load_dataset, usable_columns
from pipeline.errors import ConfigError
from pipeline.io import write_json, write_table
from pipeline.paths import make_folder
from pipeline.progress import show_progress
from pipeline.relabel import FoldLabels, labels_per_fold
from pipeline.resume import fingerprint, kept_until_done
from pipeline.target_folder import NOT_ENOUGH_DATA, SELECTION, UNCERTAINTY
from pipeline.uncertainty import Sureness, uncertainty_rules

# Beside the folders that DVC empties before it runs the stage again.
UNFINISHED = "train.unfinished.jsonl"
YOUDEN = "largest Youden index on out-of-fold risks"


def run(params: TrainParams, tables: tuple[Path, Path], target: str, output: Path) -> Selection:
    """Train one target of a study.

    Parameters
    ----------
    params : TrainParams
    tables : (features, outcomes)
    target : str
    output : Path
        Folder of the target: gets ``train/`` (out-of-fold predictions, splits, selection, every
        candidate's bundle) and ``bundle/`` (the chosen one). While training runs, finished folds
        are kept in a file beside them; a run that was killed goes on from there.
    """
    rules = uncertainty_rules(params)
    data = load_dataset(*tables, params.endpoint, target, params.decision_time)
    columns = usable_columns(data.X)
    X = data.X[columns]
    plan = make_split_plan(
        np.nan_to_num(data.y),
        data.person,
        repeats=params.repeats,
        folds=params.folds,
        inner_folds=params.inner_folds,
        seed=params.seed,
    )
    ladder = make_ladder(feature_roles(columns), ladder_settings(params, data, target))
    soft = params.soft_labels and target in SOFT_LABELS
    labels = fold_labels(data, plan, soft)
    final = data.soft if soft else data.y
    usable = learnable(plan, labels.fitted, final)
    run_hash = _run_hash(X, labels, usable, ladder)
    with kept_until_done(output / UNFINISHED, run_hash) as store:
        execution = Execution(params.jobs, store, show_progress(f"train {target}", "fits"))
        out_of_fold = validate(X, labels, usable, ladder, execution)
        judged = judged_labels(labels.judged, plan)
        risks = risks_by_candidate(out_of_fold, plan)
        selection = select_candidate(judged, data.person, risks)
        sureness = Sureness(X, data.person, judged, plan, rules)
        record = _record(data, plan, params) | {"soft_labels": soft}
        for candidate in ladder:
            bundle = _fit_bundle(candidate, X, data, usable, (target, record))
            bundle = with_threshold(bundle, judged, risks[candidate.name])
            bundle = with_profile(bundle, X, data.person, final)
            bundle = sureness.attach(bundle, risks[candidate.name])
            write_bundle(bundle, output / "train" / "candidates" / candidate.name)
            if candidate.name == selection.selected:
                write_bundle(bundle, output / "bundle")
                said = sureness.cross_answered(bundle, risks[candidate.name], data.keys)
                write_table(said, output / "train" / UNCERTAINTY)
        _write(output / "train", data, plan, out_of_fold, (selection, judged))
    return selection


def _run_hash(
    X: pd.DataFrame, labels: FoldLabels, plan: SplitPlan, ladder: Sequence[Candidate]
) -> str:
    """Hash of everything that what a fold says depends on."""
    values = hashlib.sha256(np.ascontiguousarray(X.to_numpy()).tobytes())
    for part in (labels.fitted, labels.margin):
        values.update(b"-" if part is None else np.ascontiguousarray(part).tobytes())
    candidates = [[c.name, c.learns, c.calibrate, [dict(s) for s in c.grid]] for c in ladder]
    about = (list(X.columns), plan.sha256(), candidates, stack_versions(), git_commit())
    return fingerprint(values.hexdigest(), *about)


def validate(
    X: pd.DataFrame,
    labels: FoldLabels,
    plan: SplitPlan,
    ladder: Sequence[Candidate],
    execution: Execution,
) -> OutOfFold:
    """Cross-validate on hard labels, or on soft ones where they are what is learnt from."""
    margin = labels.margin
    if labels.fitted is labels.judged:
        return cross_validate(X, labels.fitted, plan, ladder, margin=margin, execution=execution)
    rows = double(X, labels.fitted, plan)
    found = cross_validate(
        rows.X,
        rows.y,
        rows.plan,
        ladder,
        weights=rows.weights,
        margin=None if margin is None else np.concatenate([margin, margin], axis=-1),
        execution=execution,
    )
    return replace(found, predictions=first_copies(found.predictions, len(X)))


def fold_labels(data: Dataset, plan: SplitPlan, soft: bool) -> FoldLabels:
    """Labels of every outer fold: of its training persons, or as given where they are fixed.

    Raises
    ------
    ConfigError
        Where soft labels are asked for and the outcome table has none.
    """
    if soft and not np.isfinite(data.soft).any():
        raise ConfigError(
            "train, soft_labels: expected an outcome table with probabilities of a true change, "
            "found none. Label the study with an error of measurement, or set it to false."
        )
    if data.source is not None:
        return labels_per_fold(data.source, data.keys, plan, soft)
    shape = (len(plan.folds), plan.n_rows)
    judged = np.broadcast_to(data.y, shape)
    margin = None if data.margin is None else np.broadcast_to(data.margin, shape)
    return FoldLabels(judged, np.broadcast_to(data.soft, shape) if soft else judged, margin)


def run_or_record(
    params: TrainParams, tables: tuple[Path, Path], target: str, output: Path
) -> Selection | None:
    """Train, or record that there is too little data for it.

    One target without enough events must not keep the others of a study from their results:
    ``train/selection.json`` then holds the reason, and ``bundle/`` is empty.
    """
    for folder in ("train", "bundle"):
        make_folder(output / folder)
    try:
        return run(params, tables, target, output)
    except NotEnoughDataError as error:
        write_json({NOT_ENOUGH_DATA: str(error)}, output / "train" / SELECTION)
        return None


def ladder_settings(params: TrainParams, data: Dataset, target: str) -> LadderSettings:
    """Take the ladder's grids from the parameters, and the signs of the target's evidence.

    A target that is no cut of a continuous change has no rung ``regression``.
    """
    return LadderSettings(
        stratum_prior_strength=params.stratum_prior_strength,
        logistic_c=params.logistic_c,
        xgboost_max_depth=params.xgboost_max_depth,
        xgboost_n_estimators=params.xgboost_n_estimators,
        logistic_spline_knots=params.logistic_spline_knots,
        regression_alpha=() if data.margin is None else params.regression_alpha,
        regression_l1_ratio=params.regression_l1_ratio,
        xgboost_calibration=params.xgboost_calibration,
        monotone=evidence_signs(target) if params.xgboost_monotone else {},
    )


def risks_by_candidate(
    out_of_fold: OutOfFold, plan: SplitPlan
) -> dict[str, npt.NDArray[np.float64]]:
    """Return each candidate's risks as an array of shape (n_repeats, n_rows)."""
    shape = (plan.n_repeats, plan.n_rows)
    return {
        name.removeprefix("p_"): out_of_fold.predictions[name].to_numpy().reshape(shape)
        for name in out_of_fold.predictions.columns
        if name.startswith("p_")
    }


def _record(data: Dataset, plan: SplitPlan, params: TrainParams) -> dict[str, Any]:
    return {
        "study": ", ".join(sorted(data.keys["study_id"].unique())),
        "endpoint": data.endpoint,
        "decision_time": params.decision_time,
        "data_sha256": data.sha256(),
        "split_sha256": plan.sha256(),
        "contract_hash": contract_hash(),
        "git_commit": git_commit(),
        "versions": stack_versions(),
    }


def _fit_bundle(
    candidate: Candidate,
    X: pd.DataFrame,
    data: Dataset,
    plan: SplitPlan,
    about: tuple[str, dict[str, Any]],
) -> Bundle:
    target, record = about
    soft = bool(record["soft_labels"])
    y = data.soft if soft else data.y
    known = np.isfinite(y)
    if soft:
        rows = double(X, y, plan)
        fitted, tuned = fit_tuned(
            candidate,
            rows.X,
            rows.y,
            np.arange(2 * len(X)),
            rows.plan.final,
            weights=rows.weights,
            margin=None if data.margin is None else np.tile(data.margin, 2),
        )
    else:
        everybody = np.arange(len(X))
        fitted, tuned = fit_tuned(candidate, X, y, everybody, plan.final, margin=data.margin)
    settings = {k: v for k, v in candidate.grid[tuned["setting"]].items() if k != "columns"}
    specs = {s.name: s for s in SPECS}
    bundle = Bundle(
        target=target,
        candidate=candidate.name,
        scorer=make_scorer(fitted),
        features=tuple(spec_dict(specs[c]) for c in X.columns),
        contract=contract_parts(),
        training={
            **describe_training(X[known], y[known], data.person[known]),
            "blocks": block_record(data.X, list(X.columns)),
        },
        record={**record, "settings": settings},
    )
    return replace(bundle, training={**bundle.training, "probe": probe_answers(bundle)})


def with_threshold(
    bundle: Bundle, judged: npt.NDArray[np.float64], risk: npt.NDArray[np.float64]
) -> Bundle:
    """Store the risk from which a row is of the class: chosen on persons not learnt from.

    Parameters
    ----------
    bundle : Bundle
    judged, risk : ndarray of shape (n_repeats, n_rows)
        Labels (NaN = unknown) and out-of-fold risks.
    """
    known = np.isfinite(judged) & np.isfinite(risk)
    if len(np.unique(judged[known])) < 2:
        return bundle
    chosen = {"value": largest_youden(judged[known], risk[known]), "rule": YOUDEN}
    return replace(bundle, training={**bundle.training, "threshold": chosen})


def with_profile(
    bundle: Bundle,
    X: pd.DataFrame,
    person: npt.NDArray[np.int64],
    labels: npt.NDArray[np.float64],
) -> Bundle:
    """Store how features and this model's risks are distributed among the rows learnt from.

    Parameters
    ----------
    bundle : Bundle
    X : DataFrame of shape (n_rows, n_features)
    person : ndarray of shape (n_rows,)
    labels : ndarray of shape (n_rows,), NaN = not learnt from
    """
    learnt = X[np.isfinite(labels)]
    profile = make_profile(learnt, person[np.isfinite(labels)], bundle.predict(learnt))
    return replace(bundle, profile=profile)


def _write(
    folder: Path,
    data: Dataset,
    plan: SplitPlan,
    out_of_fold: OutOfFold,
    found: tuple[Selection, npt.NDArray[np.float64]],
) -> None:
    selection, judged = found
    rows = out_of_fold.predictions["row"].to_numpy()
    keyed = pd.concat(
        [
            data.keys.iloc[rows].reset_index(drop=True),
            pd.DataFrame({"y": judged.ravel()}),
            out_of_fold.predictions,
        ],
        axis=1,
    )
    write_table(keyed, folder / "predictions.parquet")
    write_json(plan.to_dict(), folder / "splits.json")
    details = {
        **selection.to_dict(),
        "n_without_target": data.n_without_target,
        "n_undecided": int(np.isnan(data.y).sum()),
        "labels": f"as given: {data.as_given}" if data.as_given else "derived in every fold",
        "reliability": data.reliability,
        "tuning": out_of_fold.chosen,
    }
    write_json(details, folder / SELECTION)
