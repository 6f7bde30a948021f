"""What is put into MLflow, and that the registered model answers as the bundle does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.types.schema import AnyType

from features.columns import CASES_BY_NAME
from pipeline import register
from pipeline.artefacts import find_bundles, read_bundle
from pipeline.biomarker import Question, Written, run_endpoints
from pipeline.config import Params
from pipeline.io import read_json, write_json
from pipeline.model_card import model_card
from pipeline.predict import predict
from pipeline.tracking import cases_signature, known_in_time

MODEL = "eih-small-response"


@pytest.fixture(scope="module")
def store(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A sqlite store with the small study's response target in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    params = replace(Params().register, tracking_uri=uri)
    study = folder / "small"
    shutil.copytree(trained, study)
    quick = replace(
        Params().biomarker,
        candidates=("expectancy",),
        repeats=1,
        folds=3,
        resamples=20,
        rules=(),
        learners=("unpenalised",),
    )
    written = Written(study / "response" / "biomarker")
    run_endpoints((quick, Params().label), study, Question(), ("primary",), written)
    register.run(params, study / "response", folder / "registration.json")
    return uri


def test_one_run_holds_the_candidates_as_nested_runs(store: str, trained: Path) -> None:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("eih")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])

    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    nested = [r for r in runs if "mlflow.parentRunId" in r.data.tags]

    assert [r.info.run_name for r in parents] == [MODEL]
    assert {r.data.tags["mlflow.parentRunId"] for r in nested} == {parents[0].info.run_id}
    assert {r.info.run_name for r in nested} == {
        "prevalence",
        "stratum",
        "baseline",
        "logistic",
        "regression",
        "xgboost",
    }


def test_run_carries_hashes_metrics_with_intervals_and_figures(store: str, trained: Path) -> None:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("eih")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id], f"run_name = '{MODEL}'")[0]
    bundle = read_bundle(trained / "response" / "bundle")

    assert run.data.params["data_sha256"] == bundle.record["data_sha256"]
    assert run.data.params["split_sha256"] == bundle.record["split_sha256"]
    assert {"auc", "auc_lower", "auc_upper", "log_loss_lower"} <= set(run.data.metrics)
    assert "The predictors" in run.data.tags["verdict"]
    figures = {f.path for f in client.list_artifacts(run.info.run_id, "evaluate/plots")}
    assert "evaluate/plots/calibration.png" in figures


def test_run_carries_what_markers_add(store: str) -> None:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("eih")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id], f"run_name = '{MODEL}'")[0]

    files = {f.path for f in client.list_artifacts(run.info.run_id, "biomarker")}

    names = ("biomarker.json", "biomarker.csv", "robustness.csv", "forest.png")
    assert files == {f"biomarker/{name}" for name in names}


def test_registered_model_answers_raw_cases_as_the_bundle_does(store: str, trained: Path) -> None:
    mlflow.set_tracking_uri(store)
    cases = pd.read_parquet(trained / "cases.parquet").head(30)
    cases["modality"] = cases["modality"].replace("rest", "aerobic")
    cases.loc[3, "age_years"] = 400.0
    response = {"response": find_bundles(trained)["response"]}
    expected = predict(cases, response).predictions.set_index("row")["p_response"]

    answer = mlflow.pyfunc.load_model(f"models:/{MODEL}@candidate").predict(cases)

    assert len(answer) == len(cases)
    np.testing.assert_array_equal(answer["p_response"].dropna(), expected)
    assert answer.loc[3, "reject"] == "age_years: expected numbers in 10 to 110 years"
    assert answer["p_response"].isna().equals(answer["reject"].ne(""))


def aliases(store: str) -> dict[str, str]:
    """Alias to version of the small study's model."""
    return {
        a: str(v) for a, v in mlflow.MlflowClient(store).get_registered_model(MODEL).aliases.items()
    }


def judged_as(promoted: bool, trained: Path, folder: Path) -> Path:
    """A copy of the trained target whose verdict is this one."""
    shutil.copytree(trained / "response", folder)
    metrics = read_json(folder / "evaluate" / "metrics.json")
    metrics["verdict"]["promoted"] = promoted
    write_json(metrics, folder / "evaluate" / "metrics.json")
    return folder


def test_only_the_gate_makes_a_champion(store: str, trained: Path, tmp_path: Path) -> None:
    params = replace(Params().register, tracking_uri=store)
    assert aliases(store) == {"candidate": "1"}

    passed = judged_as(True, trained, tmp_path / "small" / "response")
    done = register.run(params, passed, tmp_path / "registration.json")
    assert done["aliases"] == ["candidate", "champion"]
    assert aliases(store) == {"candidate": "2", "champion": "2"}

    shutil.rmtree(passed)
    failed = judged_as(False, trained, tmp_path / "small" / "response")
    done = register.run(params, failed, tmp_path / "registration.json")
    assert done["aliases"] == ["candidate"]
    assert aliases(store) == {"candidate": "3", "champion": "2"}


def test_signature_leaves_types_and_required_columns_to_the_contract() -> None:
    inputs = cases_signature().inputs

    assert not any(c.required for c in inputs)
    assert all(c.type == AnyType() for c in inputs)
    assert [c.name for c in inputs] == [c.name for c in known_in_time()]


def test_model_says_which_columns_it_needs_and_in_which_units(store: str) -> None:
    said = mlflow.models.get_model_info(f"models:/{MODEL}@candidate").metadata

    keys = ["study_id", "participant_id", "session_id"]
    assert said["required_columns"] == [*keys, "condition", "modality"]
    assert said["numbers"]["age_years"] == CASES_BY_NAME["age_years"].expected()
    assert said["categories"]["modality"] == list(CASES_BY_NAME["modality"].levels)


def test_input_example_is_made_up(trained: Path) -> None:
    example = register.input_example()

    assert example["participant_id"].str.startswith("probe_").all()


def test_a_target_without_a_model_is_registered_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "response"
    write_json({"not_enough_data": "too few"}, folder / "train" / "selection.json")

    done = register.run(Params().register, folder, tmp_path / "registration.json")

    assert done == read_json(tmp_path / "registration.json") == {"not_enough_data": "too few"}


def test_a_version_is_described_by_its_card_and_found_by_its_tags(
    store: str, trained: Path
) -> None:
    client = mlflow.MlflowClient(store)
    version = client.get_model_version(MODEL, "1")

    assert version.description == model_card(trained / "response").replace(
        f"eih-{trained.name}-response", MODEL
    )
    assert version.tags["target"] == "response"
    assert version.tags["candidate"] == read_bundle(trained / "response" / "bundle").candidate


def test_a_run_names_the_table_it_learnt_from_without_a_value_of_it(
    store: str, trained: Path
) -> None:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("eih")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id], f"run_name = '{MODEL}'")[-1]
    bundle = read_bundle(trained / "response" / "bundle")

    (used,) = run.inputs.dataset_inputs

    assert bundle.record["data_sha256"].startswith(used.dataset.digest)
    assert used.dataset.source == '{"uri": "outputs/small/features.parquet"}'
    assert "profile" not in used.dataset.schema
    columns = [c["name"] for c in json.loads(used.dataset.schema)["mlflow_colspec"]]
    assert columns == list(bundle.feature_names)
    assert used.dataset.profile in (None, "null")
