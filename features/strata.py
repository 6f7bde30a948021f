"""Predefined groups of persons: markers cut in two, published cut points first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.reference import load_reference
from features.spec import Vector

Index = npt.NDArray[np.int64]
# A marker known in fewer rows than this share is passed over for the axis's next one.
LEAST_KNOWN = 0.5
UNKNOWN = -1


@dataclass(frozen=True)
class AxisMarker:
    """A marker that can stand for an axis, and where it is cut.

    Attributes
    ----------
    marker : str
        Feature.
    cut : float or None
        Published cut point, in the feature's unit; None: the median of training persons.
    inclusive : bool
        Whether the cut itself is on the upper side.
    indicator : str
        Feature that says the side (1, 0) where the cut differs between rows, or empty.
    reverse : bool
        Whether low values are the upper side.
    source, confidence : str
        As in seeds/strata.toml.
    """

    marker: str
    source: str
    confidence: str
    cut: float | None = None
    inclusive: bool = False
    indicator: str = ""
    reverse: bool = False

    @property
    def published(self) -> bool:
        """Return whether the cut comes from elsewhere than the study."""
        return self.cut is not None or bool(self.indicator)


@dataclass(frozen=True)
class Axis:
    """A property of persons with two sides, and the markers that can stand for it, best first."""

    name: str
    upper: str
    lower: str
    markers: tuple[AxisMarker, ...]


@dataclass(frozen=True)
class StrataRule:
    """A named rule: its groups are the combinations of its axes' sides."""

    name: str
    title: str
    axes: tuple[Axis, ...]

    def group_names(self) -> tuple[str, ...]:
        """Return a name per group; bit ``a`` of a group's number is the side on axis ``a``."""
        return tuple(
            ", ".join(a.upper if number >> at & 1 else a.lower for at, a in enumerate(self.axes))
            for number in range(2 ** len(self.axes))
        )


@cache
def load_rules() -> dict[str, StrataRule]:
    """Return the rules of seeds/strata.toml by name.

    Examples
    --------
    >>> load_rules()["catastrophising_x_kinesiophobia"].group_names()[3]
    'high catastrophising, high fear of movement'
    """
    content = load_reference("strata.toml")["rules"]
    return {
        name: StrataRule(name, rule["title"], tuple(_axis(a) for a in rule["axes"]))
        for name, rule in content.items()
    }


def _axis(content: dict[str, Any]) -> Axis:
    markers = tuple(AxisMarker(**m) for m in content["markers"])
    return Axis(content["name"], content["upper"], content["lower"], markers)


@dataclass(frozen=True)
class CutAxis:
    """An axis as a study can be cut on it.

    Attributes
    ----------
    axis : Axis
    marker : AxisMarker
        The one that counts.
    values : ndarray of shape (n_rows,)
        The marker, NaN = unknown.
    published : bool
        Whether the published cut is used; else the median of training rows.
    fixed : ndarray of shape (n_rows,)
        1 upper side, 0 lower, NaN unknown, by the published cut; all NaN without one.
    """

    axis: Axis
    marker: AxisMarker
    values: Vector
    published: bool
    fixed: Vector

    def cut_of(self, training: Index) -> float:
        """Return the cut point; NaN where it differs between rows."""
        if not self.published:
            return float(np.nanmedian(self.values[training]))
        return np.nan if self.marker.cut is None else self.marker.cut

    def sides(self, training: Index) -> Vector:
        """Return each row's side: 1 upper, 0 lower, NaN unknown.

        Parameters
        ----------
        training : ndarray of int
            Rows that a median may be taken of.
        """
        if self.published:
            return self.fixed
        return _cut(self.values, self.cut_of(training), self.marker)


def _cut(values: Vector, cut: float, marker: AxisMarker) -> Vector:
    signed, at = (-values, -cut) if marker.reverse else (values, cut)
    above = signed >= at if marker.inclusive else signed > at
    return np.where(np.isnan(values), np.nan, above.astype(np.float64))


def choose_marker(axis: Axis, features: pd.DataFrame, *, published: bool = True) -> CutAxis | None:
    """Return the axis cut on the first marker the study knows enough of; None without one.

    Parameters
    ----------
    axis : Axis
    features : DataFrame of shape (n_rows, n_features)
    published : bool, default=True
        Whether published cut points are used where there are any; else medians throughout.
    """
    for marker in axis.markers:
        values, fixed = _column(features, marker.marker), np.full(len(features), np.nan)
        by_published = published and marker.published
        if by_published:
            fixed = _published_sides(features, marker, values)
        usable = ~np.isnan(values) & (~np.isnan(fixed) if by_published else True)
        if len(usable) and usable.mean() >= LEAST_KNOWN and len(np.unique(values[usable])) > 1:
            return CutAxis(axis, marker, values, by_published, fixed)
    return None


def _published_sides(features: pd.DataFrame, marker: AxisMarker, values: Vector) -> Vector:
    if marker.cut is not None:
        return _cut(values, marker.cut, marker)
    return _column(features, marker.indicator)


def _column(features: pd.DataFrame, name: str) -> Vector:
    if name not in features.columns:
        return np.full(len(features), np.nan)
    return features[name].to_numpy(dtype=np.float64)


def group_numbers(axes: Sequence[CutAxis], training: Index) -> Index:
    """Return each row's group number, :data:`UNKNOWN` where a side is unknown.

    Parameters
    ----------
    axes : sequence of CutAxis
    training : ndarray of int
        Rows that medians are taken of: a fold's training rows, or all to describe a study.
    """
    sides = np.column_stack([a.sides(training) for a in axes])
    number = np.nan_to_num(sides) @ (2 ** np.arange(len(axes)))
    return np.where(np.isnan(sides).any(axis=1), UNKNOWN, number).astype(np.int64)
