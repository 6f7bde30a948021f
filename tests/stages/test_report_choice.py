"""Report, choosing exercise: the same words as the command, its numbers, and gaps said as gaps."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pipeline import policy, report
from pipeline.config import Params
from pipeline.io import read_json, write_json
from pipeline.policy_words import METRICS, TARGETING
from pipeline.report_choice import policy_part

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("response", "hyperalgesia")
QUICK = replace(
    Params(),
    train=replace(Params().train, repeats=1, folds=3, inner_folds=2, jobs=1),
    policy=replace(Params().policy, c=(0.01, 0.1), refits=20, least_persons=4),
)


@pytest.fixture(scope="module")
def judged(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained study with a policy."""
    folder = tmp_path_factory.mktemp("judged") / "study"
    shutil.copytree(trained, folder)
    policy.run(QUICK, folder, folder / "policy")
    return folder


@pytest.fixture(scope="module")
def written(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its report."""
    output = tmp_path_factory.mktemp("report")
    report.run(Params().report, judged, TARGETS, output)
    return output


def rewritten(judged: Path, folder: Path, change: dict[str, Any]) -> Path:
    """A copy whose policy says something else."""
    shutil.copytree(judged, folder)
    path = folder / "policy" / METRICS
    path.write_text(json.dumps(read_json(path) | change))
    return folder


def test_report_says_of_policies_what_the_command_prints(
    judged: Path, written: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["policy"] |= {"c": [0.01, 0.1], "refits": 20, "least_persons": 4}
    settings["train"] |= {"repeats": 1, "folds": 3, "inner_folds": 2, "jobs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    command = ("policy", judged, "--output", tmp_path / "policy")

    said = eih(*command, "--params", tmp_path / "params.yaml")
    text = html.unescape((written / "index.html").read_text(encoding="utf-8"))

    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert f"<p>{line}</p>" in text


def test_every_exhibit_on_choosing_has_its_numbers_as_csv(judged: Path, written: Path) -> None:
    found = read_json(judged / "policy" / METRICS)

    values = pd.read_csv(written / "policy-values.csv").set_index("rule")
    assert len(values) == 4
    for rule, key in (("recommended by person", "individual"), ("as it was done", "as_done")):
        assert values.loc[rule, "utility_per_bout"] == found["value"][key]["estimate"]
    difference = values.loc["by person minus best on average"]
    assert difference["lower"] == found["against_average_best"]["lower"]
    overlap = pd.read_csv(written / "policy-overlap.csv")
    assert overlap["arm"].tolist() == found["arms"]
    curve = pd.read_csv(written / "policy-targeting.csv")
    pd.testing.assert_frame_equal(curve, pd.read_csv(judged / "policy" / TARGETING))
    areas = pd.read_csv(written / "policy-rate.csv")
    assert areas["area"].tolist() == [r["estimate"] for r in found["rate"]]


def test_every_curve_is_drawn_to_everybody_where_it_is_nothing(judged: Path) -> None:
    found = read_json(judged / "policy" / METRICS)

    curve = pd.read_csv(judged / "policy" / TARGETING)

    assert curve["arm"].unique().tolist() == [r["arm"] for r in found["rate"]]
    ends = curve[curve["share"] == 1.0]
    assert ends["estimate"].abs().max() < 1e-9
    assert (ends["upper"] - ends["lower"]).max() < 1e-9


def test_number_of_the_difference_comes_from_the_artefact(judged: Path, tmp_path: Path) -> None:
    folder = rewritten(
        judged,
        tmp_path / "study",
        {"against_average_best": {"estimate": 0.4321, "lower": 0.3123, "upper": 0.5519}},
    )

    part = policy_part(folder)

    assert "(utility per bout +0.432, 95 % +0.312 to +0.552" in part.sentences[0]
    row = ["by person minus best on average", "0.432", "0.312", "0.552"]
    assert part.exhibits[0].rows[-1] == row


def test_observational_study_is_headed_as_a_scenario_in_the_text_and_the_caption(
    judged: Path, tmp_path: Path
) -> None:
    wording = "associational scenario: who did which exercise was not drawn by lot"
    folder = rewritten(judged, tmp_path / "study", {"wording": wording})

    part = policy_part(folder)

    assert "Associational scenario: who did which" in part.sentences[0]
    assert part.exhibits[0].caption.startswith("Associational scenario.")


def test_policy_that_was_not_made_is_a_gap_with_its_command(trained: Path) -> None:
    part = policy_part(trained)

    folder = f"outputs/{trained.name}"
    assert part.missing == f"eih policy {folder} --output {folder}/policy"
    assert part.sentences == part.exhibits == []


def test_too_little_data_for_a_policy_is_said_and_leaves_no_exhibit(tmp_path: Path) -> None:
    write_json({"not_enough_data": "expected two, found one."}, tmp_path / "policy" / METRICS)

    part = policy_part(tmp_path)

    assert part.sentences == ["policy: not enough data, expected two, found one."]
    assert part.exhibits == []


def test_areas_and_curves_that_cannot_be_computed_are_not_drawn(
    judged: Path, tmp_path: Path
) -> None:
    rates = read_json(judged / "policy" / METRICS)["rate"]
    unknown = [r | {"estimate": None, "lower": None, "upper": None} for r in rates]
    folder = rewritten(judged, tmp_path / "study", {"rate": unknown})
    (folder / "policy" / TARGETING).unlink()

    part = policy_part(folder)

    assert [e.key for e in part.exhibits] == ["policy-values", "policy-overlap"]
