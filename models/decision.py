"""What acting on a risk is worth: net benefit over thresholds, and classification at one.

A person is flagged where the risk reaches the threshold (risk >= threshold).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from models.judged import Judged, Matrix, Vector

Flags = npt.NDArray[np.bool_]
CLASSIFICATION = ("sensitivity", "specificity", "ppv", "npv", "share_flagged")


def threshold_of_harm_ratio(harm_ratio: float) -> float:
    """Return the risk from which acting is worth it: h / (1 + h).

    Parameters
    ----------
    harm_ratio : float, > 0
        Harm of acting on somebody without the event, over the benefit of acting on somebody with
        it. At the threshold the two balance: its odds are the harm ratio [Pauker1980]_.

    References
    ----------
    .. [Pauker1980] Pauker, Kassirer. The threshold approach to clinical decision making. N Engl J
       Med 302:1109.

    Examples
    --------
    Nine needless actions are worth one that is needed:

    >>> round(threshold_of_harm_ratio(1 / 9), 9)
    0.1
    """
    if not 0 < harm_ratio < np.inf:
        raise ValueError(f"harm ratio: expected a number above 0, found {harm_ratio}.")
    return harm_ratio / (1 + harm_ratio)


def net_benefit(
    y: Vector, risk: Vector, weights: Matrix, thresholds: Vector
) -> tuple[Matrix, Matrix]:
    """Net benefit of acting on the risk, and of acting on everybody; on nobody it is 0.

    True positives minus false positives times the odds of the threshold, per person.
    [Vickers2006]_

    Parameters
    ----------
    y, risk : ndarray of shape (n_rows,)
    weights : ndarray of shape (n_weightings, n_rows)
    thresholds : ndarray of shape (n_thresholds,), in (0, 1)

    Returns
    -------
    model, treat_all : ndarray of shape (n_weightings, n_thresholds)

    References
    ----------
    .. [Vickers2006] Vickers, Elkin. Decision curve analysis: a novel method for evaluating
       prediction models. Med Decis Making 26:565.
    """
    odds = thresholds / (1 - thresholds)
    flagged = (risk[:, None] >= thresholds).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    caught = (weights * y) @ flagged / total
    needless = (weights * (1 - y)) @ flagged / total
    rate = (weights @ y)[:, None] / total
    return caught - needless * odds, rate - (1 - rate) * odds


def interventions_avoided(model: Matrix, treat_all: Matrix, thresholds: Vector) -> Matrix:
    """Needless interventions avoided against acting on everybody, per person, at no missed event.

    (net benefit of the model - net benefit of acting on everybody) / odds of the threshold;
    times 100 it is the number per 100 persons. [Vickers2006]_
    """
    return (model - treat_all) * (1 - thresholds) / thresholds


def classification(y: Vector, flagged: Flags, weights: Matrix) -> dict[str, Vector]:
    """Sensitivity, specificity, predictive values and the share flagged, per weighting.

    NaN where the denominator is zero.
    """
    hit, alarm = weights @ (y * flagged), weights @ ((1 - y) * flagged)
    events, total = weights @ y, weights.sum(axis=1)
    others = total - events
    return {
        "sensitivity": _share(hit, events),
        "specificity": _share(others - alarm, others),
        "ppv": _share(hit, hit + alarm),
        "npv": _share(others - alarm, total - hit - alarm),
        "share_flagged": _share(hit + alarm, total),
    }


def _share(part: Vector, whole: Vector) -> Vector:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def thresholds_within_folds(judged: Judged, risk: Vector) -> Vector | None:
    """A threshold for each row, chosen on the other folds: that of the largest Youden index.

    The row's own fold takes no part in the choice, so that the threshold is judged on persons it
    was not chosen on. The models of the other folds have seen those persons, which leaves a
    trace of optimism that a stated harm ratio does not have.

    Parameters
    ----------
    judged : Judged
        Of one repeat: ``y`` of shape (n_rows,), without NaN.
    risk : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,), NaN in a fold whose other folds hold one class; None with a
    single fold
    """
    block = judged.block[0]
    folds = np.unique(block)
    if len(folds) < 2:
        return None
    chosen = np.full(len(risk), np.nan)
    for fold in folds:
        rest = block != fold
        if len(np.unique(judged.y[rest])) == 2:
            chosen[block == fold] = largest_youden(judged.y[rest], risk[rest])
    return chosen


def largest_youden(y: Vector, risk: Vector) -> float:
    """Threshold of the largest sensitivity + specificity; of several, the highest.

    Parameters
    ----------
    y, risk : ndarray of shape (n_rows,)
        ``y`` holds both classes.
    """
    false, true, at = roc_curve(y, risk)
    # The first point flags nobody; its threshold is infinite.
    return float(at[1:][np.argmax((true - false)[1:])])
