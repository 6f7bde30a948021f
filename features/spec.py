"""What a feature is, and how builders read the columns of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import CASES_BY_NAME, KnownAt

Vector = npt.NDArray[np.float64]
Family = Literal[
    "person",
    "condition",
    "psychosocial",
    "modulation",
    "sensitivity",
    "exercise",
    "biology",
    "history",
]
# What a feature is for. The first two are also the comparators of the ladder; the last two are
# in the feature table and no model learns from them.
Role = Literal["stratum", "baseline", "predictor", "alternative", "quality"]
LEARNT_ROLES: frozenset[Role] = frozenset({"stratum", "baseline", "predictor"})


@dataclass(frozen=True)
class FeatureSpec:
    """One output column of :func:`features.build.build_features`.

    ``sources`` are the columns of ``cases`` it is made from; it is known when the last of them
    is. ``role`` places it in the ladder: ``stratum`` (condition and exercise), ``baseline``
    (pain and sensitivity before the bout) or ``predictor``; ``alternative`` is another scale of
    a predictor (a percent change beside a log ratio), ``quality`` tells how well a predictor was
    measured. ``block`` names what a study measures, or does not, together; where it is empty,
    :func:`features.blocks.block_of` derives it.
    """

    name: str
    family: Family
    unit: str
    sources: tuple[str, ...]
    description: str
    role: Role = "predictor"
    known_at: KnownAt = "baseline"
    block: str = ""


@dataclass(frozen=True)
class Builder:
    """One feature family: a pure function from checked cases to its columns."""

    name: str
    specs: tuple[FeatureSpec, ...]
    build: Callable[[pd.DataFrame], Mapping[str, Vector]]


def numbers(cases: pd.DataFrame, column: str) -> Vector:
    """Return a numeric column as float64; all NaN where the study does not have it.

    Raises
    ------
    KeyError
        If the contract does not know the column: a builder's spelling mistake, not the user's.
    """
    if column not in CASES_BY_NAME:
        raise KeyError(column)
    return any_numbers(cases, column)


def any_numbers(cases: pd.DataFrame, column: str) -> Vector:
    """Return what :func:`numbers` does, also of a column that the contract does not know."""
    if column not in cases.columns:
        return nothing(len(cases))
    # Contiguous: numpy's logarithm differs in the last bit between strided and packed arrays,
    # and a row's features must not depend on how its table was cut.
    return np.ascontiguousarray(cases[column].to_numpy(dtype=np.float64))


@lru_cache(maxsize=8)
def nothing(n_rows: int) -> Vector:
    """Return a column without any value; one for all that lack it, so nobody can write to it."""
    values = np.full(n_rows, np.nan)
    values.flags.writeable = False
    return values


def level_codes(cases: pd.DataFrame, column: str) -> npt.NDArray[np.intp]:
    """Place of each row's value among the levels of a category; -1 where it is missing."""
    if column not in cases.columns:
        return np.full(len(cases), -1)
    values, levels = cases[column], CASES_BY_NAME[column].levels
    if isinstance(values.dtype, pd.CategoricalDtype) and tuple(values.cat.categories) == levels:
        return np.asarray(values.cat.codes, dtype=np.intp)
    codes, words = pd.factorize(values, use_na_sentinel=True)
    place = {level: i for i, level in enumerate(levels)}
    return np.array([*(place.get(word, -1) for word in words), -1])[codes]


def indicators(cases: pd.DataFrame, column: str) -> dict[str, Vector]:
    """Return ``<column>_<level>`` as 0/1 for every level of a category; NaN where it is missing."""
    levels = CASES_BY_NAME[column].levels
    codes = level_codes(cases, column)
    unknown = np.where(codes < 0, np.nan, 0.0)
    # Most levels occur in no row of a piece: their indicators are one array.
    occurs = np.bincount(codes + 1, minlength=len(levels) + 1)[1:] > 0
    return {
        f"{column}_{level}": unknown + (codes == i) if occurs[i] else unknown
        for i, level in enumerate(levels)
    }


def total(columns: Iterable[Vector]) -> Vector:
    """Sum of columns; NaN where any is missing."""
    return reduce(np.add, columns)


def delivered_or(delivered: Vector, derived: Vector) -> Vector:
    """Return what was delivered, and what could be derived where nothing was."""
    return np.where(np.isnan(delivered), derived, delivered)


def log1p(values: Vector) -> Vector:
    """ln(1 + value); NaN where missing."""
    # Of a column that a study does not have the logarithm takes four times as long as of values.
    return values if np.isnan(values).all() else np.log1p(values)


def ratio(numerator: Vector, denominator: Vector) -> Vector:
    """Numerator / denominator; NaN where either is missing or the denominator is not positive."""
    usable = denominator > 0
    return np.where(usable, numerator / np.where(usable, denominator, 1.0), np.nan)


def log_ratio(numerator: Vector, denominator: Vector) -> Vector:
    """ln(numerator / denominator); NaN where either is missing or not positive."""
    usable = (numerator > 0) & (denominator > 0)
    safe = np.where(usable, numerator, 1.0) / np.where(usable, denominator, 1.0)
    return np.where(usable, np.log(safe), np.nan)
