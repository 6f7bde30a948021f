"""A figure with its interval, and the reason where it could not be computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
# Below this share of resamples (or this number) a percentile interval is not given.
LEAST_SHARE, LEAST_RESAMPLES = 0.5, 20
BOOTSTRAP = "person-cluster bootstrap"
# Of figures whose resamples went through models.metrics.resample with several folds.
CROSS_VALIDATED = f"{BOOTSTRAP} of cross-validation, variance doubled"


class Reason(StrEnum):
    """Why a figure is NaN: the name is the code, the value its text."""

    ONE_CLASS = "only one class was observed"
    NO_FOLD_OF_BOTH_CLASSES = "no fold holds both classes"
    CERTAIN_RISK = "a risk of exactly 0 or 1 was predicted"
    CERTAIN_ERROR = "a risk of exactly 0 or 1 was predicted and did not happen"
    NO_MAXIMUM = "no finite maximum: the risks are constant or separate the classes"
    NOTHING_EXPECTED = "no events were predicted: every risk is 0"
    NOBODY_FLAGGED = "nobody's risk reaches the threshold"
    EVERYBODY_FLAGGED = "everybody's risk reaches the threshold"
    NO_THRESHOLD = "no threshold was stated, and there are no folds to choose one in"
    TOO_FEW_RESAMPLES = "too few resamples can be computed"
    TOO_FEW_OF_A_CLASS = "fewer than two persons of one class"
    NO_VARIANCE = "the estimated variance is zero: the risks are constant or separate the classes"
    ROWS_REPEAT = "rows repeat within persons: DeLong's variance would be too small"
    FOLDS_OR_REPEATS = "the risks come from several models (folds or repeats): no closed form"
    ONE_OF_TWO = "one of the two cannot be computed"
    SMALL_CELL = "fewer persons or events than the smallest cell that is reported"
    NO_WIDTH = "every resample gives the same figure: it says nothing of how far it may be off"
    NOT_COMPUTABLE = "it cannot be computed from these data"

    @property
    def code(self) -> str:
        """Return the stable code, for programs."""
        return self.name.lower()


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, how it was got, and why it is NaN if it is.

    Attributes
    ----------
    estimate, lower, upper : float, NaN where unknown
    method : str
    reason : Reason or ''
        Why the estimate, or its interval alone, is NaN.
    p_value : float or None
        Two-sided, of a difference from zero; None for what is no difference.
    """

    estimate: float
    lower: float
    upper: float
    method: str
    reason: Reason | Literal[""] = ""
    p_value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict; ``p_value`` only where there is one."""
        content = asdict(self) | {"reason": str(self.reason)}
        content["reason_code"] = self.reason.code if isinstance(self.reason, Reason) else ""
        if self.p_value is None:
            del content["p_value"]
        return content


def unknown(reason: Reason, method: str = "") -> Estimate:
    """Return an estimate that could not be computed."""
    return Estimate(np.nan, np.nan, np.nan, method, reason)


def with_interval(values: Vector, reason: Reason, name: str = BOOTSTRAP) -> Estimate:
    """Summarise a metric's values: the first is the estimate, the rest its bootstrap.

    ``name`` is what the bootstrap is called in the method.
    """
    estimate, resampled = float(values[0]), values[1:]
    usable = resampled[np.isfinite(resampled)]
    method = f"{name}, percentile, {len(usable)} of {len(resampled)} resamples"
    if not np.isfinite(estimate):
        return unknown(reason, method)
    if len(usable) < max(LEAST_RESAMPLES, LEAST_SHARE * len(resampled)):
        return Estimate(estimate, np.nan, np.nan, method, Reason.TOO_FEW_RESAMPLES)
    lower, upper = np.quantile(usable, [0.025, 0.975])
    return Estimate(estimate, float(lower), float(upper), method)


def bootstrap_p_value(values: Vector) -> float:
    """Two-sided p value of a difference from zero: the level at which the interval excludes it.

    Twice the smaller share of resamples on either side of zero, each with one added to its
    count [Davison1997]_; NaN where no interval is given either.

    Parameters
    ----------
    values : ndarray of shape (1 + n_resamples,)
        The first is the estimate.

    References
    ----------
    .. [Davison1997] Davison, Hinkley. Bootstrap Methods and their Application, section 4.2.

    Examples
    --------
    Two of 99 resamples lie on the other side of zero:

    >>> bootstrap_p_value(np.array([0.5] + [0.4] * 97 + [-0.1] * 2))
    0.06
    """
    usable = values[1:][np.isfinite(values[1:])]
    enough = len(usable) >= max(LEAST_RESAMPLES, LEAST_SHARE * (len(values) - 1))
    if not (np.isfinite(values[0]) and enough):
        return float("nan")
    rarer = min((usable <= 0).sum(), (usable >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (len(usable) + 1)))
