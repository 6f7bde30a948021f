"""The data dictionary: every column of the contract as text, made from the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from features.blocks import group_by_block
from features.build import BUILDERS, SPECS
from features.column import Column
from features.columns import CASES, MEASUREMENTS
from features.units import MEASURES

NUMBERED = re.compile(r"(.*_)(\d+)")
HEADER = """# Data dictionary and reference data

Generated from the contract by `eih dictionary`; do not edit. `known at` is the moment from which
a value can be known: a model refuses features known later than its decision time. Ranges are
plausibility limits: a value outside them is named by `eih validate` and goes no further.

Files here: `instruments.toml` (scoring keys), `exercise_intensity.toml` (intensity metrics and
classes), `conditions.toml` (condition groups), `modulation.toml` (published errors of
measurement), `qst_parameters.toml` (sensory testing), `biology.toml` (markers),
`simulator.toml` (the simulated study), `strata.toml` (groups of persons),
`column_synonyms.toml` (names that drafted maps know), `studies/` (maps of real studies). Facts
that were not read in a source are marked `unverified` or `proposal` there.
"""


def data_dictionary() -> str:
    """Return the dictionary of both tables, the measures and the features, as Markdown."""
    parts = [
        HEADER,
        "## `cases`: one row per person and bout, known before the bout\n",
        *_columns_table(CASES),
        "\n## `measurements`: one row per trial\n",
        *_columns_table(MEASUREMENTS),
        "\n## Measures and their units\n",
        *_measures_table(),
        "\n## Features\n",
        "What `eih featurize` makes of `cases`. Models learn from the roles stratum, baseline and",
        "predictor; alternative (another scale of a predictor) and quality (how well one was",
        "measured) are in the feature table only.\n",
        *_features_table(),
    ]
    return "\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _columns_table(columns: Iterable[Column]) -> Iterator[str]:
    head = ("column", "unit", "accepted", "known at", "what it is", "source")
    return _table(head, (_column_row(list(group)) for _, group in groupby(columns, _series_key)))


def _series_key(column: Column) -> tuple[object, ...]:
    """Alike for the items of one form, and for no other two columns."""
    match = NUMBERED.fullmatch(column.name)
    if match is None:
        return (column.name,)
    text = re.sub(rf"\b{match[2]}\b", "n", column.description)
    return (match[1], text, column.kind, column.unit, column.low, column.high, column.source)


def _column_row(columns: Sequence[Column]) -> tuple[str, ...]:
    first, last = columns[0], columns[-1]
    name, text = f"`{first.name}`", first.description
    if len(columns) > 1:
        number = first.name.rsplit("_", 1)[1]
        name = f"`{first.name}` to `{last.name}`"
        text = re.sub(rf"\b{number}\b", "n", text)
    need = " (required)" if first.required else ""
    return (name, first.unit, first.expected() + need, first.known_at, text, first.source)


def _measures_table() -> Iterator[str]:
    head = ("measure", "unit", "accepted", "other units read", "less pain", "primary scale")
    signs = {1: "higher", -1: "lower", 0: "no pain outcome"}
    return _table(
        head,
        (
            (
                f"`{m.name}`",
                m.unit,
                f"{m.low:g} to {m.high:g}",
                ", ".join(u for u in m.units if u != m.unit),
                signs[m.less_pain],
                m.primary_scale,
            )
            for m in MEASURES.values()
        ),
    )


def _features_table() -> Iterator[str]:
    family_of = {s.name: b.name for b in BUILDERS.values() for s in b.specs}
    specs = {s.name: s for s in SPECS}
    blocks = group_by_block(SPECS)
    head = ("feature", "family", "block", "role", "unit", "known at", "what it is")
    return _table(
        head,
        (
            (
                f"`{name}`",
                family_of[name],
                block,
                specs[name].role,
                specs[name].unit,
                specs[name].known_at,
                specs[name].description,
            )
            for block, names in blocks.items()
            for name in names
        ),
    )
