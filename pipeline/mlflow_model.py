"""The bundle as an MLflow model: raw ``cases`` in, one probability a row out.

MLflow loads this module by name from the code logged with the model.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from models.bundle import Bundle
from pipeline.artefacts import read_bundle
from pipeline.predict import predict
from pipeline.scoring_door import SERVER, UnknownColumns, guard


@dataclass(frozen=True)
class CasesModel:
    """Predicts raw cases; a row that breaks the contract gets no probability, but its reason."""

    bundle: Bundle

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Return the keys, ``p_<target>`` and ``reject`` (empty if scored), in input order.

        Raises
        ------
        TableError
            If a required column is missing: then no row could be scored.
        """
        rows = model_input.reset_index(drop=True)
        scored = predict(rows, {self.bundle.target: self.bundle})
        answer = scored.predictions.set_index("row").reindex(range(len(rows)))
        answer["reject"] = scored.rejects.set_index("row")["reason"].reindex(answer.index)
        return answer.fillna({"reject": ""})

    def get_raw_model(self) -> CasesModel:
        """Return this model (MLflow asks for it by this name)."""
        return self


def _load_pyfunc(data_path: str) -> CasesModel:
    """Load the bundle folder that MLflow stored (called by MLflow).

    From then on MLflow's errors and logs in this process leave out rows and names of columns.
    """
    os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    log = logging.getLogger("mlflow.models.utils")
    if not any(isinstance(f, UnknownColumns) for f in log.filters):
        log.addFilter(UnknownColumns())
    server = sys.modules.get(SERVER)
    if server is not None:
        guard(server, __name__)
    return CasesModel(read_bundle(Path(data_path)))
