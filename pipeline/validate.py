"""Tool ``validate``: a table against the contract, every violation named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.contract import Violation
from pipeline.errors import TableError
from pipeline.io import check_table, describe, read_table


@dataclass(frozen=True)
class Validation:
    """The result of checking one file."""

    table: Path
    kind: str
    rows: int
    violations: tuple[Violation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON content."""
        return {
            "table": str(self.table),
            "kind": self.kind,
            "rows": self.rows,
            "valid": not self.violations,
            "violations": [asdict(v) for v in self.violations],
        }

    def require(self) -> None:
        """Raise TableError, one line per violation, if there is any."""
        if self.violations:
            raise TableError(describe(self.violations, self.table))


def run(table: Path, kind: str) -> Validation:
    """Check a file as ``cases`` or ``measurements``."""
    content = read_table(table)
    return Validation(table, kind, len(content), check_table(content, kind).violations)
