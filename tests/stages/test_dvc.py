"""The stage graph, run for real in a copy of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
SMALL_TRAIN = {
    "repeats": 1,
    "folds": 3,
    "inner_folds": 2,
    "jobs": 1,
    "stratum_prior_strength": [8.0],
    "logistic_c": [0.01],
    "xgboost_max_depth": [2],
    "xgboost_n_estimators": [10],
}


def run(folder: Path, *command: str) -> str:
    """Run a command in the copy with this interpreter's programs first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    identity = {
        f"GIT_{w}_{k}": v
        for w in ("AUTHOR", "COMMITTER")
        for k, v in (("NAME", "test"), ("EMAIL", "test@example.org"))
    }
    environment = {
        **os.environ,
        **identity,
        "PATH": path,
        "DVC_NO_ANALYTICS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy of the project with small settings, its pipeline run once."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("features", "models", "pipeline", "seeds", "studies", ".dvc"):
        ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "*.local")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] |= SMALL_TRAIN
    params["study"]["participants"] = 60
    params["evaluate"]["resamples"] = 50
    params["explain"]["refits"] = 4
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "copy")
    run(folder, "dvc", "repro")
    return folder


def test_first_run_leaves_report_store_predictions_and_bundles(checkout: Path) -> None:
    outputs = checkout / "outputs"

    made = (
        "demo/report/index.html",
        "demo/checks.json",
        "mlflow.db",
        "demo/predictions.parquet",
        "demo/response/bundle/bundle.json",
        "demo/hyperalgesia/bundle/bundle.json",
    )

    assert [p for p in made if not (outputs / p).exists()] == []


def test_second_run_runs_nothing(checkout: Path) -> None:
    said = run(checkout, "dvc", "repro")

    assert "Running stage" not in said
    assert "up to date" in said


@pytest.mark.parametrize(
    ("helper", "consumers"),
    [
        ("models/explain.py", {"explain"}),
        (
            "features/outcome.py",
            {
                "biomarker",
                "check",
                "evaluate",
                "explain",
                "joint",
                "label",
                "policy",
                "report",
                "train",
            },
        ),
        (
            "features/modulation.py",
            {
                "biomarker",
                "check",
                "explain",
                "featurize",
                "joint",
                "policy",
                "predict",
                "register",
                "train",
            },
        ),
        ("pipeline/templates/report_style.css.jinja", {"report"}),
    ],
)
def test_an_edited_helper_reruns_its_consumers_and_nothing_else(
    checkout: Path, helper: str, consumers: set[str]
) -> None:
    path = checkout / helper
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\n", encoding="utf-8")

    changed = json.loads(run(checkout, "dvc", "status", "--json"))
    path.write_text(before, encoding="utf-8")

    assert {stage.split("@")[0] for stage in changed} == consumers


def test_a_changed_parameter_reruns_the_stages_that_read_it(checkout: Path) -> None:
    path = checkout / "params.yaml"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("max_display: 15", "max_display: 10"), encoding="utf-8")

    changed = json.loads(run(checkout, "dvc", "status", "--json"))
    path.write_text(before, encoding="utf-8")

    assert {stage.split("@")[0] for stage in changed} == {"explain"}


@pytest.mark.realdata
def test_an_experiment_runs_another_study(
    checkout: Path, real_study: Callable[[str], Path]
) -> None:
    real_study("eih_peep_nold2025")

    run(checkout, "dvc", "exp", "run", "--set-param", "study.name=peep")

    card = json.loads((checkout / "outputs" / "peep" / "study.json").read_text(encoding="utf-8"))
    assert card["study"]["name"] == "peep"
    assert (checkout / "outputs" / "peep" / "report" / "index.html").exists()
