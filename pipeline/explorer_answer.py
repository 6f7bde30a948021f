"""What the explorer says of one person and exercise: the same code as ``eih predict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.contract import check_cases
from features.reference import load_reference
from models.bundle import Bundle
from pipeline.explorer_curve import Curve, Line
from pipeline.explorer_form import one_case
from pipeline.rejects import SEPARATOR
from pipeline.scoring import ABSENT_BLOCKS, OUT_OF_RANGE, Scored, predict

N_POINTS = 25
# Two hours: the exercise of every study in seeds/ is shorter.
LONGEST_BOUT_MIN = 120.0
N_REASONS = 8
HEART_RATE_SPAN = (60.0, 200.0)
SCENARIOS = {"intensity_value": "intensity", "duration_min": "duration"}
ABSTENTION_WORDS = {
    "outside_training_range": "a value, or their combination, lies outside what the model has seen",
    "cell_too_small": "too few persons of this condition and kind of exercise were in training",
    "interval_too_wide": "the interval of the risk is too wide",
    "missing_block": "something nearly every person in training had is missing",
}


@dataclass(frozen=True)
class Reason:
    """A feature and its exact contribution, in log-odds; ``share`` is its size from -1 to 1."""

    name: str
    log_odds: float
    share: float


@dataclass(frozen=True)
class Risk:
    """One target's answer.

    ``lower`` and ``upper`` are None where the bundle holds no interval; ``others`` is the sum of
    the contributions not listed, so that baseline, reasons and others add up to the model's
    log-odds.
    """

    target: str
    p: float
    lower: float | None
    upper: float | None
    abstained: bool
    abstain_reasons: tuple[str, ...]
    baseline: float
    reasons: tuple[Reason, ...]
    others: float
    log_odds: float


@dataclass(frozen=True)
class Answer:
    """Everything that is shown after a form was sent."""

    risks: tuple[Risk, ...] = ()
    adjusted: bool = False
    absent_blocks: tuple[str, ...] = ()
    out_of_range: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    errors: Mapping[str, str] | None = None


def answer(bundles: Mapping[str, Bundle], entered: Mapping[str, str]) -> Answer:
    """Score what was entered, and the same person at other doses.

    Parameters
    ----------
    bundles : mapping of target to Bundle
    entered : mapping of column to text

    Returns
    -------
    Answer
        With ``errors`` alone (column to reason, as in the rejects file) where the row breaks
        the contract.
    """
    scored = predict(one_case(entered), bundles, explain=True)
    if len(scored.rejects):
        return Answer(errors=_errors(scored))
    row = scored.predictions.iloc[0]
    return Answer(
        risks=tuple(_risk(str(t), row) for t in bundles),
        adjusted=bool(row.get("risks_adjusted", 0)),
        absent_blocks=_words(row[ABSENT_BLOCKS]),
        out_of_range=_words(row[OUT_OF_RANGE]),
        curves=tuple(c for s in SCENARIOS if (c := _curve(bundles, entered, s)) is not None),
    )


def _errors(scored: Scored) -> dict[str, str]:
    """Return the reject's reasons by column; a reason may itself hold the separator."""
    reject = scored.rejects.iloc[0]
    columns, text = str(reject["column"]).split(SEPARATOR), str(reject["reason"])
    found: dict[str, str] = {}
    for column, later in zip(columns, [*columns[1:], None], strict=True):
        begins = None if later is None else f"{SEPARATOR}{later}: expected "
        reason, _, rest = (text, "", "") if begins is None else text.partition(begins)
        found[column] = f"{found[column]}{SEPARATOR}{reason}" if column in found else reason
        text = "" if begins is None else begins.removeprefix(SEPARATOR) + rest
    return found


def _words(text: Any) -> tuple[str, ...]:
    return tuple(w for w in str(text).split(";") if w)


def _risk(target: str, row: pd.Series) -> Risk:
    prefix = f"{target}_contribution_"
    found = {
        str(n).removeprefix(prefix): float(v)
        for n, v in row.items()
        if str(n).startswith(prefix) and v
    }
    largest = sorted(found, key=lambda n: -abs(found[n]))[:N_REASONS]
    scale = max((abs(found[n]) for n in largest), default=1.0)
    baseline = float(row[f"{target}_baseline_log_odds"])
    total = sum(found.values())
    has_interval = f"p_{target}_lower" in row
    reasons = _words(row.get(f"abstain_reasons_{target}", ""))
    return Risk(
        target,
        float(row[f"p_{target}"]),
        float(row[f"p_{target}_lower"]) if has_interval else None,
        float(row[f"p_{target}_upper"]) if has_interval else None,
        bool(row.get(f"abstained_{target}", 0)),
        tuple(ABSTENTION_WORDS[r] for r in reasons),
        baseline,
        tuple(Reason(n, found[n], found[n] / scale) for n in largest),
        total - sum(found[n] for n in largest),
        baseline + total,
    )


def _curve(bundles: Mapping[str, Bundle], entered: Mapping[str, str], column: str) -> Curve | None:
    """Risks at other values of one column; None where the exercise has no value of it."""
    span = _span(entered, column)
    if span is None or column not in entered:
        return None
    values = np.linspace(*span, N_POINTS)
    rows = pd.concat([one_case(entered)] * N_POINTS, ignore_index=True)
    rows[column] = [repr(float(v)) for v in values]
    found = predict(rows, bundles).predictions
    here = float(check_cases(one_case(entered)).table[column].iloc[0])
    at = values[found["row"].to_numpy()]
    lines = tuple(_line(str(t), at, found) for t in bundles)
    return Curve(SCENARIOS[column], _unit(entered, column), span, here, lines)


def _span(entered: Mapping[str, str], column: str) -> tuple[float, float] | None:
    if column == "duration_min":
        return 1.0, LONGEST_BOUT_MIN
    metric = load_reference("exercise_intensity.toml")["metrics"].get(
        entered.get("intensity_metric", "")
    )
    if metric is None:
        return HEART_RATE_SPAN if "intensity_metric" in entered else None
    points: Sequence[float] = metric["value"]
    return float(points[0]), float(points[-1])


def _unit(entered: Mapping[str, str], column: str) -> str:
    return "min" if column == "duration_min" else entered["intensity_metric"].replace("_", " ")


def _line(target: str, at: Any, found: pd.DataFrame) -> Line:
    def values(name: str) -> tuple[float, ...]:
        return tuple(found[name].tolist()) if name in found else ()

    return Line(
        target,
        tuple(float(v) for v in at),
        values(f"p_{target}"),
        values(f"p_{target}_lower"),
        values(f"p_{target}_upper"),
        tuple(bool(a) for a in values(f"abstained_{target}")) or (False,) * len(at),
    )
