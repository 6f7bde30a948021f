"""Answers that look like another form of a questionnaire, or like items already reversed.

Every guard compares what was stored with what the declared form makes likely and speaks only
where the evidence is clear. The thresholds were set by simulation and on public data, see
docs/decisions/0005; how often they are wrong is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from features.instruments import Instrument, Scale, Vector
from features.psychometrics import cronbach_alpha

Matrix = npt.NDArray[np.float64]

# Below this number of rows only an impossible answer is evidence.
LEAST_ROWS = 30
# The shorter form must explain the scores e^6 times better, both fitted at their best.
CLEAR_LOG_RATIO = 6.0
# Of the people who go so far in their answers, at least this share also takes the next step
# somewhere on the form (0.49 to 0.96 in the public data looked at).
TAKES_THE_NEXT_STEP = 0.3
# Nobody taking it although so many could have must be this improbable.
CLEAR_PROBABILITY = 1e-4
# Undoing the reversal must raise alpha by so much, and not by chance.
ALPHA_GAIN = 0.05
CLEAR_Z = 3.0


@dataclass(frozen=True)
class Suspicion:
    """What looks wrong, in words that name the number of rows and what to do."""

    code: str
    found: str
    advice: str


def suspect_forms(instrument: Instrument, answers: Sequence[Vector] | None) -> list[Suspicion]:
    """Look for a shorter form, or answers on another scale, among the items as stored.

    Parameters
    ----------
    instrument : Instrument
    answers : sequence of ndarray of shape (n_rows,), or None without items
        In the order of the items, NaN = missing; may lie outside their range.
    """
    if answers is None:
        return []
    found = [s for s in (_shifted(instrument, answers),) if s]
    if not found:
        found = [s for s in (_narrow(instrument, answers),) if s]
    return found


def suspect_scores(instrument: Instrument, scale: Scale, scores: Vector) -> Suspicion | None:
    """Look for the score of a shorter form, or of answers counted from 0, among the totals."""
    known = scores[~np.isnan(scores)]
    below = known < scale.low - 1e-9
    n_members = len(scale.members)
    if scale.method == "sum" and scale.low > 0 and below.any() and n_members:
        if known.max() <= scale.high - n_members and known.min() >= scale.low - n_members:
            return Suspicion(
                "shifted_form",
                f"{int(below.sum())} of {len(known)} scores below {scale.low:g}, and none above "
                f"{scale.high - n_members:g}",
                f"The answers look counted from {instrument.low - 1:g} instead of "
                f"{instrument.low:g}: score from the items, with 1 added to each.",
            )
        return None
    if scale.method != "sum" or n_members < 4 or len(known) < LEAST_ROWS:
        return None
    return _shorter(instrument, scale, known)


# ---- another scale of answers ----------------------------------------------------------------


def _shifted(instrument: Instrument, answers: Sequence[Vector]) -> Suspicion | None:
    """Answers that all fit the scale once 1 is added or taken away, and do not fit as they are."""
    stacked, low, high = _ordinary(instrument, answers)
    values = stacked[~np.isnan(stacked)]
    if len(values) == 0:
        return None
    for offset, word in ((-1, "below"), (1, "above")):
        end = low if offset < 0 else high
        outside = (values < low) if offset < 0 else (values > high)
        fits = (values >= low + offset).all() and (values <= high + offset).all()
        if outside.any() and fits:
            rows = int(((stacked < low) | (stacked > high)).any(axis=1).sum())
            return Suspicion(
                "shifted_form",
                f"answers {word} {end:g} in {rows} rows and none that contradicts a scale of "
                f"{low + offset:g} to {high + offset:g}",
                f"The answers look shifted by {abs(offset)}: "
                f"{'add 1 to' if offset < 0 else 'take 1 from'} each.",
            )
    return None


def _narrow(instrument: Instrument, answers: Sequence[Vector]) -> Suspicion | None:
    """An end of the scale that nobody reaches although many come as far as anybody."""
    stacked, low, high = _ordinary(instrument, answers)
    if high - low < 2 or stacked.shape[1] < 4 or np.isnan(stacked).all():
        return None
    for end, furthest in ((high, np.nanmax(stacked)), (low, np.nanmin(stacked))):
        n_there = int((stacked == furthest).any(axis=1).sum())
        if furthest == end or n_there < LEAST_ROWS:
            continue
        if (1 - TAKES_THE_NEXT_STEP) ** n_there <= CLEAR_PROBABILITY:
            return Suspicion(
                "narrow_form",
                f"answers that end at {furthest:g} in {n_there} of {len(stacked)} rows and not "
                f"one of {end:g} in the whole table",
                f"The items look answered on a shorter scale than {low:g} to {high:g}: bring the "
                "answers to the declared scale.",
            )
    return None


def _ordinary(instrument: Instrument, answers: Sequence[Vector]) -> tuple[Matrix, float, float]:
    """Return the items that have the form's most frequent range, stacked, and that range."""
    ranges = [(i.low, i.high) for i in instrument.items]
    common = max(set(ranges), key=ranges.count)
    chosen = [a for a, r in zip(answers, ranges, strict=True) if r == common]
    return np.column_stack(chosen), *common


