"""A bundle that was tampered with is refused with a documented error, or answers as bundles do.

Manifests are made anew after most changes: what is tried is the reading of every file, not its
hash alone. ``EIH_FUZZ_EXAMPLES`` sets the number of bundles (default: 100 of each kind of change).
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.drift import Limits
from models.errors import BundleError
from pipeline import joint
from pipeline.artefacts import bundle_id, probe_cases, read_bundle
from pipeline.config import Params
from pipeline.errors import TableError
from pipeline.scoring import ScoreOptions, score_batch
from pipeline.watch import Watched, drift_summary

EXAMPLES = int(os.environ.get("EIH_FUZZ_EXAMPLES", "100"))
Files = dict[str, bytes]
KINDS = ("prevalence", "stratum", "logistic", "xgboost", "joint")
GIANT = "a number of four hundred digits"
DEEP = "ten thousand lists in each other"
STRANGE = st.sampled_from(
    [2**53, -(2**63), 1e308, -1e308, 5e-324, -0.0, float("nan"), float("inf"), GIANT, DEEP]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | STRANGE
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Bundles:
    """Files of good bundles by kind, which hypothesis does not spell out in a report."""

    def __init__(self, files: Mapping[str, Files]) -> None:
        self.files = files


@pytest.fixture(scope="module")
def good(trained: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    both = tmp_path_factory.mktemp("joint")
    joint.run(small, (trained / "features.parquet", trained / "outcomes.parquet"), both)
    candidates = trained / "response" / "train" / "candidates"
    folders = {kind: candidates / kind for kind in KINDS} | {"joint": both / "response" / "bundle"}
    return Bundles({k: {p.name: p.read_bytes() for p in f.iterdir()} for k, f in folders.items()})


def tampered(content: Any, path: list[int], value: Any) -> Any:
    """Replace, or take away, what a path of choices leads to."""
    if not path or not isinstance(content, dict | list) or not content:
        return value
    keys = sorted(content) if isinstance(content, dict) else list(range(len(content)))
    key = keys[path[0] % len(keys)]
    changed = dict(content) if isinstance(content, dict) else list(content)
    if len(path) == 1 and value == "gone":
        del changed[key]
    else:
        changed[key] = tampered(content[key], path[1:], value)
    return changed


def as_json(content: Any) -> bytes:
    text = json.dumps(content)
    return (
        text.replace(json.dumps(GIANT), "9" * 400)
        .replace(json.dumps(DEEP), "[" * 10_000 + "]" * 10_000)
        .encode()
    )


def sealed(files: Files) -> Files:
    digests = {n: hashlib.sha256(c).hexdigest() for n, c in files.items() if n != "manifest.json"}
    return files | {"manifest.json": json.dumps(digests).encode()}


def is_refused_or_answers(files: Files) -> bool:
    """Read a bundle; one that is accepted must do everything that a batch run asks of it."""
    with tempfile.TemporaryDirectory() as place:
        for name, content in files.items():
            (Path(place) / name).write_bytes(content)
        said = ""
        try:
            bundle = read_bundle(Path(place))
        except (BundleError, TableError) as error:
            said = str(error)
    if said:
        assert said.isprintable()
        return False
    bundles = {bundle.target: bundle}
    for options in (ScoreOptions(explain=True), ScoreOptions(top=2)):
        scored = score_batch(bundles, options)(raw_cases())
        risk = scored.predictions[f"p_{bundle.target}"].to_pandas()
        assert risk.between(0, 1).all()
        drift_summary(Watched.from_dict(scored.watched), bundles, Limits())
    assert len(bundle_id(bundle)) == 16
    return True


def raw_cases() -> pd.DataFrame:
    """A row with every column known before the bout and one with none, as text."""
    return probe_cases().astype("object").where(probe_cases().notna(), None).iloc[[1, 3]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_as_it_is_answers(good: Bundles, kind: str) -> None:
    files = good.files[kind]

    assert is_refused_or_answers(files)
    assert is_refused_or_answers(sealed(files))
    # The joint model is stored without a profile.
    assert {"uncertainty.json", *({"profile.json"} if kind != "joint" else ())} <= set(files)


@pytest.mark.slow
@SETTINGS
@given(
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(
        ["bundle.json", "scorer.json", "profile.json", *["uncertainty.json"] * 2, "manifest.json"]
    ),
    path=st.lists(st.integers(0, 50), max_size=5),
    value=JSON | st.just("gone"),
)
def test_changed_json_is_refused_or_harmless(
    good: Bundles, kind: str, name: str, path: list[int], value: Any
) -> None:
    files = good.files[kind]
    name = name if name in files else "uncertainty.json"
    changed = files | {name: as_json(tampered(json.loads(files[name]), path, value))}

    is_refused_or_answers(changed if name == "manifest.json" else sealed(changed))


@pytest.mark.slow
@SETTINGS
@given(
    kind=st.sampled_from(KINDS),
    file=st.integers(0, 30),
    at=st.integers(0, 2**20),
    how=st.binary(min_size=1, max_size=3) | st.sampled_from(["cut", "longer", "gone", "empty"]),
    renew=st.booleans(),
)
def test_changed_bytes_are_refused_or_harmless(
    good: Bundles, kind: str, file: int, at: int, how: bytes | str, renew: bool
) -> None:
    files = good.files[kind]
    name = sorted(files)[file % len(files)]
    old = files[name]
    at %= len(old)
    new = {
        "cut": old[:at],
        "longer": old + old[at:],
        "empty": b"",
    }.get(how if isinstance(how, str) else "", b"")
    if isinstance(how, bytes):
        new = old[:at] + how + old[at + len(how) :]
    changed = (
        {n: c for n, c in files.items() if n != name} if how == "gone" else files | {name: new}
    )

    if renew:
        is_refused_or_answers(sealed(changed))
    else:
        assert is_refused_or_answers(changed) == (changed == files)


@pytest.mark.slow
@settings(SETTINGS, max_examples=max(EXAMPLES // 4, 10))
@given(
    kinds=st.permutations(KINDS).map(lambda k: k[:2]),
    file=st.integers(0, 30),
    to=st.integers(0, 30),
)
def test_files_of_other_bundles_and_other_places_are_refused_or_harmless(
    good: Bundles, kinds: list[str], file: int, to: int
) -> None:
    own, other = (good.files[k] for k in kinds)
    name = sorted(other)[file % len(other)]
    place = sorted(own)[to % len(own)]

    for changed in (own | {name: other[name]}, own | {place: other[name]}):
        is_refused_or_answers(sealed(changed))


@pytest.mark.parametrize(
    "name", ["../scorer.json", "/etc/passwd", "..", "a/b.json", "a\\b", "C:x", "x\x00", "x\n", ""]
)
def test_a_manifest_that_names_another_place_is_refused(good: Bundles, name: str) -> None:
    files = good.files["logistic"]
    manifest = json.loads(files["manifest.json"]) | {name: "0" * 64}

    assert not is_refused_or_answers(files | {"manifest.json": json.dumps(manifest).encode()})


def test_an_array_that_claims_to_be_huge_is_refused_before_memory_is_asked_for(
    good: Bundles,
) -> None:
    files = good.files["xgboost"]
    header = b"\x93NUMPY\x01\x00v\x00"
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for shape in ("1000000000000000", "4000000000", "18446744073709551616"):
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape},), }}"
        changed = files | {"tables_values.npy": header + text.ljust(117).encode() + b"\n"}
        assert not is_refused_or_answers(sealed(changed))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < peak_kib + 2**18
