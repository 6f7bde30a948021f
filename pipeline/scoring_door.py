"""Our own door to MLflow's scoring server, because its errors repeat what was sent.

``mlflow models serve`` and ``mlflow models predict`` load a model and then read requests
themselves: by guessing types, and with the request's rows in the text of their errors. MLflow
has no hook before that. So loading one of our models replaces the four functions of
``mlflow.pyfunc.scoring_server`` that read and answer; other models keep MLflow's.
"""

from __future__ import annotations

import inspect
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
import pandas as pd

from models.errors import BundleError
from pipeline.errors import TableError
from pipeline.scoring_request import (
    BAD_REQUEST,
    RequestError,
    parse_csv,
    parse_json,
    read_request,
)

LOG = logging.getLogger(__name__)
SERVER = "mlflow.pyfunc.scoring_server"
GUARDED = "_eih_guarded"
REPLACED = {
    "invocations": ("data", "content_type", "model", "input_schema"),
    "_parse_json_data": ("data", "metadata", "input_schema"),
    "parse_csv_input": ("csv_input", "schema"),
    "predictions_to_json": ("raw_predictions", "output", "metadata"),
}
OK, DEFECT = 200, 500


def guard(server: ModuleType, loader: str) -> None:
    """Make a scoring server read and answer our models' requests with our own code.

    Parameters
    ----------
    server : module
        ``mlflow.pyfunc.scoring_server`` of this process.
    loader : str
        Name of the module that loads our models: requests to others stay MLflow's.

    Raises
    ------
    BundleError
        If this MLflow's server is another than the one this was written for: better no service
        than one that repeats participants' values.
    """
    if getattr(server, GUARDED, False):
        return
    for name, parameters in REPLACED.items():
        found = getattr(server, name, None)
        if found is None or tuple(inspect.signature(found).parameters) != parameters:
            raise BundleError(
                f"{SERVER}.{name}: expected a function of {', '.join(parameters)}. This MLflow's "
                "scoring server cannot be kept from repeating requests in its errors. Install the "
                "version in the model's requirements.txt."
            )
    replacements = {
        "invocations": _answer_with(server, loader),
        "_parse_json_data": _json_with(server, loader),
        "parse_csv_input": _csv_with(server),
        "predictions_to_json": _predictions_with(server),
    }
    for name, function in replacements.items():
        setattr(server, name, function)
    setattr(server, GUARDED, True)


def _answer_with(server: ModuleType, loader: str) -> Callable[..., Any]:
    theirs, response = server.invocations, server.InvocationsResponse

    def invocations(data: bytes, content_type: str | None, model: Any, input_schema: Any) -> Any:
        if model.loader_module != loader:
            return theirs(data, content_type, model, input_schema)
        status, text = answer(data, content_type, model.get_raw_model().predict)
        return response(response=text, status=status, mimetype="application/json")

    return invocations


def answer(
    body: bytes, content_type: str | None, predict: Callable[[pd.DataFrame], pd.DataFrame]
) -> tuple[int, str]:
    """Answer one request.

    Returns
    -------
    status : int
    text : str
        JSON: ``{"predictions": [...]}``, one object a row, or ``{"error_code", "message"}``.
    """
    try:
        return OK, predictions_text(predict(read_request(body, content_type)))
    except RequestError as error:
        return _refusal(error.status, str(error))
    except TableError as error:
        return _refusal(BAD_REQUEST, str(error))
    except Exception as error:
        # The rim of the process: whatever it is, the server lives on, and the text of an
        # unforeseen error may hold values. Its kind and place are enough to find it.
        kind, place = type(error).__name__, _place(error)
        LOG.error("a request ended in %s at %s", kind, place)
        return _refusal(DEFECT, f"The program failed ({kind} at {place}). Please report it.")


def _refusal(status: int, message: str) -> tuple[int, str]:
    code = "BAD_REQUEST" if status < DEFECT else "INTERNAL_ERROR"
    return status, json.dumps({"error_code": code, "message": message})


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def predictions_text(predictions: pd.DataFrame) -> str:
    """Return predictions as JSON; what is missing is null, which MLflow would write as NaN."""
    records = [
        {str(n): _plain(v) for n, v in row.items()} for row in predictions.to_dict("records")
    ]
    return json.dumps({"predictions": records}, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _json_with(server: ModuleType, loader: str) -> Callable[..., Any]:
    theirs, parsed = server._parse_json_data, server.ParsedJsonInput

    def parse(data: str, metadata: Any, input_schema: Any) -> Any:
        if metadata.flavors["python_function"].get("loader_module") != loader:
            return theirs(data, metadata, input_schema)
        return parsed(data=parse_json(data), params=None, is_unified_llm_input=False)

    return parse


def _csv_with(server: ModuleType) -> Callable[..., Any]:
    theirs = server.parse_csv_input

    def parse(csv_input: str | IO[str], schema: Any = None) -> Any:
        # Without a schema it is 'mlflow models predict' that asks, and for the loaded model.
        if schema is not None:
            return theirs(csv_input, schema)
        if isinstance(csv_input, str):
            return read_request(Path(csv_input).read_bytes(), "text/csv")
        return parse_csv(csv_input.read())

    return parse


def _predictions_with(server: ModuleType) -> Callable[..., Any]:
    theirs = server.predictions_to_json

    def write(raw_predictions: Any, output: IO[str], metadata: Any = None) -> None:
        if isinstance(raw_predictions, pd.DataFrame) and not metadata:
            output.write(predictions_text(raw_predictions))
        else:
            theirs(raw_predictions, output, metadata)

    return write


class UnknownColumns(logging.Filter):
    """Keeps MLflow from logging names of columns: without a header those are a row's values."""

    START = "Found extra inputs in the model input"

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every other record pass."""
        return not str(record.msg).startswith(self.START)
