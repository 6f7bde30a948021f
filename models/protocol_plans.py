"""Split plans of validations that are no plain cross-validation. All split persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.errors import NotEnoughDataError
from models.learning import Vector
from models.splits import Fold, Index, SplitPlan, check_disjoint, inner_splits, make_split_plan


@dataclass(frozen=True)
class Protocol:
    """How tuning splits are made inside a protocol."""

    folds: int
    inner_folds: int
    seed: int


def leave_setting_out(
    y: Vector, person: Index, setting: pd.Series, protocol: Protocol
) -> tuple[SplitPlan, list[str], list[str]]:
    """Plan one fold per setting: learn from the others, predict this one.

    A person seen in several settings is predicted in each, and learnt from in none of the folds
    that predict it. Rows without a setting are learnt from, and predicted never.

    Returns
    -------
    plan : SplitPlan
        ``final`` is empty.
    names : list of str
        The setting of every fold.
    left_out : list of str
        Settings that cannot be left out: without them one class remains.

    Raises
    ------
    NotEnoughDataError
        With fewer than two settings that can be left out.
    """
    folds: list[Fold] = []
    names: list[str] = []
    left_out: list[str] = []
    for name in sorted(setting.dropna().astype(str).unique()):
        test = np.flatnonzero((setting.astype(str) == name).to_numpy())
        train = np.flatnonzero(~np.isin(person, person[test]))
        if len(train) == 0 or np.ptp(y[train]) == 0:
            left_out.append(name)
            continue
        folds.append(_fold(len(folds), (train, test), (y, person), protocol))
        names.append(name)
    if len(folds) < 2:
        raise NotEnoughDataError(
            f"{setting.name}: expected at least two settings whose absence leaves events and "
            f"non-events to learn from, found {len(folds)}."
        )
    return _checked(len(y), folds, person), names, left_out


def temporal(y: Vector, person: Index, order: Vector, cut: float, protocol: Protocol) -> SplitPlan:
    """Plan the prediction of later rows from earlier rows of other persons.

    Persons are divided into folds; each fold's rows after ``cut`` are predicted from the rows
    up to ``cut`` of the other folds' persons, so that neither time nor persons overlap.

    Parameters
    ----------
    order : ndarray of shape (n_rows,), NaN = not known (the row takes no part)
    cut : float

    Raises
    ------
    NotEnoughDataError
        Without events and non-events on both sides.
    """
    early, late = order <= cut, order > cut
    for rows, side in ((early, "up to"), (late, "after")):
        if not rows.any() or np.ptp(y[rows]) == 0:
            raise NotEnoughDataError(
                f"expected events and non-events {side} {cut:g}, found {int(y[rows].sum())} "
                f"events in {int(rows.sum())} rows."
            )
    folds: list[Fold] = []
    for train, test in inner_splits(y, person, protocol.folds, protocol.seed):
        train, test = train[early[train]], test[late[test]]
        if len(test) and len(train) and np.ptp(y[train]) > 0:
            folds.append(_fold(len(folds), (train, test), (y, person), protocol))
    if not folds:
        raise NotEnoughDataError("expected a fold with earlier and later persons, found none.")
    return _checked(len(y), folds, person)


def learning_curve(
    y: Vector, person: Index, plan: SplitPlan, sizes: Sequence[int], protocol: Protocol
) -> SplitPlan:
    """Plan the folds of ``plan`` again with fewer persons to learn from.

    Repeat r of size i is repeat ``i * plan.n_repeats + r``. Persons of a smaller size are among
    those of every larger one, with the share of persons with an event kept.

    Raises
    ------
    NotEnoughDataError
        If a size exceeds what a fold has, or is too small to hold both classes.
    """
    folds = []
    for i, size in enumerate(sizes):
        for fold in plan.folds:
            rows = _persons_of(fold, (y, person), size, protocol.seed)
            inner = _inner(rows, (y, person), protocol)
            repeat = i * plan.n_repeats + fold.repeat
            folds.append(replace(fold, repeat=repeat, train=rows, inner=inner))
    return _checked(len(y), folds, person)


def permuted(
    y: Vector, person: Index, n_permutations: int, protocol: Protocol
) -> tuple[SplitPlan, npt.NDArray[np.int64]]:
    """Plan one repeat on the outcomes as they are, then one per permutation over persons.

    A person is given the outcomes of another person with as many rows, in their order: what a
    person's own outcomes have in common stays, what features say about them goes. Splits are
    made anew for every permutation, as they would have been.

    Returns
    -------
    plan : SplitPlan
        Repeat 0 is the data as they are.
    source : ndarray of shape (1 + n_permutations, n_rows), int
        The row whose outcome each row has.
    """
    rng = np.random.default_rng(protocol.seed)
    rows = np.arange(len(y))
    sources = np.array([rows, *(_permute(person, rng) for _ in range(n_permutations))])
    folds: list[Fold] = []
    for repeat, source in enumerate(sources):
        own = make_split_plan(
            y[source],
            person,
            repeats=1,
            folds=protocol.folds,
            inner_folds=protocol.inner_folds,
            seed=protocol.seed + repeat,
        )
        folds += [replace(fold, repeat=repeat) for fold in own.folds]
    return SplitPlan(len(y), tuple(folds), ()), sources


def _permute(person: Index, rng: np.random.Generator) -> Index:
    """Give every person the rows of one with as many, at random."""
    order = np.argsort(person, kind="stable")
    counts = np.bincount(person)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    source = np.empty(len(person), dtype=np.int64)
    for size in np.unique(counts[counts > 0]):
        members = np.flatnonzero(counts == size)
        for to, of in zip(members, rng.permutation(members), strict=True):
            at = order[starts[to] : starts[to] + size]
            source[at] = order[starts[of] : starts[of] + size]
    return source


def _persons_of(fold: Fold, data: tuple[Vector, Index], size: int, seed: int) -> Index:
    """Rows of ``size`` of a fold's training persons, drawn in an order that sizes share."""
    y, person = data
    members = np.unique(person[fold.train])
    event = np.array([y[fold.train][person[fold.train] == m].max() for m in members])
    rng = np.random.default_rng([seed, fold.repeat, fold.fold])
    shuffled = rng.permutation(len(members))
    # Positions within each class, as shares of it: taking the smallest keeps the balance.
    rank = np.empty(len(members))
    for value in (0.0, 1.0):
        own = shuffled[event[shuffled] == value]
        rank[own] = (np.arange(len(own)) + 0.5) / max(len(own), 1)
    chosen = members[np.argsort(rank, kind="stable")[:size]]
    rows = fold.train[np.isin(person[fold.train], chosen)]
    if size > len(members) or np.ptp(y[rows]) == 0:
        raise NotEnoughDataError(
            f"expected a size that leaves both classes and at most {len(members)} persons, "
            f"found {size}."
        )
    return rows


def _fold(
    number: int, split: tuple[Index, Index], data: tuple[Vector, Index], protocol: Protocol
) -> Fold:
    train, test = split
    return Fold(0, number, train, test, _inner(train, data, protocol))


def _inner(
    train: Index, data: tuple[Vector, Index], protocol: Protocol
) -> tuple[tuple[Index, Index], ...]:
    y, person = data
    splits = inner_splits(y[train], person[train], protocol.inner_folds, protocol.seed)
    return tuple((train[a], train[b]) for a, b in splits)


def _checked(n_rows: int, folds: Sequence[Fold], person: Index) -> SplitPlan:
    for fold in folds:
        where = f"repeat {fold.repeat}, fold {fold.fold}"
        check_disjoint(person, (fold.train, fold.test), where)
        for split in fold.inner:
            check_disjoint(person, split, f"{where}, inner split")
    return SplitPlan(n_rows, tuple(folds), ())
