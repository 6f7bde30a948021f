"""Subcommands that compare exercises and rank them for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import JsonOption, StudyFolder, app, emit


@app.command()
def contrast(
    folder: StudyFolder,
    by: Annotated[str, typer.Option(help="Column of cases whose values are the exercises.")],
    reference: Annotated[str, typer.Option(help="The value that the other is compared with.")],
    where: Annotated[
        list[str] | None, typer.Option(help="Only bouts with COLUMN=VALUE; may be repeated.")
    ] = None,
    subgroups: Annotated[str, typer.Option(help="Columns of cases, joined by commas.")] = "",
    endpoints: Annotated[str, typer.Option(help="Joined by commas; default: all.")] = "",
    output: Annotated[Path | None, typer.Option(help="Table of all estimates.")] = None,
    json: JsonOption = None,
) -> None:
    """How much two exercises differ: within persons of a crossover, or between randomised arms.

    Example: eih contrast outputs/peep --by intensity_value --reference 55 --where drug=saline
    --subgroups sex,fitness_w_per_kg --json -
    """
    from pipeline.contrast import Question, lines, run

    chosen = dict(w.partition("=")[::2] for w in where or [])
    names = (tuple(n for n in text.split(",") if n) for text in (subgroups, endpoints))
    result = run(folder, Question(by, reference, chosen, *names), output)
    emit(result, json)
    if json != "-":
        typer.echo("\n".join(lines(result)))
