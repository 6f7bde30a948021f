"""A training run that is killed goes on where it ended, and ends as if it had not been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from pipeline import train
from pipeline.config import Params, TrainParams
from pipeline.progress import show_progress
from pipeline.resume import kept_until_done

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(small: Params) -> TrainParams:
    """Enough pieces to be killed among: 2 repeats x 3 folds x 6 candidates."""
    return replace(small.train, repeats=2)


@pytest.fixture
def tables(study: Path) -> tuple[Path, Path]:
    return study / "features.parquet", study / "outcomes.parquet"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def interrupt_after(pieces: int) -> Callable[[str, str], Callable[[int, int], None]]:
    """A progress that interrupts, as Ctrl-C does."""

    def shown(label: str, unit: str) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done == pieces:
                raise KeyboardInterrupt

        return progress

    return shown


def test_a_killed_training_goes_on_and_leaves_the_same_bytes(
    settings: TrainParams, tables: tuple[Path, Path], tmp_path: Path, small: Params
) -> None:
    params = tmp_path / "params.yaml"
    content = json.loads(json.dumps(asdict(replace(small, train=settings))))
    params.write_text(yaml.safe_dump(content))

    def start(output: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "train", "--features", str(tables[0]),
             "--outcomes", str(tables[1]), "--target", "response", "--output", str(output),
             "--params", str(params)],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    unfinished = tmp_path / "killed" / train.UNFINISHED
    killed = start(tmp_path / "killed")
    until = time.monotonic() + 60
    while time.monotonic() < until and (
        not unfinished.exists() or unfinished.read_text().count("\n") < 6
    ):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    kept = unfinished.read_text().splitlines()
    assert 6 <= len(kept) < 37
    assert not (tmp_path / "killed" / "bundle").exists()

    for name in ("killed", "whole"):
        done = start(tmp_path / name)
        _, err = done.communicate()
        assert done.returncode == 0, err
        assert ("of 36 are there from an earlier run" in err) is (name == "killed")

    assert not unfinished.exists()
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_other_settings_start_anew(
    settings: TrainParams,
    tables: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = replace(settings, repeats=1)
    monkeypatch.setattr(train, "show_progress", interrupt_after(5))
    for output in ("same", "other"):
        with pytest.raises(KeyboardInterrupt):
            train.run(settings, tables, "response", tmp_path / output)
    monkeypatch.setattr(train, "show_progress", show_progress)
    capsys.readouterr()

    train.run(replace(settings, jobs=2), tables, "response", tmp_path / "same")
    went_on = capsys.readouterr().err
    train.run(replace(settings, logistic_c=(0.02,)), tables, "response", tmp_path / "other")
    anew = capsys.readouterr().err

    assert "5 of 18 are there from an earlier run" in went_on
    assert "of another run, starts anew" in anew
    assert "are there from an earlier run" not in anew


def test_what_a_run_keeps_is_gone_when_it_is_done_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"

    def fail() -> None:
        with kept_until_done(path, "a") as store:
            store.load()
            store.save("one", {"x": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with kept_until_done(path, "a") as store:
        assert store.load() == {"one": {"x": 1}}

    assert not path.exists()
