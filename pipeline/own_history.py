"""Tool ``history``: what own earlier bouts showed, put beside the cases that follow them.

The feature table and a service get it from here: there is no second way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from features.columns import KEYS
from features.history import HISTORY_NAMES, days_until_known, earlier_changes
from features.outcome_design import OutcomeDesign
from features.units import MEASURES
from models.errors import LeakageError
from pipeline.io import write_table
from pipeline.study_folder import read_cases, read_design, read_measurements

# A table that went through text and back differs in the last digits.
TOLERANCE = 1e-6


def with_history(
    cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign
) -> pd.DataFrame:
    """Return the cases with the columns of :data:`features.history.HISTORY_NAMES`.

    Raises
    ------
    LeakageError
        Where cases hold a history already that is not the one known at the bout, or where it
        cannot be told what was known.
    """
    _check_days(cases, design)
    known = earlier_changes(cases, measurements, design)
    _check_given(cases, known)
    return cases.assign(**{name: known[name] for name in HISTORY_NAMES})


def check_delivered(cases: pd.DataFrame, measurements: pd.DataFrame, design: OutcomeDesign) -> None:
    """Compare a history that came with the cases, if any, with what could be known at the bout.

    Raises
    ------
    LeakageError
        Naming the column and the first row, never a value.
    """
    if any(name in cases.columns for name in HISTORY_NAMES):
        _check_days(cases, design)
        _check_given(cases, earlier_changes(cases, measurements, design))


def _check_given(cases: pd.DataFrame, known: pd.DataFrame) -> None:
    for name in (n for n in HISTORY_NAMES if n in cases.columns):
        given = cases[name].to_numpy(dtype=np.float64, na_value=np.nan)
        earlier = known[name].to_numpy(dtype=np.float64)
        differs = np.isfinite(given) & ~(np.abs(given - earlier) <= TOLERANCE)
        if differs.any():
            raise LeakageError(
                f"cases, column '{name}': expected what the person's bouts of earlier periods "
                f"show, found something else in {int(differs.sum())} rows (first: "
                f"{int(np.flatnonzero(differs)[0])}). Leave the column out: it is made from the "
                "measurements."
            )


def _check_days(cases: pd.DataFrame, design: OutcomeDesign) -> None:
    """Refuse an outcome that becomes known later than its visit where no day says when."""
    days = days_until_known(design.endpoints[0].timepoint)
    if days == 0 or "period" not in cases.columns:
        return
    if "visit_day" in cases.columns and cases["visit_day"].notna().any():
        return
    periods = cases.groupby(list(KEYS[:2]))["period"].nunique()
    if (periods > 1).any():
        raise LeakageError(
            f"cases, column 'visit_day': expected the day of every visit, found none. The outcome "
            f"at {design.endpoints[0].timepoint} is known {days} days after its bout: nothing says "
            "whether that was before the next one. Add the days, or leave the history out."
        )


def run(folder: Path, output: Path) -> dict[str, int | str]:
    """Write a study's cases with the history of each bout.

    A bout that is still to come needs a row in ``cases`` and no measurement.

    Returns
    -------
    dict with ``rows``, ``with_history`` (rows that follow a bout whose outcome was known),
    ``endpoint``, ``measure``, ``site_role``, ``timepoint`` and ``scale`` of the change remembered

    Raises
    ------
    LeakageError
        As :func:`with_history`.
    """
    design = read_design(folder)
    cases = with_history(read_cases(folder), read_measurements(folder), design)
    write_table(cases, output)
    first = design.endpoints[0]
    return {
        "rows": len(cases),
        "with_history": int((cases[HISTORY_NAMES[0]] > 0).sum()),
        "endpoint": first.name,
        "measure": first.measure,
        "site_role": first.site_role,
        "timepoint": first.timepoint,
        "scale": MEASURES[first.measure].primary_scale,
    }
