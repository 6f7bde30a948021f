"""What a prediction says besides the probability: its set, its interval, whether to conclude."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.feature_columns import FeatureColumns
from models.harms import coherent

Vector = npt.NDArray[np.float64]
ADJUSTED = "risks_adjusted"
# Outcomes that cannot both happen.
EXCLUSIVE = ("p_response", "p_hyperalgesia")
# A column's type follows from its name alone.
TEXT_PREFIXES = ("set_", "abstain_reasons_")
FLAG_PREFIXES = ("class_", "abstained_", ADJUSTED)


def sure_columns(target: str, bundle: Bundle, risk: Vector, X: FeatureColumns) -> dict[str, Any]:
    """Return what the bundle says of every row about being sure; nothing if it cannot.

    Parameters
    ----------
    target : str
    bundle : Bundle
    risk : ndarray of shape (n_rows,)
        Its risks.
    X : FeatureColumns

    Returns
    -------
    dict of column to array, or to CodedTexts
        ``p_<target>_lower`` and ``_upper`` (Venn-Abers probabilities), ``set_<target>`` (no, yes,
        'no;yes' or neither), ``distance_<target>`` (above 1: far from the training rows),
        ``abstained_<target>`` (1 = conclude nothing) and ``abstain_reasons_<target>``.
    """
    if bundle.uncertainty is None:
        return {}
    answers = bundle.uncertainty.answer(risk, X)
    return {
        f"p_{target}_lower": answers.lower,
        f"p_{target}_upper": answers.upper,
        f"set_{target}": answers.set_names,
        f"distance_{target}": answers.distance,
        f"abstained_{target}": answers.abstained.astype(np.int8),
        f"abstain_reasons_{target}": answers.reason_texts,
    }


def agreeing(columns: dict[str, Any]) -> dict[str, Any]:
    """Make the risks of exclusive outcomes add up to at most one, and say where that was needed.

    Two models do not know of each other. Where their risks add up to more than one, both are
    moved (:func:`models.harms.coherent`) and ``risks_adjusted`` is 1; classes, sets, intervals
    and contributions stay those of each model alone. Columns without both risks are returned as
    they are.
    """
    if not set(EXCLUSIVE) <= set(columns):
        return columns
    first, second = (columns[name] for name in EXCLUSIVE)
    moved = dict(zip(EXCLUSIVE, coherent(first, second), strict=True))
    return columns | moved | {ADJUSTED: (first + second > 1.0).astype(np.int8)}
