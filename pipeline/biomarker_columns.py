"""What a marker's name stands for (a feature, a column of cases, a family), and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from features.build import SPECS
from features.columns import CASES_BY_NAME, KEYS
from features.spec import LEARNT_ROLES
from models.errors import LeakageError
from models.leakage import check_known_at, check_no_outcome_copy
from pipeline.errors import ConfigError, TableError

FAMILIES = tuple(sorted({s.family for s in SPECS}))
FAMILY = "family:"
# A text with more words than this is an identifier, not a category.
MOST_LEVELS = 20
SPEC_BY_NAME = {s.name: s for s in SPECS}


@dataclass(frozen=True)
class Marker:
    """A named set of numeric columns of the study's rows.

    Attributes
    ----------
    name : str
        As it was asked for.
    kind : {'feature', 'column', 'family'}
    columns : DataFrame of shape (n_rows, n_columns), float64, NaN = missing
    units : dict of column name to unit, '' where none is declared
    sources : dict of column name to the columns of cases it is made from
    note : str
        What is assumed of it.
    """

    name: str
    kind: Literal["feature", "column", "family"]
    columns: pd.DataFrame
    units: Mapping[str, str]
    sources: Mapping[str, tuple[str, ...]]
    note: str = ""


def resolve(name: str, cases: pd.DataFrame, features: pd.DataFrame) -> Marker:
    """Find what a name stands for: a feature first, then a column of cases, then a family.

    ``family:condition`` asks for the family where a column has the same name. A column of
    categories becomes indicators of all levels but the first.

    Parameters
    ----------
    name : str
    cases, features : DataFrame
        Of the same rows.

    Raises
    ------
    ConfigError
        For a name that is none of these.
    TableError
        For one the study did not measure.
    """
    if name in SPEC_BY_NAME and name in features.columns:
        spec = SPEC_BY_NAME[name]
        found = Marker(name, "feature", features[[name]], {name: spec.unit}, {name: spec.sources})
    elif name in cases.columns and name not in KEYS:
        found = _of_column(name, cases)
    elif name.removeprefix(FAMILY) in FAMILIES:
        found = _of_family(name, features)
    elif name in CASES_BY_NAME and name not in KEYS:
        raise TableError(_not_measured(name))
    else:
        raise ConfigError(
            f"marker '{name}': expected a feature, a column of cases that is no key, or a family "
            f"({', '.join(FAMILIES)}), found none of that name."
        )
    if not found.columns.notna().any().any():
        raise TableError(_not_measured(name))
    return found


def _not_measured(name: str) -> str:
    return f"marker '{name}': expected known values, found none: the study did not measure it."


def _of_column(name: str, cases: pd.DataFrame) -> Marker:
    declared = CASES_BY_NAME.get(name)
    note = "" if declared else "not declared in the contract: taken as known before the bout"
    numeric = pd.to_numeric(cases[name], errors="coerce").astype(np.float64)
    if (numeric.notna() == cases[name].notna()).all():
        unit = declared.unit if declared else ""
        return Marker(name, "column", numeric.to_frame(), {name: unit}, {name: (name,)}, note)
    levels = sorted(cases[name].dropna().unique())
    if len(levels) > MOST_LEVELS:
        raise TableError(
            f"marker '{name}': expected numbers or at most {MOST_LEVELS} categories, found "
            f"{len(levels)} different texts."
        )
    missing = cases[name].isna()
    dummies = {
        f"{name}={level}": (cases[name] == level).astype(np.float64).mask(missing)
        for level in levels[1:]
    }
    columns = pd.DataFrame(dummies, index=cases.index)
    return Marker(
        name,
        "column",
        columns,
        dict.fromkeys(dummies, ""),
        dict.fromkeys(dummies, (name,)),
        note,
    )


def _of_family(name: str, features: pd.DataFrame) -> Marker:
    """Every learnt feature of the family that varies and is known in at least half of the rows."""
    family = name.removeprefix(FAMILY)
    specs = [
        s
        for s in SPECS
        if s.family == family
        and s.role in LEARNT_ROLES
        and s.name in features.columns
        and features[s.name].nunique() > 1
        and features[s.name].notna().mean() >= 0.5
    ]
    return Marker(
        name,
        "family",
        features[[s.name for s in specs]],
        {s.name: s.unit for s in specs},
        {s.name: s.sources for s in specs},
        "features of the family known in at least half of the rows",
    )


def refuse_leaks(
    marker: Marker, outcomes: pd.DataFrame, coupled: Mapping[str, str], decision_time: str
) -> None:
    """Raise LeakageError for a marker that is known too late or shares the outcome's reference.

    Parameters
    ----------
    marker : Marker
    outcomes : DataFrame
        Numeric outcome columns of the same rows: reference, after, changes.
    coupled : dict of column of cases to endpoint
        Columns that are made of the trials the change refers to.
    decision_time : str
    """
    known = {
        source: CASES_BY_NAME[source].known_at
        for sources in marker.sources.values()
        for source in sources
        if source in CASES_BY_NAME
    }
    check_known_at(known, decision_time)
    shared = [f"{c} ({s})" for c, used in marker.sources.items() for s in used if s in coupled]
    if shared:
        endpoint = next(iter(coupled.values()))
        raise LeakageError(
            f"marker '{marker.name}': expected one independent of the outcome '{endpoint}', found "
            f"{', '.join(shared)} made of the trials before exercise that the change refers to: "
            "it predicts their noise. Measure a block of its own, or reserve trials for it "
            "(study, reserve_baseline)."
        )
    check_no_outcome_copy(marker.columns, outcomes)
