"""Programmes over their weeks: followed, and one week's change as what is learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.cli import main
from pipeline.config import Params
from pipeline.io import read_table, write_table

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


@pytest.mark.parametrize(
    ("option", "column", "words"),
    [
        ("--known", "shoe_size", "expected the column 'shoe_size'"),
        ("--by", "participant_id", "expected at most 12 groups"),
    ],
)
def test_trajectory_refuses_columns_that_are_unknown_or_name_persons(
    tmp_path: Path, eih: Callable[..., Any], option: str, column: str, words: str
) -> None:
    write_programme(tmp_path / "trial")

    said = eih("trajectory", tmp_path / "trial", option, column)

    assert said.code == 11
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_trajectory_of_one_person_is_refused(tmp_path: Path, eih: Callable[..., Any]) -> None:
    folder = tmp_path / "trial"
    write_programme(folder)
    for name in ("cases", "measurements"):
        path = next(folder.glob(f"{name}.*"))
        table = read_table(path)
        write_table(table[table["participant_id"] == table["participant_id"].iloc[0]], path)

    said = eih("trajectory", folder)

    assert said.code == 13
    assert "expected at least 5 persons" in said.err


def write_params(small: Params, path: Path, endpoint: str, *, every_week: bool) -> None:
    """Quick settings that label every week and learn one."""
    train = replace(small.train, endpoint=endpoint, folds=2, logistic_c=(0.1,))
    chosen = replace(small, label=replace(small.label, every_week=every_week), train=train)
    path.write_text(json.dumps(asdict(chosen)), encoding="utf-8")


def stages(folder: Path, params: Path, eih: Callable[..., Any]) -> Any:
    """Label, featurize and train; return what the first that fails, or the last, has said."""
    features, outcomes = folder / "features.parquet", folder / "outcomes.parquet"
    common = ("--params", params)
    for command in (
        ("label", folder, "--output", outcomes),
        ("featurize", folder, "--output", features),
        ("train", "--features", features, "--outcomes", outcomes)
        + ("--target", "response", "--output", folder / "response"),
    ):
        said = eih(*command, *common)
        if said.code:
            break
    return said


def test_a_change_at_a_week_is_labelled_learnt_and_predicted(
    small: Params, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder, params = tmp_path / "made", tmp_path / "params.yaml"
    write_programme(folder)
    write_params(small, params, "change_at_week_26", every_week=True)

    said = stages(folder, params, eih)

    assert said.code == 0, said.err
    outcomes = pd.read_parquet(folder / "outcomes.parquet")
    assert set(outcomes["endpoint"]) == {"end", *(f"change_at_week_{w}" for w in WEEKS)}
    # The study's own endpoint stays the primary one.
    assert set(outcomes.loc[outcomes["is_primary"], "endpoint"]) == {"end"}
    record = json.loads((folder / "response" / "bundle" / "bundle.json").read_text())["record"]
    assert record["endpoint"] == "change_at_week_26"
    learnt = pd.read_parquet(folder / "response" / "train" / "predictions.parquet")
    assert learnt["participant_id"].nunique() == N - N // 5

    answer = tmp_path / "said.csv"
    model = folder / "response" / "train" / "candidates" / "logistic"
    asked = ("predict", "--model", model, "--input", folder / "cases.csv", "--output", answer)
    assert eih(*asked).code == 0
    predicted = pd.read_csv(answer).merge(pd.read_csv(folder / "cases.csv"))
    risks = predicted.groupby("modality")["p_response"].mean()
    # At week 26 pain has fallen by 3 in this arm and by nothing in the other.
    assert risks["isometric"] > risks["aerobic"] + 0.3


def test_a_week_that_is_not_labelled_cannot_be_learnt(
    small: Params, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    write_programme(tmp_path / "made")
    write_params(small, tmp_path / "params.yaml", "change_at_week_26", every_week=False)

    said = stages(tmp_path / "made", tmp_path / "params.yaml", eih)

    assert said.code == 10
    assert "expected the endpoint to be one of primary, end, found 'change_at_week_26'" in said.err


def test_every_week_of_a_study_without_weeks_is_refused(
    small: Params, study: Path, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    folder = tmp_path / "acute"
    folder.mkdir()
    measured = pd.read_parquet(study / "measurements.parquet")
    acute = measured[~measured["timepoint"].str.startswith("week_")]
    acute.to_parquet(folder / "measurements.parquet")
    for name in ("cases.parquet", "study.json"):
        shutil.copy(study / name, folder / name)
    write_params(small, tmp_path / "params.yaml", "primary", every_week=True)

    said = stages(folder, tmp_path / "params.yaml", eih)

    assert said.code == 13
    assert "expected follow-ups of ppt, local, in weeks" in said.err


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
