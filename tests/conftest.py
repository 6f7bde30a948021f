"""A small simulated study, taken through the stages once and shared by the tests that read it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline import evaluate, explain, featurize, label, train
from pipeline.cli import main
from pipeline.config import Params
from pipeline.simulate import simulate

# Makes golden values with a library that is no dependency.
collect_ignore = ["reference/double_robust_econml.py"]

STUDIES = "EIH_STUDIES_DIR"
SMALL = Params(
    train=replace(
        Params().train,
        repeats=1,
        folds=3,
        inner_folds=2,
        jobs=1,
        stratum_prior_strength=(8.0,),
        logistic_c=(0.01, 0.1),
        xgboost_max_depth=(2,),
        xgboost_n_estimators=(20,),
    ),
    evaluate=replace(Params().evaluate, resamples=100),
    explain=replace(Params().explain, refits=4),
)


@dataclass(frozen=True)
class Said:
    """What a command left behind: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def eih(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command line in this process."""

    def run(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study of 90 people after label and featurize. Read only."""
    folder = tmp_path_factory.mktemp("outputs") / "small"
    simulate(90, "base", 3, folder)
    label.run(SMALL.label, folder, folder / "outcomes.parquet")
    featurize.run(SMALL.featurize, folder, folder / "features.parquet")
    return folder


@pytest.fixture(scope="session")
def trained(study: Path) -> Path:
    """The same folder after train, evaluate and explain for both targets. Read only."""
    tables = (study / "features.parquet", study / "outcomes.parquet")
    for target in SMALL.targets:
        folder = study / target
        train.run(SMALL.train, tables, target, folder)
        evaluate.run_ladder(
            SMALL.evaluate,
            folder / "train" / "predictions.parquet",
            folder / "evaluate",
            study / "cases.parquet",
        )
        refitting = explain.Refitting(tables[1], replace(SMALL.train, jobs=1))
        explain.run(SMALL.explain, folder, tables[0], folder / "explain", refitting)
    return study


@pytest.fixture(scope="session")
def small() -> Params:
    """The settings the small study was trained with."""
    return SMALL


@pytest.fixture(scope="session")
def real_study() -> Callable[[str], Path]:
    """Return the folder of a real study, or skip with the reason."""

    def find(folder: str) -> Path:
        root = os.environ.get(STUDIES)
        if not root:
            pytest.skip(f"{STUDIES} is not set")
        path = Path(root) / folder
        if not path.is_dir():
            pytest.skip(f"{folder} is not in {STUDIES}")
        return path

    return find
