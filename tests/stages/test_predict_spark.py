"""Spark scores what a local run scores, to the byte, even when a worker is killed on the way."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import joint, register, spark_engine
from pipeline.artefacts import find_bundles
from pipeline.batch import Work
from pipeline.batch_parts import Parts
from pipeline.config import Params, PredictParams
from pipeline.errors import ConfigError
from pipeline.predict import PredictOptions, _load_score, run
from pipeline.scoring import PLAIN

HAS_SPARK = importlib.util.find_spec("pyspark") is not None
HAS_JAVA = shutil.which("java") is not None or "JAVA_HOME" in os.environ
needs_spark = pytest.mark.skipif(
    not (HAS_SPARK and HAS_JAVA),
    reason="pyspark is not installed" if not HAS_SPARK else "there is no Java on this machine",
)
MASTER = "local[2,4]"
ROWS, GROUP_ROWS = 5000, 700
ROOT = Path(__file__).resolve().parents[2]
# What a notebook or spark-submit gives a program.
SESSION = """
from pyspark.sql import SparkSession
settings = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1"}
spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
"""


@pytest.fixture(scope="module")
def messy(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two Parquet files, of several row groups and other columns, with bad rows."""
    cases = pd.read_parquet(trained / "cases.parquet")
    table = cases.iloc[np.arange(ROWS) % len(cases)].reset_index(drop=True)
    table["participant_id"] = [f"p{i}" for i in range(ROWS)]
    table.loc[::97, "age_years"] = 500.0
    table.loc[::203, "condition"] = None
    folder = tmp_path_factory.mktemp("messy") / "cases"
    folder.mkdir()
    half = ROWS // 2
    table[:half].to_parquet(folder / "a.parquet", index=False, row_group_size=GROUP_ROWS)
    other = table[half:].drop(columns="height_cm")
    other.to_parquet(folder / "b.parquet", index=False, row_group_size=GROUP_ROWS)
    return folder


