"""The command ``stratify``: on made persons, with a planted leak, and on real studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.cli import main

ROOT = Path(__file__).resolve().parents[2]
N = 160
CARD = {
    "study": {"name": "made", "title": "made", "simulated": True},
    "outcome": {
        "reference": "pre",
        "subtract_rest": False,
        "sem_source": "stated",
        "stated_sem": [{"measure": "pain_nrs", "sem_single": 0.5, "source": "made"}],
        "endpoints": [
            {"name": "end", "measure": "pain_nrs", "site_role": "clinical", "timepoint": "post"}
        ],
    },
}


def write_study(folder: Path, **more: Any) -> None:
    """Two clouds of persons; pain falls by 2 where catastrophising and fear are low."""
    rng = np.random.default_rng(8)
    cases, rows = [], []
    for i in range(N):
        keys = {"study_id": "made", "participant_id": f"p{i:03d}", "session_id": "s1"}
        high = i % 2
        pcs = float(np.clip(round((38 if high else 14) + 3 * rng.normal()), 0, 52))
        tsk = float(np.clip(round((47 if high else 28) + 3 * rng.normal()), 17, 68))
        before = 6 + 0.4 * rng.normal()
        cases.append(
            {
                **keys,
                "condition": "other",
                "modality": "aerobic",
                "pcs_total": pcs,
                "tsk17_total": tsk,
                **{name: function(before) for name, function in more.items()},
            }
        )
        after = before - (0 if high else 2) + 0.9 * rng.normal()
        for timepoint, value in (("pre", before), ("post", after)):
            about = {"measure": "pain_nrs", "body_site": "knee", "site_role": "clinical"}
            rows.append(
                {
                    **keys,
                    **about,
                    "timepoint": timepoint,
                    "trial": 1,
                    "value": float(np.clip(value, 0, 10)),
                    "unit": "0-10",
                }
            )
    folder.mkdir()
    pd.DataFrame(cases).to_csv(folder / "cases.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "measurements.csv", index=False)
    (folder / "study.json").write_text(json.dumps(CARD), encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strata") / "made"
    write_study(folder)
    return folder


@pytest.fixture(scope="module")
def result(made: Path) -> dict[str, Any]:
    out, page = made.parent / "out", made.parent / "page.md"
    arguments = ["stratify", made, "--resamples", "30", "--output", out, "--page", page]
    assert main([str(a) for a in arguments]) == 0
    content: dict[str, Any] = json.loads((out / "strata.json").read_text(encoding="utf-8"))
    groups = [g for grouping in content["groupings"] for g in grouping["groups"]]
    assert len(pd.read_csv(out / "strata.csv")) == len(groups)
    return content


def grouping(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Pick a grouping by its name."""
    return next(g for g in result["groupings"] if g["name"] == name)


def test_stratify_gives_each_predefined_group_its_outcome(result: dict[str, Any]) -> None:
    groups = grouping(result, "catastrophising_x_kinesiophobia")["groups"]
    both_low, both_high = groups[0], groups[3]

    assert sum(g["n_participants"] for g in groups) == N
    # Change has error 0.9 in about 80 persons: standard error 0.1.
    assert abs(both_low["change"]["estimate"] - 2) < 0.4
    assert abs(both_high["change"]["estimate"]) < 0.4
    for found in (both_low["change"], both_low["share"], both_high["share"]):
        assert found["lower"] < found["estimate"] < found["upper"]
    assert both_low["share"]["lower"] > both_high["share"]["upper"]


def test_stratify_gives_no_figures_of_a_group_of_nobody(result: dict[str, Any]) -> None:
    mixed = grouping(result, "catastrophising_x_kinesiophobia")["groups"][1:3]

    for group in mixed:
        assert group["n_participants"] < 5
        assert group["share"]["estimate"] is None
        assert group["share"]["reason_code"] == "small_cell"
    said = [s for s in result["sentences"] if s.startswith("catastrophising_x_kinesiophobia, ")]
    assert sum("persons, no figures (fewer persons" in s for s in said) == len(mixed)


