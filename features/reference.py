"""Reference data shipped with the package (folder ``seeds/``): keys, boundaries, published figures.

The one place in ``features`` that opens a file, and only files that are part of the program.
"""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

# Beside this package in a checkout, in an installed wheel and in a logged model alike.
# importlib.resources cannot be used: seeds/ holds no Python, and an editable install gives a
# folder without __init__.py no readable resource path (Python 3.11, setuptools 84).
SEEDS = Path(__file__).resolve().parent.parent / "seeds"


@cache
def load_reference(name: str) -> dict[str, Any]:
    """Return the content of ``seeds/<name>``, a TOML file; callers must not change it.

    Examples
    --------
    >>> load_reference("instruments.toml")["pcs"]["items"]
    13
    """
    return tomllib.loads(SEEDS.joinpath(name).read_text(encoding="utf-8"))


@cache
def load_evidence() -> tuple[dict[str, str], ...]:
    """Return every row of ``seeds/evidence/*.csv`` as text by column, with its ``file``.

    Examples
    --------
    >>> sorted(load_evidence()[0])
    ['confidence', 'doi', 'file', 'parameter', 'source', 'value']
    """
    rows: list[dict[str, str]] = []
    for path in sorted((SEEDS / "evidence").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as handle:
            rows += [{**row, "file": path.name} for row in csv.DictReader(handle)]
    return tuple(rows)
