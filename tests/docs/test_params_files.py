"""Settings that a document is made with can be used to make it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import load_params

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docs").glob("*.params.yaml"))


def test_there_are_such_files() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_settings_of_a_document_load(path: Path) -> None:
    assert load_params(path).targets
