"""Subcommands for the plan of a study, before anybody is measured."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli_app import (
    NAME,
    NUMBER,
    NUMBERS,
    SHARE,
    JsonOption,
    OutputFolder,
    OwnJobsOption,
    ParamsOption,
    ScenarioOption,
    SetFileOption,
    SetOption,
    TargetOption,
    app,
    emit,
    load,
)


@app.command()
def samplesize(
    outcome: Annotated[str, typer.Option(metavar=NAME, help="binary or continuous.")],
    parameters: Annotated[
        int, typer.Option(metavar=NUMBER, help="Coefficients considered, before selection.")
    ],
    prevalence: Annotated[
        float | None, typer.Option(metavar=SHARE, help="Binary: share of events.")
    ] = None,
    c_statistic: Annotated[
        float | None, typer.Option(metavar="C", help="Binary: anticipated.")
    ] = None,
    r2: Annotated[
        float | None,
        typer.Option(metavar="R2", help="Anticipated R² (binary: of Cox and Snell)."),
    ] = None,
    mean: Annotated[
        float | None, typer.Option(metavar="MEAN", help="Continuous: mean of the outcome.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(metavar="SD", help="Continuous: SD of the outcome.")
    ] = None,
    shrinkage: Annotated[
        float, typer.Option(metavar=SHARE, help="Least shrinkage of coefficients.")
    ] = 0.9,
    bouts: Annotated[float, typer.Option(metavar=NUMBER, help="Bouts per person.")] = 1.0,
    icc: Annotated[
        float,
        typer.Option(metavar="ICC", help="Correlation of the outcome between bouts of a person."),
    ] = 0.0,
    json: JsonOption = None,
) -> None:
    """Persons needed to develop a model (Riley criteria), with repeated bouts.

    Example: eih samplesize --outcome binary --prevalence 0.3 --c-statistic 0.7 --parameters 10
    --bouts 3 --icc 0.4 --json -
    """
    from pipeline.samplesize import Question, run, sentence

    question = Question(outcome, parameters, prevalence, c_statistic, r2, mean, sd, shrinkage)
    result = run(question, bouts, icc)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))


@app.command()
def rehearse(
    output: OutputFolder,
    scenario: ScenarioOption = "base",
    participants: Annotated[
        str, typer.Option(metavar=NUMBERS, help="Persons; of several, a design each.")
    ] = "100",
    runs: Annotated[int, typer.Option(metavar=NUMBER, min=1, help="Studies of each design.")] = 200,
    target: TargetOption = "response",
    population: Annotated[
        int, typer.Option(metavar=NUMBER, min=100, help="Persons the truth rests on.")
    ] = 3000,
    set_: SetOption = None,
    set_file: SetFileOption = None,
    track: Annotated[bool, typer.Option(help="Log the table to MLflow.")] = True,
    jobs: OwnJobsOption = 1,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Run the whole pipeline on many simulated studies: bias, coverage, false finds, power.

    A run that was stopped goes on where it was.

    Example: eih rehearse --scenario null --participants 100,200 --runs 200 --output outputs/plan
    """
    from pipeline.progress import counting
    from pipeline.rehearse import Design, as_markdown, run, sizes
    from pipeline.simulate import read_overrides

    loaded = load(params)
    overrides = read_overrides(set_file, set_ or [])
    designs = [Design(scenario, n, target, overrides, population) for n in sizes(participants)]
    with counting("rehearse", "studies", runs * len(designs)) as progress:
        content = run(designs, loaded, output, runs, jobs, progress)
    if track:
        from pipeline.tracking import log_rehearsal

        log_rehearsal((loaded.register.tracking_uri, loaded.register.experiment), content, output)
    emit(content, json)
    if json != "-":
        typer.echo(as_markdown(content))
