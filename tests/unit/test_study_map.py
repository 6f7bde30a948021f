"""A study map is read strictly: every fault of a map is one line that names its place."""

from __future__ import annotations

import copy
import re
import tomllib

import pytest

from features.reference import SEEDS
from pipeline.errors import ConfigError
from pipeline.ingest import find_source, load_study_map
from pipeline.map_keys import alike
from pipeline.study_folder import outcome_design
from pipeline.study_map import parse_study_map

MAPS = sorted((SEEDS / "studies").glob("*.toml"))
PEEP = tomllib.loads((SEEDS / "studies" / "peep.toml").read_text(encoding="utf-8"))
STUDY_KEYS = (
    "name, title, citation, doi, licence, download, folder, simulated, no_outcome, contrast"
)
TOP_KEYS = "study, files, cases, measurements, derive, set_missing, outcome, out_of_range"
CASES_KEYS = "file, rows, columns, where, join, constants, items, extra"
BLOCK_KEYS = "file, columns, where, constants, stack, distinct"
DERIVE_KEYS = "file, column, from, difference_within, ordered_by"
READINGS = (
    "participant_id, session_id, measure, body_site, site_role, timepoint, minutes_from_bout, "
    "trial, stimulus_level, value, unit"
)

# (place of the fault, what stands there (None: removed), the message after the map's name)
FAULTS = [
    ("surprise", {}, f": unknown key 'surprise'. Accepted keys: {TOP_KEYS}."),
    ("files", None, f": the key 'files' is missing. Accepted keys: {TOP_KEYS}."),
    ("study.nme", "x", f", study: unknown key 'nme'. Accepted keys: {STUDY_KEYS}."),
    ("study.doi", None, f", study: the key 'doi' is missing. Accepted keys: {STUDY_KEYS}."),
    ("study.doi", 5, ", study.doi: expected a text, found a number."),
    ("study.doi", "", ", study.doi: expected a text, found an empty one."),
    ("study.simulated", "no", ", study.simulated: expected true or false, found a text."),
    ("study", "peep", ", study: expected a table, found a text."),
    (
        "files.trials.sep",
        ";",
        ", files.trials: unknown key 'sep'. Accepted keys: path, delimiter, dictionary, "
        "number_rows, number_repeated, decimal_comma.",
    ),
    ("out_of_range", "drop", ", out_of_range: expected one of error, missing, found 'drop'."),
    ("cases.row", "x", f", cases: unknown key 'row'. Accepted keys: {CASES_KEYS}."),
    ("cases.file", "forms", ", cases.file: expected one of trials, found 'forms'."),
    ("cases.rows", [], ", cases.rows: expected a text or a list of texts, found an empty one."),
    (
        "cases.columns.drug",
        3,
        ", cases.columns.drug: expected a text or a list of texts, found a number.",
    ),
    (
        "cases.columns.sex.value",
        {},
        ", cases.columns.sex: unknown key 'value'. Accepted keys: from, values, scale, offset, "
        "labels, checked, several.",
    ),
    (
        "cases.columns.sex.values.0",
        True,
        ", cases.columns.sex.values.0: expected a text or a number, found true or false.",
    ),
    (
        "cases.columns.expectancy.scale",
        "ten",
        ", cases.columns.expectancy.scale: expected a number or a fraction such as '10/3'.",
    ),
    (
        "cases.where",
        {"who": []},
        ", cases.where.who: expected a value or a list of values, found an empty one.",
    ),
    ("cases.constants.sex", "male", ", cases: 'sex' is both in columns and in constants."),
    (
        "cases.constants.condition",
        None,
        ", cases: expected 'condition' in columns or constants.",
    ),
    (
        "cases.extra",
        {"age_years": "age"},
        ", cases.extra: 'age_years' is in the contract: map it in columns.",
    ),
    (
        "cases.join",
        [{"file": "trials"}],
        ", cases.join 1: the key 'on' is missing. Accepted keys: file, on, where, prefix.",
    ),
    (
        "cases.join",
        [{"file": "forms", "on": "id"}],
        ", cases.join 1.file: expected one of trials, found 'forms'.",
    ),
    (
        "cases.items",
        {"pcs": {"pattern": "q1", "already_reversed": False}},
        ", cases.items.pcs.pattern: expected a text with '{item}' in place of the number, "
        "found none.",
    ),
    (
        "cases.items",
        {"pcs": {"pattern": "q{item}"}},
        ", cases.items.pcs: the key 'already_reversed' is missing. "
        "Accepted keys: pattern, already_reversed, total.",
    ),
    ("measurements", {}, ", measurements: expected a list of tables, found an empty one."),
    (
        "measurements.0.wher",
        {},
        f", measurements 1: unknown key 'wher'. Accepted keys: {BLOCK_KEYS}.",
    ),
    (
        "measurements.0.columns.valu",
        "x",
        f", measurements 1.columns: 'valu' is not a column to map. Accepted keys: {READINGS}.",
    ),
    (
        "measurements.1.columns.value",
        None,
        ", measurements 2: expected 'value' in columns, found none.",
    ),
    (
        "measurements.1.constants.unit",
        None,
        ", measurements 2: expected 'unit' in columns or constants.",
    ),
    (
        "derive.0.ordered_by",
        None,
        f", derive 1: the key 'ordered_by' is missing. Accepted keys: {DERIVE_KEYS}.",
    ),
    (
        "set_missing.0.reason",
        None,
        ", set_missing 1: the key 'reason' is missing. "
        "Accepted keys: file, columns, reason, where, codes, outside.",
    ),
    (
        "set_missing.0.file",
        "logs",
        ", set_missing 1.file: expected one of trials, found 'logs'.",
    ),
]


