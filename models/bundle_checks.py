"""What a bundle's files may say: strict JSON, and numbers that a prediction can be made of.

A bundle may come from anywhere. What is wrong in it has to be found when it is read, not when a
row of millions first meets it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from models.scorers import (
    BoostedScorer,
    ConstantScorer,
    LinearScorer,
    MarginScorer,
    Scorer,
    StratumScorer,
)
from models.uncertainty import Uncertainty

# Longer whole numbers are none that a bundle holds, and no float.
MOST_DIGITS = 18


def read_json(content: bytes) -> Any:
    """Read JSON as the standard has it: no NaN, no infinity, no number beyond a float.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> read_json(b'{"risk": 0.5}')
    {'risk': 0.5}
    """
    return json.loads(content, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _whole(text: str) -> int:
    return int(text) if len(text) <= MOST_DIGITS else _refuse("so long a number")


def check_training(training: Mapping[str, Any]) -> None:
    """Refuse a record of training that flags and classes cannot be made with.

    Raises
    ------
    KeyError, TypeError, ValueError
    """
    for found in training.get("features", {}).values():
        ends = [found["low"], found["high"]]
        if None not in ends:
            _expect(_in_order([float(e) for e in ends]), "training, features")
    threshold = training.get("threshold")
    if threshold is not None:
        _expect(0.0 <= float(threshold["value"]) <= 1.0, "training, threshold")


def check_scorer(scorer: Scorer, names: Sequence[str]) -> None:
    """Refuse a scorer that asks for other columns than the bundle's, or whose risks are none.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(scorer, ConstantScorer):
        _expect(_risks([scorer.risk]), "scorer, risk")
        return
    _expect(set(scorer.columns) <= set(names), "scorer, columns")
    if isinstance(scorer, StratumScorer):
        _expect(_risks([*scorer.rates.values(), scorer.default]), "scorer, rates")
    elif isinstance(scorer, LinearScorer | MarginScorer):
        _expect(set(scorer.indicators) <= set(scorer.columns), "scorer, indicators")
        _expect(set(scorer.spline_columns) <= set(scorer.columns), "scorer, spline_columns")
        _expect(all(float(s) > 0 for s in scorer.scale), "scorer, scale")
        _expect(not isinstance(scorer, MarginScorer) or scorer.spread > 0, "scorer, spread")
    elif isinstance(scorer, BoostedScorer):
        _, up, down = (float(v) for v in scorer.recalibration)
        _expect(min(up, down) >= 0, "scorer, recalibration")


def check_uncertainty(stored: Uncertainty, names: Sequence[str]) -> None:
    """Refuse an answer about being sure that cannot be given for every row.

    Raises
    ------
    TypeError, ValueError
    """
    sets, interval, domain = stored.sets, stored.interval, stored.domain
    known = set(names)
    _expect(0.0 < sets.level < 1.0, "sets, level")
    _expect(_risks(t for t in sets.thresholds if t is not None), "sets, thresholds")
    _expect(_risks([*interval.edges, *interval.lower, *interval.upper]), "interval")
    ordered = all(a <= b for a, b in zip(interval.lower, interval.upper, strict=True))
    _expect(ordered, "interval, lower")
    _expect(0.0 <= stored.width_limit <= 1.0, "width_limit")
    asked = {*domain.ranges, *domain.cell_columns, *domain.centre}
    asked |= {name for columns in domain.needed_blocks.values() for name in columns}
    _expect(asked <= known, "domain, columns")
    _expect(all(domain.needed_blocks.values()), "domain, needed_blocks")
    _expect(all(_in_order(ends) for ends in domain.ranges.values()), "domain, ranges")
    _expect(all(s > 0 for s in domain.scale.values()) and domain.reference > 0, "domain, scale")


def _risks(values: Iterable[float]) -> bool:
    return all(0.0 <= float(v) <= 1.0 for v in values)


def _in_order(ends: Sequence[float]) -> bool:
    return ends[0] <= ends[1]


def _expect(right: bool, place: str) -> None:
    if not right:
        raise ValueError(f"{place}: expected other values")
