"""Read XGBoost's binary format strictly, before XGBoost does.

XGBoost trusts what it loads: a length or an index that was tampered with ends the process, or
reads memory that is none of the model's. Here every length is held against the bytes that are
left, and every index of a tree against the tree.

References
----------
UBJSON, Draft 12 (https://ubjson.org); XGBoost, "Introduction to Model IO", the model's schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_DEPTH = 16
NUMBERS = {
    b"i": ">i1",
    b"U": ">u1",
    b"I": ">i2",
    b"l": ">i4",
    b"L": ">i8",
    b"d": ">f4",
    b"D": ">f8",
}
PLAIN: dict[bytes, Any] = {b"Z": None, b"T": True, b"F": False}
# What a tree says of each of its nodes.
NODE_ARRAYS = (
    "base_weights",
    "default_left",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
)
CATEGORY_ARRAYS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
NO_PARENT = 2**31 - 1


class _Reader:
    """Bytes with a place in them; nothing is taken that is not there."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def take(self, n_bytes: int) -> bytes:
        if n_bytes < 0 or n_bytes > len(self.content) - self.at:
            raise ValueError("a length beyond the end")
        self.at += n_bytes
        return self.content[self.at - n_bytes : self.at]

    def next_is(self, mark: bytes) -> bool:
        found = self.content[self.at : self.at + 1] == mark
        self.at += found
        return found

    def number(self, kind: bytes) -> int | float:
        found: int | float = self.numbers(kind, 1)[0].item()
        return found

    def numbers(self, kind: bytes, count: int) -> npt.NDArray[Any]:
        if kind not in NUMBERS:
            raise ValueError("an unknown type")
        dtype = np.dtype(NUMBERS[kind])
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def length(self) -> int:
        found = self.number(self.take(1))
        if not isinstance(found, int) or found < 0:
            raise ValueError("a length that is none")
        return found

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")

    def value(self, depth: int = 0) -> Any:
        if depth > MOST_DEPTH:
            raise ValueError("nested too deeply")
        mark = self.take(1)
        if mark == b"{":
            return self._object(depth + 1)
        if mark == b"[":
            return self._array(depth + 1)
        if mark == b"S":
            return self.text()
        return PLAIN[mark] if mark in PLAIN else self.number(mark)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.next_is(b"}"):
            name = self.text()
            if name in found:
                raise ValueError("a name twice")
            found[name] = self.value(depth)
        return found

    def _array(self, depth: int) -> Sequence[Any] | npt.NDArray[Any]:
        kind = self.take(1) if self.next_is(b"$") else None
        if self.next_is(b"#"):
            count = self.length()
            if kind is not None:
                return self.numbers(kind, count)
            # Every value takes a byte at least: more of them than bytes are left cannot be.
            if count > len(self.content) - self.at:
                raise ValueError("a length beyond the end")
            return [self.value(depth) for _ in range(count)]
        if kind is not None:
            raise ValueError("a type without a length")
        values = []
        while not self.next_is(b"]"):
            values.append(self.value(depth))
        return values


def read_ubj(content: bytes) -> Any:
    """Read one UBJSON value.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    dict, list, ndarray, str, number, bool or None

    Raises
    ------
    ValueError
        For anything else than exactly one whole value.

    Examples
    --------
    >>> read_ubj(b"{L" + bytes(7) + b"\\x01aSL" + bytes(7) + b"\\x02hi}")
    {'a': 'hi'}
    """
    reader = _Reader(content)
    found = reader.value()
    if reader.at != len(content):
        raise ValueError("bytes after the end")
    return found


def check_booster(content: bytes, n_features: int) -> None:
    """Refuse a booster that is not a whole forest of binary trees over so many features.

    Parameters
    ----------
    content : bytes
        As ``Booster.save_raw("ubj")`` gives it.
    n_features : int
        Columns that the booster will be given.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
    """
    learner = read_ubj(content)["learner"]
    param = learner["learner_model_param"]
    booster = learner["gradient_booster"]
    model = booster["model"]
    trees = model["trees"]
    shape = (int(param["num_feature"]), int(param["num_class"]), int(param["num_target"]))
    _require(shape == (n_features, 0, 1), "another shape")
    _require(learner["objective"]["name"] == "binary:logistic", "another objective")
    _require(booster["name"] == "gbtree", "another booster")
    _require(int(model["gbtree_model_param"]["num_trees"]) == len(trees), "trees are missing")
    _require(list(model["tree_info"]) == [0] * len(trees), "trees of another class")
    _require(list(model["iteration_indptr"]) == list(range(len(trees) + 1)), "other rounds")
    _require(not any(len(part) for part in model["cats"].values()), "categories")
    _require(all(isinstance(n, str) for n in learner["feature_names"]), "names that are none")
    _require(len(learner["feature_names"]) in (0, n_features), "other features")
    for number, tree in enumerate(trees):
        _require(tree["id"] == number, "another order of trees")
        _check_tree(tree, n_features)


def _check_tree(tree: Mapping[str, Any], n_features: int) -> None:
    param = tree["tree_param"]
    n_nodes = int(param["num_nodes"])
    _require(n_nodes > 0 and int(param["num_feature"]) == n_features, "a tree of another shape")
    _require(int(param["size_leaf_vector"]) <= 1, "leaves that are vectors")
    arrays = {name: np.asarray(tree[name]) for name in NODE_ARRAYS}
    _require(all(a.shape == (n_nodes,) for a in arrays.values()), "arrays of other lengths")
    _require(all(len(tree[name]) == 0 for name in CATEGORY_ARRAYS), "categories")
    left, right = arrays["left_children"], arrays["right_children"]
    _check_integers(arrays, "left_children", lambda a: (a >= -1) & (a < n_nodes))
    _check_integers(arrays, "right_children", lambda a: (a >= -1) & (a < n_nodes))
    _check_integers(arrays, "split_indices", lambda a: (a >= 0) & (a < n_features))
    _check_integers(arrays, "parents", lambda a: (a == NO_PARENT) | ((a >= -1) & (a < n_nodes)))
    _check_integers(arrays, "split_type", lambda a: a == 0)
    _check_integers(arrays, "default_left", lambda a: (a == 0) | (a == 1))
    _require(bool(((left == -1) == (right == -1)).all()), "a node with one child")
    children = np.concatenate([left, right])
    children = children[children != -1]
    # A node with two parents, or the root as a child, could send a row round in a circle.
    _require(len(np.unique(children)) == len(children) and 0 not in children, "no tree")


def _check_integers(
    arrays: Mapping[str, npt.NDArray[Any]],
    name: str,
    is_right: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]],
) -> None:
    values = arrays[name]
    _require(values.dtype.kind in "iu" and bool(is_right(values).all()), f"{name} out of range")


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)
