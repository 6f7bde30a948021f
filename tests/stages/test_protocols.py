"""The validation protocols as commands: results, files, and runs that are killed and go on."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline import report
from pipeline.config import Params, ReportParams
from pipeline.protocol_sections import protocol_sections
from pipeline.resume import LineStore, fingerprint

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def folder(study: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small study, and the settings it is trained with, beside it."""
    copy = tmp_path_factory.mktemp("protocols") / "small"
    copy.mkdir()
    for path in study.iterdir():
        if path.is_file():
            shutil.copy(path, copy / path.name)
    (copy.parent / "params.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(asdict(small)))))
    return copy


@pytest.fixture
def ask(folder: Path, eih: Callable[..., object]) -> Callable[..., dict[str, object]]:
    """Run a protocol on the small study and return its JSON."""

    def run(command: str, *options: str) -> dict[str, object]:
        params = folder.parent / "params.yaml"
        said = eih(command, folder, "--params", params, "--json", "-", *options)
        assert said.code == 0, said.err  # type: ignore[attr-defined]
        return json.loads(said.out)  # type: ignore[attr-defined,no-any-return]

    return run


def test_optimism_says_what_to_quote_and_counts_its_resamples(ask, folder: Path) -> None:
    found = ask("optimism", "--resamples", "8")

    assert (found["n_resamples"], found["n_successful"], found["failures"]) == (8, 8, {})
    assert found["headline"]["method"] in ("Harrell optimism", ".632+")
    auc = found["metrics"]["auc"]
    assert auc["corrected"] == pytest.approx(auc["apparent"] - auc["optimism"])
    written = json.loads((folder / "response/protocols/optimism_logistic.json").read_text())
    assert written == found


def test_stability_reads_the_run_of_optimism_and_more_resamples_continue_it(
    ask, folder: Path
) -> None:
    ask("optimism", "--resamples", "6")
    run = folder / "response" / "protocols" / "bootstrap_logistic.jsonl"
    before = run.read_text()

    found = ask("stability", "--resamples", "9")

    assert run.read_text().startswith(before)
    assert found["n_successful"] == 9
    assert not found["enough_resamples"]
    rows = pd.read_parquet(run.parent / "stability_logistic.parquet")
    assert len(rows) == found["n_rows"]
    assert rows["mape"].mean() == pytest.approx(found["mape"])
    for figure in ("prediction_instability", "mape", "classification_instability",
                   "calibration_instability"):  # fmt: skip
        assert (run.parent / f"{figure}_logistic.png").stat().st_size > 1000
    shown = pd.read_csv(run.parent / "prediction_instability_logistic.csv")
    assert list(shown.columns) == ["risk", "mape", "lower", "upper", "class_changes"]
    assert shown["risk"].is_monotonic_increasing
    assert shown["class_changes"].mean() == pytest.approx(found["classification_instability"])
    curves = pd.read_csv(run.parent / "calibration_instability_logistic.csv")
    assert {"risk", "original", "lower", "median", "upper"} == set(curves.columns)


def test_the_report_shows_the_protocols_that_have_been_run(
    ask, folder: Path, trained: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "small"
    shutil.copytree(trained, copy)
    plain = report.run(ReportParams(), copy, ("response",), tmp_path / "plain").read_text()
    said = [
        ask("optimism", "--candidate", "xgboost", "--resamples", "3"),
        ask("stability", "--resamples", "6"),
        ask("internal-external", "--by", "site_id", "--candidates", "stratum,logistic"),
        ask("learning-curve", "--sizes", "30,50", "--candidates", "stratum,logistic"),
        ask("temporal", "--by", "period", "--candidates", "logistic"),
        ask("audit", "--permutations", "19"),
    ]
    shutil.copytree(folder / "response" / "protocols", copy / "response" / "protocols")

    page = report.run(ReportParams(), copy, ("response",), tmp_path / "page").read_text()

    assert page.count("<img ") == plain.count("<img ") + 4 + 1
    whole = "by .632+ over 3 of 3 resamples of persons of the whole procedure"
    assert whole not in html.unescape(plain)
    text = html.unescape(page)
    assert whole in text
    assert f"{said[1]['classification_instability']:.1%} of rows change sides" in text
    assert "At least 200 resamples are asked for" in text
    assert "in a new site_id between" in text
    assert said[5]["sentence"] in text
    assert text.count("trees reproduce rows") == plain.count("trees reproduce rows") + 1


def test_a_target_without_protocols_has_no_section(tmp_path: Path) -> None:
    assert protocol_sections(tmp_path) == []


def test_the_ladders_own_choice_can_be_corrected_too(ask) -> None:
    found = ask("optimism", "--candidate", "selected", "--resamples", "3")

    assert sum(found["chosen"].values()) == 3


def test_audit_gives_a_p_value_and_a_sentence(ask) -> None:
    found = ask("audit", "--permutations", "19")

    assert 1 / 20 <= found["p_value"] <= 1
    assert found["distinguishable"] is (found["p_value"] < 0.05)
    assert "shuffled between persons" in found["sentence"]
    assert found["share_moved"] > 0.9


def test_settings_are_left_out_in_turn(ask) -> None:
    found = ask("internal-external", "--by", "site_id", "--candidates", "stratum,logistic")

    assert set(found["candidates"]) == {"stratum", "logistic"}
    assert len(found["settings"]) >= 2
    across = found["candidates"]["logistic"]
    assert [s["setting"] for s in across["settings"]] == found["settings"]
    assert {"estimate", "lower", "upper", "prediction_lower", "prediction_upper"} == set(
        across["auc"]
    )


def test_later_bouts_are_predicted(ask) -> None:
    found = ask("temporal", "--by", "period", "--candidates", "logistic")

    assert found["n_rows_predicted"] > 0
    assert set(found["candidates"]["logistic"]["auc"]) >= {"estimate", "lower", "upper"}


def test_learning_curve_has_a_point_per_size_and_candidate(ask, folder: Path) -> None:
    found = ask("learning-curve", "--sizes", "30,50", "--candidates", "stratum,logistic")

    points = [(p["candidate"], p["n_participants"]) for p in found["points"]]
    assert points == [(n, s) for n in ("stratum", "logistic") for s in (30, 50)]
    table = pd.read_csv(folder / "response" / "protocols" / "learning_curve.csv")
    assert len(table) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("optimism", "--candidate", "forest"),
            10,
            "candidate: expected one of prevalence, stratum, baseline, logistic, regression, "
            "xgboost, selected, found 'forest'.\n",
        ),
        (("internal-external", "--by", "planet"), 11, "expected the column 'planet'"),
        (("learning-curve", "--sizes", "5000"), 13, "persons, found 5000"),
        (("temporal", "--by", "condition"), 11, "expected numbers that order rows, found none"),
    ],
)
def test_a_users_mistake_is_one_line(arguments, code, message, eih, folder: Path) -> None:
    command, *options = arguments
    said = eih(command, folder, "--params", folder.parent / "params.yaml", *options)

    assert said.code == code
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(folder: Path) -> None:
    copies = [folder.parent / name for name in ("killed", "whole")]
    for copy in copies:
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("response"))
    params = folder.parent / "params.yaml"

    def start(copy: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "optimism", str(copy), "--resamples", "60",
             "--params", str(params)],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    run = copies[0] / "response" / "protocols" / "bootstrap_logistic.jsonl"
    killed = start(copies[0])
    until = time.monotonic() + 60
    while time.monotonic() < until and (not run.exists() or run.read_text().count("\n") < 6):
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    kept = run.read_text().splitlines()
    assert 6 <= len(kept) < 62

    results = []
    for copy in copies:
        done = start(copy)
        _, err = done.communicate()
        assert done.returncode == 0, err
        results.append((copy / "response/protocols/optimism_logistic.json").read_text())
        if copy is copies[0]:
            assert "are there from an earlier run" in err

    assert results[0] == results[1]
    assert run.read_text().splitlines()[: len(kept) - 1] == kept[:-1]


