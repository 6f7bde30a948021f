"""The registered model in processes of its own: loaded bare, run by MLflow's tools, and served.

Whatever is sent, the answer is the batch's or a refusal, and no participant's value is repeated.
"""

from __future__ import annotations

import ast
import http.client
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement

from pipeline import register
from pipeline.cli import main
from pipeline.config import Params

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
CANARY = "canary-7f3a91"
KEYS = {"study_id": "s", "participant_id": CANARY, "session_id": "a"}
GOOD = {**KEYS, "condition": "healthy", "modality": "aerobic"}
CLIENTS = 50
RunBare = Callable[[list[str], Path], subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the registered model, boosted trees, as MLflow hands it out."""
    folder = tmp_path_factory.mktemp("service")
    target = folder / "small" / "response"
    shutil.copytree(trained / "response", target)
    shutil.rmtree(target / "bundle")
    shutil.copytree(target / "train" / "candidates" / "xgboost", target / "bundle")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    params = replace(Params().register, tracking_uri=uri)
    done = register.run(params, target, folder / "registration.json")
    where = f"models:/{done['model']}@candidate"
    found = mlflow.artifacts.download_artifacts(
        artifact_uri=where, tracking_uri=uri, dst_path=str(folder / "model")
    )
    return Path(found)


@pytest.fixture(scope="module")
def cases(trained: Path) -> pd.DataFrame:
    """Cases as a service gets them: exercise bouts, some rows broken."""
    table = pd.read_parquet(trained / "cases.parquet")
    table = table[table["modality"] != "rest"].reset_index(drop=True)
    table.loc[[3, 11], "age_years"] = 400.0
    return table


@pytest.fixture(scope="module")
def batch(trained: Path, cases: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Risk of every case as ``eih predict`` gives it, NaN for a reject."""
    folder = tmp_path_factory.mktemp("batch")
    cases.to_parquet(folder / "cases.parquet")
    model = trained / "response" / "train" / "candidates" / "xgboost"
    source = folder / "cases.parquet"
    options = ["--model", model, "--input", source, "--output", folder / "out.parquet"]
    assert main(["predict", *map(str, options)]) == 0
    risks = pd.read_parquet(folder / "out.parquet").set_index("row")["p_response"]
    return risks.reindex(range(len(cases))).to_numpy()


@pytest.fixture(scope="module")
def run_bare(bare: dict[str, str]) -> RunBare:
    """Run Python outside the checkout, in a folder."""

    def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=bare,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


# ---- a bare process

LOAD = """
import json, sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pd.read_parquet(sys.argv[2]))
import features, models, pipeline
print(json.dumps({
    "risks": answer["p_response"].tolist(),
    "code": [m.__file__ for m in (features, models, pipeline)],
    "files": [m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)],
}))
"""


@pytest.fixture(scope="module")
def loaded(
    model: Path, cases: pd.DataFrame, run_bare: RunBare, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What a bare process says that loads the model and predicts."""
    folder = tmp_path_factory.mktemp("bare")
    cases.to_parquet(folder / "cases.parquet")
    done = run_bare(["-c", LOAD, str(model), str(folder / "cases.parquet")], folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_bare_process_answers_as_the_batch_does(loaded: Any, batch: Any) -> None:
    np.testing.assert_array_equal(np.array(loaded["risks"], dtype=float), batch)


def test_bare_process_runs_the_code_that_was_logged(loaded: Any, model: Path) -> None:
    assert all(Path(found).is_relative_to(model / "code") for found in loaded["code"])


def test_model_imports_nothing_that_its_requirements_do_not_bring(loaded: Any, model: Path) -> None:
    lines = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()
    brought = with_dependencies(lines)
    owners = packages_distributions()
    ours = [Path(f) for f in loaded["files"] if Path(f).is_relative_to(model / "code")]

    imported = {name for path in ours for name in imported_at_once(path) if name in owners}
    strange = {n for n in imported if not {plain(owner) for owner in owners[n]} & brought}

    assert len(ours) > 20
    assert strange - {"features", "models", "pipeline", "seeds"} == set()


def imported_at_once(path: Path) -> set[str]:
    """Top-level names that importing a module imports, outside its functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plainly = [a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names]
    named = [n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)]
    return {name.split(".")[0] for name in [*plainly, *named]}


def plain(name: str) -> str:
    """Name of a distribution as indexes compare it."""
    return name.lower().replace("_", "-")


def test_requirements_are_exact(model: Path) -> None:
    lines = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()

    assert all(str(Requirement(line).specifier).startswith("==") for line in lines)


def with_dependencies(lines: list[str]) -> set[str]:
    """Names of the distributions that requirements bring, theirs included."""
    brought: set[str] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        wanted = waiting.pop()
        name = plain(wanted.name)
        extras = [{"extra": e} for e in (wanted.extras or {""})]
        if name in brought or (wanted.marker and not any(map(wanted.marker.evaluate, extras))):
            continue
        brought.add(name)
        for line in distribution(name).requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                waiting.append(Requirement(str(needed).split(";")[0]))
    return brought


def test_code_of_another_contract_is_refused_with_the_difference(
    model: Path, cases: pd.DataFrame, run_bare: RunBare, tmp_path: Path
) -> None:
    changed = tmp_path / "model"
    shutil.copytree(model, changed)
    contract = changed / "code" / "features" / "columns_person.py"
    text = contract.read_text(encoding="utf-8")
    assert text.count('"age_years", "years", (10, 110)') == 1
    contract.write_text(text.replace("(10, 110)", "(10, 120)", 1), encoding="utf-8")
    cases.to_parquet(tmp_path / "cases.parquet")

    done = run_bare(["-c", LOAD, str(changed), str(tmp_path / "cases.parquet")], tmp_path)

    assert done.returncode == 1
    assert "BundleError: bundle for response: was made under another contract" in done.stderr
    assert "Differences: ~ column age_years." in done.stderr


def test_loaded_model_takes_whole_numbers_numbers_as_ids_and_nulls(model: Path) -> None:
    loaded = mlflow.pyfunc.load_model(str(model))
    rows = pd.DataFrame({**{k: [v, v] for k, v in GOOD.items()}, "participant_id": [17, 18]})
    floats = rows.assign(age_years=[40.0, 41.0], sex=[None, "female"], bmi_kg_m2=np.nan)
    whole = rows.assign(age_years=[40, 41], sex=[None, "female"], bmi_kg_m2=None)

    answers = [loaded.predict(table) for table in (floats, whole)]

    assert answers[0]["reject"].tolist() == ["", ""]
    pd.testing.assert_frame_equal(*answers)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame([{**KEYS, CANARY: CANARY}]),
        pd.DataFrame([[CANARY, CANARY]], columns=["study_id", "study_id"]),
        {"study_id": [CANARY], "participant_id": [1, 2]},
        [[CANARY]],
    ],
)
def test_loaded_model_refuses_without_repeating_a_value(
    model: Path, table: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = mlflow.pyfunc.load_model(str(model))

    with pytest.raises(Exception) as caught:  # noqa: PT011 (MLflow's errors and ours)
        loaded.predict(table)

    assert CANARY not in str(caught.value)
    assert CANARY not in caplog.text


# ---- mlflow models predict


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_mlflow_models_predict_answers_as_the_batch_does(
    model: Path, cases: pd.DataFrame, batch: Any, run_bare: RunBare, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / f"cases.{kind}"
    if kind == "csv":
        cases.to_csv(source, index=False)
    else:
        source.write_text(as_json(cases, "dataframe_split"))

    done = run_bare(predict_command(model, source, kind), tmp_path)

    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out.json").read_text()
    said = json.loads(text, parse_constant=pytest.fail)["predictions"]
    np.testing.assert_array_equal(np.array([r["p_response"] for r in said], dtype=float), batch)


def predict_command(model: Path, source: Path, kind: str) -> list[str]:
    start = ["-m", "mlflow", "models", "predict", "--env-manager", "local", "-m", str(model)]
    return [*start, "-i", str(source), "-o", "out.json", "-t", kind]


def test_mlflow_models_predict_refuses_without_repeating_a_value(
    model: Path, run_bare: RunBare, tmp_path: Path
) -> None:
    source = tmp_path / "cases.json"
    source.write_text(f'{{"dataframe_records": [{{"participant_id": "{CANARY}"')

    done = run_bare(predict_command(model, source, "json"), tmp_path)

    assert done.returncode == 1
    assert "request: could not be read as JSON." in done.stderr
    assert CANARY not in done.stderr + done.stdout


# ---- mlflow models serve


@pytest.fixture(scope="module")
def server(model: Path, serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model under ``mlflow models serve`` on a free port of the loopback."""
    start = ["mlflow", "models", "serve", "--env-manager", "local", "-m", str(model)]
    return serve(start, tmp_path_factory.mktemp("server"), {"OMP_NUM_THREADS": "1"})


def post(server: Any, body: bytes | str, content_type: str | None) -> tuple[int, str]:
    """Send one request and return the status and the text of the answer."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as client:
        client.request("POST", "/invocations", body, headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode("utf-8")


def as_json(table: pd.DataFrame, layout: str) -> str:
    """A table as the body of a request, missing values as null."""
    plain = table.astype(object).where(table.notna(), None)
    if layout == "dataframe_split":
        content: Any = plain.to_dict("split", index=False)
    elif layout == "inputs":
        content = plain.to_dict("list")
    else:
        content = plain.to_dict("records")
    return json.dumps({layout: content}, default=float)


def as_body(table: pd.DataFrame, how: int) -> tuple[bytes | str, str]:
    """A table in one of the forms a client may send."""
    layouts = ["dataframe_records", "dataframe_split", "instances", "inputs"]
    if how < len(layouts):
        return as_json(table, layouts[how]), JSON
    if how == len(layouts):
        return table.to_csv(index=False), CSV
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue(), PARQUET


def test_fifty_clients_at_once_get_exactly_what_the_batch_gives(
    server: Any, cases: pd.DataFrame, batch: Any
) -> None:
    rng = np.random.default_rng(5)
    questions = [
        (rng.choice(len(cases), size=1 + i % 7, replace=False), i % 6) for i in range(2 * CLIENTS)
    ]

    def ask(question: tuple[Any, int]) -> tuple[int, list[Any], list[Any]]:
        rows, how = question
        status, text = post(server, *as_body(cases.iloc[rows], how))
        said = json.loads(text, parse_constant=pytest.fail)["predictions"]
        return status, [r["p_response"] for r in said], [r["reject"] for r in said]

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(ask, questions))

    for (rows, _), (status, risks, rejects) in zip(questions, answers, strict=True):
        assert status == 200
        np.testing.assert_array_equal(np.array(risks, dtype=float), batch[rows])
        assert [bool(r) for r in rejects] == np.isnan(batch[rows]).tolist()
    assert sum(r in (3, 11) for rows, _ in questions for r in rows) > 0


def record(**cells: Any) -> str:
    return json.dumps({"dataframe_records": [{**GOOD, **cells}]})


MALFORMED: dict[str, tuple[bytes | str, str | None, int]] = {
    "no content type": (record(), None, 415),
    "unknown content type": (record(), "application/xml", 415),
    "another charset": (record(), "application/json; charset=latin-1", 415),
    "nothing": (b"", JSON, 400),
    "cut JSON": (record()[:-5], JSON, 400),
    "deep JSON": ("[" * 200_000, JSON, 400),
    "not UTF-8": (b'{"dataframe_records": "\xff' + CANARY.encode() + b'"}', JSON, 400),
    "a list": (json.dumps([GOOD]), JSON, 400),
    "no layout": (json.dumps({CANARY: [GOOD]}), JSON, 400),
    "two layouts": (json.dumps({"inputs": [GOOD], "instances": [GOOD]}), JSON, 400),
    "records that are none": (json.dumps({"dataframe_records": [CANARY]}), JSON, 400),
    "rows of other lengths": (
        json.dumps({"dataframe_split": {"columns": ["study_id"], "data": [[CANARY, CANARY]]}}),
        JSON,
        400,
    ),
    "columns of other lengths": (
        json.dumps({"inputs": {"study_id": [CANARY], "session_id": ["a", "b"]}}),
        JSON,
        400,
    ),
    "a column twice": (
        json.dumps({"dataframe_split": {"columns": ["study_id"] * 2, "data": [[CANARY] * 2]}}),
        JSON,
        400,
    ),
    "an object in a cell": (record(age_years={"is": CANARY}), JSON, 400),
    "no rows": (json.dumps({"dataframe_records": []}), JSON, 400),
    "no required column": (json.dumps({"dataframe_records": [KEYS]}), JSON, 400),
    "a number of 5000 digits": ('{"inputs": {"age_years": [' + "9" * 5000 + "]}}", JSON, 400),
    "ragged CSV": (f"study_id,age_years\n{CANARY},1,2\n", CSV, 400),
    "CSV without a header": (f"{CANARY},{CANARY},50\n", CSV, 400),
    "CSV with NUL and quotes": (f'study_id\n"{CANARY}\x00\n', CSV, 400),
    "no Parquet": (b"PAR1" + CANARY.encode() + b"PAR1", PARQUET, 400),
    "too many rows": (
        "study_id\n" + f"{CANARY}\n" * 100_001,
        CSV,
        413,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_refused_without_repeating_it(server: Any, name: str) -> None:
    body, content_type, expected = MALFORMED[name]

    status, text = post(server, body, content_type)

    assert status == expected, text
    said = json.loads(text)
    assert set(said) == {"error_code", "message"}
    assert said["message"].startswith(("request", "input"))
    assert CANARY not in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "cells",
    [
        {"age_years": CANARY},
        {"age_years": 1e308},
        {"age_years": 10**300},
        {"sex": CANARY},
        {"modality": "rest"},
        {"condition": None},
        {"pcs_1": 2.5},
    ],
)
def test_bad_row_gets_its_reason_and_no_value(server: Any, cells: dict[str, Any]) -> None:
    status, text = post(server, record(**cells), JSON)

    (row,) = json.loads(text)["predictions"]
    assert (status, row["p_response"]) == (200, None)
    assert row["reject"].startswith(f"{next(iter(cells))}: expected ")
    assert CANARY not in text


def test_ids_come_back_as_they_were_sent(server: Any) -> None:
    ids = ["007", str(2**53 + 1), "ä 'ö'"]
    rows = [{**GOOD, "participant_id": i} for i in [*ids, 2**53 + 1, 17]]

    _, text = post(server, json.dumps({"dataframe_records": rows}), JSON)

    said = [r["participant_id"] for r in json.loads(text)["predictions"]]
    assert said == [*ids, str(2**53 + 1), "17"]


def test_server_lives_on_and_its_log_holds_no_value(server: Any) -> None:
    for body, content_type, _ in MALFORMED.values():
        post(server, body, content_type)
    post(server, record(age_years=CANARY, **{CANARY: 1}), JSON)

    assert post(server, record(), JSON)[0] == 200
    assert server.process.poll() is None
    log = server.log.read_text()
    assert CANARY not in log
    assert "Traceback" not in log
