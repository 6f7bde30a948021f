"""The only code that talks to MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Read by MLflow when it is imported: it would otherwise try the network once.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow.data.meta_dataset import MetaDataset

# MLflow makes this class when it is imported.
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from sqlalchemy.exc import SQLAlchemyError

from features.columns import CASES, Column
from pipeline import mlflow_model
from pipeline.artefacts import stack_versions
from pipeline.errors import TableError
from pipeline.io import names_persons
from pipeline.target_folder import ONE_PERSON

# Every version carries the first alias; the second goes only to one that passed the gate.
CANDIDATE, CHAMPION = "candidate", "champion"
SUFFIXES = {"estimate": "", "lower": "_lower", "upper": "_upper"}
# The artefact that is the model version's description too.
CARD = "model_card.md"
CODE = ("features", "models", "pipeline", "seeds")
ROOT = Path(__file__).resolve().parent.parent
# What a process needs to load a bundle and predict: no tracking, plotting or pipeline tools.
SERVING = (
    "numpy",
    "pandas",
    "pyarrow",
    "pyreadstat",
    "pyyaml",
    "scikit-learn",
    "scipy",
    "xgboost",
)


@dataclass(frozen=True)
class DatasetRecord:
    """The table a run learnt from: its name, hash, place and columns; no value of it.

    ``source`` is relative to the project: a store may be shared, a machine's folders are not.
    """

    name: str
    sha256: str
    source: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class RunRecord:
    """One run: its name, settings, figures, files and the table it learnt from."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    dataset: DatasetRecord | None = None


@dataclass(frozen=True)
class Logged:
    """Where a run and its model ended up."""

    run_id: str
    model_name: str
    model_version: str


def cases_signature() -> ModelSignature:
    """Signature of a model that takes raw ``cases``: every column by name, of any type, optional.

    The contract judges types and what must be there, and says why without a value. MLflow would
    refuse a whole number for a decimal one and an id that is a number, and print rows.
    """
    any_type = AnyType()  # type: ignore[no-untyped-call]
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(any_type, c.name, required=False) for c in known_in_time()
    ]
    return ModelSignature(inputs=Schema(inputs))


def known_in_time() -> list[Column]:
    """Columns of ``cases`` that are known before the bout."""
    return [c for c in CASES if c.known_at not in ("during", "after")]


def describe_columns() -> dict[str, Any]:
    """What a caller of a registered model has to know of its input, as the model's metadata."""
    columns = known_in_time()
    return {
        "required_columns": [c.name for c in columns if c.required],
        "numbers": {c.name: c.expected() for c in columns if c.kind in ("number", "integer")},
        "categories": {c.name: list(c.levels) for c in columns if c.levels},
    }


def serving_requirements() -> list[str]:
    """Exact requirements of a served model."""
    from importlib.metadata import version

    versions = stack_versions() | {n: version(n) for n in ("pyarrow", "pyreadstat", "pyyaml")}
    boosting = {
        f"xgboost-cpu=={versions['xgboost']} ; sys_platform == 'linux'",
        f"xgboost=={versions['xgboost']} ; sys_platform != 'linux'",
    }
    plain = [f"{n}=={versions[n]}" for n in SERVING if n != "xgboost"]
    return [*plain, *sorted(boosting)]


def log_study_target(
    store: tuple[str, str],
    parent: RunRecord,
    candidates: list[tuple[RunRecord, Path]],
    model: tuple[str, Path, pd.DataFrame],
    promoted: bool = False,
) -> Logged:
    """Log one target of one study: a run, a nested run per candidate, and the model.

    Parameters
    ----------
    store : (tracking URI, experiment name)
    parent : RunRecord
    candidates : list of (RunRecord, bundle folder)
    model : (registered name, bundle folder, input example)
    promoted : bool, default=False
        Whether the model passed the promotion gate (:func:`models.selection.verdict`).

    Returns
    -------
    Logged
        The registered version carries the alias ``candidate``, and ``champion`` if promoted. A
        version that was not promoted leaves an earlier champion where it is.
    """
    uri, experiment = store
    _open_experiment(uri, experiment)
    with mlflow.start_run(run_name=parent.name) as run:
        _log(parent)
        for record, bundle in candidates:
            with mlflow.start_run(run_name=record.name, nested=True):
                _log(record)
                mlflow.log_artifacts(str(bundle), "bundle")
        version = _log_model(*model)
    client = mlflow.MlflowClient()
    for alias in (CANDIDATE, CHAMPION) if promoted else (CANDIDATE,):
        client.set_registered_model_alias(model[0], alias, version)
    client.update_model_version(model[0], version, parent.texts.get(CARD, ""))
    for key, value in parent.tags.items():
        client.set_model_version_tag(model[0], version, key, value)
    return Logged(run.info.run_id, model[0], version)


