"""Who is in which part: explicit index lists, by person, stored, hashed and audited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from models.errors import LeakageError, NotEnoughDataError

Index = npt.NDArray[np.int64]
Split = tuple[Index, Index]
SPLIT_CHECK = "EIH001"


@dataclass(frozen=True)
class Fold:
    """One outer fold: rows to learn from, rows to be predicted, and the splits for tuning."""

    repeat: int
    fold: int
    train: Index
    test: Index
    inner: tuple[Split, ...]


@dataclass(frozen=True)
class SplitPlan:
    """Every split of a validation, as row positions.

    ``final`` holds the tuning splits of the model that is finally fitted on all rows.
    """

    n_rows: int
    folds: tuple[Fold, ...]
    final: tuple[Split, ...]

    @property
    def n_repeats(self) -> int:
        """Return how often the whole data set is predicted."""
        return 1 + max(f.repeat for f in self.folds)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain lists (JSON)."""
        return {
            "n_rows": self.n_rows,
            "folds": [
                {
                    "repeat": f.repeat,
                    "fold": f.fold,
                    "train": f.train.tolist(),
                    "test": f.test.tolist(),
                    "inner": _plain(f.inner),
                }
                for f in self.folds
            ],
            "final": _plain(self.final),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> SplitPlan:
        """Read what :meth:`to_dict` wrote."""
        folds = tuple(
            Fold(f["repeat"], f["fold"], _index(f["train"]), _index(f["test"]), _splits(f["inner"]))
            for f in content["folds"]
        )
        return cls(content["n_rows"], folds, _splits(content["final"]))

    def sha256(self) -> str:
        """Hash of all index lists: equal hashes mean equal splits."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def audit(self, persons: npt.NDArray[Any]) -> None:
        """Raise LeakageError if a person is on both sides of any split, or a row is missing.

        Parameters
        ----------
        persons : ndarray of shape (n_rows,)
            The person of every row.
        """
        for fold in self.folds:
            where = f"repeat {fold.repeat}, fold {fold.fold}"
            check_disjoint(persons, (fold.train, fold.test), where)
            for split in fold.inner:
                check_disjoint(persons, split, f"{where}, inner split")
                if not np.isin(np.concatenate(split), fold.train).all():
                    said = f"{where}, inner split: uses rows outside its outer train."
                    raise LeakageError(said, SPLIT_CHECK)
        for split in self.final:
            check_disjoint(persons, split, "final tuning split")
        for repeat in range(self.n_repeats):
            tested = [f.test for f in self.folds if f.repeat == repeat]
            if not np.array_equal(np.sort(np.concatenate(tested)), np.arange(self.n_rows)):
                said = f"repeat {repeat}: expected every row to be tested once."
                raise LeakageError(said, SPLIT_CHECK)


def check_disjoint(persons: npt.NDArray[Any], split: Split, where: str) -> None:
    """Raise LeakageError if a person has rows on both sides of a split."""
    both = np.intersect1d(persons[split[0]], persons[split[1]])
    if len(both):
        raise LeakageError(
            f"{where}: expected persons on one side only, found {len(both)} on both sides. "
            "Split persons, never rows.",
            SPLIT_CHECK,
        )


def make_split_plan(
    y: npt.NDArray[np.float64],
    persons: npt.NDArray[Any],
    *,
    repeats: int,
    folds: int,
    inner_folds: int,
    seed: int,
) -> SplitPlan:
    """Plan repeated, nested cross-validation by person, stratified by having an event at all.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1
    persons : ndarray of shape (n_rows,)
    repeats, folds, inner_folds : int
        Repetitions of the outer cross-validation, its folds, and the folds for tuning.
    seed : int

    Raises
    ------
    NotEnoughDataError
        With fewer persons with, or without, an event than outer folds.
    """
    names, person = np.unique(persons, return_inverse=True)
    has_event = np.bincount(person, weights=y, minlength=len(names)) > 0
    smaller = int(min(has_event.sum(), (~has_event).sum()))
    if smaller < folds:
        raise NotEnoughDataError(
            f"expected at least {folds} persons with and {folds} without an event for {folds} "
            f"folds, found {int(has_event.sum())} and {int((~has_event).sum())}."
        )
    rng = np.random.default_rng(seed)
    planned = [
        Fold(repeat, fold, train, test, _split_rows(train, person, has_event, inner_folds, rng))
        for repeat in range(repeats)
        for fold, (train, test) in enumerate(
            _split_rows(np.arange(len(y)), person, has_event, folds, rng)
        )
    ]
    final = _split_rows(np.arange(len(y)), person, has_event, inner_folds, rng)
    plan = SplitPlan(len(y), tuple(planned), final)
    plan.audit(persons)
    return plan


def inner_splits(
    y: npt.NDArray[np.float64], persons: npt.NDArray[Any], n_folds: int, seed: int
) -> tuple[Split, ...]:
    """Split rows for tuning, by person, stratified by having an event at all.

    Parameters
    ----------
    y : ndarray of shape (n_rows,), 0/1, NaN = not known
    persons : ndarray of shape (n_rows,)
        All rows of a person fall on the same side, copies of a resample included.
    n_folds : int
        Fewer are made where too few persons have, or lack, an event; none below two.
    seed : int
    """
    names, person = np.unique(persons, return_inverse=True)
    has_event = np.bincount(person, weights=np.nan_to_num(y), minlength=len(names)) > 0
    rng = np.random.default_rng(seed)
    return _split_rows(np.arange(len(y)), person, has_event, n_folds, rng)


def _split_rows(
    rows: Index,
    person: Index,
    has_event: npt.NDArray[np.bool_],
    n_folds: int,
    rng: np.random.Generator,
) -> tuple[Split, ...]:
    """Split the persons of ``rows`` into folds, then say which rows that makes."""
    members = np.unique(person[rows])
    # Each fold must hold persons of both kinds, else tuning would see one class only.
    rarer = np.bincount(has_event[members].astype(int), minlength=2).min()
    n_folds = min(n_folds, int(rarer))
    if n_folds < 2:
        return ()
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=int(rng.integers(2**31)))
    return tuple(
        (rows[np.isin(person[rows], members[a])], rows[np.isin(person[rows], members[b])])
        for a, b in splitter.split(members, has_event[members])
    )


def _plain(splits: Sequence[Split]) -> list[dict[str, list[int]]]:
    return [{"train": a.tolist(), "test": b.tolist()} for a, b in splits]


def _splits(content: list[dict[str, list[int]]]) -> tuple[Split, ...]:
    return tuple((_index(s["train"]), _index(s["test"])) for s in content)


def _index(values: list[int]) -> Index:
    return np.array(values, dtype=np.int64)
