"""The stage ``check`` on a small simulated study: artefact, lines, report, muting, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from models.check_list_models import CHECKS
from models.errors import LeakageError
from pipeline import check, report, train
from pipeline.check_detectors import STUDY_DETECTORS, TARGET_DETECTORS
from pipeline.check_results import in_words
from pipeline.config import CheckParams, Params
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
# What a simulated study of 90 people, five labs and two targets rightly has.
EXPECTED = {"EIH031", "EIH033", "EIH035", "EIH039", "EIH042", "EIH047", "EIH053", "EIH054"}


@pytest.fixture(scope="module")
def found(trained: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the checks find in the small study."""
    output = tmp_path_factory.mktemp("checks") / "checks.json"
    check.run(small, trained, output)
    content: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return content


def codes(content: dict[str, Any], *severities: str) -> set[str]:
    """Codes that were found, of some severities or of all."""
    wanted = severities or ("error", "warning", "note")
    return {f["code"] for f in content["findings"] if f["severity"] in wanted}


def with_mute(params: Params, **mute: Any) -> Params:
    return replace(params, check=CheckParams(mute))


def copy_of(trained: Path, folder: Path) -> Path:
    """A copy of the study that a test may spoil."""
    shutil.copytree(trained, folder / "study", ignore=shutil.ignore_patterns("truth"))
    return folder / "study"


def test_an_honest_study_has_no_error_and_only_the_warnings_it_deserves(
    found: dict[str, Any],
) -> None:
    assert codes(found, "error") == set()
    assert codes(found) <= EXPECTED
    assert {"EIH033", "EIH035", "EIH039"} <= codes(found)


def test_every_check_is_accounted_for_once_per_target(found: dict[str, Any], small: Params) -> None:
    seen = [(f["code"], f["target"]) for f in found["findings"]]
    rest = [(c["code"], c["target"]) for c in [*found["clear"], *found["not_looked_at"]]]
    expected = {(c, "") for c in STUDY_DETECTORS}
    expected |= {(c, t) for c in TARGET_DETECTORS for t in small.targets}

    assert set(seen) | set(rest) == expected
    assert len(rest) == len(set(rest))
    assert not set(seen) & set(rest)


def test_what_was_not_run_is_named_as_not_looked_at(found: dict[str, Any]) -> None:
    reasons = {u["code"]: u["reason"] for u in found["not_looked_at"]}

    assert reasons == {"EIH038": "no result of eih stability", "EIH055": "no result of eih audit"}


def test_lines_say_first_that_the_study_is_simulated_and_one_line_a_finding(
    found: dict[str, Any],
) -> None:
    lines = list(in_words(found))

    assert lines[0].startswith("Simulated data")
    assert len(lines) == 2 + len(found["findings"])
    for line, finding in zip(lines[1:-1], found["findings"], strict=True):
        assert line.startswith(f"{finding['code']} {finding['severity']} {finding['name']}")
        assert line.endswith(f"[docs/checks.md#{finding['code'].lower()}]")


def test_a_muted_check_is_recorded_with_its_reason_and_shown_in_the_report(
    trained: Path, small: Params, tmp_path: Path
) -> None:
    folder = copy_of(trained, tmp_path)
    reason = "Planning run <only>."
    params = with_mute(small, EIH035=reason, EIH012="No percent here.")
    params = replace(params, targets=("response",))

    content = check.run(params, folder, folder / "checks.json")
    page = report.run(small.report, folder, small.targets, tmp_path / "report").read_text()

    assert {f["muted"] for f in content["findings"] if f["code"] == "EIH035"} == {reason}
    assert content["muted"] == [
        {"code": "EIH012", "reason": "No percent here.", "n_findings": 0},
        {"code": "EIH035", "reason": reason, "n_findings": 1},
    ]
    assert content["counts"]["muted"] == 1
    assert "Muted: Planning run &lt;only&gt;." in page
    assert "EIH012 is muted (No percent here.) and found nothing." in page
    for finding in content["findings"]:
        assert f">{finding['code']}</th>" in page


def test_a_report_without_checks_says_that_they_were_not_run(
    trained: Path, small: Params, tmp_path: Path
) -> None:
    page = report.run(small.report, trained, small.targets, tmp_path).read_text()

    assert "The checks were not run" in page


@pytest.mark.parametrize(
    ("mute", "message"),
    [
        ({"EIH999": "why"}, "check, mute: expected the code of a check"),
        ({"EIH013": ""}, "check, mute: EIH013: expected the reason"),
        ({"EIH001": "why"}, "which training refuses"),
        (["EIH013"], "check, mute: expected codes with reasons"),
    ],
)
def test_muting_what_may_not_be_muted_ends_with_10(
    mute: Any, message: str, study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["check"]["mute"] = mute
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(content), encoding="utf-8")

    said = eih("check", study, "--output", tmp_path / "checks.json", "--params", params)

    assert said.code == 10
    assert message in said.err
    assert not (tmp_path / "checks.json").exists()