def log_rehearsal(store: tuple[str, str], content: Mapping[str, Any], folder: Path) -> None:
    """Log one run per rehearsed design: the design, its rates, and the folder of results."""
    _open_experiment(*store)
    for found in content["designs"]:
        design = found["design"]
        rates = {f"promoted{s}": found["promoted"][k] for k, s in SUFFIXES.items()}
        for name, figures in found["auc"].items():
            rates |= {f"auc_{name}_{k}": figures[k] for k in ("bias", "mean_true") if k in figures}
        name = f"rehearsal-{design['scenario']}-{design['participants']}"
        with mlflow.start_run(run_name=name):
            known = {k: float(v) for k, v in rates.items() if v is not None and v == v}
            record = RunRecord(
                name=name,
                params={**design, "n_runs": found["n_runs"]},
                metrics=known,
                tags={"note": content["note"]},
                folders=(folder,),
            )
            _log(record)


def count_experiments(uri: str) -> int:
    """Return how many experiments a store holds: it answers, or it raises.

    Raises
    ------
    TableError
        If the store does not answer; without its address, which may hold a password.
    """
    try:
        return len(mlflow.MlflowClient(tracking_uri=uri).search_experiments())
    except (MlflowException, SQLAlchemyError) as error:
        raise TableError(f"the store does not answer ({type(error).__name__}).") from None


def _open_experiment(uri: str, experiment: str) -> None:
    """Choose the experiment; a sqlite store keeps its files beside the database."""
    mlflow.set_tracking_uri(uri)
    location = None
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        location = (folder / "mlruns").as_uri()
    if mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=location)
    mlflow.set_experiment(experiment)


def _log(record: RunRecord) -> None:
    mlflow.log_params({k: str(v)[:500] for k, v in record.params.items()})
    mlflow.log_metrics(dict(record.metrics))
    mlflow.set_tags(dict(record.tags))
    for name, text in record.texts.items():
        mlflow.log_text(text, name)
    if record.dataset is not None:
        mlflow.log_input(_dataset(record.dataset), context="training")
    for folder in record.folders:
        _log_folder(folder)


def _dataset(record: DatasetRecord) -> MetaDataset:
    # A MetaDataset can be made; its stub says that it cannot.
    return MetaDataset(  # type: ignore[abstract]
        source=LocalArtifactDatasetSource(record.source),
        name=record.name,
        # MLflow takes 36 characters.
        digest=record.sha256[:32],
        schema=Schema([ColSpec("double", name) for name in record.columns]),
    )


def _log_folder(folder: Path) -> None:
    """Log a folder's files but for tables of persons and figures of one person."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if not (names_persons(path) or path.name.startswith(ONE_PERSON)):
            mlflow.log_artifact(str(path), path.parent.relative_to(folder.parent).as_posix())


def _log_model(name: str, bundle: Path, example: pd.DataFrame) -> str:
    info = mlflow.pyfunc.log_model(
        name="model",
        loader_module=mlflow_model.__name__,
        data_path=str(bundle),
        code_paths=[str(ROOT / part) for part in CODE],
        signature=cases_signature(),
        input_example=example,
        pip_requirements=serving_requirements(),
        metadata=describe_columns(),
        registered_model_name=name,
    )
    return str(info.registered_model_version)
