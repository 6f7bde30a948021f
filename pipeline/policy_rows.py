"""The rows a policy is learnt from: features, arms, conditions, classes by fold, and the design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.build import SPECS
from features.columns import KEYS
from models.arm_model import ArmRows, ArmTerms, arm_terms
from models.errors import NotEnoughDataError
from models.splits import Fold
from pipeline.config import Params, PolicyParams
from pipeline.design import design_of
from pipeline.errors import ConfigError
from pipeline.joint import TwoTargets, read_two_targets
from pipeline.study_folder import read_card, read_cases

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
EXERCISE = frozenset(s.name for s in SPECS if s.family == "exercise")


@dataclass(frozen=True)
class PolicyRows:
    """Bouts with a known change.

    Attributes
    ----------
    two : TwoTargets
    arms : tuple of str
    arm : ndarray of shape (n_rows,), int
    cell : ndarray of shape (n_rows,), int
        Condition.
    open_arms : ndarray of bool, shape (n_rows, n_arms)
        Arms that enough persons of the condition had.
    columns, modifiers : tuple of str
    card : mapping
    """

    two: TwoTargets
    arms: tuple[str, ...]
    arm: Index
    cell: Index
    open_arms: Flags
    columns: tuple[str, ...]
    modifiers: tuple[str, ...]
    card: Mapping[str, Any]

    @property
    def X(self) -> pd.DataFrame:
        """Return the features."""
        return self.two.X

    @property
    def design(self) -> str:
        """Return what the study's design is."""
        return design_of(self.card)

    @property
    def folds(self) -> list[tuple[Fold, Vector]]:
        """Return the folds of the first repeat with the classes each learns from."""
        pairs = zip(self.two.plan.folds, self.two.fitted, strict=True)
        return [(fold, own) for fold, own in pairs if fold.repeat == 0]

    def learning(self, order: Vector) -> ArmRows:
        """Return the rows with the given classes."""
        return ArmRows(self.X, self.arm, order, self.two.data.person)

    def terms(self, rows: Index, *, individual: bool) -> ArmTerms:
        """Return the model's terms, standardised on some rows."""
        modifiers = self.modifiers if individual else ()
        return arm_terms(self.X.iloc[rows], self.arms, self.columns, modifiers)

    def under(self, arm: int, rows: Index, learnt: Index) -> pd.DataFrame:
        """Features of rows had they had an arm: its typical exercise among their condition.

        The mean of the exercise features over the ``learnt`` rows of that condition and arm, or
        of that arm where there are none; for the arm a row was in too, so that what is recommended
        depends on the person alone.
        """
        names = [c for c in self.columns if c in EXERCISE]
        found = self.X.iloc[rows].copy()
        if not names:
            return found
        known = learnt[self.arm[learnt] == arm]
        values = self.X[names].iloc[known]
        by_cell = values.groupby(self.cell[known]).mean()
        typical = by_cell.reindex(self.cell[rows]).fillna(values.mean())
        found[names] = typical.to_numpy()
        return found


def read_policy_rows(params: Params, folder: Path) -> PolicyRows:
    """Read a study folder after label and featurize.

    Raises
    ------
    ConfigError
        For an unknown column of arms.
    NotEnoughDataError
        With fewer than two arms that enough persons had.
    """
    tables = (folder / "features.parquet", folder / "outcomes.parquet")
    two = read_two_targets(params, tables)
    settings = params.policy
    cases = read_cases(folder)
    if settings.arm not in cases.columns:
        raise ConfigError(f"policy, arm: expected a column of cases, found '{settings.arm}'.")
    of_rows = two.data.keys.merge(cases, on=list(KEYS), how="left", validate="one_to_one")
    names, arm = _arms(of_rows[settings.arm])
    cell = of_rows["condition"].factorize(sort=True)[0].astype(np.int64)
    open_arms = _open(arm, cell, two.data.person, (len(names), settings.least_persons))
    if (open_arms.sum(axis=0) > 0).sum() < 2 or not (open_arms.sum(axis=1) > 1).any():
        raise NotEnoughDataError(
            f"'{settings.arm}': expected a condition with two exercises that at least "
            f"{settings.least_persons} of its persons did each, found none (policy.arm in "
            "params.yaml names the column that is compared)."
        )
    columns = _columns(two.X, settings)
    modifiers = tuple(m for m in settings.modifiers if m in two.X.columns)
    card = read_card(folder)["study"]
    return PolicyRows(two, names, arm, cell, open_arms, columns, modifiers, card)


def _arms(values: pd.Series) -> tuple[tuple[str, ...], Index]:
    texts = values.map(lambda v: f"{v:g}") if pd.api.types.is_numeric_dtype(values) else values
    if texts.isna().any():
        raise NotEnoughDataError(
            f"arm: expected '{values.name}' of every bout, found {int(texts.isna().sum())} without."
        )
    codes, names = texts.factorize(sort=True)
    return tuple(str(n) for n in names), np.asarray(codes, dtype=np.int64)


def _open(arm: Index, cell: Index, person: Index, sizes: tuple[int, int]) -> Flags:
    n_arms, least = sizes
    table = pd.DataFrame({"cell": cell, "arm": arm, "person": person}).drop_duplicates()
    counts = table.groupby(["cell", "arm"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=range(n_arms), fill_value=0)
    return np.asarray((counts.to_numpy() >= least)[counts.index.get_indexer(pd.Index(cell))])


def _columns(X: pd.DataFrame, settings: PolicyParams) -> tuple[str, ...]:
    """Every feature but those that say again which arm a row is in."""
    return tuple(c for c in X.columns if not c.startswith(f"{settings.arm}_"))