def predict_both(
    trained: Path, source: Path, folder: Path, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predict locally and on Spark; return both summaries."""
    found = []
    for engine in ("local", "spark"):
        chosen = PredictOptions(
            rejects=folder / f"{engine}.rejects.csv",
            engine=engine,
            spark_master=MASTER,
            **options,
        )
        output = folder / f"{engine}.parquet"
        found.append(run(PredictParams(), trained, source, output, chosen))
    return found[0], found[1]


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_bytes_and_the_summary_of_a_local_run(
    trained: Path, messy: Path, tmp_path: Path
) -> None:
    local, spark = predict_both(trained, messy, tmp_path, top=2)

    timed = ("seconds", "rows_per_s", "rejects")
    assert {k: v for k, v in spark.items() if k not in timed} == {
        k: v for k, v in local.items() if k not in timed
    }
    assert spark["rows_in"] == ROWS
    assert spark["rejected"] > 0
    for end in (".parquet", ".rejects.csv"):
        assert (tmp_path / f"spark{end}").read_bytes() == (tmp_path / f"local{end}").read_bytes()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_bytes_of_a_local_run_of_the_joint_model(
    trained: Path, small: Params, messy: Path, tmp_path: Path
) -> None:
    both = tmp_path / "joint"
    joint.run(small, (trained / "features.parquet", trained / "outcomes.parquet"), both)

    _, spark = predict_both(both, messy, tmp_path, explain=True)

    assert spark["targets"] == ["hyperalgesia", "response"]
    for end in (".parquet", ".rejects.csv"):
        assert (tmp_path / f"spark{end}").read_bytes() == (tmp_path / f"local{end}").read_bytes()


def kill_once(marker: Path, trained: Path) -> Callable[..., Any]:
    """Load the model; the first worker that has scored two chunks is killed in the third."""
    score = _load_score(trained, PLAIN)
    seen: list[int] = []

    def deadly(chunk: Any) -> Any:
        seen.append(1)
        if len(seen) == 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return score(chunk)

    return deadly


@pytest.mark.slow
@needs_spark
def test_a_worker_killed_mid_job_neither_loses_nor_repeats_rows(
    trained: Path, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Executors import this function from this file.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_predict_spark

    marker = tmp_path / "killed"
    parts = Parts.beside(tmp_path / "out.parquet")
    parts.begin(resume=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    work = Work(tuple(sorted(messy.glob("*.parquet"))), 100)
    deadly = partial(test_predict_spark.kill_once, marker, trained.resolve())

    summary = spark_engine.score_on_spark(work, deadly, parts, MASTER)

    assert marker.exists()
    rows = [
        r for kind in ("predictions", "rejects") for t in parts.tables(kind) for r in rows_of(t)
    ]
    assert sorted(rows) == list(range(ROWS))
    assert summary.rows_in == ROWS


def rows_of(table: pa.Table) -> list[int]:
    rows: list[int] = table["row"].to_pylist()
    return rows


@pytest.mark.slow
@needs_spark
def test_spark_says_what_an_executor_cannot_read(
    trained: Path, messy: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    content = bytearray((messy / "a.parquet").read_bytes())
    content[1000:60_000] = b"\x00" * 59_000
    broken.write_bytes(bytes(content))
    options = PredictOptions(engine="spark", spark_master="local[1,1]")

    with pytest.raises(Exception, match=r"broken\.parquet: could not be read as \.parquet") as e:
        run(PredictParams(), trained, broken, tmp_path / "out.parquet", options)

    assert type(e.value).__name__ == "TableError"
    assert "\n" not in str(e.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.parquet"]


# ---- rows that are in Spark already


def recipe_of(page: str) -> str:
    """Return the indented block of a page that scores a DataFrame."""
    lines = page[page.index("    import mlflow.pyfunc") :].splitlines()
    block = list(takewhile(lambda line: not line or line.startswith("    "), lines))
    return dedent("\n".join(block))


@pytest.mark.slow
@needs_spark
def test_the_recipe_of_the_documentation_scores_a_frame_of_spark_as_a_batch_run_does(
    trained: Path, messy: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    params = replace(Params().register, tracking_uri=store)
    named = register.run(params, trained / "response", tmp_path / "registration.json")
    recipe = recipe_of((ROOT / "docs" / "scale.md").read_text(encoding="utf-8"))
    for written, here in (
        ("models:/eih-demo-response@candidate", f"models:/{named['model']}@candidate"),
        ("s3a://bucket/cases/", str(messy / "a.parquet")),
        ("s3a://bucket/scored/", str(tmp_path / "scored")),
    ):
        assert written in recipe
        recipe = recipe.replace(written, here)
    program = tmp_path / "recipe.py"
    program.write_text(SESSION + recipe)
    environment = os.environ | {"MLFLOW_TRACKING_URI": store, "PYSPARK_PYTHON": sys.executable}

    # In a place of its own: the code must come with the model.
    said = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={n: v for n, v in environment.items() if n != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stderr[-2000:]
    scored = pd.read_parquet(tmp_path / "scored")
    run(
        PredictParams(),
        trained / "response" / "bundle",
        messy / "a.parquet",
        tmp_path / "local.parquet",
        PredictOptions(),
    )
    local = pd.read_parquet(tmp_path / "local.parquet").set_index("participant_id")
    rejects = pd.read_csv(tmp_path / "local.rejects.csv").set_index("participant_id")
    assert len(scored) == ROWS // 2
    found = scored.set_index("participant_id")
    assert found["p_response"].dropna().to_dict() == local["p_response"].to_dict()
    refused = found.loc[found["p_response"].isna(), "reject"]
    assert refused.to_dict() == rejects["reason"].to_dict()
    assert (found.loc[local.index, "reject"] == "").all()


# ---- without Spark


def test_spark_is_refused_in_one_line_without_pyspark(
    trained: Path, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eih: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.errors", None)
    output = tmp_path / "out.parquet"

    said = eih(
        "predict", "--model", trained, "--input", messy, "--output", output, "--engine", "spark"
    )

    assert said.code == 10
    assert said.err == (
        "--engine spark: expected the package pyspark, found none. Install the extra 'spark'.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not HAS_SPARK, reason="pyspark is not installed")
def test_spark_is_refused_in_one_line_without_java(
    trained: Path, messy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    options = PredictOptions(engine="spark")

    with pytest.raises(ConfigError) as caught:
        run(PredictParams(), trained, messy, tmp_path / "out.parquet", options)

    assert str(caught.value) == (
        "--engine spark: expected Java 17, found none. Install it, or set JAVA_HOME."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PredictOptions(engine="spark", resume=True), "--resume: expected it with --engine local"),
        (PredictOptions(engine="spark", workers=2), "--jobs: expected it with --engine local"),
        (PredictOptions(engine="dask"), "--engine: expected local or spark, found 'dask'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: PredictOptions, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        options.check_engine()


def test_text_files_are_refused_on_spark(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text("study_id\n")

    with pytest.raises(ConfigError, match="a text file cannot be divided|expected Parquet"):
        spark_engine._group_tasks(Work((path,), 100))


def test_executors_score_row_groups_by_their_places_in_the_input(
    trained: Path, messy: Path
) -> None:
    work = Work(tuple(sorted(messy.glob("*.parquet"))), 300)
    tasks = spark_engine._group_tasks(work)
    groups = sum(pq.ParquetFile(p).num_row_groups for p in work.paths)
    batch = pa.RecordBatch.from_pydict({"id": [len(tasks) - 1, 0]})

    packed = spark_engine.score_groups(
        iter([batch]), tasks=tasks, chunk_rows=300, make_score=partial(_load_score, trained, PLAIN)
    )
    names = [b.to_pylist()[0]["name"] for b in packed]

    assert len(tasks) == groups
    # 2500 rows a file: three groups of 700 and one of 400, in chunks of 300.
    assert names == [
        "000000000007-000000",
        "000000000007-000001",
        "000000000000-000000",
        "000000000000-000001",
        "000000000000-000002",
    ]
    assert set(find_bundles(trained)) == {"response", "hyperalgesia"}