def test_stratify_finds_the_two_clouds_and_finds_them_again(result: dict[str, Any]) -> None:
    found = grouping(result, "mixture")

    assert found["markers"] == ["pcs_total", "tsk17_total"]
    assert found["number"]["supported"] == found["number"]["used"] == 2
    assert [g["n_participants"] for g in found["groups"]] == [N / 2, N / 2]
    for group in found["groups"]:
        assert group["stability"]["jaccard"] > 0.95
        assert group["stability"]["word"] == "stable"
    assert found["groups"][0]["profile"]["pcs_total"] == pytest.approx(14, abs=1.5)


def test_stratify_compares_groups_with_the_markers_they_were_cut_from(
    result: dict[str, Any],
) -> None:
    for found in result["groupings"]:
        assert set(found["comparison"]["versus"]) == {"linear", "spline", "nothing"}
        nothing = found["comparison"]["versus"]["nothing"]
        assert nothing["log_loss_difference"]["upper"] < 0 < nothing["auc_difference"]["lower"]
        assert nothing["r2_difference"]["lower"] > 0
        assert found["groups_differ"]["p_value"] < 1e-6
        assert found["change_differs"]["p_value"] < 1e-6


def test_stratify_says_what_of_the_base_set_a_study_lacks(result: dict[str, Any]) -> None:
    # One condition and one modality tell nobody apart; age and sex were not measured.
    assert result["base"]["asked"] == []
    left_out = [n["name"] for n in result["base"]["left_out"]]
    assert left_out == ["age_years", "sex", "condition", "modality"]


def test_stratify_says_what_cannot_be_made_and_that_data_are_simulated(
    result: dict[str, Any],
) -> None:
    assert result["sentences"][0] == "Simulated data."
    assert [n["name"] for n in result["not_made"]] == ["modulation_x_sensitisation"]
    assert "capacity" in result["not_made"][0]["reason"]


def test_stratify_page_has_its_command_and_hides_small_groups(
    made: Path, result: dict[str, Any]
) -> None:
    page = (made.parent / "page.md").read_text(encoding="utf-8")

    assert page.startswith("# Simulated data: groups of persons in 'made'")
    assert f"$ eih stratify {made.as_posix()} --target response --endpoint end" in page
    small = [
        g
        for g in grouping(result, "catastrophising_x_kinesiophobia")["groups"]
        if 0 < g["n_participants"] < 5
    ]
    assert page.count("fewer than 5 |") == len(small)


def test_stratify_page_gives_no_count_that_the_small_ones_follow_from(
    made: Path, tmp_path: Path
) -> None:
    from pipeline.stratify_page import write_page
    from pipeline.stratify_source import Asked

    share = {"estimate": 0.25, "lower": 0.1, "upper": 0.5}
    counts = {"a": (29, 4), "b": (4, 1), "c": (21, 6), "d": (12, 3), "e": (30, 9)}
    groups = [
        {"name": name, "n_participants": n, "n_rows": n, "n_judged": n, "n_events": events}
        | {"share": share, "change": share}
        for name, (n, events) in counts.items()
    ]
    compared = {"verdict": "unknown", "versus": {}, "reason": ""}
    made_groups = {"name": "rule", "title": "rule", "kind": "predefined", "axes": []}
    made_groups |= {"n_rows_unknown": 0, "n_rows_compared": 96, "comparison": compared}
    result = {"study": "made", "simulated": False, "ingested": False, "target": "response"}
    result |= {
        "rule": "sem",
        "endpoint": "end",
        "base": {"asked": []},
        "splits": {"repeats": 1, "folds": 5},
    }
    result |= {"groupings": [made_groups | {"groups": groups}], "not_made": []}

    write_page([result], (made, Asked()), tmp_path / "page.md")

    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    rows = {r[2]: r for r in text.splitlines() if r.startswith(tuple(f"| {n} |" for n in counts))}
    assert rows["b"].startswith("| b | fewer than 5 |  | not given |")
    assert rows["d"].startswith("| d | not given |  | not given |")
    # A share of few events is not given either, but its group is counted.
    assert rows["a"].startswith("| a | 29 | 29 | not given |")
    assert rows["c"].startswith("| c | 21 | 21 | 25% (10% to 50%) |")
    assert rows["e"].startswith("| e | 30 | 30 | 25% (10% to 50%) |")


