"""The rows that groups are made of and judged on, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.strata import UNKNOWN
from models.errors import LeakageError
from models.incremental import Draws
from models.strata import Grouped, Grouper
from pipeline.biomarker_columns import Marker, refuse_leaks, resolve
from pipeline.biomarker_study import MEASURED, OWN_RULE, StudyRows
from pipeline.config import BiomarkerParams
from pipeline.errors import TableError

Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
NO_RULE = "none"


@dataclass(frozen=True)
class Asked:
    """What groups are asked for.

    ``rules``: names in seeds/strata.toml, ``none``, or empty for all that the study can be cut
    by; ``cut``: published cut points where there are any, or the training median throughout.
    ``markers`` of the clusters, empty for those of seeds/strata.toml; ``number`` of clusters, 0
    for the number the data support of at most ``most``. ``base``: what every coding knows besides;
    empty for the base set of ``eih biomarker`` as far as the study has it, ``none`` for nothing.
    """

    target: str = "response"
    rules: tuple[str, ...] = ()
    cut: Literal["published", "median"] = "published"
    method: str = "mixture"
    markers: tuple[str, ...] = ()
    number: int = 0
    most: int = 5
    base: tuple[str, ...] = ()
    resamples: int = 100


@dataclass(frozen=True)
class Source:
    """A study's rows, what is asked of them, and how they are judged."""

    study: StudyRows
    settings: BiomarkerParams
    asked: Asked
    base: Matrix

    @property
    def draws(self) -> Draws:
        """Return the resamples that intervals rest on."""
        return Draws(self.settings.resamples, self.settings.seed, self.settings.thresholds)

    def first_rows(self, rows: Index) -> Index:
        """Return the first of these rows of each person: persons count once in a median."""
        return rows[np.unique(self.study.person[rows], return_index=True)[1]]

    def grouped(self, markers: Matrix, grouper: Grouper) -> Grouped:
        """Join markers and groups to the outcomes; nothing is known besides."""
        labels = self.study.labels[OWN_RULE]
        complete = np.isfinite(markers).all(axis=1)
        known = complete & (grouper(np.flatnonzero(complete)) != UNKNOWN)
        return Grouped(
            markers,
            np.empty((len(markers), 0)),
            labels.y,
            labels.by_fold,
            self.study.change,
            known,
            self.study.person,
            self.study.plan,
            grouper,
        )

    def beside_base(self, data: Grouped) -> Grouped:
        """Add the base set; rows that lack some of it are not compared."""
        complete = np.asarray(np.isfinite(self.base).all(axis=1))
        return replace(data, base=self.base, known=data.known & complete)


@dataclass(frozen=True)
class Base:
    """What every coding knows besides: names, their columns, and what a study lacks of it."""

    names: tuple[str, ...]
    columns: pd.DataFrame
    left_out: tuple[dict[str, str], ...]

    def record(self) -> dict[str, Any]:
        """Return the names for the JSON contract."""
        return {
            "asked": list(self.names),
            "columns": list(self.columns.columns),
            "left_out": list(self.left_out),
        }


def base_set(study: StudyRows, settings: BiomarkerParams, asked: tuple[str, ...]) -> Base:
    """Return the base set; of the default one, what the study has.

    Raises
    ------
    TableError
        For a name asked for that the study did not measure.
    """
    found, left_out, names = [pd.DataFrame(index=study.cases.index)], [], []
    for name in asked or settings.base:
        if name == NO_RULE:
            continue
        try:
            found.append(allowed_marker(study, settings, name).columns)
        except (TableError, LeakageError) as error:
            if asked:
                raise
            left_out.append({"name": name, "reason": str(error)})
            continue
        names.append(name)
    joined = pd.concat(found, axis=1)
    columns = joined.loc[:, ~joined.columns.duplicated()]
    return Base(tuple(names), columns, tuple(left_out))


def allowed_marker(study: StudyRows, settings: BiomarkerParams, name: str) -> Marker:
    """Return what a name stands for.

    Raises
    ------
    LeakageError
        For a marker that is known too late or made of the outcome's own reference.
    """
    marker = resolve(name, study.cases, study.features)
    measured = study.outcomes[[c for c in MEASURED if c in study.outcomes.columns]]
    refuse_leaks(marker, measured, study.coupled, settings.decision_time)
    return marker
