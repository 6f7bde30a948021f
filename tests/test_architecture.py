"""Rules of the layout that the import linter cannot see."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(p for f in ("features", "models", "pipeline") for p in (ROOT / f).rglob("*.py"))
READERS = {
    "open",
    "read_csv",
    "read_parquet",
    "read_excel",
    "read_spss",
    "read_sav",
    "read_text",
    "read_bytes",
}
FILE_READERS = {
    "features/reference.py": "reference data that is part of the program",
    "pipeline/io.py": "the only door to a user's files",
    "pipeline/labelled.py": "files that carry labels for their codes",
    "pipeline/artefacts.py": "bundles",
    "pipeline/config.py": "params.yaml",
    "pipeline/batch_input.py": "standard input and a sample of a table's bytes",
    "pipeline/ingest.py": "study maps",
    "pipeline/resume.py": "finished pieces of a run that may be killed",
    "pipeline/scoring_door.py": "the input of 'mlflow models predict'",
    "pipeline/key_texts.py": "the secret of pseudonyms",
    "pipeline/table_writer.py": "its own files, to see them on the disk",
    "pipeline/report_exhibit.py": "figures and tables made by an earlier stage",
}


def calls(path: Path) -> set[str]:
    """Names of everything a module calls."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in functions}


def imports(path: Path) -> set[str]:
    """Top-level names a module imports, anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    plain = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    return {name.split(".")[0] for name in plain | named}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_module_opens_files_only_where_that_is_its_task(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()

    opened = calls(path) & READERS

    assert not opened or name in FILE_READERS, f"{name} calls {opened}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_module_never_unpickles_or_evaluates(path: Path) -> None:
    assert not imports(path) & {"pickle", "cloudpickle", "dill", "joblib.load"}
    assert not calls(path) & {"eval", "exec"}


def test_mlflow_is_imported_in_one_module() -> None:
    importing = {p.relative_to(ROOT).as_posix() for p in MODULES if "mlflow" in imports(p)}

    assert importing == {"pipeline/tracking.py"}


def test_seeds_hold_no_python() -> None:
    assert list((ROOT / "seeds").rglob("*.py")) == []


def test_tests_hold_no_package_that_would_shadow_ours() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
