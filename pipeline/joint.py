"""Stage ``joint``: response and hyperalgesia from one model, so that their risks agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from features.build import SPECS, contract_hash, contract_parts
from models.bundle import Bundle, describe_training, spec_dict
from models.errors import NotEnoughDataError
from models.estimate import Reason, with_interval
from models.harms import TwoRisks, decision_table
from models.judged import person_counts
from models.ordinal import (
    CLASSES,
    log_loss,
    ranked_probability_score,
    tune_ordinal,
)
from models.scorers import make_scorer
from models.splits import SplitPlan, make_split_plan
from pipeline.artefacts import git_commit, probe_answers, stack_versions, write_bundle
from pipeline.config import JointParams, Params
from pipeline.dataset import Dataset, block_record, load_dataset, usable_columns
from pipeline.errors import ConfigError
from pipeline.io import write_json, write_table
from pipeline.paths import make_folder
from pipeline.progress import tracked
from pipeline.target_folder import NOT_ENOUGH_DATA
from pipeline.train import fold_labels
from pipeline.uncertainty import Sureness, uncertainty_rules

Matrix = npt.NDArray[np.float64]
SIDES = ("response", "hyperalgesia")
CANDIDATE = "ordinal"
SCORES = {"log_loss": log_loss, "ranked_probability_score": ranked_probability_score}


@dataclass(frozen=True)
class TwoTargets:
    """Rows with both labels, and how they are split.

    ``fitted`` of shape (n_folds, n_rows) is the ordered class that each fold learns from and is
    judged by; ``final`` of shape (n_rows,) that of everybody. 0 hyperalgesia, 1 neither, 2
    response, NaN undecided.
    """

    data: Dataset
    X: pd.DataFrame
    plan: SplitPlan
    fitted: Matrix
    final: npt.NDArray[np.float64]

    def judged(self) -> Matrix:
        """Return the class each row is judged by, shape (n_repeats, n_rows)."""
        found = np.full((self.plan.n_repeats, self.plan.n_rows), np.nan)
        for fold, own in zip(self.plan.folds, self.fitted, strict=True):
            found[fold.repeat, fold.test] = own[fold.test]
        return found


def run(params: Params, tables: tuple[Path, Path], output: Path) -> dict[str, Any]:
    """Validate the joint model by person, fit it on everybody, and tabulate what it is worth.

    Parameters
    ----------
    params : Params
        Sections ``joint`` and ``train``.
    tables : (features, outcomes)
    output : Path
        Folder: gets ``metrics.json``, ``predictions.parquet`` (out of fold), ``decision_table.csv``
        and the bundles ``response/bundle`` and ``hyperalgesia/bundle``, whose risks never add up
        to more than one. With too little data, the reason alone.

    Returns
    -------
    dict, the content of ``metrics.json``
    """
    check_harms(params.joint)
    make_folder(output)
    try:
        two = read_two_targets(params, tables)
        risks, shares = validate(two, params.joint)
        _write_bundles(two, params, risks, output)
    except NotEnoughDataError as error:
        result: dict[str, Any] = {NOT_ENOUGH_DATA: str(error)}
        write_json(result, output / "metrics.json")
        return result
    result = judge(two, (risks, shares), params)
    write_table(_predictions(two, risks), output / "predictions.parquet")
    write_table(_flat(result["decision_table"]), output / "decision_table.csv")
    write_json(result, output / "metrics.json")
    return result


def check_harms(params: JointParams) -> None:
    """Raise ConfigError for harms and benefits that no decision can rest on."""
    wrong = [h for h in (*params.harm_of_flare, params.benefit_of_response) if not 0 < h < np.inf]
    if wrong or not params.harm_of_flare:
        raise ConfigError(
            "joint, harm_of_flare and benefit_of_response: expected numbers above 0, found "
            f"{wrong[0] if wrong else 'none'}."
        )
    if not params.c or not all(0 < c < np.inf for c in params.c):
        raise ConfigError("joint, c: expected a list of numbers above 0, found others.")


def sentence(result: dict[str, Any]) -> str:
    """Say in one line whether the joint model knows more than the shares of the classes."""
    if NOT_ENOUGH_DATA in result:
        return f"joint: not enough data, {result[NOT_ENOUGH_DATA]}"
    found = result["against_shares"]["log_loss"]
    better = "improves on" if found["upper"] < 0 else "has not been shown to improve on"
    return (
        f"The joint model {better} the shares of the classes (log loss {found['estimate']:+.4f}, "
        f"95 % {found['lower']:+.4f} to {found['upper']:+.4f}, {result['n_participants']} persons)."
    )


def read_two_targets(params: Params, tables: tuple[Path, Path]) -> TwoTargets:
    """Load both targets' labels on the same rows; plan splits by the rarer of the two.

    Raises
    ------
    NotEnoughDataError
        Where a class, or the persons of one, are too few.
    """
    settings = params.train
    both = [
        load_dataset(*tables, settings.endpoint, side, settings.decision_time) for side in SIDES
    ]
    data = both[0]
    if not data.keys.equals(both[1].keys):
        raise ConfigError(
            f"{tables[1]}: expected bouts with both labels or none, found bouts with one of them."
        )
    rarer = min(both, key=lambda d: len(np.unique(d.person[d.y == 1])))
    plan = make_split_plan(
        np.nan_to_num(rarer.y),
        data.person,
        repeats=settings.repeats,
        folds=settings.folds,
        inner_folds=settings.inner_folds,
        seed=settings.seed,
    )
    per_fold = [fold_labels(d, plan, soft=False).judged for d in both]
    X = data.X[usable_columns(data.X)]
    return TwoTargets(data, X, plan, _in_order(*per_fold), _in_order(both[0].y, both[1].y))


def _in_order(response: Matrix, hyperalgesia: Matrix) -> Matrix:
    return np.asarray(1.0 + response - hyperalgesia)


def validate(two: TwoTargets, params: JointParams) -> tuple[Matrix, Matrix]:
    """Out-of-fold probabilities of the model, and of the training rows' shares.

    Returns
    -------
    model, shares : ndarray of shape (n_repeats, n_rows, 3)
    """
    shape = (two.plan.n_repeats, two.plan.n_rows, len(CLASSES))
    model, shares = np.full(shape, np.nan), np.full(shape, np.nan)
    columns = list(two.X.columns)
    folds = list(zip(two.plan.folds, two.fitted, strict=True))
    for fold, order in tracked(folds, "joint", "folds"):
        known = order[fold.train][np.isfinite(order[fold.train])].astype(np.int64)
        shares[fold.repeat, fold.test] = np.bincount(known, minlength=3) / len(known)
        learnt = np.full(len(order), np.nan)
        learnt[fold.train] = order[fold.train]
        fitted = tune_ordinal(two.X, learnt, fold.inner, (columns, params.c))
        model[fold.repeat, fold.test] = fitted.probabilities(two.X.iloc[fold.test])
    return model, shares


def judge(two: TwoTargets, said: tuple[Matrix, Matrix], params: Params) -> dict[str, Any]:
    """Scores of the model against the shares, and the decision table, with person intervals."""
    risks, shares = said
    judged = two.judged()
    weights = _person_weights(two, params)
    repeat, row = np.nonzero(np.isfinite(judged))
    order, drawn = judged[repeat, row], weights[:, row]
    model, plain = risks[repeat, row], shares[repeat, row]
    own, against = {}, {}
    for name, score in SCORES.items():
        mine, theirs = score(model, order), score(plain, order)
        own[name] = _average(mine, drawn)
        against[name] = _average(mine - theirs, drawn)
    two_risks = TwoRisks(
        (order == 2).astype(np.float64),
        (order == 0).astype(np.float64),
        model[:, 2],
        model[:, 0],
        drawn,
    )
    harms = [h / params.joint.benefit_of_response for h in params.joint.harm_of_flare]
    return {
        "n": len(two.data.keys),
        "n_participants": int(two.data.person.max()) + 1,
        "classes": {n: int((two.final == k).sum()) for k, n in enumerate(CLASSES)},
        "n_undecided": int(np.isnan(two.final).sum()),
        "largest_sum_of_risks": float((model[:, 0] + model[:, 2]).max()),
        "scores": own,
        "against_shares": against,
        "decision_table": decision_table(two_risks, harms),
        "note": (
            "Worth is counted on bouts that were done: it shows how well the risks sort them, "
            "not what leaving a bout out would do."
        ),
    }


def _person_weights(two: TwoTargets, params: Params) -> Matrix:
    n_persons = int(two.data.person.max()) + 1
    counts = person_counts(n_persons, params.evaluate.resamples, params.evaluate.seed)
    everybody = np.ones((1, n_persons))
    return np.asarray(np.vstack([everybody, counts])[:, two.data.person])


def _average(values: npt.NDArray[np.float64], weights: Matrix) -> dict[str, Any]:
    return with_interval(weights @ values / weights.sum(axis=1), Reason.NOT_COMPUTABLE).to_dict()


def _write_bundles(two: TwoTargets, params: Params, risks: Matrix, output: Path) -> None:
    columns = list(two.X.columns)
    fitted = tune_ordinal(two.X, two.final, two.plan.final, (columns, params.joint.c))
    judged = two.judged()
    rules = uncertainty_rules(params.train)
    for side, place in zip(SIDES, (2, 0), strict=True):
        label = np.where(np.isnan(judged), np.nan, judged == place)
        bundle = _bundle(two, side, place, fitted.side(side))
        sureness = Sureness(two.X, two.data.person, label, two.plan, rules)
        bundle = sureness.attach(bundle, risks[:, :, place])
        write_bundle(bundle, output / side / "bundle")


def _bundle(two: TwoTargets, side: str, place: int, fitted: Pipeline) -> Bundle:
    data, known = two.data, np.isfinite(two.final)
    y = (two.final[known] == place).astype(np.float64)
    specs = {s.name: s for s in SPECS}
    training = describe_training(two.X[known], y, data.person[known])
    training["blocks"] = block_record(data.X, list(two.X.columns))
    record = {
        "study": ", ".join(sorted(data.keys["study_id"].unique())),
        "endpoint": data.endpoint,
        "data_sha256": data.sha256(),
        "split_sha256": two.plan.sha256(),
        "contract_hash": contract_hash(),
        "git_commit": git_commit(),
        "versions": stack_versions(),
        "joint_with": SIDES[1 - SIDES.index(side)],
    }
    features = tuple(spec_dict(specs[c]) for c in two.X.columns)
    bundle = Bundle(
        side, CANDIDATE, make_scorer(fitted), features, contract_parts(), training, record
    )
    training["probe"] = probe_answers(bundle)
    return bundle


def _predictions(two: TwoTargets, risks: Matrix) -> pd.DataFrame:
    judged = two.judged()
    parts = [
        two.data.keys.reset_index(drop=True).assign(
            repeat=repeat,
            order=judged[repeat],
            **{f"p_{name}": risks[repeat, :, k] for k, name in enumerate(CLASSES)},
        )
        for repeat in range(two.plan.n_repeats)
    ]
    return pd.concat(parts, ignore_index=True)


def _flat(table: list[dict[str, Any]]) -> pd.DataFrame:
    rows = []
    for found in table:
        row = {"harm_of_flare": found["harm_of_flare"]}
        for name, figure in found.items():
            if isinstance(figure, dict):
                ends = ("estimate", "lower", "upper")
                row |= {name if e == "estimate" else f"{name}_{e}": figure[e] for e in ends}
        rows.append(row)
    return pd.DataFrame(rows)
