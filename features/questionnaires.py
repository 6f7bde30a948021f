"""Scores of the questionnaires declared in seeds/instruments.toml, from items or totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.reference import load_reference
from features.spec import Builder, FeatureSpec, Vector, numbers


@dataclass(frozen=True)
class Instrument:
    """A scoring key. Items are numbered from 1; ``scales`` includes the total."""

    name: str
    title: str
    n_items: int
    low: float
    high: float
    reversed_items: tuple[int, ...]
    scales: Mapping[str, tuple[int, ...]]
    max_missing: int

    @classmethod
    def load(cls, name: str) -> Instrument:
        """Read the key ``name`` of seeds/instruments.toml."""
        form = load_reference("instruments.toml")[name]
        every = tuple(range(1, form["items"] + 1))
        scales = {k: tuple(v) for k, v in form.get("subscales", {}).items()}
        return cls(
            name,
            form["title"],
            form["items"],
            form["low"],
            form["high"],
            tuple(form["reversed"]),
            {**scales, "total": every},
            form["max_missing"],
        )

    def score(self, items: npt.NDArray[np.float64]) -> dict[str, Vector]:
        """Score answers as given.

        Reversed items count ``low + high - answer``. Where at most ``max_missing`` of a scale's
        own items are missing, it is the mean of its answered items times its length; beyond
        that, and where it has no answered item, it is NaN.

        Parameters
        ----------
        items : ndarray of shape (n_rows, n_items), NaN = missing
            Answers in the order of the item numbers, reversed items not yet reversed.

        Returns
        -------
        dict of scale name to ndarray of shape (n_rows,), points

        Examples
        --------
        Thirteen answers of 2 on the Pain Catastrophizing Scale:

        >>> pcs = Instrument.load("pcs")
        >>> pcs.score(np.full((1, 13), 2.0))["total"]
        array([26.])
        """
        answers = items.copy()
        for item in self.reversed_items:
            answers[:, item - 1] = self.low + self.high - answers[:, item - 1]
        return {
            scale: _prorated_sum(answers[:, [m - 1 for m in members]], self.max_missing)
            for scale, members in self.scales.items()
        }


def _prorated_sum(answers: npt.NDArray[np.float64], max_missing: int) -> Vector:
    n_items = answers.shape[1]
    answered = (~np.isnan(answers)).sum(axis=1)
    total = np.nansum(answers, axis=1)
    usable = (answered >= n_items - max_missing) & (answered > 0)
    # Complete rows keep the exact sum: (sum / n) * n may differ from it in the last bit.
    prorated = total * n_items / np.where(usable, answered, np.nan)
    scored: Vector = np.where(answered == n_items, total, prorated)
    return scored


def score_cases(cases: pd.DataFrame, instrument: Instrument) -> dict[str, Vector]:
    """Score every row: from the items where any was answered, else the scale as delivered."""
    names = [f"{instrument.name}_{i}" for i in range(1, instrument.n_items + 1)]
    present = any(n in cases.columns for n in names)
    if not present:
        return {s: numbers(cases, f"{instrument.name}_{s}") for s in instrument.scales}
    items = np.column_stack([numbers(cases, n) for n in names])
    answered = ~np.isnan(items).all(axis=1)
    scored = instrument.score(items)
    return {
        scale: np.where(answered, values, numbers(cases, f"{instrument.name}_{scale}"))
        for scale, values in scored.items()
    }


INSTRUMENTS = tuple(Instrument.load(name) for name in load_reference("instruments.toml"))
# Scores that reach the pipeline as one number.
SCORES = {
    "hads_anxiety": "HADS anxiety",
    "hads_depression": "HADS depression",
    "fabq_total": "FABQ, the 11 scored items",
    "expectancy": "expected effect of the exercise on pain, + = relief",
}


def build_questionnaires(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return every instrument's scales, and the scores delivered as one number."""
    columns = {
        f"{instrument.name}_{scale}": values
        for instrument in INSTRUMENTS
        for scale, values in score_cases(cases, instrument).items()
    }
    return columns | {name: numbers(cases, name) for name in SCORES}


def _specs() -> tuple[FeatureSpec, ...]:
    scales = [
        FeatureSpec(
            f"{instrument.name}_{scale}",
            "psychosocial",
            "points",
            tuple(f"{instrument.name}_{m}" for m in members) + (f"{instrument.name}_{scale}",),
            f"{instrument.title}, {scale}",
        )
        for instrument in INSTRUMENTS
        for scale, members in instrument.scales.items()
    ]
    single = [FeatureSpec(n, "psychosocial", "points", (n,), text) for n, text in SCORES.items()]
    return (*scales, *single)


QUESTIONNAIRES = Builder("questionnaires", _specs(), build_questionnaires)
