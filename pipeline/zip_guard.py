"""Look into a workbook before it is unpacked: a few kilobytes can hold gigabytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pipeline.errors import TableError

MOST_UNPACKED_BYTES = 2**30
# Packed XML is ten to thirty times smaller; a bomb is a thousand times.
MOST_TIMES_LARGER = 200
# Below this size even a bomb's ratio does no harm.
HARMLESS_BYTES = 2**24


def check_workbook(path: Path) -> None:
    """Refuse a workbook that is no zip archive, or that unpacks to far more than it is.

    Raises
    ------
    TableError
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise TableError(f"{path}: could not be read as .xlsx (no workbook).") from None
    most = max(HARMLESS_BYTES, MOST_TIMES_LARGER * path.stat().st_size)
    if unpacked > min(MOST_UNPACKED_BYTES, most):
        raise TableError(
            f"{path}: expected a workbook of at most {MOST_UNPACKED_BYTES >> 20} MiB and at most "
            f"{MOST_TIMES_LARGER} times its packed size, found {unpacked >> 20} MiB. Save the "
            "sheet as .csv."
        )