def test_stratify_makes_no_clusters_of_one_cloud_but_those_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    write_study(
        tmp_path / "made",
        age_years=lambda _: float(np.clip(45 + 10 * rng.normal(), 18, 90)),
        bmi_kg_m2=lambda _: float(np.clip(26 + 3 * rng.normal(), 15, 60)),
    )
    arguments = ["stratify", str(tmp_path / "made"), "--rule", "none", "--resamples", "20"]
    markers = ["--marker", "age_years", "--marker", "bmi_kg_m2"]

    assert main([*arguments, *markers, "--json", "-"]) == 0
    one = json.loads(capsys.readouterr().out)["groupings"][0]
    assert main([*arguments, *markers, "--clusters", "2"]) == 0

    assert one["number"]["supported"] == 1
    assert one["groups"] == []
    assert "2 were asked for and are arbitrary cuts" in capsys.readouterr().out


def test_stratify_refuses_a_marker_that_is_the_outcomes_own_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(tmp_path / "made", lab_threshold=lambda before: float(np.clip(before, 0, 10)))
    arguments = ["stratify", str(tmp_path / "made"), "--rule", "none"]

    code = main([*arguments, "--marker", "lab_threshold", "--marker", "pcs_total"])

    assert code == 11
    assert "lab_threshold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--rule", "zodiac"], 10, "rule: expected modulation_x_sensitisation"),
        (["--method", "zodiac"], 10, "method: expected mixture, kmeans, none"),
        (["--rule", "modulation_x_sensitisation"], 11, "axis 'capacity'"),
        (["--rule", "none", "--marker", "pcs_total"], 13, "two markers at least, found 1"),
    ],
)
def test_stratify_says_in_one_line_what_it_cannot_do(
    made: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert main(["stratify", str(made), *arguments]) == code

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.realdata
def test_trial_of_cervical_radiculopathy_is_grouped_by_published_cuts(
    real_study: Callable[..., Path], tmp_path: Path
) -> None:
    source = real_study("cervical_radiculopathy_exercise_rct")
    study, out = tmp_path / "rct", tmp_path / "out"
    ingest = ["ingest", "cervical_radiculopathy_rct", "--source", source, "--output", study]
    assert main([str(a) for a in ingest]) == 0

    assert main(["stratify", str(study), "--output", str(out)]) == 0

    result = json.loads((out / "strata.json").read_text(encoding="utf-8"))
    found = grouping(result, "catastrophising_x_kinesiophobia")
    assert [a["cut_by"] for a in found["axes"]] == ["published", "published"]
    assert [a["cut"] for a in found["axes"]] == [30.0, 37.0]
    assert found["n_participants"] == sum(g["n_participants"] for g in found["groups"])
    assert found["comparison"]["verdict"] == "undecided"
    # Questionnaires of one disorder make one cloud.
    assert grouping(result, "mixture")["number"]["supported"] == 1


@pytest.mark.realdata
def test_the_example_of_the_trial_is_what_the_command_prints(
    real_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_study("cervical_radiculopathy_exercise_rct")
    example = (ROOT / "docs" / "examples" / "strata_rct.md").read_text(encoding="utf-8")
    commands = [line[2:].split()[1:] for line in example.splitlines() if line.startswith("$ ")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "examples").mkdir(parents=True)

    assert [c[0] for c in commands] == ["ingest", "stratify"]
    for arguments in commands:
        assert main(arguments) == 0

    made = (tmp_path / "docs" / "examples" / "strata_rct.md").read_text(encoding="utf-8")
    assert made == example
