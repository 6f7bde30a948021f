"""What a marker adds to predictions of people who were not learnt from: out of fold, paired.

Base and full model learn on the same rows of the same splits and predict the same people. All
differences are full minus base: of Brier score and log loss, negative is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from models.decision import net_benefit
from models.discrimination import auc, auc_difference, choose_interval
from models.errors import NotEnoughDataError
from models.estimate import CROSS_VALIDATED, Estimate, Reason, bootstrap_p_value, with_interval
from models.judged import Judged, weight_blocks
from models.metrics import CLIP, Part, brier, log_loss, resample, widen
from models.nested import independent_columns
from models.splits import SplitPlan
from models.unpenalised import fit_or_firth, with_intercept

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
RIDGE_C = 0.1
# Shallow and few: markers are judged on samples of a hundred persons.
TREES = {"max_depth": 2, "n_estimators": 60, "learning_rate": 0.1, "min_child_weight": 5.0}


class UnpenalisedLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression without a penalty; with Firth's where a fold's classes are separated."""

    def fit(self, X: Matrix, y: Vector) -> Self:
        """Learn from complete numeric columns and 0/1 outcomes."""
        self.classes_ = np.array([0, 1])
        self.kept_ = independent_columns(X, np.ones((len(X), 1)))
        fit = fit_or_firth(with_intercept(X[:, self.kept_]), y)
        self.coef_, self.firth_ = fit.coefficients, fit.firth
        return self

    def predict_proba(self, X: Matrix) -> Matrix:
        """Return probabilities of shape (n_rows, 2)."""
        eta = with_intercept(X[:, self.kept_]) @ self.coef_
        risk = 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
        return np.column_stack([1 - risk, risk])


# The members of the ladder a marker is tried in; the first is the model the tests are made in.
LEARNERS: Mapping[str, Callable[[], Any]] = {
    "unpenalised": UnpenalisedLogistic,
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE_C)),
    "xgboost": lambda: XGBClassifier(**TREES, reg_lambda=5.0, tree_method="hist", n_jobs=1),
}


@dataclass(frozen=True)
class Trial:
    """Rows, splits and labels on which base and full model are compared.

    Attributes
    ----------
    base, full : ndarray of shape (n_rows, n_columns), without NaN in the rows of ``known``
    labels : ndarray of shape (n_folds, n_rows), 0/1, NaN = undecided
        As each fold's training persons make them.
    known : ndarray of shape (n_rows,), bool
        Rows on which marker, base set and outcome are known.
    person : ndarray of shape (n_rows,), int
    plan : SplitPlan
        Of all rows of the study: the same for every marker.
    """

    base: Matrix
    full: Matrix
    labels: Matrix
    known: npt.NDArray[np.bool_]
    person: Index
    plan: SplitPlan


@dataclass(frozen=True)
class Draws:
    """Resamples of persons, and the thresholds at which acting is judged (declared before)."""

    n_resamples: int
    seed: int
    thresholds: tuple[float, ...]


def out_of_fold(trial: Trial, learner: str) -> tuple[Judged, Matrix, Matrix]:
    """Predict every known row by base and full model that have not seen its person.

    Returns
    -------
    judged : Judged
        Of the known rows, persons numbered anew.
    base, full : ndarray of shape (n_repeats, n_known)

    Raises
    ------
    NotEnoughDataError
        Where the training rows of a fold hold one class only.
    """
    shape = (trial.plan.n_repeats, trial.plan.n_rows)
    y, block = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    risks = np.full((2, *shape), np.nan)
    for fold, label in zip(trial.plan.folds, trial.labels, strict=True):
        train = fold.train[trial.known[fold.train] & np.isfinite(label[fold.train])]
        test = fold.test[trial.known[fold.test]]
        if len(np.unique(label[train])) < 2:
            raise NotEnoughDataError(
                f"repeat {fold.repeat}, fold {fold.fold}: expected events and others among the "
                f"training rows, found one class in {len(train)} rows."
            )
        y[fold.repeat, test], block[fold.repeat, test] = label[test], fold.fold
        for model, columns in enumerate((trial.base, trial.full)):
            risks[model, fold.repeat, test] = predict_risk(
                learner, columns[train], label[train], columns[test]
            )
    number = np.unique(trial.person[trial.known], return_inverse=True)[1]
    judged = Judged(y[:, trial.known], number, block[:, trial.known])
    return judged, risks[0][:, trial.known], risks[1][:, trial.known]


