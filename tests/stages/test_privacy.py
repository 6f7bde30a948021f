"""Ids and values of participants stay in tables of persons: nothing that is shown holds one.

The small study is taken through label to report and into MLflow; every artefact but those tables
is searched, byte by byte, for its people's ids and for values that only they have.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline import joint, register, report
from pipeline.config import Params
from pipeline.io import names_persons

Run = Callable[..., Any]
CANARY = "canary-7f3a91"
# So many digits are no count, rounded percentage or setting, but somebody's own value.
OWN_DIGITS = 12
KEYS = ("study_id", "participant_id", "session_id")


@pytest.fixture(scope="module")
def logged(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an MLflow store of the response target, and a report."""
    folder = tmp_path_factory.mktemp("privacy")
    params = replace(Params().register, tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    register.run(params, trained / "response", folder / "registration.json")
    shutil.copytree(trained, folder / "small")
    report.run(Params().report, folder / "small", ("response",), folder / "report")
    shutil.rmtree(folder / "small")
    return folder


@pytest.fixture(scope="module")
def own(trained: Path) -> set[str]:
    """What belongs to persons: ids, and values of many digits, as texts."""
    cases = pd.read_parquet(trained / "cases.parquet")
    tables = [cases, pd.read_parquet(trained / "features.parquet")]
    tables.append(pd.read_parquet(trained / "outcomes.parquet"))
    texts = set(cases["participant_id"])
    for table in tables:
        for name in table.select_dtypes("number"):
            values = table.loc[~table[name].duplicated(keep=False), name].dropna()
            texts |= {repr(float(v)) for v in values}
    return {t for t in texts if t in set(cases["participant_id"]) or len(t) >= OWN_DIGITS}


def words(content: bytes) -> set[str]:
    """Words and numbers of a text, or of the readable parts of any other file."""
    return set(re.findall(r"[A-Za-z0-9_.+-]+", content.decode("utf-8", errors="replace")))


def shown_files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file())


def test_the_search_finds_what_tables_of_persons_hold(trained: Path, own: set[str]) -> None:
    names = ("cases", "features", "outcomes")
    tables = [pd.read_parquet(trained / f"{n}.parquet").to_csv(index=False) for n in names]

    # 90 persons, each with own values of several features and outcomes.
    assert len(own) > 10 * 90
    assert own <= words("".join(tables).encode())


def test_nothing_in_the_store_names_a_person_or_holds_a_value(logged: Path, own: set[str]) -> None:
    # The program's code goes with the model; its documentation writes 'P0001', too.
    places = [p for p in shown_files(logged / "mlruns") if "artifacts/code/" not in p.as_posix()]
    files = [*places, *shown_files(logged / "report")]

    assert len(files) > 40
    for path in files:
        assert not own & words(path.read_bytes()), path.name
        assert not names_persons(path), path.name


def test_no_parquet_with_keys_goes_to_the_store(logged: Path) -> None:
    tables = [p for p in shown_files(logged / "mlruns") if p.suffix == ".parquet"]

    assert [p.name for p in tables if set(KEYS) & set(pq.read_schema(p).names)] == []


def test_no_row_of_the_stores_database_holds_one(logged: Path, own: set[str]) -> None:
    with closing(sqlite3.connect(logged / "mlflow.db")) as store:
        dump = "\n".join(store.iterdump())

    assert "auc" in dump
    assert not own & words(dump.encode())


def test_no_result_of_a_stage_holds_one_but_tables_of_persons(trained: Path, own: set[str]) -> None:
    held = [
        p.relative_to(trained).as_posix()
        for p in shown_files(trained)
        if not names_persons(p) and own & words(p.read_bytes())
    ]

    # splits.json is the list of who was on which side: a table of persons in JSON.
    assert [h for h in held if not h.endswith("train/splits.json")] == []


def test_a_bundle_holds_none(trained: Path, own: set[str]) -> None:
    for path in shown_files(*trained.glob("*/bundle"), *trained.glob("*/train/candidates")):
        assert not own & words(path.read_bytes()), path


