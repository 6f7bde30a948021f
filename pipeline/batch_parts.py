"""Finished pieces of a batch run, kept beside its output until that is whole.

::

    .predictions.parquet.parts/
      state.json                        what run this is: inputs, model, options
      000004-000001.predictions.arrow   rows scored from chunk 1 of task 4
      000004-000001.rejects.arrow       and its rejects
      000004-000001.json                written last: the piece is whole
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather

from pipeline.errors import ConfigError, TableError
from pipeline.io import atomic_path, read_json, write_json, write_text

STATE = "state.json"
TABLES = ("predictions", "rejects")


@dataclass(frozen=True)
class Parts:
    """The folder of one run's pieces."""

    folder: Path

    @classmethod
    def beside(cls, output: Path) -> Parts:
        """Return the place for the pieces of a run that writes ``output``."""
        return cls(output.with_name(f".{output.name}.parts"))

    def begin(self, *, resume: bool) -> bool:
        """Make an empty folder, or keep the pieces of a run that was killed.

        Returns
        -------
        bool
            Whether there is a run to go on with.
        """
        if resume and (self.folder / STATE).exists():
            # A kill while a piece was written leaves what had no name yet.
            for unnamed in self.folder.glob(".tmp-*"):
                unnamed.unlink()
            return True
        self.remove()
        self.folder.mkdir(parents=True)
        return False

    def claim(self, state: dict[str, Any]) -> None:
        """Write down what run this is, or check that it is the one that was begun.

        Raises
        ------
        ConfigError
            If what lies there is of a run with other inputs, another model or other options.
        """
        if (self.folder / STATE).exists():
            self._check_same(state)
        else:
            write_json(state, self.folder / STATE)

    def state(self) -> Any:
        """Return what run this is, as :meth:`claim` wrote it."""
        return read_json(self.folder / STATE)

    def _check_same(self, state: dict[str, Any]) -> None:
        stored = self.state()
        wanted = json.loads(json.dumps(state))
        differing = sorted(k for k in {*stored, *wanted} if stored.get(k) != wanted.get(k))
        if differing:
            raise ConfigError(
                f"--resume: expected the run that was stopped, found another "
                f"{', '.join(differing)}. Give the same command, or leave --resume out."
            )

    def is_done(self, name: str) -> bool:
        """Whether a piece was finished, and is on the disk as it was written."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            return False
        # After a power cut a file may have its name and not its content.
        try:
            stored = read_json(path)["checksums"]
            return bool(stored == {k: self._checksum(name, k) for k in TABLES})
        except (TableError, OSError, KeyError, TypeError):
            return False

    def _checksum(self, name: str, kind: str) -> int:
        with pa.memory_map(str(self.folder / f"{name}.{kind}.arrow")) as file:
            return zlib.adler32(file.read_buffer())

    def write(self, name: str, tables: dict[str, pa.Table], counts: dict[str, Any]) -> None:
        """Write a piece; its counts come last, and make it finished."""
        for kind in TABLES:
            with atomic_path(self.folder / f"{name}.{kind}.arrow") as temporary:
                feather.write_feather(tables[kind], temporary, compression="uncompressed")
        checksums = {kind: self._checksum(name, kind) for kind in TABLES}
        # Plain and compact: drift counts are thousands of numbers a piece.
        text = json.dumps({**counts, "checksums": checksums}, allow_nan=False)
        write_text(text, self.folder / f"{name}.json")

    def counts(self) -> Iterator[dict[str, Any]]:
        """Yield every piece's counts, in the order of the input."""
        for path in sorted(self.folder.glob("[0-9]*-*.json")):
            yield read_json(path)

    def tables(self, kind: str, prefix: str = "*-", first: str = "") -> Iterator[pa.Table]:
        """Yield pieces' predictions, or rejects, in the order of the input.

        Parameters
        ----------
        kind : str
            ``predictions`` or ``rejects``.
        prefix : str
            What the names begin with: of one task alone.
        first : str
            Names before this one are left out.
        """
        for path in sorted(self.folder.glob(f"{prefix}*.{kind}.arrow")):
            if path.name >= first:
                yield plain_texts(feather.read_table(path, memory_map=True))

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.folder, ignore_errors=True)


def plain_texts(table: pa.Table) -> pa.Table:
    """Spell texts out that are codes: a piece's codes are its own."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            spelt = table[field.name].cast(field.type.value_type)
            table = table.set_column(place, field.name, spelt)
    return table


def part_name(task: int, chunk: int) -> str:
    """Name of a piece; names sort as the input does."""
    return f"{task_prefix(task)}{chunk:06d}"


def task_prefix(task: int) -> str:
    """Return what the names of a task's pieces begin with."""
    return f"{task:09d}-"
