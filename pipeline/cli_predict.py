"""Subcommands of a model in use: predict, and watch what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    FILE,
    FOLDER,
    NAME,
    NUMBER,
    SHARE,
    JsonOption,
    OutputFile,
    OwnJobsOption,
    ParamsOption,
    app,
    emit,
    file_there,
    load,
)
from pipeline.progress import working


def _bundles_there(model: Path) -> Path:
    from pipeline.paths import bundle_folders

    bundle_folders(model)
    return model


def _cases_there(source: str) -> str:
    from pipeline.paths import check_source

    check_source(source)
    return source


@app.command()
def predict(
    model: Annotated[
        Path,
        typer.Option(
            metavar=FOLDER, help="A bundle, or a study's output folder.", callback=_bundles_there
        ),
    ],
    input: Annotated[
        str,
        typer.Option(
            "--input",
            metavar=FILE,
            help="Cases: a file, a folder, a pattern, or - for stdin.",
            callback=_cases_there,
        ),
    ],
    output: OutputFile,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar=FILE, help="Rejected rows; default: beside the output."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add every contribution.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 11 on any reject.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a killed run.")] = False,
    input_format: Annotated[
        str, typer.Option(metavar=NAME, help="Of standard input: csv, tsv ...")
    ] = "csv",
    top: Annotated[
        int, typer.Option(metavar=NUMBER, min=0, help="Name so many largest contributions.")
    ] = 0,
    pseudonymise: Annotated[
        Path | None,
        typer.Option(metavar=FILE, help="A secret's: ids become keyed hashes."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar=NAME, help="local or spark (Parquet in).")
    ] = "local",
    spark_master: Annotated[
        str, typer.Option(metavar="URL", help="Spark's master, or: configured.")
    ] = "local[*,4]",
    jobs: OwnJobsOption = 1,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Score raw cases; rows that break the contract go to the rejects file.

    Example: eih predict --model outputs/demo --input new.csv --output predictions.csv
    """
    from pipeline.predict import PredictOptions, run
    from pipeline.progress import counting

    options = PredictOptions(
        rejects,
        explain,
        strict,
        resume,
        jobs,
        input_format,
        top,
        pseudonymise,
        engine,
        spark_master,
    )
    with counting("predict", "rows") as progress:
        summary = run(load(params).predict, model, input, output, options, progress)
    emit(summary, json)
    if json != "-":
        typer.echo(
            f"{summary['rows_in']} rows in, {summary['predicted']} predicted, "
            f"{summary['rejected']} rejected ({summary['rejects']})"
        )
        for code, count in summary["rejected_by_reason"].items():
            typer.echo(f"  {code}: {count}")


@app.command()
def monitor(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS", help="What 'eih predict' wrote.", callback=file_there
        ),
    ],
    outcomes: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUTCOMES",
            help="Keys and 0/1 outcomes by target, as far as known.",
            callback=file_there,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar=FOLDER, help="A bundle, or a study's output folder: the risks of training."
        ),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar=FILE,
            help="JSON of 'eih predict --json': drift of the cases.",
            callback=file_there,
        ),
    ] = None,
    max_psi: Annotated[float, typer.Option(metavar="PSI", help="Least PSI that is drift.")] = 0.25,
    max_shift: Annotated[
        float, typer.Option(metavar="LOG_ODDS", help="Calibration in the large.")
    ] = 0.4,
    max_slope_error: Annotated[
        float, typer.Option(metavar="DISTANCE", help="Of the calibration slope from 1.")
    ] = 0.3,
    max_oe: Annotated[
        float, typer.Option(metavar="RATIO", help="Observed / expected, or its inverse.")
    ] = 1.25,
    alpha: Annotated[
        float, typer.Option(metavar=SHARE, help="False alarms of a run without drift.")
    ] = 0.01,
    json: JsonOption = None,
) -> None:
    """Has a model in use drifted? Ends with 14 where a limit is exceeded beyond chance.

    Example: eih monitor predictions.csv outcomes.csv --model outputs/demo --json -
    """
    from models.calibration_drift import CalibrationLimits
    from models.drift import Limits
    from pipeline.monitor import MonitorLimits, Watching, require_no_drift, run, sentences

    calibration = CalibrationLimits(max_shift, max_slope_error, max_oe, alpha)
    limits = MonitorLimits(Limits(max_psi, alpha), calibration)
    with working("monitor"):
        result = run(predictions, Watching(outcomes, model, summary), limits)
    emit(result, json)
    if json != "-":
        for line in sentences(result):
            typer.echo(line)
    require_no_drift(result)
