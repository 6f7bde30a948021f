"""A bundle is read as it was written, or refused in one sentence; nothing is unpickled."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models
from models.bundle import Bundle, describe_training, from_files, to_files
from models.classifiers import make_logistic, make_prevalence, make_stratum, make_xgboost
from models.errors import BundleError
from models.scorers import ConstantScorer, make_scorer
from models.tree_tables import TABLE_FILES

COLUMNS = ("exercise", "pain", "age")
MAKERS = {
    "constant": make_prevalence,
    "stratum": lambda: make_stratum(["exercise"], 4.0),
    "linear": lambda: make_logistic(COLUMNS, 0.5),
    "boosted": lambda: make_xgboost(COLUMNS, 2, 8),
}
PLACE = "outputs/demo/response/bundle"


def people(seed=0, n=120):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "exercise": rng.integers(0, 3, n) * 1.0,
            "pain": rng.uniform(0, 10, n),
            "age": rng.normal(50, 12, n),
        }
    )
    y = (rng.random(n) < X["pain"] / 10).astype(int)
    X.loc[rng.random(n) < 0.2, "pain"] = np.nan
    return X, y


def bundle_of(kind):
    X, y = people()
    return Bundle(
        target="response",
        candidate=kind,
        scorer=make_scorer(MAKERS[kind]().fit(X, y)),
        features=tuple({"name": name, "unit": "ü"} for name in COLUMNS),
        contract={"cases": "9c1e", "features": "51d0"},
        training=describe_training(X, y.astype(float), np.arange(len(X)) // 2),
        record={"git_commit": "4af2b10", "study": "demo"},
    )


def resealed(files):
    """The files with a manifest that matches them."""
    content = {name: body for name, body in files.items() if name != "manifest.json"}
    manifest = {name: hashlib.sha256(body).hexdigest() for name, body in content.items()}
    return {**content, "manifest.json": json.dumps(manifest).encode()}


def refusal(files):
    with pytest.raises(BundleError) as caught:
        from_files(files, PLACE)
    return str(caught.value)


# ---- round trip


@pytest.mark.parametrize("kind", MAKERS)
def test_a_bundle_predicts_the_same_after_a_round_trip(kind):
    bundle = bundle_of(kind)
    X, _ = people(seed=1)
    X.iloc[0] = np.nan
    X.loc[1, "exercise"] = 99.0

    read = from_files(to_files(bundle), PLACE)

    np.testing.assert_array_equal(read.predict(X), bundle.predict(X))
    ours, theirs = bundle.explain(X), read.explain(X)
    np.testing.assert_array_equal(ours.values, theirs.values)
    assert (ours.names, ours.baseline) == (theirs.names, theirs.baseline)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_bundle_is_equal_after_a_round_trip(kind):
    bundle = bundle_of(kind)

    assert from_files(to_files(bundle), PLACE) == bundle


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_bundle_gives_the_same_bytes(kind):
    files = to_files(bundle_of(kind))

    assert to_files(bundle_of(kind)) == files
    assert to_files(from_files(files, PLACE)) == files


@pytest.mark.parametrize("kind", MAKERS)
def test_a_bundle_has_the_files_that_are_documented(kind):
    trees = {"booster.ubj", *TABLE_FILES} if kind == "boosted" else set()

    assert set(to_files(bundle_of(kind))) == {
        "manifest.json",
        "bundle.json",
        "scorer.json",
        *trees,
    }


def test_a_bundle_knows_the_columns_it_needs():
    bundle = bundle_of("linear")

    with pytest.raises(BundleError) as caught:
        bundle.predict(people()[0].drop(columns=["age", "pain"]))

    assert bundle.feature_names == COLUMNS
    assert str(caught.value) == (
        "features: expected the 3 columns of the bundle, found none of these: pain, age."
    )
    with pytest.raises(BundleError, match="found none of these: age"):
        bundle.explain(people()[0].drop(columns="age"))


def test_a_bundle_takes_more_columns_in_any_order():
    bundle = bundle_of("boosted")
    X, _ = people()

    wider = X.assign(other=1.0)[["other", "age", "pain", "exercise"]]

    np.testing.assert_array_equal(bundle.predict(wider), bundle.predict(X))


def test_a_bundle_that_would_not_be_plain_json_is_not_written():
    bundle = Bundle("response", "prevalence", ConstantScorer(np.nan), (), {}, {}, {})

    with pytest.raises(ValueError, match="not JSON compliant"):
        to_files(bundle)


# ---- damage


def test_without_a_manifest_it_is_no_bundle():
    assert refusal({}) == f"{PLACE}: expected a bundle folder, found no manifest.json in it."


@pytest.mark.parametrize("name", ["bundle.json", "scorer.json", "booster.ubj"])
def test_an_altered_file_is_refused(name):
    files = to_files(bundle_of("boosted"))
    files[name] = files[name][:-1] + b"\x00"

    assert refusal(files) == f"{PLACE}: the bundle is damaged: {name} was altered."


@pytest.mark.parametrize("name", ["bundle.json", "scorer.json", "booster.ubj"])
def test_a_missing_file_is_refused(name):
    files = to_files(bundle_of("boosted"))
    del files[name]

    assert refusal(files) == f"{PLACE}: the bundle is damaged: {name} is missing."


def test_an_extra_file_is_refused():
    files = {**to_files(bundle_of("linear")), "model.pkl": b""}

    assert refusal(files) == (f"{PLACE}: the bundle is damaged: model.pkl is not in the manifest.")


def test_every_damage_is_named_at_once():
    files = {**to_files(bundle_of("boosted")), "bundle.json": b"{}", "notes.txt": b""}
    del files["booster.ubj"]

    assert refusal(files) == (
        f"{PLACE}: the bundle is damaged: booster.ubj is missing, notes.txt is not in the "
        "manifest, bundle.json was altered."
    )


@pytest.mark.parametrize("manifest", [b"", b"[]", b"3", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object_is_refused(manifest):
    files = {**to_files(bundle_of("constant")), "manifest.json": manifest}

    assert refusal(files) == f"{PLACE}: manifest.json is not a JSON object."


@pytest.mark.parametrize(
    "name", ["../scorer.json", "/etc/passwd", "a/b.json", "", ".", "..", "/", "..\\x", "C:\\x"]
)
def test_a_manifest_that_names_a_place_outside_is_refused(name):
    files = to_files(bundle_of("constant"))
    manifest = json.loads(files["manifest.json"]) | {name: "0"}

    files["manifest.json"] = json.dumps(manifest).encode()

    assert refusal(files) == f"{PLACE}: manifest.json names files outside the bundle."


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_refused(version):
    files = to_files(bundle_of("constant"))
    content = json.loads(files["bundle.json"]) | {"format": version}
    files["bundle.json"] = json.dumps(content).encode()

    assert refusal(resealed(files)) == f"{PLACE}: expected bundle format 1, found {version}."


@pytest.mark.parametrize(
    "key", ["format", "target", "candidate", "features", "contract", "training", "record"]
)
def test_a_bundle_without_one_of_its_parts_is_refused(key):
    files = to_files(bundle_of("constant"))
    content = json.loads(files["bundle.json"])
    del content[key]
    files["bundle.json"] = json.dumps(content).encode()

    assert refusal(resealed(files)) == f"{PLACE}: not a readable bundle (KeyError)."


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("target", None),
        ("target", "a\nb"),
        ("target", ""),
        ("target", "../response"),
        ("candidate", 3),
        ("contract", None),
        ("contract", {"cases": 1}),
        ("contract", []),
        ("training", None),
        ("record", [1]),
        ("features", {"name": "age"}),
        ("features", ["age"]),
        ("features", [{"name": None}]),
    ],
)
def test_a_part_of_another_kind_is_refused(part, value):
    files = to_files(bundle_of("constant"))
    content = json.loads(files["bundle.json"]) | {part: value}
    files["bundle.json"] = json.dumps(content).encode()

    assert refusal(resealed(files)) == f"{PLACE}: not a readable bundle (TypeError)."


@pytest.mark.parametrize("name", ["bundle.json", "scorer.json", "booster.ubj"])
def test_a_bundle_without_a_file_its_manifest_should_name_is_refused(name):
    files = to_files(bundle_of("boosted"))
    del files[name]

    assert refusal(resealed(files)) == f"{PLACE}: not a readable bundle (KeyError)."


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "JSONDecodeError"),
        (b"{}", "KeyError"),
        (b"[]", "TypeError"),
        (b"null", "AttributeError"),
        (b'{"kind": "pickle"}', "KeyError"),
        (b'{"kind": []}', "TypeError"),
        (b'{"kind": "linear"}', "TypeError"),
        (b'{"kind": "constant", "risk": 0.5, "more": 1}', "TypeError"),
        (b"\x80\x04\x95", "UnicodeDecodeError"),
        (b"[" * 100_000, "RecursionError"),
    ],
)
def test_a_scorer_that_cannot_be_read_is_refused(content, error):
    files = to_files(bundle_of("constant")) | {"scorer.json": content}

    assert refusal(resealed(files)) == f"{PLACE}: not a readable bundle ({error})."


# ---- the contract


def test_the_same_contract_is_accepted():
    bundle_of("constant").check_contract({"features": "51d0", "cases": "9c1e"})


def test_another_contract_is_refused_with_every_difference():
    running = {"cases": "9c1e", "features": "0000", "zeta": "1", "alpha": "2"}
    bundle = bundle_of("constant")
    bundle.contract["gone"] = "3"

    with pytest.raises(BundleError) as caught:
        bundle.check_contract(running)

    assert str(caught.value) == (
        "bundle for response: was made under another contract (git 4af2b10) than this program's. "
        "Predict with that version, or train again. Differences: + alpha, + zeta, - gone, "
        "~ features."
    )


@pytest.mark.parametrize("record", [{}, {"git_commit": ""}])
def test_a_bundle_of_an_unknown_commit_says_so(record):
    bundle = Bundle("flare", "prevalence", ConstantScorer(0.5), (), {"a": "1"}, {}, record)

    with pytest.raises(BundleError, match=r"\(git unknown\).*Differences: ~ a\.$"):
        bundle.check_contract({"a": "2"})


# ---- what is said about training


def test_training_counts_persons_rows_and_events():
    X, y = people()

    found = describe_training(X, y.astype(float), np.arange(120) // 2)

    assert (found["n_rows"], found["n_participants"], found["n_events"]) == (120, 60, y.sum())


def test_training_ranges_are_the_first_and_last_percentile():
    X = pd.DataFrame({"a": np.arange(201.0), "b": np.nan})
    X.loc[201] = np.nan

    found = describe_training(X, np.ones(202), np.arange(202))

    assert found["features"] == {
        "a": {"low": 200 * 0.01, "high": 200 * 0.99, "missing": 1 / 202},
        "b": {"low": None, "high": None, "missing": 1.0},
    }
    assert found["absent"] == ["b"]


# ---- no pickle


def test_no_model_code_can_unpickle():
    forbidden = {"pickle", "cloudpickle", "dill", "shelve", "marshal"}
    for module in Path(models.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)] + [a.name for a in node.names]
            roots = {name.split(".")[0] for name in names}
            assert not roots & forbidden, module.name
            # joblib's dump and load are pickle by another name.
            assert "joblib" not in roots or not roots & {"dump", "load"}, module.name


def test_no_file_of_a_bundle_is_a_pickle():
    for kind in MAKERS:
        for name, content in to_files(bundle_of(kind)).items():
            assert not content.startswith(b"\x80"), name
