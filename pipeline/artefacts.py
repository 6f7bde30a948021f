"""Bundles on disk, and the facts about this program that go into them."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.build import build_features, contract_parts
from features.columns import CASES, KEYS
from features.contract import check_cases
from models.bundle import BUNDLE_FILES, Bundle, from_files, shown, to_files
from models.errors import BundleError
from pipeline.errors import TableError
from pipeline.io import atomic_path
from pipeline.paths import bundle_folders

# Versions that can change a prediction.
STACK = ("eih", "numpy", "pandas", "scikit-learn", "scipy", "shap", "mlflow")
PROBE_TOLERANCE = 1e-6
# A hundred times the largest ladder's forest: nothing bigger is read into memory.
MOST_BUNDLE_BYTES = 2**28


def stack_versions() -> dict[str, str]:
    """Versions of Python and of the libraries a model depends on."""
    boosting = "xgboost-cpu" if platform.system() == "Linux" else "xgboost"
    return {
        "python": platform.python_version(),
        **{n: version(n) for n in STACK},
        "xgboost": version(boosting),
    }


def git_commit() -> str:
    """Commit of the checkout this program runs from, with ``-dirty`` if changed; '' if none."""
    here = Path(__file__).resolve().parent
    try:
        # A fixed command; the user's own git, wherever it is.
        done = subprocess.run(  # nosec B603 B607
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@cache
def probe_cases() -> pd.DataFrame:
    """Four made-up cases that reach every builder: three complete ones and a bare one.

    A bundle stores what its model says about them. A program that says something else has
    changed behind an unchanged contract.
    """
    rows = [_probe_case(share) for share in (0.25, 0.5, 0.75)]
    bare = dict.fromkeys(KEYS, "bare") | {"condition": "other", "modality": "aerobic"}
    return check_cases(pd.DataFrame([*rows, bare])).table


def _probe_case(share: float) -> dict[str, Any]:
    """A case whose every value lies at ``share`` of its column's range or levels."""
    row: dict[str, Any] = {}
    for column in CASES:
        if column.known_at in ("during", "after"):
            continue
        if column.levels:
            row[column.name] = column.levels[int(share * (len(column.levels) - 1))]
        elif column.low is not None and column.high is not None:
            value = column.low + share * (column.high - column.low)
            row[column.name] = round(value) if column.kind == "integer" else value
        else:
            row[column.name] = f"probe_{share}"
    return row | {"intensity_metric": "percent_hrr", "intensity_value": 100 * share}


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write a bundle's files into ``folder``; files of an older bundle there go."""
    files = to_files(bundle)
    for name in BUNDLE_FILES:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, check it, and refuse it under another contract.

    Raises
    ------
    TableError
        Without such a folder.
    BundleError
        For a damaged bundle, or one made under another contract.
    """
    if not folder.is_dir():
        raise TableError(f"{folder}: expected a bundle folder, found nothing there.")
    bundle = from_files(_read_files(folder), str(folder))
    bundle.check_contract(contract_parts())
    check_probe(bundle, str(folder))
    return bundle


def _read_files(folder: Path) -> dict[str, bytes]:
    """Read a bundle's files: plain ones only, and not more than a bundle can hold."""
    entries = sorted(folder.iterdir())
    strange = [p.name for p in entries if p.is_symlink() or not p.is_file()]
    if strange:
        raise BundleError(
            f"{folder}: expected plain files, found a link, a folder or a device: "
            f"{', '.join(map(repr, strange[:5]))}."
        )
    size = sum(p.stat().st_size for p in entries)
    if size > MOST_BUNDLE_BYTES:
        raise BundleError(
            f"{folder}: expected a bundle of at most {MOST_BUNDLE_BYTES >> 20} MiB, found "
            f"{size >> 20}."
        )
    return {p.name: p.read_bytes() for p in entries}


def bundle_id(bundle: Bundle) -> str:
    """First 16 digits of the SHA-256 over the bundle's manifest: names exactly this model."""
    return hashlib.sha256(to_files(bundle)["manifest.json"]).hexdigest()[:16]


def probe_answers(bundle: Bundle) -> list[float]:
    """What a bundle's model says about the probe cases."""
    return [float(p) for p in bundle.predict(build_features(probe_cases()))]


def check_probe(bundle: Bundle, where: str) -> None:
    """Refuse a bundle whose stored answers this program does not give."""
    try:
        stored = np.asarray(bundle.training["probe"], dtype=np.float64)
        answers = np.asarray(probe_answers(bundle))
        same = np.shape(stored) == np.shape(answers) and np.allclose(
            stored, answers, rtol=0, atol=PROBE_TOLERANCE
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BundleError(
            f"{where}: not a bundle that can answer ({type(error).__name__})."
        ) from None
    if not same:
        raise BundleError(
            f"{where}: this program answers the bundle's probe cases differently, though the "
            "contract is the same: a feature builder or a library has changed. Predict with the "
            f"version that made it (git {shown(bundle.record.get('git_commit') or 'unknown')}), or "
            "train again."
        )


def find_bundles(folder: Path) -> Mapping[str, Bundle]:
    """Read one bundle folder, or every ``<target>/bundle`` below a study's output folder.

    Returns
    -------
    mapping of target to Bundle, sorted by target
    """
    bundles = [read_bundle(p) for p in bundle_folders(folder)]
    return {b.target: b for b in bundles}
