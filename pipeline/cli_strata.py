"""Subcommand that groups persons and judges the groups."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from pipeline.cli_app import (
    NAME,
    NAMES,
    NUMBER,
    EndpointsOption,
    JsonAndTableFolder,
    JsonOption,
    PageOption,
    ParamsOption,
    StudyFolder,
    TargetOption,
    app,
    emit,
    load,
)
from pipeline.progress import tracked, working


class Cut(StrEnum):
    """Where a predefined axis is cut."""

    published = "published"
    median = "median"


@app.command()
def stratify(
    folder: StudyFolder,
    target: TargetOption = "response",
    endpoint: EndpointsOption = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar=NAME, help="Predefined groups (seeds/strata.toml), or none; repeat it."
        ),
    ] = None,
    cut: Annotated[
        Cut,
        typer.Option(metavar=NAME, help="published: cut points where there are any; or median."),
    ] = Cut.published,
    method: Annotated[
        str, typer.Option(metavar=NAME, help="Clusters: mixture, kmeans or none.")
    ] = "mixture",
    marker: Annotated[
        list[str] | None,
        typer.Option(metavar=NAME, help="Of the clusters; repeat it. Default: seeds/strata.toml."),
    ] = None,
    clusters: Annotated[
        int,
        typer.Option(metavar=NUMBER, min=0, max=20, help="Their number; 0: as the data support."),
    ] = 0,
    base: Annotated[
        str | None,
        typer.Option(
            metavar=NAMES, help="What is known already, or none; default: biomarker.base."
        ),
    ] = None,
    resamples: Annotated[
        int,
        typer.Option(
            metavar=NUMBER, min=20, help="Resamples of the persons, to see whether groups recur."
        ),
    ] = 100,
    output: JsonAndTableFolder = None,
    page: PageOption = None,
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
        base=tuple(n for n in (base or "").split(",") if n),
        resamples=resamples,
    )
    endpoints = tuple((endpoint or loaded.biomarker.endpoint).split(","))
    settings = [replace(loaded.biomarker, endpoint=name) for name in endpoints]
    with working("stratify"):
        each = tracked(settings, "stratify", "endpoints")
        results = [run((one, loaded.label), folder, asked) for one in each]
    if output is not None:
        for name, result in zip(endpoints, results, strict=True):
            write(result, output / name if len(endpoints) > 1 else output)
    if page is not None:
        write_page(results, (folder, asked), page)
    emit(results[0] if len(results) == 1 else {"endpoints": results}, json)
    if json != "-":
        for result in results:
            typer.echo("\n".join([f"Endpoint {result['endpoint']}.", *result["sentences"]]))
