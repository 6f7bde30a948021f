"""Is there anything under the paths that were given? Asked before what reads them is imported.

Imports nothing that takes time: a wrong path is told at once.
"""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path

from pipeline.errors import TableError

STDIN = "-"


def check_file(path: Path) -> None:
    """Raise TableError unless ``path`` is a file that holds something."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise TableError(f"{path}: expected a file, found nothing there. Check the path.") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}).") from None
    if stat.S_ISDIR(found.st_mode):
        raise TableError(f"{path}: expected a file, found a folder.")
    if not stat.S_ISREG(found.st_mode):
        raise TableError(f"{path}: expected a file, found a pipe or a device.")
    if found.st_size == 0:
        raise TableError(f"{path}: expected a table with a header, found an empty file.")


def check_folder(path: Path) -> None:
    """Raise TableError where there is nothing at all."""
    if not os.path.exists(path):
        raise TableError(f"{path}: expected a folder, found nothing there. Check the path.")


def make_folder(path: Path) -> None:
    """Make a folder to write to; TableError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TableError(f"{path}: cannot be written ({error.strerror}).") from None


def check_source(source: str) -> None:
    """Raise TableError unless ``source`` can be cases: a file, a folder, a pattern or ``-``."""
    # Of os.path, as below: it finds nothing under a name that the system cannot look up.
    if source != STDIN and not glob.has_magic(source) and not os.path.isdir(source):
        check_file(Path(source))


def bundle_folders(folder: Path) -> list[Path]:
    """Return the bundle that ``folder`` is, or every ``<target>/bundle`` in it, sorted.

    Raises
    ------
    TableError
        Where there is none.
    """
    if os.path.exists(folder / "manifest.json"):
        return [folder]
    found = sorted(p.parent for p in folder.glob("*/bundle/manifest.json"))
    if not found:
        raise TableError(
            f"{folder}: expected a bundle (manifest.json), or a study's outputs with "
            "<target>/bundle in them, found neither."
        )
    return found
