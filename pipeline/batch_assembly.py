"""The final files of a batch run, written from its pieces while later ones are still scored."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pipeline.batch_parts import Parts, task_prefix
from pipeline.table_writer import TableWriter, sync

PREDICTIONS = "predictions"


class Assembly:
    """Final files under hidden names; both appear whole, or neither does.

    Predictions are written as far as all earlier pieces are there, so that little is left to do
    when the last row is scored.

    Parameters
    ----------
    parts : Parts
    outputs : dict with ``predictions`` and ``rejects``
        .parquet, .csv or .tsv each.
    metadata : dict of str to str
        Goes into a Parquet file's own metadata.
    """

    def __init__(self, parts: Parts, outputs: dict[str, Path], metadata: dict[str, str]) -> None:
        self._parts = parts
        self._outputs = outputs
        self._metadata = metadata
        # Names that a later run finds again: what a killed one leaves is written over.
        self._unfinished = {
            kind: path.with_name(f".{path.stem}.part{path.suffix}")
            for kind, path in outputs.items()
        }
        self._writer = TableWriter(self._unfinished[PREDICTIONS], metadata)
        self._finished: set[int] = set()
        self._next = 0

    def __enter__(self) -> Self:
        """Begin; the files are made with their first rows."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave nothing that is unfinished."""
        self._writer.abandon()
        for path in self._unfinished.values():
            path.unlink(missing_ok=True)

    def take(self, task: int) -> None:
        """Write the predictions of a task whose pieces are there, once all earlier ones are."""
        self._finished.add(task)
        while self._next in self._finished:
            self._finished.remove(self._next)
            for table in self._parts.tables(PREDICTIONS, task_prefix(self._next)):
                self._writer.write(table)
            self._next += 1

    def finish(self) -> None:
        """Write what is left, and give both files their names."""
        for kind, path in self._unfinished.items():
            with self._writer if kind == PREDICTIONS else TableWriter(path, self._metadata) as file:
                first = task_prefix(self._next) if kind == PREDICTIONS else ""
                for table in self._parts.tables(kind, first=first):
                    file.write(table)
        for kind, path in self._unfinished.items():
            path.replace(self._outputs[kind])
            sync(self._outputs[kind].parent)


def put_together(assembly: Assembly) -> None:
    """Finish the final files."""
    assembly.finish()
