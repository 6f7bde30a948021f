"""Is there anything under the paths that were given? Asked before what reads them is imported.

Imports nothing that takes time: a wrong path is told at once.
"""

from __future__ import annotations

import glob
from pathlib import Path

from pipeline.errors import TableError

STDIN = "-"


def check_file(path: Path) -> None:
    """Raise TableError unless ``path`` is a file that holds something."""
    if not path.exists():
        raise TableError(f"{path}: expected a file, found nothing there. Check the path.")
    if path.is_dir():
        raise TableError(f"{path}: expected a file, found a folder.")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: expected a table with a header, found an empty file.")


def check_folder(path: Path) -> None:
    """Raise TableError where there is nothing at all."""
    if not path.exists():
        raise TableError(f"{path}: expected a folder, found nothing there. Check the path.")


def check_source(source: str) -> None:
    """Raise TableError unless ``source`` can be cases: a file, a folder, a pattern or ``-``."""
    if source != STDIN and not glob.has_magic(source) and not Path(source).is_dir():
        check_file(Path(source))


def bundle_folders(folder: Path) -> list[Path]:
    """Return the bundle that ``folder`` is, or every ``<target>/bundle`` in it, sorted.

    Raises
    ------
    TableError
        Where there is none.
    """
    if (folder / "manifest.json").exists():
        return [folder]
    found = sorted(p.parent for p in folder.glob("*/bundle/manifest.json"))
    if not found:
        raise TableError(
            f"{folder}: expected a bundle (manifest.json), or a study's outputs with "
            "<target>/bundle in them, found neither."
        )
    return found
