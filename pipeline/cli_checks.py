"""Subcommands that look for the sins of clinical prediction, and list what is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    FILE,
    FOLDER,
    JsonOption,
    OutputFile,
    ParamsOption,
    app,
    emit,
    folder_there,
    load,
)
from pipeline.progress import working


@app.command()
def check(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar=FOLDER,
            help="Output folder of a study, after any stage.",
            callback=folder_there,
        ),
    ],
    output: OutputFile,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 11 where an error is found and not muted.")
    ] = False,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: look for leaks, coupling, noisy labels, bad intervals and other sins, by code.

    One line a finding: code, severity, what was seen, what to do. docs/checks.md explains each.

    Example: eih check outputs/demo --output outputs/demo/checks.json
    """
    from pipeline.check import run
    from pipeline.check_results import in_words, require_no_errors

    with working("check"):
        content = run(load(params), folder, output)
    emit(content, json)
    if json != "-":
        typer.echo("\n".join(in_words(content)))
    if strict:
        require_no_errors(content, folder)


@app.command()
def checks(
    output: Annotated[
        Path | None, typer.Option(metavar=FILE, help="Page that explains them (docs/checks.md).")
    ] = None,
    json: JsonOption = None,
) -> None:
    """List every check: code, severity, name, and what goes wrong.

    Example: eih checks
    """
    from pipeline.checks import content, in_words, write_page

    emit(content(), json)
    if output is not None:
        typer.echo(f"{output}: {write_page(output)} checks")
    elif json != "-":
        typer.echo("\n".join(in_words()))