@pytest.fixture(scope="module")
def both(trained: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the joint model of the small study."""
    folder = tmp_path_factory.mktemp("joint")
    joint.run(small, (trained / "features.parquet", trained / "outcomes.parquet"), folder)
    return folder


def test_how_sure_models_are_and_the_joint_model_hold_none(
    trained: Path, both: Path, own: set[str]
) -> None:
    sure = [*trained.rglob("uncertainty.json"), *trained.rglob("coverage_risk*")]
    files = [*sure, *(p for p in shown_files(both) if not names_persons(p))]

    # Of two targets: their bundle, candidates and evaluation, and the curve as table and figure.
    assert len(sure) >= 2 * 4
    assert {"decision_table.csv", "metrics.json", "bundle.json"} <= {p.name for p in files}
    for path in files:
        assert not own & words(path.read_bytes()), path


def test_neither_terminal_nor_summaries_of_prediction_and_monitoring_hold_one(
    trained: Path, both: Path, own: set[str], tmp_path: Path, eih: Run
) -> None:
    out, summary, watched = (tmp_path / n for n in ("out.parquet", "s.json", "m.json"))
    model = ("--model", both)

    predicted = eih(
        *("predict", *model, "--input", trained / "cases.parquet", "--output", out),
        *("--explain", "--jobs", "2", "--json", summary),
    )
    monitored = eih(
        *("monitor", out, trained / "outcomes.parquet", *model),
        *("--summary", summary, "--json", watched),
    )

    assert predicted.code == 0, predicted.err
    assert monitored.code in (0, 14), monitored.err
    written = summary.read_text() + watched.read_text()
    printed = "".join((predicted.out, predicted.err, monitored.out, monitored.err))
    assert '"expected_performance"' in written
    assert not own & words((written + printed).encode())


BAD_CELLS: dict[str, object] = {
    "sex": CANARY,
    "age_years": CANARY,
    "modality": CANARY,
    "pcs_1": 7.123456789,
    "condition": None,
    "bmi_kg_m2": -7.123456789,
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "validate": ("validate", "{table}"),
    "predict": ("predict", "--model", "{model}", "--input", "{table}", "--output", "{out}.csv"),
    "predict, joint model": (
        *("predict", "--model", "{both}", "--input", "{table}", "--output", "{out}.csv"),
        *("--explain", "--strict"),
    ),
    "featurize": ("featurize", "{folder}", "--output", "{out}.parquet"),
    "label": ("label", "{folder}", "--output", "{out}.parquet"),
    "reliability": ("reliability", "{folder}"),
    "score": ("score", "pcs", "{table}", "--output", "{out}.csv"),
    "evaluate": ("evaluate", "{table}", "--outcome", "sex", "--probability", "age_years"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("column", BAD_CELLS)
def test_no_message_names_a_person_or_repeats_a_value(
    trained: Path, both: Path, tmp_path: Path, eih: Run, command: str, column: str
) -> None:
    places = {
        "both": both,
        "model": trained / "response" / "bundle",
        "table": spoilt(trained, tmp_path, column),
        "folder": tmp_path,
        "out": tmp_path / "out",
    }

    said = eih(*(word.format(**places) for word in COMMANDS[command]))

    text = (said.out + said.err).replace(str(tmp_path), "")
    assert "Traceback" not in text
    assert CANARY not in text
    assert "7.123456789" not in text


def spoilt(trained: Path, folder: Path, column: str) -> Path:
    """A study whose ids are canaries and whose first case breaks the contract."""
    for name in ("cases", "measurements"):
        table = pd.read_parquet(trained / f"{name}.parquet").astype({"participant_id": "object"})
        table["participant_id"] = CANARY + table["participant_id"].astype(str)
        if name == "cases":
            table = table.drop(columns=["pcs_total"], errors="ignore").astype("object")
            table.loc[0, column] = BAD_CELLS[column]
            table = table.astype(object).where(table.notna(), None)
            table.to_csv(folder / "cases.csv", index=False)
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder / "cases.csv"


@pytest.mark.parametrize("column", BAD_CELLS)
def test_rejects_hold_keys_and_reasons_and_no_value(
    trained: Path, tmp_path: Path, eih: Run, column: str
) -> None:
    table = spoilt(trained, tmp_path, column)
    model = trained / "response" / "bundle"
    summary = tmp_path / "summary.json"

    said = eih(
        *("predict", "--model", model, "--input", table, "--output", tmp_path / "out.csv"),
        *("--json", summary),
    )

    assert said.code == 0, said.err
    rejects = pd.read_csv(tmp_path / "out.rejects.csv", dtype=str)
    assert column in rejects.loc[0, "column"]
    others = rejects.drop(columns=["participant_id"]).to_csv(index=False)
    assert CANARY not in others
    assert "7.123456789" not in others
    assert CANARY not in json.dumps(json.loads(summary.read_text())).replace(str(tmp_path), "")
