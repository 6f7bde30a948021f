"""The command ``trajectory``: on a made programme, on single bouts, and on the trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.cli import main

N = 80
WEEKS = (6, 12, 26)
CARD = {
    "study": {"name": "made", "title": "made", "simulated": True, "contrast": "randomised"},
    "outcome": {
        "reference": "pre",
        "subtract_rest": False,
        "sem_source": "stated",
        "stated_sem": [{"measure": "pain_nrs", "sem_single": 0.5, "source": "made"}],
        "endpoints": [
            {"name": "end", "measure": "pain_nrs", "site_role": "clinical", "timepoint": "week_6"}
        ],
    },
}


def write_programme(folder: Path) -> None:
    """Pain of 6 falls by 1, 2 and 3 in one arm, by nothing in the other; the last wave thins."""
    rng = np.random.default_rng(11)
    cases, rows = [], []
    for i in range(N):
        keys = {"study_id": "made", "participant_id": f"p{i:03d}", "session_id": "programme"}
        arm = "aerobic" if i % 2 else "isometric"
        cases.append(
            {**keys, "condition": "other", "modality": arm, "age_years": 30 + i % 40, "sex": "male"}
        )
        gain = (0, 0, 0) if i % 2 else (1, 2, 3)
        points = [("pre", 6.0), *((f"week_{w}", 6.0 - g) for w, g in zip(WEEKS, gain, strict=True))]
        for timepoint, value in points:
            if timepoint == "week_26" and i % 5 == 0:
                continue
            noisy = float(np.clip(value + 0.4 * rng.normal(), 0, 10))
            about = {"measure": "pain_nrs", "body_site": "knee", "site_role": "clinical"}
            rows.append(
                {
                    **keys,
                    **about,
                    "timepoint": timepoint,
                    "trial": 1,
                    "value": noisy,
                    "unit": "0-10",
                }
            )
    folder.mkdir()
    pd.DataFrame(cases).to_csv(folder / "cases.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "measurements.csv", index=False)
    (folder / "study.json").write_text(json.dumps(CARD), encoding="utf-8")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("programme")
    write_programme(folder / "made")
    arguments = ["trajectory", folder / "made", "--resamples", "100", "--output", folder / "out"]
    assert main([str(a) for a in arguments]) == 0
    content: dict[str, Any] = json.loads((folder / "out" / "trajectory.json").read_text())
    table = pd.read_csv(folder / "out" / "trajectory.csv")
    assert len(table) == len(content["figures"])
    return content


def figures(result: dict[str, Any], kind: str, **where: Any) -> list[dict[str, Any]]:
    """Pick figures by their labels."""
    return [
        f
        for f in result["figures"]
        if f["kind"] == kind and all(f[k] == v for k, v in where.items())
    ]


def test_trajectory_has_a_target_per_week(result: dict[str, Any]) -> None:
    assert [w["target"] for w in result["waves"]] == [f"change_at_week_{w}" for w in WEEKS]
    assert [w["n_seen"] for w in result["waves"]] == [N, N, N - N // 5]


def test_trajectory_recovers_the_means_of_both_groups(result: dict[str, Any]) -> None:
    means = {(m["group"], m["week"]): m for m in result["mixed"]["means"]}

    for gain, week in zip((1, 2, 3), WEEKS, strict=True):
        # A change has error 0.4 * 2**0.5 in 40 persons (32 at the last): standard error 0.1.
        for group, truth in (("isometric", gain), ("aerobic", 0)):
            assert abs(means[group, week]["estimate"] - truth) < 0.4
            weighted = figures(result, "weighted_mean", group=group, week=week)[0]
            assert abs(weighted["estimate"] - truth) < 0.4
            assert weighted["lower"] < weighted["estimate"] < weighted["upper"]


def test_trajectory_counts_dropout_as_one_of_the_states(result: dict[str, Any]) -> None:
    for week, unseen in zip(WEEKS, (0.0, 0.0, 0.2), strict=True):
        shares = figures(result, "seen_share", group="everybody", week=week)

        assert sum(s["estimate"] for s in shares) == pytest.approx(1.0)
        last = next(s for s in shares if s["state"] == "not_seen")
        assert last["estimate"] == pytest.approx(unseen)


def test_trajectory_names_every_figure_once(result: dict[str, Any]) -> None:
    labels = ("kind", "group", "week", "state", "next_state")
    found = [tuple(f[name] for name in labels) for f in result["figures"]]

    assert len(found) == len(set(found))


def test_trajectory_transitions_from_a_state_sum_to_one(result: dict[str, Any]) -> None:
    for week in WEEKS[:-1]:
        for state in ("hypoalgesia", "no_change"):
            found = figures(result, "transition", week=week, state=state)

            assert sum(f["estimate"] for f in found) == pytest.approx(1.0)


def test_trajectory_says_first_that_data_are_simulated(result: dict[str, Any]) -> None:
    assert result["sentences"][0] == "Simulated data."


def test_trajectory_refuses_single_bouts(tmp_path: Path, eih: Callable[..., Any]) -> None:
    write_programme(tmp_path / "made")
    path = tmp_path / "made" / "measurements.csv"
    rows = pd.read_csv(path)
    acute = rows[rows["timepoint"].isin(["pre", "week_6"])].replace({"week_6": "post"})
    acute.to_csv(path, index=False)

    said = eih("trajectory", tmp_path / "made")

    assert said.code == 13
    assert "expected follow-ups of pain_nrs, clinical, in weeks" in said.err


def test_trajectory_refuses_a_group_column_that_is_not_there(
    tmp_path: Path, eih: Callable[..., Any]
) -> None:
    write_programme(tmp_path / "made")

    said = eih("trajectory", tmp_path / "made", "--by", "nothing", "--resamples", "100")

    assert said.code == 11
    assert "expected the column 'nothing'" in said.err


@pytest.mark.realdata
@pytest.mark.slow
def test_trajectory_of_the_trial_counts_who_was_seen(
    real_study: Callable[[str], Path], tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "rct"
    source = real_study("cervical_radiculopathy_exercise_rct")
    name = "cervical_radiculopathy_rct"
    assert eih("ingest", name, "--source", source, "--output", folder).code == 0

    said = eih("trajectory", folder, "--resamples", "100", "--json", "-")

    found = json.loads(said.out)
    assert [w["week"] for w in found["waves"]] == [13, 26, 52, 104]
    assert [w["n_seen"] for w in found["waves"]] == [86, 73, 69, 64]
    assert (found["n_programmes"], found["n_without_reference"]) == (124, 20)
    assert not found["waves"][0]["monotone"]
