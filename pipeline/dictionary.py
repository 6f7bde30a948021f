"""Tool ``dictionary``: the data dictionary of this program, written from the contract."""

from __future__ import annotations

from pathlib import Path

from features.dictionary import data_dictionary
from pipeline.io import write_text


def run(output: Path) -> int:
    """Write the dictionary; return its number of lines."""
    text = data_dictionary()
    write_text(text, output)
    return text.count("\n")
