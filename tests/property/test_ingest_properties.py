"""What holds of reading and mapping whatever the table is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.units import MEASURES
from pipeline.column_match import match_columns
from pipeline.column_values import normalise
from pipeline.map_keys import alike
from pipeline.redcap import CHOICES, FIELD, KIND, read_labels
from pipeline.source_table import SourceTable, map_column
from pipeline.study_map import ColumnMap, ItemMap, parse_study_map
from pipeline.study_tables import build_cases, build_measurements, prepare_tables

FEW = settings(max_examples=25, deadline=None)
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


# Normalising is a projection: names that were normal stay as they are.
@FEW
@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(name):
    assert normalise(normalise(name)) == normalise(name)


# A dictionary is a list of pairs; writing the pairs in its syntax and reading them is no change.
@FEW
@given(st.dictionaries(st.integers(-9, 99), words, min_size=1))
def test_choices_are_read_as_they_are_written(choices):
    text = " | ".join(f"{code}, {label}" for code, label in choices.items())
    table = pd.DataFrame({FIELD: ["f"], KIND: ["radio"], CHOICES: [text]})

    assert read_labels(table, "d") == {"f": {alike(c): label for c, label in choices.items()}}


# A label stands for its code alone, so mapping by one or the other cannot differ.
@FEW
@given(st.dictionaries(st.integers(0, 50), words, min_size=1), st.data())
def test_mapping_by_label_equals_mapping_by_code(labels, data):
    labels = {code: f"word {code} {label}" for code, label in labels.items()}
    codes = data.draw(st.lists(st.sampled_from(sorted(labels)), min_size=1))
    as_text = {alike(code): label for code, label in labels.items()}
    source = SourceTable("t", pd.DataFrame({"c": codes}), {"c": as_text})
    by_code = {alike(code): f"level {code}" for code in labels}
    by_label = {alike(label): f"level {code}" for code, label in labels.items()}

    left = map_column(source, ColumnMap(("c",), values=by_code))
    right = map_column(source, ColumnMap(("c",), values=by_label))

    assert left.tolist() == right.tolist() == [f"level {c}" for c in codes]


@FEW
@given(st.integers(1, 99))
def test_an_item_pattern_names_the_item_and_pads_to_its_width(item):
    assert ItemMap("q{item}", already_reversed=False).column(item) == f"q{item}"
    assert ItemMap("q{item:02}", already_reversed=False).column(item) == f"q{item:02d}"


STUDY = dict.fromkeys(("name", "title", "citation", "doi", "licence", "download", "folder"), "x")
CASES = {
    "file": "f",
    "rows": ["id"],
    "constants": {"session_id": "s", "condition": "healthy", "modality": "rest"},
    "columns": {"participant_id": "id"},
}
CONSTANTS = {"measure": "ppt", "unit": "kPa", "site_role": "local", "timepoint": "pre"}


def readings_of(block, table):
    content = {
        "study": STUDY,
        "files": {"f": {"path": "f.csv"}},
        "cases": CASES,
        "measurements": [{"file": "f", "constants": CONSTANTS, **block}],
    }
    study_map = parse_study_map("x", content)
    sources, _ = prepare_tables(study_map, {"f": table}, {"f": "f.csv"})
    blocks = build_measurements(study_map, sources, build_cases(study_map, sources))
    return {
        (row.participant_id, int(row.trial)): float(row.value)
        for block in blocks
        for row in block.table.itertuples()
    }, blocks


# Wide and long are two ways to write the same readings.
@FEW
@given(
    st.lists(st.tuples(*[st.one_of(st.none(), st.integers(20, 2000))] * 3), min_size=1, max_size=6)
)
def test_a_stack_reads_a_wide_file_as_its_long_form(values):
    ids = [f"p{i}" for i in range(len(values))]
    wide = pd.DataFrame(values, columns=["a1", "a2", "a3"], dtype="float64").assign(id=ids)
    long = wide.melt("id", var_name="trial", value_name="v")
    long["trial"] = long["trial"].str[1:].astype(int)

    stacked, blocks = readings_of({"stack": {f"a{i}": {"trial": i} for i in (1, 2, 3)}}, wide)
    plain, _ = readings_of({"columns": {"value": "v", "trial": "trial"}}, long)

    assert stacked == plain
    # Nothing gets lost without being counted.
    assert sum(b.rows_read for b in blocks) == sum(len(b.table) + b.no_value for b in blocks)


# The set of values does not depend on the unit they are written in, so neither may the guess.
@FEW
@given(st.sampled_from(["kPa", "kgf/cm2", "N/cm2"]), st.integers(0, 10_000))
def test_a_unit_that_the_name_tells_is_found(unit, seed):
    names = {"kPa": "ppt_pre_kpa", "kgf/cm2": "ppt_pre_kgf", "N/cm2": "ppt_pre_n_cm2"}
    kpa = np.random.default_rng(seed).uniform(150, 700, 25)
    factor, _ = MEASURES["ppt"].conversion(unit)
    table = pd.DataFrame({"id": range(25), names[unit]: kpa / factor})

    readings = match_columns(SourceTable("t", table)).readings

    assert [(r.measure, r.unit) for r in readings] == [("ppt", unit)]


# Rules look at names and values, never at the order of the columns.
@FEW
@given(st.permutations(["id", "age", "sex", "weight", *(f"pcs_{i}" for i in range(1, 14))]))
def test_recognition_does_not_depend_on_the_order_of_columns(order):
    values = {"id": range(4), "age": [30] * 4, "sex": list("fmfm"), "weight": [70] * 4}
    values |= {f"pcs_{i}": [0, 1, 2, 4] for i in range(1, 14)}
    table = pd.DataFrame(values)

    def found(columns):
        matches = match_columns(SourceTable("t", table[columns]))
        return (
            {g.target: g.source for g in matches.guesses},
            [(b.instrument, b.pattern, b.sources) for b in matches.batteries],
            sorted(matches.unmatched),
        )

    assert found(order) == found(list(values))
