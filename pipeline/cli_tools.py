"""Subcommands that are no stage: the explorer, and whether this installation works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import FOLDER, NUMBER, JsonOption, app, emit
from pipeline.progress import working

SHOWN = "--browser/--no-browser"


@app.command()
def explore(
    model: Annotated[
        Path, typer.Option(metavar=FOLDER, help="A bundle, or a study's output folder.")
    ],
    port: Annotated[
        int, typer.Option(metavar=NUMBER, min=0, max=65535, help="0: any free one.")
    ] = 8765,
    browser: Annotated[bool, typer.Option(SHOWN, help="Open the page.")] = True,
) -> None:
    """Enter one person and one exercise on a local page; nothing is kept. Ends with Ctrl-C.

    Example: eih explore --model outputs/demo
    """
    from pipeline.explore import run

    run(model, port, typer.echo, browser)


@app.command()
def doctor(
    store: Annotated[
        str | None,
        typer.Option(metavar="URI", help="MLflow store; default: the one of params.yaml."),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Look at this installation: versions, SHAP with XGBoost, the store, the disk.

    Ends with 10 where something is wrong, and says what to do.

    Example: eih doctor --json doctor.json
    """
    from pipeline.doctor import examine, in_words, require_healthy

    with working("doctor"):
        found = examine(store)
    emit(found, json)
    if json != "-":
        typer.echo("\n".join(in_words(found)))
    require_healthy(found)
