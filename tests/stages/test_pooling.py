"""Studies pool by stacking; what they do not share is said, and what they cannot share refused."""

from __future__ import annotations

import copy

import pandas as pd
import pytest

from pipeline.config import StudyParams
from pipeline.errors import ConfigError
from pipeline.pooling import ingest_all, pool
from pipeline.study import run
from pipeline.study_folder import read_card, read_cases, read_design, read_measurements

MAP = """
[study]
name = "{name}"
title = "Study {name}"
citation = "Nobody 2020"
doi = "10.0/{name}"
licence = "none"
download = "nowhere"
folder = "{name}"

[files.lab]
path = "lab.csv"

[cases]
file = "lab"
rows = ["id"]
constants = {{ session_id = "s", condition = "healthy", modality = "aerobic" }}
columns = {{ participant_id = "id", {columns} }}

[[measurements]]
file = "lab"
constants = {{ measure = "{measure}", site_role = "local", unit = "{unit}" }}
[measurements.stack]
before = {{ timepoint = "pre" }}
after = {{ timepoint = "post" }}

[outcome]
subtract_rest = false
sem_source = "{sem}"
[[outcome.endpoints]]
name = "{endpoint}"
measure = "{measure}"
site_role = "local"
timepoint = "post"
"""
DEFAULTS = {
    "columns": 'age_years = "age"',
    "measure": "ppt",
    "unit": "kPa",
    "sem": "trials",
    "endpoint": "ppt_local",
}


@pytest.fixture
def lab(tmp_path):
    """Write a study; return the path of its map."""

    def write(name, rows, **changes):
        folder = tmp_path / "studies" / name
        folder.mkdir(parents=True)
        table = pd.DataFrame(rows, columns=["id", "age", "site", "before", "after"])
        table.to_csv(folder / "lab.csv", index=False)
        path = tmp_path / f"{name}.toml"
        path.write_text(MAP.format(name=name, **(DEFAULTS | changes)))
        return str(path)

    return write


A = [("1", 30, "x", 300, 330), ("2", 40, "y", 200, 210)]
B = [("1", 50, "z", 3.0, 3.3), ("7", 60, "z", 4.0, 4.2)]
WITH_SITE = 'age_years = "age", site_id = "site"'


def test_pooled_studies_keep_study_and_site_and_one_unit(lab, tmp_path):
    maps = [lab("a", A), lab("b", B, columns=WITH_SITE, unit="kgf/cm2")]
    output = tmp_path / "pool"

    report = ingest_all(maps, [tmp_path / "studies"], output)

    cases, readings = read_cases(output), read_measurements(output)
    assert cases["study_id"].tolist() == ["a", "a", "b", "b"]
    assert cases["site_id"].fillna("").tolist() == ["", "", "z", "z"]
    assert set(readings["unit"]) == {"kPa"}
    of_b = readings[(readings["study_id"] == "b") & (readings["timepoint"] == "pre")]
    assert of_b["value"].tolist() == pytest.approx([3.0 * 98.0665, 4.0 * 98.0665])
    assert (report["participants"], report["bouts"], report["measurements"]) == (4, 4, 8)
    assert report["common_columns"] == ["age_years"]


def test_equal_identifiers_of_two_studies_stay_two_persons(lab, tmp_path, eih):
    ingest_all([lab("a", A), lab("b", B, unit="kgf/cm2")], [tmp_path / "studies"], tmp_path / "p")

    said = eih("label", tmp_path / "p", "--output", tmp_path / "o.parquet")
    assert said.code == 0
    outcomes = pd.read_parquet(tmp_path / "o.parquet").set_index(["study_id", "participant_id"])
    assert len(outcomes) == 4
    assert outcomes.loc[("a", "1"), "change_absolute"] == pytest.approx(330 - 300)
    assert outcomes.loc[("b", "1"), "change_absolute"] == pytest.approx((3.3 - 3.0) * 98.0665)


def test_a_pool_of_one_design_has_the_shared_endpoint_first_and_says_whose_each_is(lab, tmp_path):
    own = MAP.split("[[outcome.endpoints]]")[1].replace("{endpoint}", "own").format(**DEFAULTS)
    first = lab("a", A)
    second = lab("b", B, unit="kgf/cm2")
    with open(first, "a") as handle:
        handle.write(f"[[outcome.endpoints]]{own}")

    ingest_all([first, second], [tmp_path / "studies"], tmp_path / "p")

    assert [e.name for e in read_design(tmp_path / "p").endpoints] == ["ppt_local", "own"]
    card = read_card(tmp_path / "p")
    assert card["endpoint_studies"] == {"ppt_local": ["a", "b"], "own": ["a"]}
    assert card["study"]["name"] == "a+b"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sem": "rest"}, "outcomes that the studies define differently (sem_source)"),
        ({"endpoint": "other"}, "studies without an endpoint in common"),
        (
            {"measure": "pressure_tolerance"},
            "endpoint 'ppt_local', which the studies define differently",
        ),
    ],
)
def test_a_pool_without_a_common_outcome_goes_in_but_is_not_labelled(
    lab, tmp_path, eih, changes, reason
):
    maps = [lab("a", A), lab("b", [(i, a, s, 300, 310) for i, a, s, _, _ in B], **changes)]

    said = eih("ingest", *maps, "--source", tmp_path / "studies", "--output", tmp_path / "p")
    assert said.code == 0
    assert f"no outcome for the pool: {reason}" in said.out

    said = eih("label", tmp_path / "p", "--output", tmp_path / "o.parquet")
    assert said.code == 13
    assert reason in said.err


