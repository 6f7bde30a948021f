"""Exact pairwise interactions of shallow boosted trees, from the same codes as contributions.

References
----------
.. [Lundberg2020] From local explanations to global understanding with explainable AI for trees.
   Nature Machine Intelligence 2:56, equations 4 and 5: the Shapley interaction index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from models.tabulated import codes
from models.tree_tables import Leaf, TreeTables, all_answers, by_feature, read_parts

Vector = npt.NDArray[np.float64]
Pair = tuple[int, int]


def pair_contributions(
    booster: xgboost.Booster, tables: TreeTables, X: npt.NDArray[Any]
) -> dict[Pair, Vector]:
    """What two columns contribute together, beyond what each contributes by itself.

    Parameters
    ----------
    booster : xgboost.Booster
    tables : TreeTables
        Of that booster.
    X : ndarray of shape (n_rows, n_columns), NaN = missing

    Returns
    -------
    dict of (column, later column) to ndarray of shape (n_rows,), log-odds
        The sum of XGBoost's two entries of ``pred_interactions``; pairs that share no path are
        left out, their value is 0.
    """
    columns = np.ascontiguousarray(X.T, dtype=np.float32)
    total: dict[Pair, Vector] = {}
    for part, (tree, leaves) in enumerate(read_parts(booster)[1]):
        code = codes(tables, part, columns)
        for pair, values in _pair_table(tree, leaves).items():
            total[pair] = total.get(pair, np.zeros(len(X))) + values[code]
    return total


def _pair_table(tree: Mapping[str, Any], leaves: Sequence[Leaf]) -> dict[Pair, Vector]:
    answers = all_answers(leaves)
    table: dict[Pair, Vector] = {}
    for leaf in leaves:
        followed, share = by_feature(leaf, answers, tree)
        for pair in combinations(sorted(followed), 2):
            value = leaf.value * _index(pair, followed, share)
            table[pair] = table.get(pair, np.zeros_like(value)) + value
    return table


def _index(pair: Pair, followed: Mapping[int, Vector], share: Mapping[int, float]) -> Vector:
    """Shapley interaction index of two features in the chance to reach a leaf."""
    others = [f for f in followed if f not in pair]
    n = len(followed)
    total = np.zeros_like(followed[pair[0]])
    for size in range(n - 1):
        weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
        for coalition in combinations(others, size):
            chance = np.ones_like(total)
            for f in others:
                chance = chance * (followed[f] if f in coalition else share[f])
            total += weight * chance
    for f in pair:
        total = total * (followed[f] - share[f])
    return total
