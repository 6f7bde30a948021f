"""Performance corrected for having been measured on the data the model was made from.

Two corrections from one bootstrap of the whole procedure:

- Harrell's optimism: what a resample's model loses between its own resample and the original
  data, subtracted from the apparent performance. Good for penalised regression.
- .632+: weighs apparent performance and that on persons who were not drawn, by how much the
  procedure overfits. For trees, which can reproduce every row they have seen: in a resample two
  thirds of the "original" persons were drawn, so that the plain optimism is far too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.bootstrap import Resampled
from models.calibration import calibration_in_the_large, logit, recalibrate
from models.discrimination import auc
from models.judged import Judged
from models.learning import Matrix, Vector
from models.metrics import CLIP, log_loss_per_row

METRICS = ("auc", "brier", "log_loss", "in_the_large", "slope")
WHY_HARRELL = (
    "a penalised regression cannot reproduce the rows it has seen, so that the optimism of a "
    "resample on the original persons is that of the model on new ones"
)
WHY_632 = (
    "trees reproduce rows they have seen, and two thirds of the original persons are in every "
    "resample: the plain optimism bootstrap corrects too little, .632+ and nested "
    "cross-validation do not rest on seen persons"
)


WHY_OVERFIT = (
    "most of the apparent discrimination is gone on persons who were not drawn: the model "
    "reproduces rows it has seen, and two thirds of the original persons are in every resample, "
    "so that the plain optimism bootstrap corrects too little"
)
# A relative overfitting from which the original persons are no longer new to a resample's model.
MOSTLY_LOST = 0.5


@dataclass(frozen=True)
class Corrected:
    """One metric, apparent and corrected.

    Attributes
    ----------
    apparent : float
        On the data the model was made from.
    optimism : float
        Mean over resamples; ``optimism_se`` is its Monte-Carlo standard error.
    corrected, lower, upper : float
        Harrell's correction, with the percentile interval of the resamples' apparent
        performance shifted by the optimism ([Noma2021]_).
    out_of_bag : float
        Mean performance on persons that were not drawn; ``out_of_bag_se`` its standard error.
    plus_632 : float
        .632+ estimate ([Efron1997]_); NaN for calibration, which has no error rate.
    n : int
        Resamples the metric could be computed on.

    References
    ----------
    .. [Harrell1996] Harrell, Lee, Mark. Multivariable prognostic models. Stat Med 15:361.
    .. [Efron1997] Efron, Tibshirani. Improvements on cross-validation: the .632+ bootstrap
       method. JASA 92:548.
    .. [Noma2021] Noma et al. Confidence intervals of prediction accuracy measures for
       multivariable prediction models based on the bootstrap-based optimism correction
       methods. Stat Med 40:5691.
    """

    apparent: float
    optimism: float
    optimism_se: float
    corrected: float
    lower: float
    upper: float
    out_of_bag: float
    out_of_bag_se: float
    plus_632: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return asdict(self)


def correct(run: Resampled) -> dict[str, Corrected]:
    """Correct every metric for optimism.

    Parameters
    ----------
    run : Resampled

    Returns
    -------
    dict of metric name (``auc, brier, log_loss, in_the_large, slope``) to Corrected
        A resample in which a metric cannot be computed is left out for that metric and counted.
    """
    ones = np.ones((1, len(run.y)))
    apparent = performance(run.y, run.original, ones)
    on_all = _per_resample(run, lambda _: ones)
    own = _per_resample(run, lambda counts: counts[None, :])
    unseen = _per_resample(run, lambda counts: (counts == 0).astype(np.float64)[None, :])
    no_information = _no_information(run.y, run.original)
    return {
        name: _corrected(
            float(apparent[name][0]),
            (own[name], on_all[name], unseen[name]),
            no_information.get(name, np.nan),
        )
        for name in METRICS
    }


def performance(y: Vector, risk: Vector, weights: Matrix) -> dict[str, Vector]:
    """Every metric per weighting of the rows; NaN where it cannot be computed."""
    bounded = np.clip(risk, CLIP, 1 - CLIP)
    log_odds = logit(bounded)
    block = np.zeros(len(y), dtype=np.int64)
    judged = Judged(y, np.arange(len(y)), block[None, :])
    total = np.maximum(weights.sum(axis=1), 1e-300)
    return {
        "auc": auc(judged, risk, weights, block),
        "brier": weights @ (risk - y) ** 2 / total,
        "log_loss": weights @ log_loss_per_row(y, bounded) / total,
        "in_the_large": _calibration(y, log_odds, weights)[0],
        "slope": _calibration(y, log_odds, weights)[1],
    }


def _calibration(y: Vector, log_odds: Vector, weights: Matrix) -> tuple[Vector, Vector]:
    """In the large and slope; rows without weight are left out so that they cannot decide."""
    large, slope = [], []
    for w in weights:
        rows = w > 0
        if not rows.any() or np.ptp(y[rows]) == 0:
            large.append(np.nan)
            slope.append(np.nan)
            continue
        seen = (y[rows], log_odds[rows], w[None, rows])
        large.append(float(calibration_in_the_large(*seen)[0]))
        slope.append(float(recalibrate(*seen)[1][0]))
    return np.array(large), np.array(slope)


def _per_resample(run: Resampled, weigh: Callable[[Vector], Matrix]) -> dict[str, Vector]:
    found = [
        performance(run.y, risk, weigh(counts))
        for risk, counts in zip(run.risks, run.counts, strict=True)
    ]
    return {name: np.array([f[name][0] for f in found]) for name in METRICS}


def _no_information(y: Vector, risk: Vector) -> dict[str, float]:
    """What the risks would score if outcomes had nothing to do with them (all pairs)."""
    bounded = np.clip(risk, CLIP, 1 - CLIP)
    rate = float(y.mean())
    return {
        "auc": 0.5,
        "brier": float(rate * ((1 - risk) ** 2).mean() + (1 - rate) * (risk**2).mean()),
        "log_loss": float(-(rate * np.log(bounded) + (1 - rate) * np.log1p(-bounded)).mean()),
    }


def _corrected(
    apparent: float, values: tuple[Vector, Vector, Vector], no_information: float
) -> Corrected:
    own, on_all, unseen = values
    usable = np.isfinite(own) & np.isfinite(on_all)
    n = int(usable.sum())
    drops = (own - on_all)[usable]
    optimism = float(drops.mean()) if n else np.nan
    lower, upper = np.quantile(own[usable], [0.025, 0.975]) if n >= 20 else (np.nan, np.nan)
    bag = unseen[np.isfinite(unseen)]
    out = float(bag.mean()) if len(bag) else np.nan
    return Corrected(
        apparent,
        optimism,
        float(drops.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan,
        apparent - optimism,
        float(lower - optimism),
        float(upper - optimism),
        out,
        float(bag.std(ddof=1) / np.sqrt(len(bag))) if len(bag) > 1 else np.nan,
        plus_632(apparent, out, no_information),
        n,
    )


def plus_632(apparent: float, out_of_bag: float, no_information: float) -> float:
    """.632+ estimate of a figure, whichever way is better.

    The relative overfitting R is how far the out-of-bag figure has gone from the apparent one
    towards that without information, held within 0 and 1; the weight of the out-of-bag figure
    is .632 / (1 - .368 R).

    Examples
    --------
    No overfitting gives the plain .632 mix, complete overfitting the figure without information:

    >>> plus_632(0.8, 0.8, 0.5), plus_632(1.0, 0.5, 0.5)
    (0.8, 0.5)
    >>> round(plus_632(0.1, 0.2, 0.5), 4)
    0.1696
    """
    room, gap = no_information - apparent, out_of_bag - apparent
    if not np.isfinite(room) or not np.isfinite(gap):
        return float("nan")
    # Beyond "no information" there is nothing to lose: an unlucky figure is held there.
    if room != 0 and gap / room > 1:
        gap = room
    overfitting = float(np.clip(gap / room, 0, 1)) if room != 0 else 0.0
    weight = 0.632 / (1 - 0.368 * overfitting)
    return float((1 - weight) * apparent + weight * (apparent + gap))


def relative_overfitting(corrected: Corrected, no_information: float) -> float:
    """Share of the apparent skill that is gone on persons who were not drawn, within 0 and 1."""
    room = no_information - corrected.apparent
    gap = corrected.out_of_bag - corrected.apparent
    return float(np.clip(gap / room, 0, 1)) if np.isfinite(gap) and room != 0 else float("nan")


def headline(chosen: str, corrected: dict[str, Corrected]) -> dict[str, Any]:
    """Say which correction is to be quoted for a candidate, and why.

    Harrell's, but for trees and for procedures that have lost most of their apparent AUC on
    persons who were not drawn (more columns than persons): both can reproduce rows.

    Parameters
    ----------
    chosen : str
        The candidate the run ended with; ``xgboost`` are trees.
    corrected : dict
        Of :func:`correct`.

    Returns
    -------
    dict with ``method``, ``why``, ``relative_overfitting``, and ``auc``, ``brier``, ``log_loss``
    """
    trees = chosen == "xgboost"
    lost = relative_overfitting(corrected["auc"], 0.5)
    seen = trees or lost > MOSTLY_LOST
    return {
        "method": ".632+" if seen else "Harrell optimism",
        "why": WHY_632 if trees else WHY_OVERFIT if seen else WHY_HARRELL,
        "relative_overfitting": lost,
        **{
            name: corrected[name].plus_632 if seen else corrected[name].corrected
            for name in ("auc", "brier", "log_loss")
        },
    }