def predict_risk(learner: str, X: Matrix, y: Vector, new: Matrix) -> Vector:
    """Learn from rows and predict others.

    Risks stay within the resolution of single precision: a certain error would be infinite.
    """
    if X.shape[1] == 0:
        return np.full(len(new), float(y.mean()))
    fitted = LEARNERS[learner]().fit(X, y)
    return np.asarray(np.clip(fitted.predict_proba(new)[:, 1], CLIP, 1 - CLIP), dtype=np.float64)


def increments(
    judged: Judged, risks: tuple[Matrix, Matrix], draws: Draws
) -> dict[str, npt.NDArray[np.float64]]:
    """Differences of every figure on the data (first) and on each resample of the persons.

    Returns
    -------
    dict with ``auc``, ``brier``, ``log_loss`` of shape (1 + n_resamples,) and ``net_benefit``,
    ``sensitivity``, ``specificity`` of shape (1 + n_resamples, n_thresholds)
    """
    thresholds = np.array(draws.thresholds)

    def measure(part: Part, weights: Matrix) -> dict[str, npt.NDArray[np.float64]]:
        drawn, y = part.weights(weights), part.judged.y
        flagged = (part.risk[:, None] >= thresholds).astype(np.float64)
        return {
            "auc": auc(part.judged, part.risk, drawn, part.judged.block[0]),
            "brier": brier(part.judged, part.risk, drawn),
            "log_loss": log_loss(part.judged, part.risk, drawn),
            "net_benefit": net_benefit(y, part.risk, drawn, thresholds)[0],
            "sensitivity": (drawn * y) @ flagged / (drawn @ y)[:, None],
            "specificity": (drawn * (1 - y)) @ (1 - flagged) / (drawn @ (1 - y))[:, None],
        }

    found = [
        resample(judged, r, measure, n_resamples=draws.n_resamples, seed=draws.seed) for r in risks
    ]
    return {name: found[1][name] - found[0][name] for name in found[0]}


def summarise(values: Vector) -> dict[str, Any]:
    """Return a difference with its interval and p value; of figures widened for training."""
    found = with_interval(values, Reason.ONE_OF_TWO, CROSS_VALIDATED)
    return replace(found, p_value=bootstrap_p_value(values)).to_dict()


def describe(differences: Mapping[str, Matrix], thresholds: tuple[float, ...]) -> dict[str, Any]:
    """Lay out :func:`increments` for the JSON contract."""
    result = {f"{n}_difference": summarise(differences[n]) for n in ("auc", "brier", "log_loss")}
    rows = [
        {"threshold": t, **summarise(differences["net_benefit"][:, at])}
        for at, t in enumerate(thresholds)
    ]
    return {**result, "net_benefit_difference": rows}


