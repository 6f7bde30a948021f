"""Scores of the questionnaires declared in seeds/instruments.toml, from items or totals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.instruments import INSTRUMENTS, Instrument, Scale
from features.spec import Builder, Family, FeatureSpec, Vector, any_numbers, nothing

__all__ = ["INSTRUMENTS", "QUESTIONNAIRES", "Instrument", "build_questionnaires", "score_cases"]

Mask = npt.NDArray[np.bool_]


def read_answers(cases: pd.DataFrame, instrument: Instrument) -> list[Vector] | None:
    """Return the items' columns, NaN where one is absent; None where all are."""
    names = instrument.item_columns()
    if not any(name in cases.columns for name in names):
        return None
    return [any_numbers(cases, name) for name in names]


def answered_any(answers: Sequence[Vector]) -> Mask:
    """Rows in which at least one item was answered."""
    any_answer = np.zeros(len(answers[0]), dtype=bool)
    for values in answers:
        any_answer |= ~np.isnan(values)
        if any_answer.all():
            break
    return any_answer


def score_cases(cases: pd.DataFrame, instrument: Instrument) -> dict[str, Vector]:
    """Score every row: from the items where any was answered, else the scale as delivered.

    Parameters
    ----------
    cases : DataFrame of shape (n_rows, any)
        Numeric items and scores under their names in the contract; any may be absent.
    instrument : Instrument

    Returns
    -------
    dict of scale name to ndarray of shape (n_rows,), in the instrument's unit, NaN = missing
    """
    delivered = {
        name: any_numbers(cases, instrument.scale_column(name)) for name in instrument.scales
    }
    answers = read_answers(cases, instrument)
    if answers is None:
        return delivered
    answered = answered_any(answers)
    return {
        scale: np.where(answered, values, delivered[scale])
        for scale, values in instrument.score(answers).items()
    }


def classify_cases(
    cases: pd.DataFrame, instrument: Instrument, scores: Mapping[str, Vector]
) -> dict[str, Vector]:
    """Return the instrument's classes as ordinals, from its scores and, where needed, items."""
    answers = read_answers(cases, instrument)
    if answers is None:
        answers = [nothing(len(cases))] * instrument.n_items
    return instrument.classify(answers, scores)


def disagreements(cases: pd.DataFrame) -> Iterator[tuple[Instrument, Scale, Mask]]:
    """Yield every delivered score that the items beside it contradict, with its rows.

    A complete row's score is compared exactly (up to the rounding of the delivered one). Where
    items are missing, the delivered score must lie in what the missing ones still leave
    possible: how it was pro-rated is the study's affair.
    """
    for instrument in INSTRUMENTS:
        delivered = {
            scale.name: instrument.scale_column(scale.name)
            for scale in instrument.scales.values()
            if instrument.scale_column(scale.name) in cases.columns
        }
        answers = read_answers(cases, instrument) if delivered else None
        if answers is None:
            continue
        for name, column in delivered.items():
            scale = instrument.scales[name]
            wrong = _contradicted(instrument, scale, answers, any_numbers(cases, column))
            if wrong.any():
                yield instrument, scale, wrong


def _contradicted(
    instrument: Instrument, scale: Scale, answers: Sequence[Vector], delivered: Vector
) -> Mask:
    if scale.method == "rule":
        low = high = instrument.score(answers)[scale.name]
        answered = ~np.isnan(low)
    else:
        points = instrument.points(answers)
        low, high = scale.bounds(instrument.items, points)
        answered = answered_any([points[m - 1] for m in scale.members])
    wrong: Mask = answered & (
        (delivered < low - scale.tolerance) | (delivered > high + scale.tolerance)
    )
    return wrong


# ---- features --------------------------------------------------------------------------------


def percent_of_range(scores: Vector, low: float, high: float) -> Vector:
    """Place scores on a scale from 0 (lowest possible) to 100 (highest possible).

    Examples
    --------
    Half-way between the ends of two forms of the Tampa scale:

    >>> percent_of_range(np.array([42.5]), 17, 68), percent_of_range(np.array([27.5]), 11, 44)
    (array([50.]), array([50.]))
    """
    return 100.0 * (scores - low) / (high - low)


