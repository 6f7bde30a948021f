"""Features joined with one target of one endpoint: what a model learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.blocks import group_by_block
from features.build import SPECS
from features.columns import KEYS
from features.outcome import SOFT_LABELS, TARGETS
from features.questionnaires import single_form_twins
from features.spec import LEARNT_ROLES
from models.classifiers import FeatureRoles
from models.errors import NotEnoughDataError
from models.leakage import (
    check_declared,
    check_known_at,
    check_no_duplicated_persons,
    check_no_outcome_copy,
)
from pipeline.ceiling import reliability_record
from pipeline.errors import ConfigError, TableError
from pipeline.io import read_table
from pipeline.relabel import DIRECTION, LabelSource, check_coupling, read_label_source


@dataclass(frozen=True)
class Dataset:
    """Rows with a known change. ``person`` numbers the people 0 ... n - 1.

    ``y`` and ``soft`` are the labels with everybody learnt from: 0/1, NaN where the rule leaves
    a row undecided; and the probability of a true event, NaN where there is none. ``source``
    derives the labels of a fold from its training persons; without one (``as_given`` says why)
    every fold takes ``y``.
    ``margin`` is how far the change lies beyond the threshold of the target, in the unit of the
    change; None for a target that is no cut of the change.
    ``reliability`` is that of the labelled change, see :mod:`pipeline.ceiling`.
    """

    keys: pd.DataFrame
    X: pd.DataFrame
    y: npt.NDArray[np.float64]
    soft: npt.NDArray[np.float64]
    person: npt.NDArray[np.int64]
    endpoint: str
    n_without_target: int
    source: LabelSource | None
    as_given: str
    reliability: dict[str, Any] = field(default_factory=dict)
    margin: npt.NDArray[np.float64] | None = None

    def sha256(self) -> str:
        """Hash of keys, features and target: the data a model saw."""
        digest = hashlib.sha256()
        digest.update(self.keys.to_csv(index=False).encode())
        digest.update(",".join(self.X.columns).encode())
        digest.update(np.ascontiguousarray(self.X.to_numpy()).tobytes())
        digest.update(self.y.tobytes())
        return digest.hexdigest()


def load_dataset(
    features: Path, outcomes: Path, endpoint: str, target: str, decision_time: str
) -> Dataset:
    """Join features and outcomes of one endpoint, and refuse whatever leaks.

    Rows that the rule leaves undecided are kept where their label can be derived anew: they are
    predicted, may be decided in a fold, and may be learnt from as soft labels.

    Raises
    ------
    LeakageError
        For a feature no builder declares, one known after ``decision_time``, one that carries
        an outcome, a person under two names, or one made of the trials that the change refers to.
    NotEnoughDataError
        Without two classes of the target.
    """
    if target not in TARGETS:
        raise ConfigError(f"target: expected one of {', '.join(TARGETS)}, found '{target}'.")
    table, labels = read_table(features), read_table(outcomes)
    _require(table, KEYS, features)
    _require(labels, (*KEYS, "endpoint", "is_primary", target), outcomes)
    chosen = of_endpoint(labels, endpoint, outcomes)
    names = [c for c in table.columns if c not in KEYS]
    check_declared(names, [s.name for s in SPECS])
    check_known_at({s.name: s.known_at for s in SPECS if s.name in names}, decision_time)
    name = str(chosen["endpoint"].iloc[0]) if len(chosen) else endpoint
    check_coupling(outcomes, name, {s.name: s.sources for s in SPECS if s.name in names})
    joined = table.merge(chosen, on=list(KEYS), how="inner", validate="one_to_one")
    check_no_outcome_copy(joined[names], numeric_outcomes(joined, chosen))
    source, as_given = read_label_source(outcomes, chosen, target)
    usable = joined[target].notna() | (_undecided(joined) if source else False)
    known = joined[usable].sort_values(list(KEYS), ignore_index=True)
    y = known[target].to_numpy(dtype=np.float64)
    if len(np.unique(y[np.isfinite(y)])) < 2:
        raise NotEnoughDataError(
            f"{outcomes}, target '{target}': expected events and non-events, found "
            f"{int(np.nansum(y))} events in {int(np.isfinite(y).sum())} rows."
        )
    persons = known.groupby(["study_id", "participant_id"], sort=True).ngroup()
    measured = known[[*names, *(c for c in ("change",) if c in known.columns)]]
    check_no_duplicated_persons(measured, persons.to_numpy())
    return Dataset(
        keys=known[list(KEYS)],
        X=known[names],
        y=y,
        soft=_soft(known, target),
        person=np.asarray(persons, dtype=np.int64),
        endpoint=str(known["endpoint"].iloc[0]),
        n_without_target=len(joined) - len(known),
        source=source,
        as_given=as_given,
        reliability=reliability_record(chosen, target),
        margin=_margin(known, target, y, source),
    )


def _margin(
    known: pd.DataFrame, target: str, y: npt.NDArray[np.float64], source: LabelSource | None
) -> npt.NDArray[np.float64] | None:
    """Return how far the change exceeds the threshold; None where that is not what y says."""
    if source is not None:
        return np.asarray(source.labels(known[list(KEYS)], None, soft=False)[2])
    if target not in DIRECTION or not {"change", "threshold"} <= set(known.columns):
        return None
    change = known["change"].to_numpy(dtype=np.float64)
    margin = np.asarray(DIRECTION[target] * change - known["threshold"].to_numpy(dtype=np.float64))
    return margin if np.array_equal((margin > 0).astype(np.float64), y) else None


def _undecided(joined: pd.DataFrame) -> pd.Series:
    """Rows whose change is known but not its class."""
    if "class" not in joined.columns:
        return pd.Series(False, index=joined.index)
    return joined["class"].notna()


def _soft(known: pd.DataFrame, target: str) -> npt.NDArray[np.float64]:
    column = SOFT_LABELS.get(target, "")
    if column not in known.columns:
        return np.full(len(known), np.nan)
    return known[column].to_numpy(dtype=np.float64)


def numeric_outcomes(joined: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Measured values and targets; errors and what is shrunk may rightly follow the condition."""
    numeric = outcomes.drop(columns=list(KEYS)).select_dtypes("number").columns
    described = ("sem_", "error_", "posterior_", "threshold", "n_rest", "ancova_slope")
    return joined[
        [
            c
            for c in numeric
            if c in joined.columns and not c.startswith(described) and c not in SOFT_LABELS.values()
        ]
    ]


