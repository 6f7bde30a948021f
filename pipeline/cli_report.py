"""Subcommand for the reporting sheets; the report itself is a stage, in ``cli_models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import FILE, FOLDER, JsonOption, ParamsOption, StudyFolder, app, emit, load


@app.command()
def tripod(
    folder: StudyFolder,
    output: Annotated[
        Path | None,
        typer.Option(metavar=FOLDER, help="Folder to write to; default: report in the study's."),
    ] = None,
    draft: Annotated[
        Path | None,
        typer.Option(metavar=FILE, help="Write an empty study.toml here, and nothing else."),
    ] = None,
    study_text: Annotated[
        Path | None,
        typer.Option(metavar=FILE, help="What only you know; default: report.study_text."),
    ] = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """TRIPOD+AI and PROBAST+AI sheets of a study, from its artefacts; gaps are listed as gaps.

    Example: eih tripod outputs/demo --draft study.toml
    """
    from pipeline.reporting_guides import run
    from pipeline.study_text import write_draft

    if draft is not None:
        write_draft(folder.name, draft)
        typer.echo(f"{draft}: fill it in, then: eih tripod {folder} --study-text {draft}")
        return
    loaded = load(params)
    text = loaded.report.study_text if study_text is None else str(study_text)
    guides = run(folder, loaded.targets, text, output or folder / "report")
    gaps = [{"item": g.number, "topic": g.topic, "asks": g.asks} for g in guides.gaps]
    emit({"sentence": guides.sentence, "gaps": gaps}, json)
    if json == "-":
        return
    typer.echo(guides.sentence)
    for item in guides.gaps:
        typer.echo(f"  gap {item.number}, {item.topic}: {item.asks}")