@pytest.mark.parametrize(("place", "value", "message"), FAULTS)
def test_faults_of_a_map_are_one_line_that_names_the_place(place, value, message):
    content = copy.deepcopy(PEEP)
    *parents, last = place.split(".")
    section = content
    for key in parents:
        section = section[int(key)] if key.isdigit() else section[key]
    if value is None:
        del section[last]
    else:
        section[last] = value

    with pytest.raises(ConfigError, match="^" + re.escape(f"study map 'peep'{message}") + "$"):
        parse_study_map("peep", content)


@pytest.mark.parametrize("target", ["agee_years", "study_id"])
def test_a_column_the_contract_does_not_have_is_refused_with_those_it_has(target):
    content = copy.deepcopy(PEEP)
    content["cases"]["columns"][target] = "age"

    start = f"study map 'peep', cases.columns: '{target}' is not a column to map. Accepted keys: "
    with pytest.raises(ConfigError, match="^" + re.escape(start) + "participant_id, session_id, "):
        parse_study_map("peep", content)


def test_an_instrument_without_a_key_is_refused_with_those_that_have_one():
    content = copy.deepcopy(PEEP)
    content["cases"]["items"] = {"qqq": {"pattern": "q{item}", "already_reversed": False}}

    start = "study map 'peep', cases.items: expected one of pcs, tsk17, "
    with pytest.raises(ConfigError, match="^" + re.escape(start) + ".*, found 'qqq'.$"):
        parse_study_map("peep", content)


@pytest.mark.parametrize(
    ("left", "right"), [("24", 24.0), ("24.0", 24), (" 24", "24"), ("0.50", 0.5), ("1e3", 1000.0)]
)
def test_equal_numbers_are_alike_as_text_and_as_numbers(left, right):
    assert alike(left) == alike(right)


def test_ids_that_differ_in_leading_zeros_are_not_alike():
    assert alike("007") != alike("7")


# ---- maps as files ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", MAPS, ids=lambda p: p.stem)
def test_every_shipped_map_is_named_as_its_file_and_has_an_outcome_design_or_says_why_not(path):
    study_map = load_study_map(path.stem)

    assert study_map.study.name == path.stem
    measures = {b.constants["measure"] for _, b in study_map.blocks()}
    if study_map.study.no_outcome:
        assert not study_map.outcome
        return
    design = outcome_design(study_map.outcome, path.name)
    assert {e.measure for e in design.endpoints} <= measures


def test_a_map_is_found_by_path_too():
    path = SEEDS / "studies" / "peep.toml"

    assert load_study_map(str(path)) == load_study_map("peep")


def test_unknown_map_is_refused_with_the_known_ones():
    message = (
        "study map 'pepe': expected a path that ends in .toml or one of "
        f"{', '.join(p.stem for p in MAPS)}, found no such map."
    )
    with pytest.raises(ConfigError, match="^" + re.escape(message) + "$"):
        load_study_map("pepe")


def test_a_map_that_is_not_toml_is_refused_with_line_and_column(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[study\n")

    with pytest.raises(ConfigError, match=r"^study map '.*broken\.toml': expected TOML \(.*line 1"):
        load_study_map(str(path))


def test_source_is_sought_below_studies_then_in_the_variable(tmp_path, monkeypatch):
    study_map = load_study_map("peep")
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / study_map.study.folder).mkdir(parents=True)
    monkeypatch.setenv("EIH_STUDIES_DIR", str(elsewhere))

    assert find_source(study_map) == elsewhere / study_map.study.folder

    here = tmp_path / "studies" / study_map.study.folder
    here.mkdir(parents=True)
    assert find_source(study_map).resolve() == here


@pytest.mark.parametrize(("root", "unset"), [("", ", which is not set"), ("nowhere", "")])
def test_missing_source_names_both_places_and_the_download(tmp_path, monkeypatch, root, unset):
    study_map = load_study_map("peep")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EIH_STUDIES_DIR", root)

    message = (
        "study 'peep': expected its files in studies/eih_peep_nold2025 or in "
        f"$EIH_STUDIES_DIR/eih_peep_nold2025{unset}, found neither folder. "
        f"Download them from {study_map.study.download}"
    )
    with pytest.raises(ConfigError, match="^" + re.escape(message) + "$"):
        find_source(study_map)