def _require(table: pd.DataFrame, columns: tuple[str, ...], where: Path) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise TableError(f"{where}: expected the column '{missing[0]}', found it missing.")


def of_endpoint(outcomes: pd.DataFrame, endpoint: str, where: Path) -> pd.DataFrame:
    """Return the rows of one endpoint, by its name or as ``primary``.

    Raises
    ------
    ConfigError
        For an endpoint the outcome table does not have.
    """
    names = ["primary", *dict.fromkeys(outcomes["endpoint"])]
    if endpoint not in names:
        raise ConfigError(
            f"{where}: expected the endpoint to be one of {', '.join(names)}, found '{endpoint}'."
        )
    if endpoint == "primary":
        return outcomes[outcomes["is_primary"]]
    return outcomes[outcomes["endpoint"] == endpoint]


def usable_columns(X: pd.DataFrame) -> list[str]:
    """Columns a model may learn from: of a learnt role, with two distinct known values at least.

    A feature that several forms of a questionnaire share is left out where the study used one of
    them: it would be that form's total a second time.
    Looks at no outcome, so that it may be done once for the whole study.
    """
    learnt = {s.name for s in SPECS if s.role in LEARNT_ROLES}
    telling = [c for c in X.columns if c in learnt and X[c].nunique(dropna=True) > 1]
    twins = single_form_twins(telling)
    return [c for c in telling if c not in twins]


def block_record(X: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[str]]:
    """Say of every block of the feature table what the study had of it.

    ``trained``: a model may use it; ``constant``: known, but alike in everyone; ``absent``: not
    measured.
    """
    blocks = group_by_block(s for s in SPECS if s.name in X.columns)
    known = {c for c in X.columns if X[c].notna().any()}
    record: dict[str, list[str]] = {"trained": [], "constant": [], "absent": []}
    for block, names in blocks.items():
        place = "constant" if known & set(names) else "absent"
        record["trained" if set(columns) & set(names) else place].append(block)
    return record


def feature_roles(columns: list[str]) -> FeatureRoles:
    """Sort the columns at hand into the rungs of the ladder."""
    role = {s.name: s.role for s in SPECS}
    stratum = tuple(c for c in columns if role[c] == "stratum")
    baseline = tuple(c for c in columns if role[c] == "baseline")
    return FeatureRoles(stratum, (*stratum, *baseline), tuple(columns))
