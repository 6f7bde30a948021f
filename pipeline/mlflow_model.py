"""The bundle as an MLflow model: raw ``cases`` in, one probability a row out.

MLflow loads this module by name from the code logged with the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from models.bundle import Bundle
from pipeline.artefacts import read_bundle
from pipeline.predict import predict


@dataclass(frozen=True)
class CasesModel:
    """Predicts raw cases; a row that breaks the contract gets no probability, but its reason."""

    bundle: Bundle

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Return the keys, ``p_<target>`` and ``reject`` (empty if scored), in input order."""
        rows = model_input.reset_index(drop=True)
        scored = predict(rows, {self.bundle.target: self.bundle})
        answer = scored.predictions.set_index("row").reindex(range(len(rows)))
        answer["reject"] = scored.rejects.set_index("row")["reason"].reindex(answer.index)
        return answer.fillna({"reject": ""})


def _load_pyfunc(data_path: str) -> CasesModel:
    """Load the bundle folder that MLflow stored (called by MLflow)."""
    return CasesModel(read_bundle(Path(data_path)))
