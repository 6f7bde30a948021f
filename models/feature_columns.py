"""A feature table column by column, with what several readers ask of each column, asked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Codes = tuple[Index, Index]
Answer = TypeVar("Answer")
# Powers of three up to here are exact in float64, and so are sums of them.
MOST_DIGITS = 30


class FeatureColumns:
    """Columns of float64, NaN = missing.

    Several models judge the same rows: which values are missing, how far they reach and which
    combinations occur is worked out for the first of them.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_features)
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.n_rows = len(table)
        values = table.to_numpy(dtype=np.float64).T
        self._columns: dict[str, Vector] = dict(zip(map(str, table.columns), values, strict=True))
        self._extremes: dict[str, tuple[float, float]] = {}
        self._missing: dict[str, int] = {}
        self._above: dict[tuple[str, float], int] = {}
        self._codes: dict[tuple[str, ...], Codes] = {}
        self._answers: list[tuple[object, Any]] = []

    @classmethod
    def of(cls, table: pd.DataFrame | Self) -> Self:
        """Take a table as it is, or by its columns."""
        return cls(table) if isinstance(table, pd.DataFrame) else table

    def __getitem__(self, name: str) -> Vector:
        """Return a column, shape (n_rows,)."""
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the columns."""
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        """Say whether there is such a column."""
        return name in self._columns

    @cached_property
    def nothing(self) -> Vector:
        """Return a column without any value."""
        return np.full(self.n_rows, np.nan)

    def n_missing(self, name: str) -> int:
        """Count the rows without a value."""
        if name not in self._missing:
            self._missing[name] = int(np.count_nonzero(np.isnan(self[name])))
        return self._missing[name]

    def extremes(self, name: str) -> tuple[float, float]:
        """Return the smallest and the largest value; NaN where there is none.

        Examples
        --------
        >>> table = FeatureColumns(pd.DataFrame({"a": [2.0, np.nan, 1.0], "b": [np.nan] * 3}))
        >>> table.extremes("a"), table.extremes("b")
        ((1.0, 2.0), (nan, nan))
        """
        if name not in self._extremes:
            values = self[name]
            # fmin and fmax pass missing values over, and say nothing where there is no other.
            self._extremes[name] = (
                float(np.fmin.reduce(values, initial=np.nan)),
                float(np.fmax.reduce(values, initial=np.nan)),
            )
        return self._extremes[name]

    def n_above(self, name: str, edge: float) -> int:
        """Count the rows whose value exceeds an edge; a missing value exceeds nothing."""
        key = (name, edge)
        if key not in self._above:
            low, high = self.extremes(name)
            if low > edge:
                self._above[key] = self.n_rows - self.n_missing(name)
            elif high > edge:
                self._above[key] = int(np.count_nonzero(self[name] > edge))
            else:
                self._above[key] = 0
        return self._above[key]

    def beyond(self, name: str, low: float, high: float) -> npt.NDArray[np.bool_] | None:
        """Say which rows lie outside a range; None where none does."""
        smallest, largest = self.extremes(name)
        if smallest < low or largest > high:
            values = self[name]
            return np.asarray((values < low) | (values > high))
        return None

    def lacking(self, names: Sequence[str]) -> npt.NDArray[np.bool_] | None:
        """Say which rows have no value of any of some columns; None where all have one."""
        found = None
        for name in names:
            n_missing = self.n_missing(name)
            if n_missing == 0:
                return None
            if n_missing < self.n_rows:
                missing = np.isnan(self[name])
                found = missing if found is None else found & missing
        return np.ones(self.n_rows, dtype=bool) if found is None else found

    def once(self, asker: object, work: Callable[[], Answer]) -> Answer:
        """Answer what follows from columns and asker alone; equal askers are answered once."""
        for known, answer in self._answers:
            if known == asker:
                return cast("Answer", answer)
        found = work()
        self._answers.append((asker, found))
        return found

    def combinations(self, names: Sequence[str]) -> Codes:
        """Number the combinations of values that occur; a missing value is one of its own.

        Returns
        -------
        code : ndarray of shape (n_rows,), int
        first : ndarray of shape (n_combinations,), int
            The first row of each.
        """
        key = tuple(names)
        if key not in self._codes:
            code = self._by_digits(key) if len(key) <= MOST_DIGITS else None
            code = self._by_factors(key) if code is None else code
            # Codes are given in the order of appearance: each first appears where the largest
            # rises.
            first = np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))
            self._codes[key] = (code, first)
        return self._codes[key]

    def _by_digits(self, names: Sequence[str]) -> Index | None:
        """Number the combinations of 0, 1 and missing; None where there is another value.

        Each is a digit of a number to the base of three: a sum and no table of what was seen.
        """
        total = np.zeros(self.n_rows)
        for place, name in enumerate(names):
            if not set(self.extremes(name)) <= {0.0, 1.0} and self.n_missing(name) < self.n_rows:
                return None
            values = np.nan_to_num(self[name], nan=-1.0) if self.n_missing(name) else self[name]
            if np.any(values * values * values != values):
                return None
            total += values * 3.0**place
        return np.asarray(pd.factorize(total)[0], dtype=np.int64)

    def _by_factors(self, names: Sequence[str]) -> Index:
        code = np.zeros(self.n_rows, dtype=np.int64)
        for name in names:
            own, levels = pd.factorize(np.nan_to_num(self[name], nan=-1.0))
            code, _ = pd.factorize(code * len(levels) + own)
        return np.asarray(code, dtype=np.int64)
