"""Our door to MLflow's scoring server: for our models only, closed on another server."""

from __future__ import annotations

import inspect
import io
import json
import logging
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server

from models.errors import BundleError
from pipeline.errors import TableError
from pipeline.scoring_door import (
    REPLACED,
    UnknownColumns,
    answer,
    guard,
    predictions_text,
)

CANARY = "canary-7f3a91"
ROW = json.dumps({"dataframe_records": [{"study_id": CANARY}]}).encode()
OURS, JSON = "pipeline.mlflow_model", "application/json"


@pytest.fixture
def server():
    """A copy of MLflow's module, so that guarding it touches no other test."""
    copy = ModuleType("server")
    copy.__dict__.update({n: getattr(scoring_server, n) for n in (*REPLACED, "ParsedJsonInput")})
    copy.InvocationsResponse = scoring_server.InvocationsResponse
    copy.invocations = stand_in("invocations", "theirs")
    copy._parse_json_data = stand_in("_parse_json_data", "theirs")
    return copy


def stand_in(name, said):
    """A function of MLflow's parameters that only says who it is."""

    def function(*arguments):
        return said

    parameters = [
        inspect.Parameter(p, inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in REPLACED[name]
    ]
    function.__signature__ = inspect.Signature(parameters)
    return function


def loaded(loader, predict=None):
    return SimpleNamespace(
        loader_module=loader,
        get_raw_model=lambda: SimpleNamespace(predict=predict),
        flavors={"python_function": {"loader_module": loader}},
    )


def fail(rows):
    raise ZeroDivisionError(f"{rows['study_id'].iloc[0]} cannot be divided")


def test_the_installed_server_can_be_guarded():
    found = {n: tuple(inspect.signature(getattr(scoring_server, n)).parameters) for n in REPLACED}

    # Of a guarded server too: loading a model in this process replaces the functions.
    assert found == REPLACED


@pytest.mark.parametrize("name", REPLACED)
def test_another_server_is_refused(server, name):
    setattr(server, name, lambda request: request)

    with pytest.raises(BundleError, match=rf"scoring_server\.{name}: expected a function of "):
        guard(server, OURS)


@pytest.mark.parametrize("name", REPLACED)
def test_a_server_that_lacks_a_function_is_refused_untouched(server, name):
    delattr(server, name)
    before = dict(vars(server))

    with pytest.raises(BundleError, match="Install the version in the model's requirements"):
        guard(server, OURS)

    assert vars(server) == before


def test_other_models_keep_the_server_they_had(server):
    guard(server, OURS)

    assert server.invocations(ROW, JSON, loaded("mlflow.sklearn"), None) == "theirs"
    assert server._parse_json_data(ROW, loaded("mlflow.sklearn"), None) == "theirs"


def test_our_models_are_answered_by_us(server):
    guard(server, OURS)
    guard(server, OURS)

    said = server.invocations(ROW, JSON, loaded(OURS, lambda rows: rows.assign(p=0.5)), None)

    assert (said.status, said.mimetype) == (200, JSON)
    assert json.loads(said.response) == {"predictions": [{"study_id": CANARY, "p": 0.5}]}


def test_a_user_of_mlflow_gets_a_frame_of_our_models_rows(server):
    guard(server, OURS)

    parsed = server._parse_json_data(ROW.decode(), loaded(OURS), None)

    assert parsed.data.to_dict("records") == [{"study_id": CANARY}]


def test_text_stays_text_in_a_table_without_a_schema(server):
    guard(server, OURS)

    table = server.parse_csv_input(io.StringIO("study_id,participant_id\ns,007\n"))

    assert table["participant_id"].tolist() == ["007"]


def test_a_defect_is_told_by_kind_and_place_alone(caplog):
    with caplog.at_level(logging.ERROR):
        status, text = answer(ROW, JSON, fail)

    place = f"test_scoring_door.py:{inspect.getsourcelines(fail)[1] + 1}"
    assert status == 500
    assert json.loads(text)["message"] == (
        f"The program failed (ZeroDivisionError at {place}). Please report it."
    )
    assert caplog.messages == [f"a request ended in ZeroDivisionError at {place}"]


def test_a_table_that_cannot_be_scored_is_the_clients_mistake():
    def refuse(rows):
        raise TableError("input, column 'modality': expected this column.")

    assert answer(ROW, JSON, refuse) == (
        400,
        json.dumps(
            {
                "error_code": "BAD_REQUEST",
                "message": "input, column 'modality': expected this column.",
            }
        ),
    )


def test_what_is_missing_is_null():
    table = pd.DataFrame({"p": [0.1, np.nan], "n": [1, 2], "key": ["a", None]})

    assert json.loads(predictions_text(table)) == {
        "predictions": [{"p": 0.1, "n": 1, "key": "a"}, {"p": None, "n": 2, "key": None}]
    }


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3, 5e-324, 0.30000001192092896])
def test_a_risk_is_written_to_its_last_bit(value):
    text = predictions_text(pd.DataFrame({"p": [value]}))

    assert json.loads(text)["predictions"][0]["p"] == value


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ("Found extra inputs in the model input that are not defined: `['P17']`.", False),
        ("Something else", True),
    ],
)
def test_names_of_columns_stay_out_of_the_log(message, passes):
    record = logging.LogRecord("mlflow", logging.WARNING, "", 0, message, (), None)

    assert UnknownColumns().filter(record) is passes