def reclassification(
    judged: Judged,
    risks: tuple[Matrix, Matrix],
    differences: Mapping[str, Matrix],
    thresholds: tuple[float, ...],
) -> list[dict[str, Any]]:
    """Say who changes sides of a declared threshold, events and others apart.

    Two categories only. The net share of events that move up is the difference of
    sensitivities, that of others that move down the difference of specificities; they are not
    added to one index, which would weigh an event like a non-event.

    Returns
    -------
    list of dict, one per threshold; numbers of rows are means over repeats
    """
    rows = []
    for at, threshold in enumerate(thresholds):
        before, after = (r >= threshold for r in risks)
        counts = {}
        for word, moved in (("up", ~before & after), ("down", before & ~after)):
            counts[f"events_{word}"] = float(np.mean((moved & (judged.outcomes == 1)).sum(axis=1)))
            counts[f"others_{word}"] = float(np.mean((moved & (judged.outcomes == 0)).sum(axis=1)))
        rows.append(
            {
                "threshold": threshold,
                **counts,
                "sensitivity_difference": summarise(differences["sensitivity"][:, at]),
                "specificity_difference": summarise(differences["specificity"][:, at]),
            }
        )
    return rows


def r2_difference(trial: Trial, change: Vector, draws: Draws) -> dict[str, Any]:
    """Difference of the out-of-fold R² of the continuous change, by linear regression.

    R² = 1 - squared errors / squared distances from the mean of those judged; negative where a
    model predicts worse than that mean.

    Parameters
    ----------
    change : ndarray of shape (n_rows,), NaN = unknown
    """
    usable = trial.known & np.isfinite(change)
    shape = (2, trial.plan.n_repeats, trial.plan.n_rows)
    predicted = np.full(shape, np.nan)
    for fold in trial.plan.folds:
        train, test = fold.train[usable[fold.train]], fold.test[usable[fold.test]]
        for model, columns in enumerate((trial.base, trial.full)):
            predicted[model, fold.repeat, test] = predict_change(
                columns[train], change[train], columns[test]
            )
    return r2_of_predictions(predicted[:, :, usable], change[usable], trial.person[usable], draws)


def predict_change(X: Matrix, change: Vector, new: Matrix) -> Vector:
    """Learn a linear model of the change from rows, and predict others."""
    beta = np.linalg.lstsq(with_intercept(X), change, rcond=None)[0]
    return np.asarray(with_intercept(new) @ beta, dtype=np.float64)


def r2_of_predictions(
    predicted: npt.NDArray[np.float64], change: Vector, person: Index, draws: Draws
) -> dict[str, Any]:
    """Difference of R² of two models' predictions of the change.

    Parameters
    ----------
    predicted : ndarray of shape (2, n_repeats, n_rows)
        Of the base and of the full model, by models that have not seen the row's person.
    change : ndarray of shape (n_rows,)
    person : ndarray of shape (n_rows,), int
    draws : Draws
    """
    number = np.unique(person, return_inverse=True)[1]
    judged = Judged(change, number, np.zeros((1, len(change)), dtype=np.int64))
    errors = np.mean((predicted - change) ** 2, axis=1)
    found = []
    for weights in weight_blocks(judged, draws.n_resamples, draws.seed):
        total = weights.sum(axis=1)
        mean = weights @ change / total
        spread = weights @ change**2 / total - mean**2
        found.append(1 - (weights @ errors.T) / total[:, None] / spread[:, None])
    r2 = np.concatenate(found)
    return {
        "base": float(r2[0, 0]),
        "full": float(r2[0, 1]),
        **summarise(widen(r2[:, 1] - r2[:, 0])),
    }


def apparent_auc_difference(y: Vector, person: Index, risks: tuple[Vector, Vector]) -> Estimate:
    """Difference of the AUC of two models on the rows they were fitted to, in closed form.

    DeLong's paired interval for one row per person, Obuchowski's where rows repeat. The models
    are nested and fitted to these rows: the difference is optimistic and its p value is no test
    of the marker [Demler2012]_; it is there to compare with what others report.

    References
    ----------
    .. [Demler2012] Demler, Pencina, D'Agostino. Misuse of DeLong test to compare AUCs for nested
       models. Stat Med 31:2577.
    """
    number = np.unique(person, return_inverse=True)[1]
    judged = Judged(y, number, np.zeros((1, len(y)), dtype=np.int64))
    return auc_difference(judged, risks[1], risks[0], choose_interval(judged, "auto"))
