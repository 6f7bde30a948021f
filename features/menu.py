"""Exercise options, and the cases they would be if a person did them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from features.columns import CASES_BY_NAME
from features.columns_exercise import EXERCISE_COLUMNS
from features.columns_person import COINTERVENTIONS

# Columns of the exercise family that belong to the person, whatever is done.
OF_THE_PERSON = frozenset(
    {"resting_heart_rate_bpm", "maximal_heart_rate_bpm", "painful_region", "tested_region"}
)
REPLACED = tuple(c.name for c in EXERCISE_COLUMNS if c.name not in OF_THE_PERSON)


@dataclass(frozen=True)
class Option:
    """One entry of a menu; columns of cases under their own names.

    ``loads_painful_region`` by_region compares the exercised with the painful region of the
    person. ``cointerventions`` are what comes with the exercise, such as pain education.
    """

    label: str
    modality: str
    source: str
    body_region: str
    duration_min: float
    intensity_metric: str = ""
    intensity_value: float | None = None
    frequency_per_week: float | None = None
    programme_weeks: float | None = None
    loads_painful_region: Literal["by_region", "yes", "no"] = "by_region"
    cointerventions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the contract would refuse of a case."""
        for name in ("modality", "body_region", "intensity_metric"):
            value, levels = getattr(self, name), CASES_BY_NAME[name].levels
            if value and value not in levels:
                raise ValueError(f"{name}: expected one of {', '.join(levels)}, found '{value}'.")
        if self.modality == "rest":
            raise ValueError("modality: expected an exercise, found 'rest'.")
        if (self.intensity_value is None) != (not self.intensity_metric):
            raise ValueError("expected intensity_metric and intensity_value together, found one.")
        for name, value in self._numbers().items():
            column = CASES_BY_NAME[name]
            low, high = column.low, column.high
            if low is not None and high is not None and not low <= value <= high:
                raise ValueError(f"{name}: expected {column.expected()}, found {value:g}.")
        unknown = [c for c in self.cointerventions if c not in COINTERVENTIONS]
        if unknown:
            raise ValueError(
                f"cointerventions: expected {', '.join(COINTERVENTIONS)}, found '{unknown[0]}'."
            )

    def _numbers(self) -> dict[str, float]:
        names = ("duration_min", "intensity_value", "frequency_per_week", "programme_weeks")
        return {n: float(getattr(self, n)) for n in names if getattr(self, n) is not None}

    def columns(self) -> dict[str, object]:
        """Return the columns of cases the option sets, without the painful region."""
        found: dict[str, object] = {"modality": self.modality, "body_region": self.body_region}
        if self.intensity_metric:
            found["intensity_metric"] = self.intensity_metric
        return found | self._numbers() | {f"cointervention_{c}": 1.0 for c in self.cointerventions}


def offered(cases: pd.DataFrame, option: Option) -> pd.DataFrame:
    """Return the cases as they would be with the option in place of any exercise they name.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        Checked cases; their own exercise columns are dropped.
    option : Option

    Returns
    -------
    DataFrame of shape (n_rows, any)
        Healthy people have no painful region; for others whose region is not known, whether it
        is loaded is missing.
    """
    kept = cases.drop(columns=[c for c in REPLACED if c in cases.columns])
    columns: dict[str, Any] = option.columns()
    found = kept.assign(**columns)
    if option.loads_painful_region != "by_region":
        return found.assign(loads_painful_region=float(option.loads_painful_region == "yes"))
    unknown = pd.Series(np.nan, index=kept.index)
    return found.assign(loads_painful_region=unknown.mask(kept["condition"] == "healthy", 0.0))


def option_features(option: Option, sources: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Features that the option decides: those made of a column it sets.

    Parameters
    ----------
    option : Option
    sources : mapping of feature to columns of cases
    """
    own = set(option.columns())
    return [name for name, columns in sources.items() if own & set(columns)]
