"""The form of the explorer: one field for every column of ``cases`` known before a bout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from features.columns import CASES, CASES_BY_NAME, KEYS, Column
from features.columns_biology import BIOLOGY_COLUMNS
from features.columns_exercise import EXERCISE_COLUMNS
from features.columns_modulation import MODULATION_COLUMNS, QST_COLUMNS
from features.columns_person import CONDITION_COLUMNS, PERSON_COLUMNS
from features.instruments import INSTRUMENTS
from models.bundle import Bundle

KNOWN_BEFORE = ("screening", "baseline")
# The three keys a row must have; one person is looked at, so that only a name is of use.
NAME = "participant_id"
UNNAMED = {"study_id": "explorer", NAME: "person", "session_id": "bout"}
# A form never needs more; anything longer is refused before it is read.
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Field:
    """One input of the form.

    ``used`` says whether a model reads the column; ``value`` is what was entered, as text.
    """

    column: Column
    used: bool
    value: str = ""
    error: str = ""

    @property
    def hint(self) -> str:
        """What may be entered, in the contract's words; '' where a list says it."""
        return "" if self.column.levels else self.column.expected()

    @property
    def label(self) -> str:
        """The column's name as words."""
        return self.column.name.replace("_", " ")


@dataclass(frozen=True)
class Section:
    """Fields shown together; ``is_open`` unfolds them."""

    title: str
    fields: tuple[Field, ...]
    is_open: bool

    @property
    def n_entered(self) -> int:
        """How many fields hold a value."""
        return sum(bool(f.value) for f in self.fields)


def sections(
    bundles: Mapping[str, Bundle], entered: Mapping[str, str], errors: Mapping[str, str]
) -> list[Section]:
    """Return the form, made from the contract.

    Parameters
    ----------
    bundles : mapping of target to Bundle
        Whose columns are marked as used.
    entered : mapping of column to text
    errors : mapping of column to message
    """
    used = used_columns(bundles.values())
    found = []
    for title, columns in _groups():
        fields = tuple(
            Field(c, c.name in used, entered.get(c.name, ""), errors.get(c.name, ""))
            for c in columns
            if c.known_at in KNOWN_BEFORE
        )
        needed = any(f.column.required or f.value or f.error for f in fields)
        found.append(Section(title, fields, needed or title == "Person"))
    return found


def _groups() -> Iterable[tuple[str, Iterable[Column]]]:
    yield "Exercise proposed", EXERCISE_COLUMNS
    yield "Person", PERSON_COLUMNS
    yield "Pain and condition", CONDITION_COLUMNS
    for instrument in INSTRUMENTS:
        scales = [
            CASES_BY_NAME[instrument.scale_column(s.name)] for s in instrument.scales.values()
        ]
        items = [CASES_BY_NAME[n] for n in instrument.item_columns()]
        yield instrument.title, [*scales, *items]
    yield "Pain modulation", MODULATION_COLUMNS
    yield "Sensory testing", QST_COLUMNS
    yield "Biology", BIOLOGY_COLUMNS


def used_columns(bundles: Iterable[Bundle]) -> frozenset[str]:
    """Names of the columns of ``cases`` from which a model's features are made."""
    return frozenset(
        source
        for bundle in bundles
        for spec in bundle.features
        if spec["name"] in bundle.feature_names
        for source in spec["sources"]
    )


def read_form(form: Mapping[str, str]) -> dict[str, str]:
    """Return what was entered: known columns with a text, stripped; nothing is judged here."""
    names = [NAME, *(c.name for c in CASES if c.name not in KEYS and c.known_at in KNOWN_BEFORE)]
    texts = {n: form.get(n, "").strip()[:LONGEST_TEXT] for n in names}
    return {n: text for n, text in texts.items() if text}


def one_case(entered: Mapping[str, str]) -> pd.DataFrame:
    """Return the row of ``cases`` that a form describes; cells are text, as in a CSV file."""
    required = {c.name: "" for c in CASES if c.required}
    return pd.DataFrame([required | UNNAMED | dict(entered)], dtype="object")
