"""The training profile: how each feature was distributed in training, without anybody's values.

A bin's edges are rounded to a coarse grid and lie between values; every bin holds at least
``LEAST_PERSONS`` persons, on both sides of every edge. The same rows give the same profile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Vector = npt.NDArray[np.float64]
Persons = npt.NDArray[Any]
FORMAT = 1
# Fewer persons in a bin are merged with its neighbour: the smallest group that is published.
LEAST_PERSONS = 10
MOST_BINS = 10
# Edges are rounded to about this part of the width from the 1st to the 99th percentile.
GRID = 50


@dataclass(frozen=True)
class Distribution:
    """How one variable was distributed in training.

    Attributes
    ----------
    edges : tuple of float, ascending
        Bins are (-inf, e1], (e1, e2] ... (ek, inf).
    shares : tuple of float of length ``len(edges) + 1``
        Of the rows with a known value; they sum to 1.
    missing : float
        Share of rows without a value.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float


@dataclass(frozen=True)
class Profile:
    """What a model was trained on, as later batches are compared with it.

    Attributes
    ----------
    n_rows, n_participants : int
    n_effective : float
        How many persons with one row each the rows are worth: N² / sum of n² [Kish1965]_.
    features : dict of feature name to Distribution
    risk : Distribution or None
        Of the risks that the model itself predicts for the rows it learnt from. Out-of-fold risks
        come from other models, whose spread differs; one that overfits spreads its own a little
        wider here than among new persons.

    References
    ----------
    .. [Kish1965] Kish. Survey Sampling, section 11.7.
    """

    n_rows: int
    n_participants: int
    n_effective: float
    features: dict[str, Distribution] = field(default_factory=dict)
    risk: Distribution | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON content, with the rule it was made by."""
        return {"format": FORMAT, "least_persons_per_bin": LEAST_PERSONS, **asdict(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Profile:
        """Read what :meth:`to_dict` gave.

        Raises
        ------
        ValueError, KeyError, TypeError, AttributeError
            For anything else.
        """
        if content["format"] != FORMAT:
            raise ValueError("unknown format of a profile")
        risk = content["risk"]
        profile = cls(
            int(content["n_rows"]),
            int(content["n_participants"]),
            float(content["n_effective"]),
            {str(n): _distribution(d) for n, d in content["features"].items()},
            None if risk is None else _distribution(risk),
        )
        if not (profile.n_rows >= 1 and 0 < profile.n_effective < math.inf):
            raise ValueError("a profile of nobody")
        return profile


def _distribution(content: Mapping[str, Any]) -> Distribution:
    edges = tuple(float(e) for e in content["edges"])
    shares = tuple(float(s) for s in content["shares"])
    missing = float(content["missing"])
    ascending = all(a < b for a, b in zip(edges, edges[1:], strict=False))
    finite = all(math.isfinite(e) for e in edges)
    within = all(0 <= s <= 1 for s in (*shares, missing))
    if not (ascending and finite and within and len(shares) == len(edges) + 1):
        raise ValueError("no distribution")
    return Distribution(edges, shares, missing)


def make_profile(features: pd.DataFrame, person: Persons, risk: Vector | None = None) -> Profile:
    """Describe what a model is trained on.

    Parameters
    ----------
    features : DataFrame of shape (n_rows, n_features)
        NaN = missing.
    person : ndarray of shape (n_rows,)
        Whose row it is.
    risk : ndarray of shape (n_rows,), optional
        What the model predicts for these rows.

    Examples
    --------
    Nine of fifty persons are too few to be told apart from the rest:

    >>> sex = pd.DataFrame({"sex_female": [1.0] * 41 + [0.0] * 9})
    >>> make_profile(sex, np.arange(50)).features["sex_female"]
    Distribution(edges=(), shares=(1.0,), missing=0.0)
    >>> sex.loc[40] = 0.0
    >>> make_profile(sex, np.arange(50)).features["sex_female"]
    Distribution(edges=(0.5,), shares=(0.2, 0.8), missing=0.0)
    """
    counts = np.unique(person, return_counts=True)[1].astype(np.float64)
    columns = {str(n): features[n].to_numpy(dtype=np.float64) for n in features.columns}
    return Profile(
        len(person),
        len(counts),
        effective_number(counts),
        {name: describe(values, person) for name, values in columns.items()},
        None if risk is None else describe(risk, person),
    )


def effective_number(rows_per_person: Vector) -> float:
    """Persons with one row each that so many rows per person are worth: N² / sum of n²."""
    return float(rows_per_person.sum() ** 2 / (rows_per_person**2).sum())


def describe(values: Vector, person: Persons) -> Distribution:
    """Divide a variable into bins of enough persons, and count.

    Parameters
    ----------
    values : ndarray of shape (n_rows,), NaN = missing
    person : ndarray of shape (n_rows,)
    """
    known = ~np.isnan(values)
    missing = 1.0 - float(known.mean())
    edges = _merged(values[known], person[known], _candidates(values[known]))
    counts = np.bincount(bin_of(values[known], edges), minlength=len(edges) + 1)
    total = max(int(counts.sum()), 1)
    # Nobody has a value: one bin that says nothing.
    shares = tuple(float(c) / total for c in counts) if counts.sum() else (1.0,)
    return Distribution(edges, shares, missing)


def bin_of(values: Vector, edges: tuple[float, ...]) -> npt.NDArray[np.intp]:
    """Number of each value's bin: how many edges it exceeds."""
    return np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left")


def _candidates(values: Vector) -> tuple[float, ...]:
    """Edges at the tenths of the rows, halfway to the next value, rounded to a coarse grid."""
    distinct = np.unique(values)
    if len(distinct) < 2:
        return ()
    tenths = np.arange(1, MOST_BINS) / MOST_BINS
    cuts = np.quantile(values, tenths, method="inverted_cdf")
    place = np.minimum(np.searchsorted(distinct, cuts), len(distinct) - 2)
    step = _step(values)
    rounded = np.round((distinct[place] + distinct[place + 1]) / 2 / step) * step
    # What is 0.1 * 3 shall be written 0.3.
    return tuple(sorted({float(f"{edge:.12g}") for edge in rounded}))


def _step(values: Vector) -> float:
    """1, 2 or 5 times a power of ten, not above a part of the values' width."""
    low, high = np.quantile(values, [0.01, 0.99])
    width = (high - low) or np.ptp(values)
    power = 10.0 ** math.floor(math.log10(width / GRID))
    return float(max(m * power for m in (1, 2, 5) if m * power <= width / GRID * (1 + 1e-9)))


def _merged(values: Vector, person: Persons, edges: tuple[float, ...]) -> tuple[float, ...]:
    """Drop the edges that would leave a bin with too few persons."""
    kept: list[float] = []
    low = -np.inf
    for edge in edges:
        inside = len(np.unique(person[(values > low) & (values <= edge)]))
        beyond = len(np.unique(person[values > edge]))
        if min(inside, beyond) >= LEAST_PERSONS:
            kept.append(edge)
            low = edge
    return tuple(kept)
