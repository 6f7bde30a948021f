"""A booster that was tampered with, and sealed again, is refused before XGBoost sees it.

Given to XGBoost such bytes end the process (an allocation of any size, a read outside a tree):
without the check these tests end with it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle, from_files, to_files
from models.classifiers import make_xgboost
from models.errors import BundleError
from models.scorers import BoostedScorer, make_scorer
from models.ubj import check_booster, read_ubj

EXAMPLES = int(os.environ.get("EIH_FUZZ_EXAMPLES", "300"))
COLUMNS = ("exercise", "pain", "age")


@pytest.fixture(scope="module")
def scorer() -> BoostedScorer:
    """Small forest of a learnt signal."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 3)), columns=list(COLUMNS))
    y = (rng.random(150) < 1 / (1 + np.exp(-2 * X["pain"]))).astype(int)
    made = make_scorer(make_xgboost(COLUMNS, 2, 6).fit(X, y))
    assert isinstance(made, BoostedScorer)
    return made


ROWS = pd.DataFrame(np.linspace(-2, 2, 30).reshape(10, 3), columns=list(COLUMNS))


def plain(value: object) -> object:
    """Arrays as lists, as JSON has them."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, list):
        return [plain(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def test_reader_finds_what_the_same_booster_says_in_json(scorer: BoostedScorer) -> None:
    booster = xgboost.Booster(model_file=bytearray(scorer.ubj))
    theirs = json.loads(bytes(booster.save_raw("json")))

    ours = read_ubj(scorer.ubj)

    trees = ["learner", "gradient_booster", "model", "trees"]
    for name in trees:
        ours, theirs = ours[name], theirs[name]
    assert len(ours) == 6
    assert plain(ours) == plain(theirs)


def test_a_booster_of_ours_passes(scorer: BoostedScorer) -> None:
    check_booster(scorer.ubj, len(COLUMNS))


@pytest.mark.parametrize("n_features", [0, 2, 4])
def test_a_booster_for_other_columns_is_refused(scorer: BoostedScorer, n_features: int) -> None:
    with pytest.raises(ValueError, match="another shape"):
        check_booster(scorer.ubj, n_features)


def test_every_cut_is_refused(scorer: BoostedScorer) -> None:
    for length in range(0, len(scorer.ubj), 7):
        with pytest.raises(ValueError, match="length|unknown type"):
            read_ubj(scorer.ubj[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[$l#L" + (2**62).to_bytes(8, "big"),
        b"[#L" + (2**62).to_bytes(8, "big"),
        b"[$Z#L" + (2**62).to_bytes(8, "big"),
        b"SL" + (2**63 - 1).to_bytes(8, "big"),
        b"Si\xff",
        b"Si\x02\xff\xfe",
        b"{i\x01ai\x01i\x01ai\x01}",
        b"i\x01i\x01",
        b"X",
    ],
)
def test_what_is_no_whole_value_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_ubj(content)


def with_tree(content: bytes, name: str, values: list[int]) -> bytes:
    """Overwrite the start of the first tree's array of 32-bit integers."""
    mark = b"L" + len(name).to_bytes(8, "big") + name.encode() + b"[$l#L"
    start = content.index(mark) + len(mark) + 8
    changed = np.array(values, dtype=">i4").tobytes()
    return content[:start] + changed + content[start + len(changed) :]


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("left_children", [2**30], "left_children out of range"),
        ("left_children", [-5], "left_children out of range"),
        ("left_children", [0], "no tree"),
        ("left_children", [2], "no tree"),
        ("left_children", [-1], "a node with one child"),
        ("split_indices", [3], "split_indices out of range"),
        ("split_indices", [-1], "split_indices out of range"),
        ("parents", [2**30], "parents out of range"),
    ],
)
def test_an_index_outside_its_tree_is_refused(
    scorer: BoostedScorer, name: str, values: list[int], what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        check_booster(with_tree(scorer.ubj, name, values), len(COLUMNS))


# Any change of any bytes, sealed with a new manifest, is refused or leaves a model that answers
# with probabilities: never another exception, never the end of the process.
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    at=st.integers(0, 2**20),
    change=st.binary(max_size=9),
    gone=st.integers(0, 9),
    more=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=3),
)
def test_a_resealed_booster_is_refused_or_answers(
    scorer: BoostedScorer, at: int, change: bytes, gone: int, more: list[tuple[int, int]]
) -> None:
    content = bytearray(scorer.ubj)
    place = at % len(content)
    content[place : place + gone] = change
    for where, byte in more:
        content[where % len(content)] = byte
    bundle = Bundle("response", "xgboost", replace(scorer, ubj=bytes(content)), (), {}, {}, {})

    try:
        read = from_files(to_files(bundle), "bundle")
        risk = read.scorer.probability(ROWS)
    except (BundleError, xgboost.core.XGBoostError, UnicodeDecodeError):
        return

    assert risk.shape == (10,)
    assert ((risk >= 0) & (risk <= 1) | np.isnan(risk)).all()
