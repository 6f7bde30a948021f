"""The questionnaires of seeds/instruments.toml as data: items, scales, missing-item rules, bands.

An ordinary instrument is its declaration and nothing else. What no table of numbers can say
(the truncation of the IPAQ, the criterion for fibromyalgia) is a named rule, declared with
``rule = "..."`` and kept in :mod:`features.instrument_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.instrument_rules import RULES, Rule
from features.reference import load_reference

Vector = npt.NDArray[np.float64]
Status = Literal["verified", "unverified"]
KEYS_OF_AN_ENTRY = frozenset(
    {
        *("title", "items", "low", "high", "reversed", "ranges", "points", "continuous"),
        *("method", "total", "subscales", "scores", "max_missing", "missing", "bands", "classes"),
        *(
            "unit",
            "units",
            "higher",
            "family",
            "pooled",
            "column",
            "rule",
            "options",
            "source",
            "status",
        ),
        *("missing_source", "missing_status"),
    }
)


@dataclass(frozen=True)
class Item:
    """The answers an item can take: ``low``, ``low + step`` ... ``high``; any number at step 0.

    ``points`` holds what the possible answers count, in their order, where that is not the
    answer itself.
    """

    low: float
    high: float
    step: float = 1.0
    points: tuple[float, ...] = ()

    def span(self) -> tuple[float, float]:
        """Lowest and highest number of points."""
        return (min(self.points), max(self.points)) if self.points else (self.low, self.high)


@dataclass(frozen=True)
class Scale:
    """One score: the items it is made from, how, and how many of them may be missing.

    ``method`` is ``sum``, ``mean``, or ``rule`` for a score that the instrument's rule makes.
    ``low`` and ``high`` bound the score. ``bands`` are (lowest score, name) in rising order;
    ``tolerance`` is the rounding that a delivered score may show.
    """

    name: str
    members: tuple[int, ...]
    method: str
    max_missing: int
    low: float
    high: float
    bands: tuple[tuple[float, str], ...] = ()
    unit: str = "points"

    @property
    def tolerance(self) -> float:
        """Means are stored with one decimal, sums of whole points exactly."""
        return {"sum": 1e-6, "mean": 0.051}.get(self.method, 0.51)

    def score(self, points: Sequence[Vector]) -> Vector:
        """Score the members' points.

        Where at most ``max_missing`` of the scale's own items are missing, the score is that
        of the mean of the answered ones; beyond that, and where none is answered, NaN.
        """
        n_items, n_rows = len(self.members), len(points[0])
        missing = {member: np.isnan(points[member - 1]) for member in self.members}
        if sum(bool(gaps.all()) for gaps in missing.values()) > self.max_missing:
            return np.full(n_rows, np.nan)  # too many items that nobody was asked
        total = np.zeros(n_rows)
        answered = np.full(n_rows, n_items)
        for member, gaps in missing.items():
            if gaps.any():
                total += np.where(gaps, 0.0, points[member - 1])
                answered -= gaps
            else:
                total += points[member - 1]
        usable = (answered >= n_items - self.max_missing) & (answered > 0)
        safe = np.where(usable, answered, 1)
        # Complete rows keep the exact sum: (sum / n) * n may differ from it in the last bit.
        prorated = np.where(answered == n_items, total, total * n_items / safe)
        scored = prorated / n_items if self.method == "mean" else prorated
        return np.where(usable, scored, np.nan)

    def bounds(self, items: Sequence[Item], points: Sequence[Vector]) -> tuple[Vector, Vector]:
        """Lowest and highest score that the unanswered items still leave possible."""
        low, high = np.zeros(len(points[0])), np.zeros(len(points[0]))
        for member in self.members:
            span, values = items[member - 1].span(), points[member - 1]
            low += np.where(np.isnan(values), span[0], values)
            high += np.where(np.isnan(values), span[1], values)
        divisor = len(self.members) if self.method == "mean" else 1
        return low / divisor, high / divisor

    def band_of(self, scores: Vector) -> npt.NDArray[np.object_]:
        """Name of the band each score lies in; None where the score is missing."""
        names = np.array([None, *(name for _, name in self.bands)], dtype=object)
        lowest = np.array([bound for bound, _ in self.bands])
        # A mean of thirds can fall a few ulp short of the bound it equals.
        place = np.searchsorted(lowest, scores + 1e-9, side="right")
        return np.asarray(names[np.where(np.isnan(scores), 0, place)])


@dataclass(frozen=True)
class Instrument:
    """A scoring key. Items are numbered from 1; ``scales`` includes the total.

    ``column`` is the name under which a score that is delivered as one number is known;
    ``pooled`` a feature that several forms of one questionnaire share.
    """

    name: str
    title: str
    items: tuple[Item, ...]
    reversed_items: tuple[int, ...]
    scales: Mapping[str, Scale]
    source: str
    status: Status
    missing_source: str
    missing_status: Status
    higher: str = "worse"
    family: str = "psychosocial"
    pooled: str = ""
    column: str = ""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rule: Rule | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str) -> Instrument:
        """Return the instrument ``name`` of seeds/instruments.toml.

        Raises
        ------
        KeyError
            If it is not declared.
        """
        return {i.name: i for i in INSTRUMENTS}[name]

    @property
    def n_items(self) -> int:
        """Number of items of the form, scored or not."""
        return len(self.items)

    @property
    def low(self) -> float:
        """Lowest answer of any item."""
        return min((item.low for item in self.items), default=np.nan)

    @property
    def high(self) -> float:
        """Highest answer of any item."""
        return max((item.high for item in self.items), default=np.nan)

    def item_columns(self) -> tuple[str, ...]:
        """Names of the items in ``cases``."""
        return self._item_columns

    @cached_property
    def _item_columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{i}" for i in range(1, self.n_items + 1))

    def scale_column(self, scale: str) -> str:
        """Name of a score in ``cases`` and among the features."""
        return self.column or f"{self.name}_{scale}"

    def describe(self, scale: str) -> str:
        """Say in words what a score is."""
        what = self.title if self.column else f"{self.title}, {scale.replace('_', ' ')} score"
        return what + self.caveat

    @property
    def caveat(self) -> str:
        """What a description adds where the key is not verified."""
        return "" if self.status == "verified" else " (scoring key unverified)"

    def points(self, answers: Sequence[Vector]) -> list[Vector]:
        """Turn answers into points: recoded, and reversed items reversed (low + high - answer)."""
        counted = []
        for number, (item, given) in enumerate(zip(self.items, answers, strict=True), start=1):
            values = given
            if item.points:
                place = np.where(np.isnan(given), 0, (given - item.low) / (item.step or 1))
                table = np.array(item.points)
                inside = np.clip(place.astype(np.int64), 0, len(table) - 1)
                values = np.where(np.isnan(given), np.nan, table[inside])
            if number in self.reversed_items:
                values = item.low + item.high - values
            counted.append(values)
        return counted

    def score(self, answers: npt.NDArray[np.float64] | Sequence[Vector]) -> dict[str, Vector]:
        """Score answers as given, reversed items not yet reversed.

        Parameters
        ----------
        answers : ndarray of shape (n_rows, n_items), or its columns; NaN = missing
            In the order of the item numbers.

        Returns
        -------
        dict of scale name to ndarray of shape (n_rows,), in the instrument's unit; NaN where
        more items are missing than the scale's rule allows

        Examples
        --------
        Thirteen answers of 2 on the Pain Catastrophizing Scale:

        >>> pcs = Instrument.load("pcs")
        >>> pcs.score(np.full((1, 13), 2.0))["total"]
        array([26.])
        """
        columns = list(answers.T) if isinstance(answers, np.ndarray) else list(answers)
        points = self.points(columns)
        made = self.rule.scales(columns, self.options) if self.rule and self.rule.scales else {}
        return {
            name: made[name] if scale.method == "rule" else scale.score(points)
            for name, scale in self.scales.items()
        }

    def classify(
        self, answers: Sequence[Vector], scores: Mapping[str, Vector]
    ) -> dict[str, Vector]:
        """Return every class of the instrument as an ordinal from 0; NaN where it is unknown."""
        if self.rule is None or self.rule.classes is None:
            return {}
        return self.rule.classes(answers, scores, self.options)


# ---- reading declarations --------------------------------------------------------------------


def parse_instrument(name: str, form: Mapping[str, Any]) -> Instrument:
    """Read one entry of seeds/instruments.toml.

    Raises
    ------
    ValueError
        Naming the entry and the key that is unknown or impossible: a defect of the seeds.
    """
    unknown = sorted(set(form) - KEYS_OF_AN_ENTRY)
    if unknown:
        raise ValueError(f"instruments.toml, [{name}]: unknown key '{unknown[0]}'")
    for key in ("title", "items", "low", "high", "source", "status"):
        if key not in form:
            raise ValueError(f"instruments.toml, [{name}]: expected the key '{key}'")
    if form["status"] not in ("verified", "unverified"):
        raise ValueError(f"instruments.toml, [{name}]: status is verified or unverified")
    items = tuple(_item(form, number) for number in range(1, form["items"] + 1))
    reverse = tuple(form.get("reversed", ()))
    _check_members(name, "reversed", reverse, len(items))
    return Instrument(
        name=name,
        title=form["title"],
        items=items,
        reversed_items=reverse,
        scales={scale.name: scale for scale in _scales(name, form, items)},
        source=form["source"],
        status=form["status"],
        missing_source=form.get("missing_source", "this project's proposal"),
        missing_status=form.get("missing_status", "unverified"),
        rule=RULES[form["rule"]] if "rule" in form else None,
        classes={k: tuple(v) for k, v in form.get("classes", {}).items()},
        **{
            key: form[key]
            for key in ("higher", "family", "pooled", "column", "options")
            if key in form
        },
    )


def _item(form: Mapping[str, Any], number: int) -> Item:
    low, high = form["low"], form["high"]
    step = 0.0 if form.get("continuous", False) else 1.0
    low, high, *steps = form.get("ranges", {}).get(str(number), (low, high))
    points = tuple(map(float, form.get("points", {}).get(str(number), ())))
    return Item(float(low), float(high), float(steps[0]) if steps else step, points)


def _scales(name: str, form: Mapping[str, Any], items: Sequence[Item]) -> Iterator[Scale]:
    members = {k: tuple(v) for k, v in form.get("subscales", {}).items()}
    total = tuple(form.get("total", range(1, len(items) + 1)))
    if total:
        members["total"] = total
    for scale, (low, high) in form.get("scores", {}).items():
        members.pop(scale, None)
        yield Scale(scale, (), "rule", 0, float(low), float(high), *_named(form, scale))
    for scale, numbers in members.items():
        _check_members(name, scale, numbers, len(items))
        method = form.get("method", "sum")
        spans = [items[m - 1].span() for m in numbers]
        divisor = len(numbers) if method == "mean" else 1
        yield Scale(
            scale,
            numbers,
            method,
            form.get("missing", {}).get(scale, form.get("max_missing", 0)),
            sum(low for low, _ in spans) / divisor,
            sum(high for _, high in spans) / divisor,
            *_named(form, scale),
        )


def _named(form: Mapping[str, Any], scale: str) -> tuple[tuple[tuple[float, str], ...], str]:
    """Bands and unit of a score."""
    bands = form.get("bands", {}).get(scale, ())
    unit = form.get("units", {}).get(scale, form.get("unit", "points"))
    return tuple((float(low), str(band)) for low, band in bands), unit


def _check_members(name: str, key: str, numbers: Sequence[int], n_items: int) -> None:
    if any(n not in range(1, n_items + 1) for n in numbers) or len(set(numbers)) != len(numbers):
        raise ValueError(
            f"instruments.toml, [{name}], {key}: expected item numbers up to {n_items}, each once"
        )


INSTRUMENTS: tuple[Instrument, ...] = tuple(
    parse_instrument(name, form) for name, form in load_reference("instruments.toml").items()
)