def pooled_forms() -> dict[str, tuple[Instrument, ...]]:
    """Return the instruments that share a pooled feature, by its name."""
    names = dict.fromkeys(i.pooled for i in INSTRUMENTS if i.pooled)
    return {name: tuple(i for i in INSTRUMENTS if i.pooled == name) for name in names}


def single_form_twins(columns: Collection[str]) -> set[str]:
    """Return the pooled features that one form alone supplies: its total in another unit.

    Parameters
    ----------
    columns : collection of str
        The features that a study has.
    """
    return {
        name
        for name, forms in pooled_forms().items()
        if sum(form.scale_column("total") in columns for form in forms) == 1
    }


def build_questionnaires(cases: pd.DataFrame) -> dict[str, Vector]:
    """Return every instrument's scores and classes, and the features that forms share."""
    present = set(cases.columns)
    columns: dict[str, Vector] = {}
    for instrument in INSTRUMENTS:
        names = [instrument.scale_column(s) for s in instrument.scales]
        classes = [f"{instrument.name}_{c}" for c in instrument.classes]
        if present.isdisjoint((*instrument.item_columns(), *names)):
            columns |= dict.fromkeys((*names, *classes), nothing(len(cases)))
            continue
        scores = score_cases(cases, instrument)
        columns |= dict(zip(names, (scores[s] for s in instrument.scales), strict=True))
        made = classify_cases(cases, instrument, scores)
        columns |= {f"{instrument.name}_{c}": made[c] for c in instrument.classes}
    return columns | {name: _pooled(columns, forms) for name, forms in pooled_forms().items()}


def _pooled(columns: Mapping[str, Vector], forms: Sequence[Instrument]) -> Vector:
    """Percent of the range of the first of ``forms`` that a row has a total of."""
    pooled: Vector | None = None
    for form in forms:
        total = form.scales["total"]
        percent = percent_of_range(columns[form.scale_column("total")], total.low, total.high)
        pooled = percent if pooled is None else np.where(np.isnan(pooled), percent, pooled)
    assert pooled is not None, "a pooled feature has forms"
    return pooled


def _specs() -> Iterator[FeatureSpec]:
    for instrument in INSTRUMENTS:
        for scale in instrument.scales.values():
            column = instrument.scale_column(scale.name)
            members = scale.members or range(1, instrument.n_items + 1)
            items = tuple(f"{instrument.name}_{m}" for m in members)
            text = instrument.describe(scale.name)
            yield _spec(instrument, column, (*items, column), text, scale.unit)
        for name, levels in instrument.classes.items():
            words = ", ".join(f"{i} = {level}" for i, level in enumerate(levels))
            text = f"{instrument.title}: {words}{instrument.caveat}"
            column, sources = f"{instrument.name}_{name}", _every_source(instrument)
            yield _spec(instrument, column, sources, text, "class")
    for name, forms in pooled_forms().items():
        titles = "; ".join(form.title for form in forms)
        yield FeatureSpec(
            name,
            "psychosocial",
            "% of range",
            tuple(source for form in forms for source in _total_sources(form)),
            f"total in percent of its form's range ({titles}), the first form a row has: a "
            "harmonisation for pooling studies, not the same instrument",
        )


def _spec(
    instrument: Instrument, name: str, sources: tuple[str, ...], text: str, unit: str
) -> FeatureSpec:
    return FeatureSpec(
        name,
        cast(Family, instrument.family),
        unit,
        sources,
        text,
        block=instrument.name,
    )


def _every_source(instrument: Instrument) -> tuple[str, ...]:
    scores = tuple(instrument.scale_column(s) for s in instrument.scales)
    return (*instrument.item_columns(), *scores)


def _total_sources(instrument: Instrument) -> tuple[str, ...]:
    items = tuple(f"{instrument.name}_{m}" for m in instrument.scales["total"].members)
    return (*items, instrument.scale_column("total"))


QUESTIONNAIRES = Builder("questionnaires", tuple(_specs()), build_questionnaires)
