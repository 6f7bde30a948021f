"""What a check of a table gives back: the typed table, and everything wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Violation:
    """One way in which a table breaks the contract.

    ``rows`` are 0-based positions in the table checked; empty means the table as a whole.
    The text never holds a participant's value.
    """

    column: str
    code: str
    rows: tuple[int, ...]
    expected: str
    found: str
    cause: str = ""

    def message(self, where: str) -> str:
        """One line: where, expected, found (with the first rows), what to do."""
        place = f"{where}, column '{self.column}'" if self.column else where
        rows = f" ({_first_rows(self.rows)})" if self.rows else ""
        advice = f" {self.cause}" if self.cause else ""
        return f"{place}: expected {self.expected}, found {self.found}{rows}.{advice}"


@dataclass(frozen=True)
class Checked:
    """A table after its check: typed columns, and everything wrong with it."""

    table: pd.DataFrame
    violations: tuple[Violation, ...]

    def bad_rows(self) -> Mask:
        """Boolean mask of shape (n_rows,): the rows named by any violation."""
        mask = np.zeros(len(self.table), dtype=bool)
        for violation in self.violations:
            mask[list(violation.rows)] = True
        return mask

    def table_violations(self) -> tuple[Violation, ...]:
        """Return the violations that concern the table, not single rows."""
        return tuple(v for v in self.violations if not v.rows)


def _first_rows(rows: Sequence[int], limit: int = 5) -> str:
    shown = ", ".join(str(r) for r in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}"
