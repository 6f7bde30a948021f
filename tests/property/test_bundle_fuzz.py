"""A bundle that was tampered with is refused with a documented error, whatever was done to it."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import BundleError
from pipeline.artefacts import read_bundle
from pipeline.errors import TableError

EXAMPLES = int(os.environ.get("EIH_FUZZ_EXAMPLES", "200"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def folder(trained: Path) -> Path:
    return trained / "response" / "train" / "candidates"


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


def write(files: dict[str, bytes], folder: Path, *, renew: bool) -> None:
    if renew:
        digests = {n: hashlib.sha256(c).hexdigest() for n, c in files.items() if n[0] != "m"}
        files = files | {"manifest.json": json.dumps(digests).encode()}
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(["logistic", "stratum", "prevalence"]),
    name=st.sampled_from(["bundle.json", "scorer.json", "manifest.json"]),
    path=st.lists(st.integers(0, 50), max_size=4),
    value=JSON | st.just("gone"),
)
def test_changed_json_is_refused_or_harmless(
    folder: Path, kind: str, name: str, path: list[int], value: Any
) -> None:
    files = {p.name: p.read_bytes() for p in (folder / kind).iterdir()}
    files[name] = json.dumps(tampered(json.loads(files[name]), path, value)).encode()

    with tempfile.TemporaryDirectory() as place:
        write(files, Path(place), renew=name != "manifest.json")
        try:
            read_bundle(Path(place))
        except (BundleError, TableError):
            return


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    name=st.sampled_from(["bundle.json", "scorer.json", "manifest.json", "booster.ubj"]),
    at=st.integers(0, 2**20),
    byte=st.binary(min_size=1, max_size=3),
)
def test_changed_bytes_are_refused(folder: Path, name: str, at: int, byte: bytes) -> None:
    files = {p.name: p.read_bytes() for p in (folder / "xgboost").iterdir()}
    old = files[name]
    place_in = at % len(old)
    files[name] = old[:place_in] + byte + old[place_in + len(byte) :]
    same = files[name] == old

    with tempfile.TemporaryDirectory() as place:
        write(files, Path(place), renew=False)
        if same:
            read_bundle(Path(place))
        else:
            with pytest.raises(BundleError):
                read_bundle(Path(place))
