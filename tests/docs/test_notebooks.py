"""The notebooks are what running them gives: simulated, without paths, and without errors."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(notebook: Any) -> list[Any]:
    """Code cells in their order."""
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def test_there_are_two_notebooks() -> None:
    assert len(NOTEBOOKS) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_says_first_that_it_is_simulated_and_holds_no_path(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)

    assert "".join(notebook["cells"][0]["source"]).startswith("*Simulated data")
    assert all(c["execution_count"] for c in cells(notebook))
    assert not re.search(r"/(?:home|root|tmp|Users|work)/", text)
    assert "image/png" in text
    assert len(text) < 150_000


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
    reason="nbclient and ipykernel belong to the extra 'docs': make docs",
)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_again_and_prints_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = nbformat.read(path, 4)
    again = nbformat.read(path, 4)
    NotebookClient(again, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))

    def printed(notebook: Any) -> list[str]:
        return ["".join(o.get("text", "") for o in c["outputs"]) for c in cells(notebook)]

    assert printed(again) == printed(stored)
