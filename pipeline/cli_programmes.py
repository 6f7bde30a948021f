"""Subcommands about time: programmes with several follow-ups, and bouts that follow others."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli_app import (
    COLUMN,
    COLUMNS,
    NAMES,
    NUMBER,
    JsonAndTableFolder,
    JsonOption,
    OutputFile,
    PageOption,
    ParamsOption,
    StudyFolder,
    TargetOption,
    app,
    emit,
    load,
)
from pipeline.progress import working


@app.command()
def trajectory(
    folder: StudyFolder,
    by: Annotated[
        str, typer.Option(metavar=COLUMN, help="Whose values are groups; '' for none.")
    ] = "modality",
    known: Annotated[
        str, typer.Option(metavar=COLUMNS, help="That the dropout weights rest on.")
    ] = "age_years,sex",
    resamples: Annotated[
        int, typer.Option(metavar=NUMBER, min=100, help="Resamples of the persons.")
    ] = 500,
    output: JsonAndTableFolder = None,
    page: PageOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Follow programmes over their weeks: means, classes, transitions, and who was not seen.

    Means are weighted for dropout, and come with the shift of those not seen that would undo them.

    Example: eih trajectory outputs/cervical_radiculopathy_rct --json -
    """
    from pipeline.trajectory import Asked, run, write
    from pipeline.trajectory_page import write_page

    names = tuple(n for n in known.split(",") if n)
    asked = Asked(by, names, resamples)
    with working("trajectory"):
        result = run(load(params).label, folder, asked)
    if output is not None:
        write(result, output)
    if page is not None:
        write_page(result, (folder, asked), page)
    emit(result, json)
    if json != "-":
        typer.echo("\n".join(result["sentences"]))


@app.command()
def history(folder: StudyFolder, output: OutputFile, json: JsonOption = None) -> None:
    """Put what own earlier bouts showed beside the cases that follow them.

    A bout still to come needs a row in cases (with its period) and no measurement.

    Example: eih history outputs/demo --output outputs/demo/cases_with_history.parquet
    """
    from pipeline.own_history import run

    with working("history"):
        made = run(folder, output)
    emit(made, json)
    if json != "-":
        typer.echo(
            f"{output}: {made['rows']} rows, {made['with_history']} of them after an own bout with "
            f"a known change of {made['measure']}, {made['site_role']}, {made['timepoint']} "
            f"({made['scale']})"
        )


@app.command("history-gain")
def history_gain(
    folder: StudyFolder,
    base: Annotated[
        str | None,
        typer.Option(metavar=NAMES, help="What is known already; default: biomarker.base."),
    ] = None,
    target: TargetOption = "response",
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Judge, out of fold by person, what own earlier bouts add to predicting the next.

    Example: eih history-gain outputs/demo --json -
    """
    from pipeline.history_gain import run

    loaded = load(params)
    names = tuple(n for n in (base or "").split(",") if n)
    with working("history-gain"):
        result = run((loaded.biomarker, loaded.label), folder, target, names)
    emit(result, json)
    if json != "-":
        typer.echo(result["sentence"])
