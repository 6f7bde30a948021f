"""Subcommands that compare exercises and rank them for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    COLUMN,
    COLUMNS,
    FILE,
    FOLDER,
    NAMES,
    JsonOption,
    OutputFile,
    OutputFolder,
    ParamsOption,
    StudyFolder,
    app,
    emit,
    load,
)
from pipeline.progress import working


@app.command()
def contrast(
    folder: StudyFolder,
    by: Annotated[str, typer.Option(metavar=COLUMN, help="Whose values are the exercises.")],
    reference: Annotated[
        str, typer.Option(metavar="VALUE", help="That the others are compared with.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only these bouts; repeat it."),
    ] = None,
    subgroups: Annotated[
        str, typer.Option(metavar=COLUMNS, help="In whose values to compare as well.")
    ] = "",
    endpoint: Annotated[str, typer.Option(metavar=NAMES, help="Default: all.")] = "",
    output: Annotated[
        Path | None, typer.Option(metavar=FILE, help="File to write: all estimates.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """How much two exercises differ: within persons of a crossover, or between randomised arms.

    Example: eih contrast outputs/peep --by intensity_value --reference 55 --where drug=saline
    --subgroups sex,fitness_w_per_kg --json -
    """
    from pipeline.contrast import Question, lines, run

    chosen = dict(w.partition("=")[::2] for w in where or [])
    names = (tuple(n for n in text.split(",") if n) for text in (subgroups, endpoint))
    with working("contrast"):
        result = run(folder, Question(by, reference, chosen, *names), output)
    emit(result, json)
    if json != "-":
        typer.echo("\n".join(lines(result)))


@app.command()
def policy(
    folder: StudyFolder,
    output: OutputFolder,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: is the best exercise another one for another person, and can this study tell?

    Example: eih policy outputs/demo --output outputs/demo/policy
    """
    from pipeline.policy import run
    from pipeline.policy_words import sentence

    with working("policy"):
        result = run(load(params), folder, output)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))
        typer.echo(result.get("overlap_note", ""))


@app.command()
def prescribe(
    model: Annotated[
        Path,
        typer.Option(
            metavar=FOLDER, help="A study's output folder, or what 'eih policy' wrote there."
        ),
    ],
    input: Annotated[
        Path,
        typer.Option(metavar=FILE, help="Cases: the exercise they name is not looked at."),
    ],
    output: OutputFile,
    menu: Annotated[
        Path | None,
        typer.Option(metavar=FILE, help="TOML of options; default: seeds/exercise_menu.toml."),
    ] = None,
    allow_associational: Annotated[
        bool,
        typer.Option(
            "--allow-associational",
            help="Rank without a design that carries an effect; every row says so.",
        ),
    ] = False,
    json: JsonOption = None,
) -> None:
    """Rank the exercises of a menu for every person: safety first, no evidence named, ties shown.

    Example: eih prescribe --model outputs/demo --input new.csv --output options.csv
    """
    from pipeline.prescribe import lines, run

    with working("prescribe"):
        result = run(model, input, output, menu, allow_associational=allow_associational)
    emit(result, json)
    if json != "-":
        typer.echo("\n".join(lines(result)))
