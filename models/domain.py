"""Whether a row is of the kind a model has learnt from: ranges, cells, blocks and distance.

A model answers whatever it is asked; nothing in a probability shows that nobody like this person
was in the training data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.covariance import LedoitWolf

from models.classifiers import stratum_keys
from models.conformal import person_shares

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# As of models/ranges.py: the 1st and 99th percentile, a quarter of their distance further out.
TAIL, MARGIN = 0.01, 0.25
# A new person of the same population is further away than the reference with this probability.
BEYOND_REFERENCE = 0.01
REFERENCE_FOLDS = 5
# A product of matrices sums in an order that depends on their shape; blocks of one shape make
# a row's distance independent of its neighbours.
BLOCK_ROWS = 64


@dataclass(frozen=True)
class Uses:
    """What of a row a model uses.

    Attributes
    ----------
    columns : tuple of str
    cells : tuple of str
        Columns whose combination makes a cell: condition and exercise.
    blocks : mapping of block to its columns among ``columns``
    """

    columns: tuple[str, ...]
    cells: tuple[str, ...]
    blocks: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Domain:
    """Where a model has learnt.

    Attributes
    ----------
    ranges : dict of column to (low, high)
        Widened ranges of the columns the model uses.
    cell_columns : tuple of str
    cells : dict of cell to persons
        Only cells with at least the smallest number of persons; none where there are no cells.
    needed_blocks : dict of block to columns
        Blocks that nearly every training person had a value of.
    centre, scale : dict of column to float
        Mean and SD of the known values.
    whitening : tuple of tuple of float
        Turns standardised values into ones whose sum of squares is the squared Mahalanobis
        distance (shrunken covariance, Ledoit and Wolf); a missing value is taken as the mean.
    reference : float
        Distance that :data:`BEYOND_REFERENCE` of new persons exceed, from persons left out.
    """

    ranges: Mapping[str, tuple[float, float]]
    cell_columns: tuple[str, ...]
    cells: Mapping[str, int]
    needed_blocks: Mapping[str, tuple[str, ...]]
    centre: Mapping[str, float]
    scale: Mapping[str, float]
    whitening: tuple[tuple[float, ...], ...]
    reference: float

    def outside(self, X: pd.DataFrame) -> Flags:
        """Say of every row whether a value is clearly outside its range, shape (n_rows,)."""
        found = np.zeros(len(X), dtype=bool)
        for name, (low, high) in self.ranges.items():
            values = X[name].to_numpy(dtype=np.float64)
            found |= (values < low) | (values > high)
        return found

    def in_small_cell(self, X: pd.DataFrame) -> Flags:
        """Say of every row whether too few training persons were of its cell."""
        if not self.cell_columns:
            return np.zeros(len(X), dtype=bool)
        cell, first = _distinct_rows(X, self.cell_columns)
        names = stratum_keys(X.iloc[first], self.cell_columns)
        return np.asarray(~names.isin(list(self.cells)).to_numpy()[cell])

    def lacks_block(self, X: pd.DataFrame) -> Flags:
        """Say of every row whether it has no value of a block that training persons had."""
        found = np.zeros(len(X), dtype=bool)
        for columns in self.needed_blocks.values():
            found |= X[list(columns)].isna().to_numpy().all(axis=1)
        return found

    def distance(self, X: pd.DataFrame) -> Vector:
        """Mahalanobis distance over that of the reference: above 1 is far away.

        Returns
        -------
        ndarray of shape (n_rows,), >= 0, rounded to 6 decimals; 0 for a model without columns
        """
        if not self.whitening:
            return np.zeros(len(X))
        z = _standardise(X, self.centre, self.scale)
        return np.asarray((_lengths(z, np.array(self.whitening)) / self.reference).round(6))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON content."""
        return {
            "ranges": {n: list(r) for n, r in self.ranges.items()},
            "cell_columns": list(self.cell_columns),
            "cells": dict(self.cells),
            "needed_blocks": {n: list(c) for n, c in self.needed_blocks.items()},
            # A list, since the order of the columns counts.
            "columns": list(self.centre),
            "centre": list(self.centre.values()),
            "scale": list(self.scale.values()),
            "whitening": [list(row) for row in self.whitening],
            "reference": self.reference,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Domain:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            If the parts do not fit each other.
        """
        columns = [str(c) for c in content["columns"]]
        whitening = np.array(content["whitening"], dtype=np.float64)
        if whitening.shape != (len(columns), len(columns)) and (columns or whitening.size):
            raise ValueError("domain: expected a square matrix of the columns")
        return cls(
            {str(n): (float(low), float(high)) for n, (low, high) in content["ranges"].items()},
            tuple(str(c) for c in content["cell_columns"]),
            {str(n): int(k) for n, k in content["cells"].items()},
            {str(n): tuple(str(x) for x in c) for n, c in content["needed_blocks"].items()},
            dict(zip(columns, (float(v) for v in content["centre"]), strict=True)),
            dict(zip(columns, (float(v) for v in content["scale"]), strict=True)),
            tuple(tuple(float(v) for v in row) for row in whitening) if columns else (),
            float(content["reference"]),
        )


def fit_domain(X: pd.DataFrame, person: Index, uses: Uses, least_persons: int) -> Domain:
    """Learn where a model has learnt.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features), NaN = missing
        The rows it learnt from.
    person : ndarray of shape (n_rows,), int
    uses : Uses
    least_persons : int
        Persons a cell must have; persons without a block from which its absence is known.
    """
    known = [c for c in uses.columns if X[c].notna().any()]
    centre, scale = _moments(X[known])
    z = _standardise(X, centre, scale)
    return Domain(
        _ranges(X[known]),
        uses.cells,
        _cells(X, person, uses.cells, least_persons),
        _needed_blocks(X, person, uses.blocks, least_persons),
        centre,
        scale,
        tuple(tuple(float(v) for v in row) for row in _whiten(z)) if known else (),
        _reference(z, person) if known else 1.0,
    )


def _ranges(X: pd.DataFrame) -> dict[str, tuple[float, float]]:
    found = {}
    for name in X.columns:
        values = X[name].dropna().to_numpy(dtype=np.float64)
        low, high = np.quantile(values, [TAIL, 1 - TAIL])
        margin = MARGIN * (high - low)
        found[name] = (float(low - margin), float(high + margin))
    return found


def _cells(
    X: pd.DataFrame, person: Index, columns: Sequence[str], least_persons: int
) -> dict[str, int]:
    if not columns:
        return {}
    table = pd.DataFrame({"cell": stratum_keys(X, columns).to_numpy(), "person": person})
    persons = table.drop_duplicates().groupby("cell", sort=True).size()
    return {str(n): int(k) for n, k in persons.items() if k >= least_persons}


def _distinct_rows(X: pd.DataFrame, columns: Sequence[str]) -> tuple[Index, Index]:
    """Number of every row's combination of values, and the first row of each.

    Naming the few distinct ones takes a fraction of the time of naming every row.
    """
    code = np.zeros(len(X), dtype=np.int64)
    for name in columns:
        values = np.nan_to_num(X[name].to_numpy(dtype=np.float64), nan=-1.0)
        own, levels = pd.factorize(values)
        code, _ = pd.factorize(code * len(levels) + own)
    # Codes are given in the order of appearance: each first appears where the largest rises.
    first = np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))
    return np.asarray(code, dtype=np.int64), first


def _needed_blocks(
    X: pd.DataFrame, person: Index, blocks: Mapping[str, tuple[str, ...]], least_persons: int
) -> dict[str, tuple[str, ...]]:
    needed = {}
    for name, columns in blocks.items():
        lacking = X[list(columns)].isna().to_numpy().all(axis=1)
        if columns and len(np.unique(person[lacking])) < least_persons:
            needed[name] = tuple(columns)
    return needed


def _moments(X: pd.DataFrame) -> tuple[dict[str, float], dict[str, float]]:
    spread = X.std(ddof=0).fillna(0.0)
    return (
        {str(c): float(m) for c, m in X.mean().items()},
        {str(c): float(s) if s > 1e-12 else 1.0 for c, s in spread.items()},
    )


def _standardise(
    X: pd.DataFrame, centre: Mapping[str, float], scale: Mapping[str, float]
) -> Matrix:
    values = X[list(centre)].to_numpy(dtype=np.float64)
    z = (values - np.array(list(centre.values()))) / np.array(list(scale.values()))
    return np.asarray(np.nan_to_num(z, nan=0.0))


def _whiten(z: Matrix) -> Matrix:
    """Matrix W with W W' the inverse of the shrunken covariance, to 6 significant digits."""
    covariance = LedoitWolf(assume_centered=True).fit(z).covariance_
    values, vectors = np.linalg.eigh(covariance)
    root = vectors / np.sqrt(np.maximum(values, 1e-6))
    return np.array([[float(f"{v:.6g}") for v in row] for row in root])


