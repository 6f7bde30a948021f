"""Optional biological markers at rest; off unless params.yaml names the family."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.columns_biology import MARKERS, Marker
from features.spec import Builder, FeatureSpec, Vector, log_ratio, numbers


def with_detection_limit(value: Vector, limit: Vector, flagged: Vector) -> tuple[Vector, Vector]:
    """Replace values below an assay's detection limit by limit / sqrt(2), and say where.

    A sample is below the limit where it is flagged so, or its value is smaller than the limit.
    Without a limit it has no value: NaN, and flagged.

    Parameters
    ----------
    value, limit : ndarray of shape (n_rows,), one unit, NaN allowed
    flagged : ndarray of shape (n_rows,), 1 = reported below the limit, 0 or NaN = not

    Returns
    -------
    substituted : ndarray of shape (n_rows,), in the unit of ``value``
    below : ndarray of shape (n_rows,)
        1 below the limit, 0 measured, NaN where nothing is known.

    References
    ----------
    Hornung RW, Reed LD. Estimation of average concentration in the presence of nondetectable
    values. Appl Occup Environ Hyg 1990;5:46-51, 10.1080/1047322X.1990.10389587. Meant for data
    that are not highly skewed.

    Examples
    --------
    >>> value, below = with_detection_limit(
    ...     np.array([0.2, 3.0, np.nan]), np.array([0.5, 0.5, 0.5]), np.array([0.0, 0.0, 1.0])
    ... )
    >>> value.round(3), below
    (array([0.354, 3.   , 0.354]), array([1., 0., 1.]))
    """
    below = (flagged == 1.0) | (value < limit)
    substituted = np.where(below, limit / np.sqrt(2.0), value)
    unknown = np.isnan(value) & ~below
    return substituted, np.where(unknown, np.nan, below.astype(np.float64))


def _feature(marker: Marker) -> str:
    return f"{marker.name}_log_{marker.suffix}" if marker.log else marker.column


def _build_marker(cases: pd.DataFrame, marker: Marker) -> dict[str, Vector]:
    value = numbers(cases, marker.column)
    flags: dict[str, Vector] = {}
    if marker.lod:
        limit, flagged = numbers(cases, marker.lod_column), numbers(cases, marker.flag_column)
        value, flags[marker.flag_column] = with_detection_limit(value, limit, flagged)
    # A value of 0 without a limit has no logarithm: missing.
    feature = log_ratio(value, np.ones(len(cases))) if marker.log else value
    return {_feature(marker): feature, **flags}


def build_biology(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return every marker, and for those with a detection limit whether it was undercut."""
    return {n: v for m in MARKERS for n, v in _build_marker(cases, m).items()}


def _specs(marker: Marker) -> tuple[FeatureSpec, ...]:
    limit = (marker.lod_column, marker.flag_column) if marker.lod else ()
    sources = (marker.column, *limit)
    unit = f"ln {marker.unit}" if marker.log else marker.unit
    value = FeatureSpec(_feature(marker), "biology", unit, sources, marker.title, block="biology")
    if not marker.lod:
        return (value,)
    text = f"{marker.title}: below the detection limit, limit / sqrt(2) stands in"
    flag = FeatureSpec(
        marker.flag_column, "biology", "0/1", sources, text, "quality", block="biology"
    )
    return (value, flag)


BIOLOGY = Builder("biology", tuple(s for m in MARKERS for s in _specs(m)), build_biology)
