"""Whether a row is of the kind a model has learnt from: ranges, cells, blocks and distance.

A model answers whatever it is asked; nothing in a probability shows that nobody like this person
was in the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.covariance import LedoitWolf

from models.classifiers import stratum_keys, stratum_name
from models.conformal import person_shares
from models.feature_columns import FeatureColumns

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# As of models/ranges.py: the 1st and 99th percentile, a quarter of their distance further out.
TAIL, MARGIN = 0.01, 0.25
# A new person of the same population is further away than the reference with this probability.
BEYOND_REFERENCE = 0.01
REFERENCE_FOLDS = 5
# So many rows are standardised at a time: enough for numpy, few enough for the cache.
SLAB_ROWS = 2048
# OpenBLAS hands a product of more multiplications out to threads, which takes longer.
MOST_PRODUCTS = 2**19


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


class Placement(NamedTuple):
    """Where rows lie in a domain; arrays of shape (n_rows,)."""

    distance: Vector
    outside: Flags  # a value out of its range, or all of them together far away
    in_small_cell: Flags
    lacks_block: Flags


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

    def place(self, X: pd.DataFrame | FeatureColumns) -> Placement:
        """Say of every row where it lies.

        Targets of one study are learnt from the same rows: equal domains of a table's columns
        are worked out once.
        """
        columns = FeatureColumns.of(X)
        return columns.once(self, lambda: self._place(columns))

    def _place(self, columns: FeatureColumns) -> Placement:
        distance = self.distance(columns)
        outside = self.outside(columns) | (distance > 1.0)
        return Placement(distance, outside, self.in_small_cell(columns), self.lacks_block(columns))

    def outside(self, X: pd.DataFrame | FeatureColumns) -> Flags:
        """Say of every row whether a value is clearly outside its range, shape (n_rows,)."""
        columns = FeatureColumns.of(X)
        return _any_of((columns.beyond(n, *r) for n, r in self.ranges.items()), columns.n_rows)

    def in_small_cell(self, X: pd.DataFrame | FeatureColumns) -> Flags:
        """Say of every row whether too few training persons were of its cell."""
        columns = FeatureColumns.of(X)
        if not self.cell_columns:
            return np.zeros(columns.n_rows, dtype=bool)
        cell, first = columns.combinations(self.cell_columns)
        # Naming the few distinct ones takes a fraction of the time of naming every row.
        few = np.stack([columns[n][first] for n in self.cell_columns], axis=1)
        plain = np.nan_to_num(few, nan=-1.0) + 0.0
        small = [stratum_name(row) not in self.cells for row in plain.tolist()]
        return np.array(small, dtype=bool)[cell]

    def lacks_block(self, X: pd.DataFrame | FeatureColumns) -> Flags:
        """Say of every row whether it has no value of a block that training persons had."""
        columns = FeatureColumns.of(X)
        lacking = (columns.lacking(names) for names in self.needed_blocks.values())
        return _any_of(lacking, columns.n_rows)

    def distance(self, X: pd.DataFrame | FeatureColumns) -> Vector:
        """Mahalanobis distance over that of the reference: above 1 is far away.

        Returns
        -------
        ndarray of shape (n_rows,), >= 0, rounded to 6 decimals; 0 for a model without columns
        """
        columns = FeatureColumns.of(X)
        if not self.whitening:
            return np.zeros(columns.n_rows)
        known = _Standardised(columns, self.centre, self.scale)
        lengths = _lengths(known.write, columns.n_rows, self._across)
        return np.asarray((lengths / self.reference).round(6))

    @cached_property
    def _across(self) -> Matrix:
        return np.ascontiguousarray(np.array(self.whitening).T)

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


class _Standardised:
    """Columns less their centre over their scale, 0 where missing, a few rows at a time."""

    def __init__(
        self, columns: FeatureColumns, centre: Mapping[str, float], scale: Mapping[str, float]
    ) -> None:
        # A column without any value is 0 throughout and need not be worked out.
        n_missing = [columns.n_missing(name) for name in centre]
        self._parts = [
            (place, columns[name], centre[name], scale[name], n_missing[place] > 0)
            for place, name in enumerate(centre)
            if n_missing[place] < columns.n_rows
        ]

    def write(self, start: int, into: Matrix) -> None:
        """Write the rows from ``start`` on into the columns of an array, which is 0 at first."""
        for place, values, centre, scale, gaps in self._parts:
            z = into[place]
            np.subtract(values[start : start + len(z)], centre, out=z)
            np.divide(z, scale, out=z)
            if gaps:
                z[np.isnan(z)] = 0.0


def _standardise(
    X: pd.DataFrame, centre: Mapping[str, float], scale: Mapping[str, float]
) -> Matrix:
    z = np.zeros((len(centre), len(X)))
    _Standardised(FeatureColumns(X), centre, scale).write(0, z)
    return z.T


def _whiten(z: Matrix) -> Matrix:
    """Matrix W with W W' the inverse of the shrunken covariance, to 6 significant digits."""
    covariance = LedoitWolf(assume_centered=True).fit(z).covariance_
    values, vectors = np.linalg.eigh(covariance)
    root = vectors / np.sqrt(np.maximum(values, 1e-6))
    return np.array([[float(f"{v:.6g}") for v in row] for row in root])


def _any_of(flagged: Iterable[Flags | None], n_rows: int) -> Flags:
    found = np.zeros(n_rows, dtype=bool)
    for flags in flagged:
        if flags is not None:
            found |= flags
    return found


def _lengths(write: Callable[[int, Matrix], None], n_rows: int, across: Matrix) -> Vector:
    """Length of every whitened row, in blocks of one shape.

    A product of matrices sums in an order that depends on their shape: blocks of one shape make
    a row's distance independent of its neighbours.

    Parameters
    ----------
    write : callable
        Writes rows from a given one on into the columns of an array.
    n_rows : int
    across : ndarray of shape (n_columns, n_columns)
        The whitening matrix, transposed.
    """
    at_once = _block_rows(len(across))
    squares = np.empty(-(-n_rows // at_once) * at_once)
    z = np.zeros((len(across), min(SLAB_ROWS, len(squares))))
    whitened = np.empty((len(across), at_once))
    for slab in range(0, n_rows, SLAB_ROWS):
        n = min(SLAB_ROWS, n_rows - slab)
        z[:, n:] = 0.0
        write(slab, z[:, :n])
        for block in range(0, n, at_once):
            np.matmul(across, z[:, block : block + at_once], out=whitened)
            np.multiply(whitened, whitened, out=whitened)
            whitened.sum(axis=0, out=squares[slab + block : slab + block + at_once])
    return np.sqrt(squares[:n_rows])


def _block_rows(n_columns: int) -> int:
    """Return how many rows to multiply at a time: a power of two from 16 to 256."""
    rows = 256
    while rows > 16 and n_columns * n_columns * rows > MOST_PRODUCTS:
        rows //= 2
    return rows


def _lengths_of(z: Matrix, whitening: Matrix) -> Vector:
    columns = np.ascontiguousarray(z.T)

    def write(start: int, into: Matrix) -> None:
        into[:] = columns[:, start : start + into.shape[1]]

    return _lengths(write, len(z), np.ascontiguousarray(whitening.T))


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
        distances[part == k] = _lengths_of(own - middle, _whiten(base - middle))
    weights, n_persons = person_shares(person)
    order = np.argsort(distances)
    reached = np.cumsum(weights[order]) / n_persons
    at = min(int(np.searchsorted(reached, 1 - BEYOND_REFERENCE)), len(z) - 1)
    return max(float(distances[order[at]]), 1e-12)