@pytest.mark.parametrize(("which", "reason"), [("b", "b without one"), ("ab", "that have none")])
def test_a_pool_with_a_study_that_has_no_outcome_says_which(lab, tmp_path, which, reason):
    maps = {"a": lab("a", A), "b": lab("b", B, unit="kgf/cm2")}
    for name in which:
        path = tmp_path / f"{name}.toml"
        head = path.read_text().split("[outcome]")[0]
        path.write_text(head.replace("[files.lab]", 'no_outcome = "none measured"\n\n[files.lab]'))

    report = ingest_all(list(maps.values()), [tmp_path / "studies"], tmp_path / "p")

    assert reason in report["no_outcome"]


def test_studies_with_nothing_in_common_are_refused(lab, tmp_path, eih):
    one = lab("a", A)
    two = lab("b", B, columns='weight_kg = "age"', measure="pressure_tolerance", unit="kgf/cm2")

    said = eih("ingest", one, two, "--source", tmp_path / "studies", "--output", tmp_path / "p")

    assert said.code == 10
    assert said.err.strip() == (
        "studies a, b: expected a predictor or a measure that all have, found none: there is "
        "nothing to pool."
    )
    assert not (tmp_path / "p").exists()


def test_two_forms_of_one_questionnaire_are_something_in_common(lab, tmp_path, monkeypatch):
    forms = {
        "tsk11": {"pooled": "tsk_percent_of_range"},
        "tsk17": {"pooled": "tsk_percent_of_range"},
    }
    one = lab("a", A, columns='tsk17_total = "age"')
    two = lab("b", B, columns='tsk11_total = "age"', measure="pressure_tolerance", unit="kgf/cm2")
    two_path = tmp_path / "studies" / "b" / "lab.csv"
    two_path.write_text(two_path.read_text().replace("50", "20").replace("60", "30"))
    monkeypatch.setattr("pipeline.pooling.load_reference", lambda name: forms)

    report = ingest_all([one, two], [tmp_path / "studies"], tmp_path / "p")

    assert report["common_columns"] == ["tsk_percent_of_range"]


def test_a_study_named_twice_is_refused(lab, tmp_path):
    path = lab("a", A)

    with pytest.raises(ConfigError, match="expected each study once, found 'a' again"):
        ingest_all([path, path], [tmp_path / "studies"], tmp_path / "p")


def test_sources_go_one_per_study_or_one_for_all(lab, tmp_path):
    maps = [lab("a", A), lab("b", B, unit="kgf/cm2")]
    folders = [tmp_path / "studies" / n for n in ("a", "b")]

    each = ingest_all(maps, folders, tmp_path / "p")
    together = ingest_all(maps, [tmp_path / "studies"], tmp_path / "q")

    assert each == together
    with pytest.raises(ConfigError, match=r"one folder per study \(2\).*found 3"):
        ingest_all(maps, [*folders, tmp_path], tmp_path / "r")


def test_pooling_changes_neither_the_studies_nor_their_order(lab, tmp_path):
    from pipeline.ingest import read_study

    maps = [lab("a", A), lab("b", B, columns=WITH_SITE, unit="kgf/cm2")]
    studies = [
        read_study(m, tmp_path / "studies" / n) for m, n in zip(maps, ("a", "b"), strict=True)
    ]
    before = copy.deepcopy(studies[0].cases)

    pooled = pool(studies)

    pd.testing.assert_frame_equal(studies[0].cases, before)
    for study in studies:
        own = pooled.cases[pooled.cases["study_id"] == study.report["study"]]
        pd.testing.assert_frame_equal(
            own[study.cases.columns].reset_index(drop=True), study.cases, check_dtype=False
        )


def test_the_stage_pools_the_studies_that_its_name_joins(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.study.ingest_all", lambda *args: {"called": args})

    report = run(StudyParams(name="a+b", source="here"), tmp_path)

    assert report["called"][0] == ["a+b"]
    with pytest.raises(ConfigError, match="study map 'nosuch'"):
        ingest_all(["peep+nosuch"], [tmp_path], tmp_path / "p")
