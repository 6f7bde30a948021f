"""Tool ``zscore``: sensory testing as z-scores against a laboratory's reference table."""

from __future__ import annotations

from pathlib import Path

from features.qst import qst_z_scores
from pipeline.errors import TableError
from pipeline.io import read_checked, read_table, write_table


def run(table: Path, reference: Path, output: Path) -> dict[str, int]:
    """Add ``qst_<parameter>_z`` to cases; return how many rows have each.

    Raises
    ------
    TableError
        For cases that break the contract, a reference that cannot be used, or one that knows
        none of the table's parameters.
    """
    cases = read_checked(table, "cases")
    try:
        scores = qst_z_scores(cases, read_table(reference))
    except ValueError as error:
        raise TableError(f"{reference}: {error}") from None
    if scores.shape[1] == 0:
        raise TableError(
            f"{table}: expected a column of a parameter in {reference} (qst_ppt_kpa for ppt ...), "
            "found none."
        )
    write_table(cases.drop(columns=list(scores), errors="ignore").join(scores), output)
    return {name: int(scores[name].notna().sum()) for name in scores.columns}