def test_a_leak_is_refused_by_training_with_its_code_and_found_by_check(
    study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = copy_of(study, tmp_path)
    for target in Params().targets:
        shutil.rmtree(folder / target, ignore_errors=True)
    features = pd.read_parquet(folder / "features.parquet")
    features.assign(pain_the_day_after=1.0).to_parquet(folder / "features.parquet")
    tables = ("--features", folder / "features.parquet", "--outcomes", folder / "outcomes.parquet")

    refused = eih("train", *tables, "--target", "response", "--output", tmp_path / "out")
    checked = eih("check", folder, "--output", tmp_path / "checks.json", "--strict")

    assert refused.code == checked.code == 11
    assert refused.err.rstrip().endswith("[EIH022, docs/checks.md]")
    assert "EIH022 error undeclared-feature: no builder declares pain_the_day_after." in checked.out
    assert "expected no errors, found 1 (EIH022)" in checked.err
    # Nothing was trained: what could not be looked at says so, and is not taken for clear.
    content = json.loads((tmp_path / "checks.json").read_text(encoding="utf-8"))
    assert {"EIH001", "EIH006", "EIH027", "EIH051"} <= {u["code"] for u in content["not_looked_at"]}


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("EIH002", "a person comes again"),
        ("EIH017", "columns are left out"),
        ("EIH051", "data change after training"),
        ("EIH052", "a bundle is of another contract"),
    ],
)
def test_faults_in_the_files_of_a_trained_study_are_found(
    code: str, spoil: str, trained: Path, small: Params, tmp_path: Path
) -> None:
    folder = copy_of(trained, tmp_path)
    features = pd.read_parquet(folder / "features.parquet")
    if spoil == "a person comes again":
        _repeat_a_person(folder)
    elif spoil == "columns are left out":
        features.drop(columns="pcs_total").to_parquet(folder / "features.parquet")
    elif spoil == "data change after training":
        older = features.assign(age_years=features["age_years"] + 1)
        older.to_parquet(folder / "features.parquet")
    else:
        path = folder / "response" / "bundle" / "bundle.json"
        path.write_text(path.read_text().replace('"target"', '"target" '), encoding="utf-8")

    content = check.run(replace(small, targets=("response",)), folder, tmp_path / "checks.json")

    assert code in codes(content)


def _repeat_a_person(folder: Path) -> None:
    """Every table gets one person a second time, under another name."""
    for name in ("features", "outcomes", "cases"):
        path = folder / f"{name}.parquet"
        table = pd.read_parquet(path)
        first = pd.read_parquet(folder / "outcomes.parquet")["participant_id"].iloc[0]
        twin = table[table["participant_id"] == first].assign(participant_id="TWIN")
        pd.concat([table, twin], ignore_index=True).to_parquet(path)


def test_training_names_the_code_of_a_person_under_two_names(
    study: Path, small: Params, tmp_path: Path
) -> None:
    folder = copy_of(study, tmp_path)
    _repeat_a_person(folder)
    tables = (folder / "features.parquet", folder / "outcomes.parquet")

    with pytest.raises(LeakageError, match="found 1 pairs of participants") as caught:
        train.run(small.train, tables, "response", tmp_path / "out")

    assert caught.value.code == "EIH002"


def test_a_study_that_only_has_cases_is_checked_as_far_as_it_goes(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "begun"
    folder.mkdir()
    shutil.copy(trained / "cases.parquet", folder / "cases.parquet")

    content = check.run(Params(), folder, tmp_path / "checks.json")

    looked = {c["code"] for c in content["clear"]} | codes(content)
    numbers = (20, 39, 40, 41, 44, 45, 46, 47)
    assert looked == {f"EIH{n:03d}" for n in numbers}
    assert set(CHECKS) - looked == {u["code"] for u in content["not_looked_at"]}


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_a_study_is_no_clean_study(
    made: bool, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "typo"
    if made:
        folder.mkdir()

    said = eih("check", folder, "--output", tmp_path / "checks.json")

    assert said.code == 11
    expected = "expected the output folder of a study (cases or features), found neither"
    assert (expected if made else "expected a folder, found nothing there") in said.err
    assert not (tmp_path / "checks.json").exists()


def test_a_mute_that_is_no_mapping_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected codes with reasons"):
        check.run(
            replace(Params(), check=CheckParams(["EIH013"])),  # type: ignore[arg-type]
            tmp_path / "nowhere",
            tmp_path / "checks.json",
        )
