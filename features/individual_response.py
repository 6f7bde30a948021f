"""Whether people differ in their response beyond what rest alone would show.

SD of individual response = sqrt(variance of change after exercise - variance of change after
rest). The difference of variances may come out negative, and its interval may include zero; a
negative variance is kept, and its root is shown with the sign (so that -20 kPa means "as much too
small as 20 kPa would be too large").

References
----------
.. [Atkinson2015] Atkinson, Batterham. True and false interindividual differences in the
   physiological response to an intervention. Exp Physiol 100:577, doi 10.1113/EP085070.
.. [Hopkins2015] Hopkins. Individual responses made easy. J Appl Physiol 118:1444,
   doi 10.1152/japplphysiol.00098.2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.resampling import Codes, Figure, bootstrap_figure, pooled_variance, unknown
from features.spec import Vector

METHOD = "variance of change after exercise minus after rest"


@dataclass(frozen=True)
class IndividualResponse:
    """``variance`` in squared units of the change, ``sd`` its signed root, and both in words."""

    variance: Figure
    sd: Figure
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as a dict."""
        return {
            "variance": self.variance.to_dict(),
            "sd": self.sd.to_dict(),
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Changes:
    """Changes of one kind of bout; ``person`` and ``group`` are codes of each row.

    The variance is taken within groups (exercises): a difference between the means of two
    exercises is no difference between people.
    """

    values: Vector
    person: Codes
    group: Codes


def individual_response(exercise: Changes, rest: Changes, draws: Vector) -> IndividualResponse:
    """SD of individual response from bouts of exercise and bouts of quiet rest.

    Parameters
    ----------
    exercise, rest : Changes
        Neither with the rest change subtracted: rest is the control of the comparison.
    draws : ndarray of shape (1 + n_resamples, n_persons)
        From :func:`features.resampling.draw_persons`.
    """
    if min(len(exercise.values), len(rest.values)) < 3:
        return not_estimable("fewer than 3 bouts of quiet rest, or of exercise")
    spread, noise = (pooled_variance(c.values, c.person, draws, c.group) for c in (exercise, rest))
    variance = bootstrap_figure(spread - noise, METHOD, "too few bouts of each exercise")
    sd = variance.through(_signed_root)
    return IndividualResponse(variance, sd, _sentence(variance, sd))


def not_estimable(reason: str) -> IndividualResponse:
    """Return the result of a study that cannot tell."""
    nothing = unknown(reason, METHOD)
    return IndividualResponse(
        nothing, nothing, f"The SD of individual response cannot be estimated: {reason}."
    )


def _signed_root(variance: float) -> float:
    return float(np.sign(variance) * np.sqrt(abs(variance)))


def _sentence(variance: Figure, sd: Figure) -> str:
    figures = f"SD of individual response {sd.estimate:.3g} ({sd.lower:.3g} to {sd.upper:.3g})"
    if not np.isfinite([variance.lower, variance.upper]).all():
        return f"{figures}: without an interval it tells nothing."
    if variance.lower > 0:
        return (
            f"{figures}: changes spread more after exercise than after rest, so that people differ "
            "in their response in this data set."
        )
    if variance.upper < 0:
        return (
            f"{figures}: changes spread less after exercise than after rest. A negative variance "
            "is no individual response; look for a limit of the scale or for noisier rest bouts."
        )
    return (
        f"{figures}: the interval includes zero, so that people have not been shown to differ in "
        "their response; the spread of changes may be error alone."
    )