# ---- the file of finished pieces


def test_finished_pieces_come_back_exactly(tmp_path: Path) -> None:
    store = LineStore(tmp_path / "deep" / "run.jsonl", "a")
    store.load()
    store.save("one", {"risk": [0.1, 1 / 3]})

    assert LineStore(tmp_path / "deep" / "run.jsonl", "a").load() == {"one": {"risk": [0.1, 1 / 3]}}


def test_a_line_cut_short_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    store = LineStore(path, "a")
    store.load()
    store.save("one", {"x": 1})
    store.save("two", {"x": 2})
    path.write_text(path.read_text()[:-4])

    assert LineStore(path, "a").load() == {"one": {"x": 1}}
    LineStore(path, "a").save("two", {"x": 3})
    assert LineStore(path, "a").load() == {"one": {"x": 1}, "two": {"x": 3}}


def test_another_run_starts_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    store = LineStore(path, "a")
    store.load()
    store.save("one", {"x": 1})

    assert LineStore(path, "b").load() == {}
    assert "of another run, starts anew" in capsys.readouterr().err


def test_fingerprints_differ_with_what_they_are_made_of() -> None:
    assert fingerprint("a", {"b": 1}) == fingerprint("a", {"b": 1})
    assert fingerprint("a", {"b": 1}) != fingerprint("a", {"b": 2})