def _lengths(z: Matrix, whitening: Matrix) -> Vector:
    """Length of every whitened row, in blocks of one shape."""
    n_blocks = -(-len(z) // BLOCK_ROWS)
    padded = np.zeros((n_blocks * BLOCK_ROWS, z.shape[1]))
    padded[: len(z)] = z
    squares = np.empty(len(padded))
    for start in range(0, len(padded), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        squares[block] = ((padded[block] @ whitening) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(squares[: len(z)]))


def _reference(z: Matrix, person: Index) -> float:
    """Distance that few persons exceed from the others' centre; each person counts once.

    Distances of rows the covariance was estimated from would be too small.
    """
    names, code = np.unique(person, return_inverse=True)
    part = code % min(REFERENCE_FOLDS, len(names))
    distances = np.zeros(len(z))
    for k in np.unique(part):
        rest, own = z[part != k], z[part == k]
        base = rest if len(rest) else own
        middle = base.mean(axis=0)
        distances[part == k] = _lengths(own - middle, _whiten(base - middle))
    weights, n_persons = person_shares(person)
    order = np.argsort(distances)
    reached = np.cumsum(weights[order]) / n_persons
    at = min(int(np.searchsorted(reached, 1 - BEYOND_REFERENCE)), len(z) - 1)
    return max(float(distances[order[at]]), 1e-12)
