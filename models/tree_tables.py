"""Exact contributions of shallow boosted trees, tabulated once and looked up ever after.

A row meets a tree of depth three with at most seven yes/no answers, one per split: 128 codes.
The path-dependent Shapley values of every code are computed when the tables are built; scoring
a row is then, tree by tree, its code and one addition per feature of the tree. A tree of depth
four is the sum of two trees that keep the leaves of one side each: the values are linear in the
leaves. Deeper trees are left to XGBoost.

References
----------
.. [Lundberg2020] Lundberg et al. From local explanations to global understanding with
   explainable AI for trees. Nature Machine Intelligence 2:56. Algorithm 1 is the game that is
   solved here: a feature outside the coalition goes both ways, weighted by the training rows.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import factorial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xgboost

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.float64]
MAX_SPLITS = 8  # a code is one byte
LEAF = -1
# XGBoost moves base scores that are nearer to 0 or 1 away from them.
CERTAIN = 1e-5


class NotTabulated(ValueError):
    """A model whose contributions are left to XGBoost; the message says why."""


@dataclass(frozen=True)
class TreeTables:
    """Every table of a model, packed for :func:`models.tree_scoring.score_tables`.

    A part is a tree, or one side of a tree of depth four. Arrays have one row a part; only the
    first ``n_splits`` or ``n_features`` entries of a row are used.

    Attributes
    ----------
    n_splits, n_features : ndarray of shape (n_parts,), int64
    split_feature : ndarray of shape (n_parts, 8), int32
        Column that split i asks about; its answer is bit i of a code.
    split_threshold : ndarray of shape (n_parts, 8), float32
        A value below it goes left, which is a 1.
    split_missing_left : ndarray of shape (n_parts, 8), bool
    feature : ndarray of shape (n_parts, 8), int32
        Columns that get a contribution.
    offset : ndarray of shape (n_parts,), int64
        Where a part's values begin.
    values : ndarray, float32, log-odds
        Per part the value of the leaf reached, then each feature's contribution: 2 ** n_splits
        values each, one a code.
    start : ndarray of shape (1,), float32
        Log-odds before any tree.
    baseline : ndarray of shape (1,), float64
        Expected log-odds: ``baseline`` plus all contributions is a row's log-odds.
    """

    n_splits: Array
    n_features: Array
    split_feature: Array
    split_threshold: Array
    split_missing_left: Array
    feature: Array
    offset: Array
    values: Array
    start: Array
    baseline: Array

    def to_files(self) -> dict[str, bytes]:
        """Return every array in NumPy's own format, by file name."""
        return {f"tables_{f.name}.npy": _npy(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` made; never unpickles.

        Raises
        ------
        KeyError, ValueError
            For a missing file, and one that is no plain array.
        """
        names = [f.name for f in fields(cls)]
        return cls(**{n: _read_npy(files[f"tables_{n}.npy"]) for n in names})

    def check(self, n_columns: int) -> None:
        """Refuse tables that a compiled loop, which checks nothing, would read beyond their end.

        Parameters
        ----------
        n_columns : int
            Columns of the rows that will be scored.

        Raises
        ------
        ValueError
            Naming the array.
        """
        n_parts = len(self.n_splits) if self.n_splits.ndim == 1 else -1
        for name, (dtype, shape) in _layout(n_parts).items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != (shape or array.shape[:1]):
                raise ValueError(f"tables, {name}: expected {dtype.__name__} of another shape")
        for name, high in (("n_splits", MAX_SPLITS), ("n_features", MAX_SPLITS)):
            if ((getattr(self, name) < 0) | (getattr(self, name) > high)).any():
                raise ValueError(f"tables, {name}: expected 0 to {high}")
        for name in ("split_feature", "feature"):
            if ((getattr(self, name) < 0) | (getattr(self, name) >= max(n_columns, 1))).any():
                raise ValueError(f"tables, {name}: expected columns below {n_columns}")
        ends = self.offset + (1 + self.n_features) * 2**self.n_splits
        if ((self.offset < 0) | (ends > self.values.size)).any():
            raise ValueError("tables, offset: expected places inside values")


def _layout(n_parts: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type and shape of every array; of ``values`` any length."""
    wide = (n_parts, MAX_SPLITS)
    return {
        "n_splits": (np.int64, (n_parts,)),
        "n_features": (np.int64, (n_parts,)),
        "split_feature": (np.int32, wide),
        "split_threshold": (np.float32, wide),
        "split_missing_left": (np.bool_, wide),
        "feature": (np.int32, wide),
        "offset": (np.int64, (n_parts,)),
        "values": (np.float32, ()),
        "start": (np.float32, (1,)),
        "baseline": (np.float64, (1,)),
    }


TABLE_FILES = tuple(f"tables_{f.name}.npy" for f in fields(TreeTables))


def _read_npy(content: bytes) -> Array:
    """Read a plain array; its header is held against the bytes there are before they are read."""
    source = io.BytesIO(content)
    if np.lib.format.read_magic(source) != (1, 0):
        raise ValueError("expected an array in version 1.0 of NumPy's format")
    shape, by_column, kind = np.lib.format.read_array_header_1_0(source)
    values = content[source.tell() :]
    if kind.hasobject or by_column or math.prod(shape) * kind.itemsize != len(values):
        raise ValueError("expected a plain array of as many values as its header says")
    return np.frombuffer(values, kind).reshape(shape).copy()


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@dataclass(frozen=True)
class Leaf:
    """A leaf and the way to it: (node, lies to its left, share of training weight that did)."""

    value: float
    path: tuple[tuple[int, bool, float], ...]


# A tree, and those of its leaves that the part is about.
Part = tuple[Mapping[str, Any], list[Leaf]]


def build_tables(booster: xgboost.Booster) -> TreeTables:
    """Tabulate the contributions of a boosted model of one output.

    Parameters
    ----------
    booster : xgboost.Booster
        ``binary:logistic`` on numeric columns.

    Raises
    ------
    NotTabulated
        For trees deeper than four, categorical splits, other objectives, several outputs and
        boosters that weight or combine their trees (DART, linear).

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> settings = {"objective": "binary:logistic", "max_depth": 1, "min_child_weight": 0}
    >>> build_tables(xgboost.train(settings, xgboost.DMatrix(X, y), 3)).values.shape
    (12,)
    """
    learner, parts = read_parts(booster)
    start = _start(learner["learner_model_param"]["base_score"])
    expected = sum(
        leaf.value * float(np.prod([share for *_, share in leaf.path]))
        for tree, leaves in parts
        for leaf in leaves
    )
    return _pack([_tabulate(tree, leaves) for tree, leaves in parts], start, expected)


def read_parts(booster: xgboost.Booster) -> tuple[dict[str, Any], list[Part]]:
    """Return XGBoost's own description of a model, and its trees cut into parts, in order.

    Raises
    ------
    NotTabulated
        As :func:`build_tables`.
    """
    learner = json.loads(booster.save_raw("json"))["learner"]
    _check_kind(learner)
    trees = learner["gradient_booster"]["model"]["trees"]
    return learner, [part for tree in trees for part in _parts(tree)]


def _check_kind(learner: Mapping[str, Any]) -> None:
    name, objective = learner["gradient_booster"]["name"], learner["objective"]["name"]
    if name != "gbtree" or objective != "binary:logistic":
        raise NotTabulated(f"a '{name}' model with objective '{objective}'")
    if int(learner["learner_model_param"]["num_target"]) > 1:
        raise NotTabulated("a model of several outputs")
    # DART is a kind of model in XGBoost 3.2 and a weight per tree from 3.4 on.
    if any(w != 1.0 for w in learner["gradient_booster"]["model"].get("weight_drop", [])):
        raise NotTabulated("a model that weights its trees")


def _start(base_score: str) -> np.float32:
    """Log-odds of the base score, in the precision and by the formula of XGBoost."""
    risk = np.float32(float(base_score.strip("[]")))
    if not CERTAIN < risk < 1 - CERTAIN:
        raise NotTabulated("a model whose base score is certain")
    odds_against = np.float32(1.0) / risk - np.float32(1.0)
    # The C library's float32 logarithm is that of float64, rounded; numpy's own is not.
    return np.float32(-np.log(np.float64(odds_against)))


def _parts(tree: Mapping[str, Any]) -> Iterator[Part]:
    """Cut a tree into parts whose leaves together need at most eight splits."""
    if any(tree["split_type"]):
        raise NotTabulated("a model with categorical splits")
    leaves = list(_leaves(tree, 0, ()))
    if len(_splits(leaves)) <= MAX_SPLITS:
        yield tree, leaves
        return
    for left in (True, False):
        side = [leaf for leaf in leaves if leaf.path[0][1] is left]
        if len(_splits(side)) > MAX_SPLITS:
            raise NotTabulated("a model with trees deeper than four")
        yield tree, side


def _leaves(
    tree: Mapping[str, Any], node: int, path: tuple[tuple[int, bool, float], ...]
) -> Iterator[Leaf]:
    left, right = tree["left_children"][node], tree["right_children"][node]
    if left == LEAF:
        yield Leaf(tree["split_conditions"][node], path)
        return
    weight = tree["sum_hessian"]
    for child, is_left in ((left, True), (right, False)):
        share = weight[child] / weight[node]
        yield from _leaves(tree, child, (*path, (node, is_left, share)))


def _splits(leaves: Sequence[Leaf]) -> list[int]:
    return sorted({node for leaf in leaves for node, *_ in leaf.path})


@dataclass(frozen=True)
class _Table:
    features: list[int]
    splits: list[tuple[int, float, bool]]
    values: Vector


def all_answers(leaves: Sequence[Leaf]) -> dict[int, Array]:
    """Return the answer (0/1) to every split of a part, in order, under every code."""
    nodes = _splits(leaves)
    bits = (np.arange(2 ** len(nodes)) >> np.arange(len(nodes))[:, None]) & 1
    return dict(zip(nodes, bits, strict=True))


def _tabulate(tree: Mapping[str, Any], leaves: Sequence[Leaf]) -> _Table:
    answers = all_answers(leaves)
    nodes = list(answers)
    asked = [tree["split_indices"][n] for n in nodes]
    features = sorted(set(asked))
    values = np.zeros((1 + len(features), 2 ** len(nodes)))
    for leaf in leaves:
        followed, share = by_feature(leaf, answers, tree)
        reached = np.prod(list(followed.values()), axis=0)
        values[0] += leaf.value * reached
        for feature in followed:
            row = 1 + features.index(feature)
            values[row] += leaf.value * _shapley(feature, followed, share)
    conditions, default = tree["split_conditions"], tree["default_left"]
    splits = [(f, conditions[n], bool(default[n])) for f, n in zip(asked, nodes, strict=True)]
    return _Table(features, splits, values)


def by_feature(
    leaf: Leaf, answers: Mapping[int, Array], tree: Mapping[str, Any]
) -> tuple[dict[int, Vector], dict[int, float]]:
    """Per feature of a path: whether a code follows it (0/1), and the share of rows that did.

    A feature asked about twice has to go the leaf's way both times.
    """
    followed: dict[int, Vector] = {}
    shares: dict[int, float] = {}
    for node, is_left, share in leaf.path:
        feature = tree["split_indices"][node]
        goes = (answers[node] == is_left).astype(np.float64)
        followed[feature] = followed.get(feature, np.ones_like(goes)) * goes
        shares[feature] = shares.get(feature, 1.0) * share
    return followed, shares


def _shapley(feature: int, followed: Mapping[int, Vector], share: Mapping[int, float]) -> Vector:
    """Shapley value of one feature in the game whose worth is the chance to reach the leaf."""
    others = [f for f in followed if f != feature]
    n = len(followed)
    total = np.zeros_like(followed[feature])
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for coalition in combinations(others, size):
            inside = [followed[f] if f in coalition else share[f] for f in others]
            chance = np.ones_like(total)
            for factor in inside:
                chance = chance * factor
            total += weight * chance
    return total * (followed[feature] - share[feature])


def _pack(parts: Sequence[_Table], start: np.float32, expected: float) -> TreeTables:
    shape = (len(parts), MAX_SPLITS)
    split_feature, feature = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    threshold, missing_left = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    for i, part in enumerate(parts):
        feature[i, : len(part.features)] = part.features
        for j, (column, condition, default) in enumerate(part.splits):
            split_feature[i, j], threshold[i, j] = column, condition
            missing_left[i, j] = default
    sizes = np.array([part.values.size for part in parts], dtype=np.int64)
    flat = [part.values.ravel() for part in parts]
    return TreeTables(
        n_splits=np.array([len(p.splits) for p in parts], dtype=np.int64),
        n_features=np.array([len(p.features) for p in parts], dtype=np.int64),
        split_feature=split_feature,
        split_threshold=threshold,
        split_missing_left=missing_left,
        feature=feature,
        offset=np.cumsum(sizes) - sizes,
        values=np.concatenate(flat).astype(np.float32) if flat else np.zeros(0, np.float32),
        start=np.array([start], dtype=np.float32),
        baseline=np.array([float(start) + expected]),
    )
