"""The whole pipeline on many simulated studies: resumable, the same with any number of jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joblib import parallel_config

from pipeline import rehearse
from pipeline.config import Params
from pipeline.rehearse import Design, fingerprint, run
from pipeline.simulate import NOTE

DESIGN = Design("base", 60, population=200)


@pytest.fixture(scope="module")
def finished(small_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of one design, rehearsed. Read only."""
    folder = tmp_path_factory.mktemp("rehearsal")
    run([DESIGN], small_params, folder, runs=2)
    return folder


@pytest.fixture(scope="module")
def small_params() -> Params:
    defaults = Params()
    learning = replace(
        defaults.train, repeats=1, folds=3, inner_folds=2, stratum_prior_strength=(8.0,),
        logistic_c=(0.03,), xgboost_max_depth=(1,), xgboost_n_estimators=(10,),
    )  # fmt: skip
    return replace(defaults, train=learning, evaluate=replace(defaults.evaluate, resamples=50))


def lines(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_rehearsed_study_holds_the_verdict_and_every_candidate_s_truth(finished: Path) -> None:
    for line in lines(finished):
        assert set(line) == {"seed", "selected", "promoted", "auc"}
        assert set(line["auc"]) >= {"prevalence", "stratum", "baseline", "logistic", "xgboost"}
        assert line["auc"]["prevalence"]["true"] == 0.5
        assert all(0 < figures["true"] < 1 for figures in line["auc"].values())


def test_the_results_say_on_their_first_line_that_they_are_simulated(finished: Path) -> None:
    text = (finished / "operating_characteristics.md").read_text()

    assert text.splitlines()[0] == f"**{NOTE}**"
    assert json.loads((finished / "operating_characteristics.json").read_text())["note"] == NOTE


def test_a_stopped_rehearsal_goes_on_and_repeats_nothing(
    finished: Path, small_params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = finished.glob("*.jsonl")
    first, second = source.read_text().splitlines()
    # Killed while it wrote its second line.
    (tmp_path / source.name).write_text(f"{first}\n{second[:40]}")
    asked: list[int] = []
    one = rehearse.rehearse_study

    def watched(design: Design, params: Params, seed: int) -> dict[str, Any]:
        asked.append(seed)
        return one(design, params, seed)

    monkeypatch.setattr(rehearse, "rehearse_study", watched)
    with parallel_config(backend="threading"):
        again = run([DESIGN], small_params, tmp_path, runs=2)

    missing = {json.loads(first)["seed"], json.loads(second)["seed"]} - {json.loads(first)["seed"]}
    assert set(asked) == missing
    assert [line["seed"] for line in lines(tmp_path)] == [json.loads(first)["seed"], *missing]
    whole = json.loads((finished / "operating_characteristics.json").read_text())
    assert (
        json.loads(json.dumps(again["designs"][0]["selected"])) == whole["designs"][0]["selected"]
    )


@pytest.mark.slow
def test_two_processes_give_what_one_gives(
    finished: Path, small_params: Params, tmp_path: Path
) -> None:
    run([DESIGN], small_params, tmp_path, runs=2, jobs=2)

    for name in ("operating_characteristics.json", "operating_characteristics.md"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()


def test_a_design_with_too_few_events_is_counted_and_no_study_is_lost(
    small_params: Params, tmp_path: Path
) -> None:
    found = run([Design("base", 3, population=100)], small_params, tmp_path, runs=1)

    assert found["designs"][0]["n_not_enough_data"] == 1
    assert found["designs"][0]["promoted"]["n"] == 0


def test_the_fingerprint_changes_with_whatever_changes_a_study(small_params: Params) -> None:
    other = replace(small_params, train=replace(small_params.train, folds=4))
    jobs = replace(small_params, train=replace(small_params.train, jobs=7))

    own = fingerprint(DESIGN, small_params)
    assert own != fingerprint(replace(DESIGN, overrides={"response.sigma": 0.2}), small_params)
    assert own != fingerprint(DESIGN, other)
    assert own == fingerprint(DESIGN, jobs)


def test_a_leak_shows_as_bias(
    small_params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A planted fault: risks are judged as if they came from models that had seen the outcome.
    judge = rehearse.evaluate.run_ladder

    def flattering(*arguments: Any) -> dict[str, Any]:
        metrics = judge(*arguments)
        for figures in metrics["candidates"].values():
            figures["auc"] |= {"estimate": 0.95, "lower": 0.93, "upper": 0.97}
        return metrics

    monkeypatch.setattr(rehearse.evaluate, "run_ladder", flattering)
    with parallel_config(backend="threading"):
        found = run([DESIGN], small_params, tmp_path, runs=1)["designs"][0]["auc"]["logistic"]

    assert found["bias"] > 0.2
    assert found["coverage_conditional"]["successes"] == 0


@pytest.mark.parametrize("text", ["", "ten", "100,", "0", "-5", "1.5"])
def test_persons_that_are_no_whole_numbers_are_one_line_and_10(
    text: str, tmp_path: Path, eih: Callable[..., Any]
) -> None:
    said = eih("rehearse", "--participants", text, "--output", tmp_path)

    assert said.code == 10
    assert said.err == f"--participants: expected whole numbers from 1, found '{text}'.\n"
