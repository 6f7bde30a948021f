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
    endpoint: Annotated[str, typer.Option(help="Joined by commas; default: primary.")] = "",
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
        str, typer.Option(help="Known besides, joined by commas, or none; default: biomarker.base.")
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
    from pipeline.stratify import run, write
    from pipeline.stratify_page import write_page
    from pipeline.stratify_source import Asked

    loaded = load(params)
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
    endpoints = tuple((endpoint or loaded.biomarker.endpoint).split(","))
    settings = [replace(loaded.biomarker, endpoint=name) for name in endpoints]
    results = [run((one, loaded.label), folder, asked) for one in settings]
    if output is not None:
        for name, result in zip(endpoints, results, strict=True):
            write(result, output / name if len(endpoints) > 1 else output)
    if page is not None:
        write_page(results, (folder, asked), page)
    emit(results[0] if len(results) == 1 else {"endpoints": results}, json)
    if json != "-":
        for result in results:
            typer.echo("\n".join([f"Endpoint {result['endpoint']}.", *result["sentences"]]))