# ---- the total of a shorter form -------------------------------------------------------------


def _shorter(instrument: Instrument, scale: Scale, known: Vector) -> Suspicion | None:
    """Compare the whole range of a total with the smallest one that a shorter form would have."""
    spans = [instrument.items[m - 1].span() for m in scale.members]
    step = max(high - low for low, high in spans)
    reach = known.max() - scale.low
    short = step * np.ceil(max(reach, step) / step - 1e-9)
    whole = scale.high - scale.low
    if short > 0.75 * whole or len(np.unique(known)) < 3:
        return None
    counts = np.clip(np.rint(known - scale.low), 0, None)
    ratio = _log_likelihood(counts, short) - _log_likelihood(counts, whole)
    if ratio < CLEAR_LOG_RATIO:
        return None
    return Suspicion(
        "short_form",
        f"no score above {scale.low + short:g} in {len(known)} rows, where the form goes up to "
        f"{scale.high:g} (log likelihood ratio {ratio:.0f} for a form that ends there)",
        "Score the short form as what it is, or name the instrument that was used.",
    )


def _log_likelihood(counts: Vector, n: float) -> float:
    """Best log likelihood of a beta-binomial of ``n`` points, over its two shapes."""
    values, weights = np.unique(counts, return_counts=True)

    def loss(logs: Vector) -> float:
        a, b = np.exp(logs)
        log_choose = -np.log1p(n) - special.betaln(n - values + 1, values + 1)
        each = log_choose + special.betaln(values + a, n - values + b) - special.betaln(a, b)
        return float(-(weights * each).sum())

    mean = np.clip(counts.mean() / n, 0.02, 0.98)
    start = np.log(4 * np.array([mean, 1 - mean]))
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=[(-4, 6)] * 2)
    return -float(found.fun)


# ---- items already reversed ------------------------------------------------------------------


def suspect_reversal(instrument: Instrument, points: Sequence[Vector]) -> Iterator[float]:
    """Yield the gain of alpha from undoing the reversal, where it is large and not by chance.

    Alpha rises on undoing exactly where the sum of the reversed items falls as the sum of the
    others rises; chance is judged by Fisher's z of that correlation.

    Parameters
    ----------
    points : sequence of ndarray of shape (n_rows,)
        All items, the reversed ones reversed.
    """
    turned = [i - 1 for i in instrument.reversed_items]
    if not turned:
        return
    stacked = np.column_stack(list(points))
    known = stacked[~np.isnan(stacked).any(axis=1)]
    if len(known) < LEAST_ROWS:
        return
    undone = known.copy()
    for i in turned:
        undone[:, i] = instrument.items[i].low + instrument.items[i].high - undone[:, i]
    block = known[:, turned].sum(axis=1)
    others = known.sum(axis=1) - block
    if block.std() == 0 or others.std() == 0:
        return
    r = float(np.clip(np.corrcoef(block, others)[0, 1], -0.999999, 0.999999))
    gain = cronbach_alpha(undone).value - cronbach_alpha(known).value
    if gain >= ALPHA_GAIN and np.arctanh(r) * np.sqrt(len(known) - 3) <= -CLEAR_Z:
        yield gain
