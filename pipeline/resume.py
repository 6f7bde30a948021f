"""Long runs that can be killed: finished pieces are kept in a file."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import TableError

KEY, RESULT, FINGERPRINT = "key", "result", "fingerprint"


def fingerprint(*parts: Any) -> str:
    """Hash of everything a run's results depend on (JSON content)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class LineStore:
    """Finished pieces of a run, one JSON object a line; the first line says which run it is.

    A run with another fingerprint - other data, settings or seed - starts anew. A last line cut
    short by a kill is left out and written again.

    Parameters
    ----------
    path : Path
    run : str
        The run's :func:`fingerprint`.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run

    def load(self) -> Mapping[str, dict[str, Any]]:
        """Return the finished pieces by key; without any, make the file ready."""
        lines = self._lines()
        if not lines or lines[0].get(FINGERPRINT) != self._run:
            if lines:
                sys.stderr.write(f"{self._path}: of another run, starts anew\n")
            lines = [{FINGERPRINT: self._run}]
        # Written whole once: what follows a line cut short would otherwise be lost with it.
        self._write("w", lines)
        return {line[KEY]: line[RESULT] for line in lines[1:]}

    def save(self, key: str, result: dict[str, Any]) -> None:
        """Append a piece; on disk when this returns."""
        self._write("a", [{KEY: key, RESULT: result}])

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def _write(self, mode: str, lines: list[dict[str, Any]]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open(mode, encoding="utf-8") as handle:
                handle.writelines(json.dumps(line) + "\n" for line in lines)
        except OSError as error:
            raise TableError(f"{self._path}: cannot be written ({error.strerror}).") from None


@contextmanager
def kept_until_done(path: Path, run: str) -> Iterator[LineStore]:
    """Give a store that is there as long as its run is not done.

    Whatever ends the run early - an error, a kill - leaves the file; the end of the block
    removes it, since its results are then where they belong.
    """
    yield LineStore(path, run)
    path.unlink(missing_ok=True)
