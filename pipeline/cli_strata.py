"""Subcommand that groups persons and judges the groups."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import JsonOption, ParamsOption, StudyFolder, app, emit, load


class Cut(StrEnum):
    """Where a predefined axis is cut."""

    published = "published"
    median = "median"


@app.command()
def stratify(
    folder: StudyFolder,
    target: Annotated[str, typer.Option(help="response, hyperalgesia or flare.")] = "response",
    endpoint: Annotated[str, typer.Option(help="An endpoint of the study, or primary.")] = "",
    rule: Annotated[
        list[str] | None, typer.Option(help="Predefined groups (seeds/strata.toml), or none.")
    ] = None,
    cut: Annotated[
        Cut, typer.Option(help="Published cut points where there are any, or medians.")
    ] = Cut.published,
    method: Annotated[str, typer.Option(help="Clusters: mixture, kmeans or none.")] = "mixture",
    marker: Annotated[
        list[str] | None, typer.Option(help="Marker of the clusters; default: seeds/strata.toml.")
    ] = None,
    clusters: Annotated[
        int, typer.Option(min=0, max=20, help="Their number; 0: as the data support.")
    ] = 0,
    base: Annotated[
        str, typer.Option(help="What every coding knows besides, joined by commas.")
    ] = "",
    resamples: Annotated[int, typer.Option(min=20, help="Resamples for the stability.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder for the JSON and the table.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Markdown page of aggregate figures.")] = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Group persons by phenotype and modulation capacity, and judge the groups.

    Each group's outcome, whether clusters would be found again, and whether groups predict better
    than the markers they were cut from.

    Example: eih stratify outputs/demo --json -
    """
    from pipeline.stratify import Asked, run, write
    from pipeline.stratify_page import write_page

    loaded = load(params)
    settings = replace(loaded.biomarker, endpoint=endpoint or loaded.biomarker.endpoint)
    asked = Asked(
        target=target,
        rules=tuple(rule or ()),
        cut="median" if cut is Cut.median else "published",
        method=method,
        markers=tuple(marker or ()),
        number=clusters,
        base=tuple(n for n in base.split(",") if n),
        resamples=resamples,
    )
    result = run((settings, loaded.label), folder, asked)
    if output is not None:
        write(result, output)
    if page is not None:
        write_page(result, (folder, asked), page)
    emit(result, json)
    if json != "-":
        typer.echo("\n".join(result["sentences"]))
