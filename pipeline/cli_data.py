"""Subcommands from a study's files to its tables, and what the tables say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    FILE,
    FOLDER,
    NAME,
    NUMBER,
    JsonOption,
    OutputFile,
    OutputFolder,
    ParamsOption,
    ScenarioOption,
    SetFileOption,
    SetOption,
    StudyFolder,
    app,
    emit,
    file_there,
    load,
)
from pipeline.progress import working


@app.command()
def simulate(
    output: OutputFolder,
    participants: Annotated[int, typer.Option(metavar=NUMBER, help="Persons.")] = 300,
    scenario: ScenarioOption = "base",
    seed: Annotated[int, typer.Option(metavar=NUMBER, help="Equal seeds give equal studies.")] = 1,
    set_: SetOption = None,
    set_file: SetFileOption = None,
    json: JsonOption = None,
) -> None:
    """Make a simulated study, its latent truth kept apart.

    Every parameter of seeds/simulator.toml and seeds/evidence can be overridden.

    Example: eih simulate --participants 200 --scenario null --set response.reliability=0.6
    --output outputs/null
    """
    from pipeline.simulate import NOTE, read_overrides
    from pipeline.simulate import simulate as run

    overrides = read_overrides(set_file, set_ or [])
    with working("simulate"):
        report = run(participants, scenario, seed, output, overrides)
    emit(report, json)
    if json == "-":
        return
    typer.echo(NOTE)
    typer.echo(
        f"{output}: {report['participants']} persons, {report['bouts']} bouts, "
        f"{report['measurements']} measurements, scenario {scenario}, seed {seed} (simulated)"
    )


@app.command()
def ingest(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY", help="Maps in seeds/studies, or .toml files; several are pooled."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar=FOLDER, help="Folder to write to; with --draft, the map's file."),
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            metavar=FOLDER,
            help="Folder of the study's files; of several studies once per study, or once for "
            "the folder that holds theirs.",
        ),
    ] = None,
    draft: Annotated[
        Path | None, typer.Option(metavar=FILE, help="Write a first map for this table instead.")
    ] = None,
    dictionary: Annotated[
        Path | None,
        typer.Option(
            metavar=FILE,
            help="With --draft: REDCap's dictionary of its codes.",
            callback=file_there,
        ),
    ] = None,
    cases_only: Annotated[
        bool, typer.Option("--cases-only", help="No readings: people to predict have none yet.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Bring real studies in by their maps: cases, measurements, ingest report.

    Example: eih ingest peep --source studies/eih_peep_nold2025 --output outputs/peep
    """
    if draft is not None:
        _draft((draft, dictionary), studies, output)
        return
    if dictionary is not None:
        raise typer.BadParameter("--dictionary goes with --draft: a map names its dictionary.")
    if not studies or output is None:
        raise typer.BadParameter("expected STUDIES and --output, or --draft FILE.")
    from pipeline.ingest_report import describe_report
    from pipeline.pooling import ingest_all

    with working("ingest"):
        report = ingest_all(studies, source or [], output, cases_only=cases_only)
    if json != "-":
        typer.echo("\n".join(describe_report(report)))
    emit(report, json)


def _draft(files: tuple[Path, Path | None], studies: list[str] | None, output: Path | None) -> None:
    if studies:
        raise typer.BadParameter("expected --draft FILE without STUDIES: the map is yet to be.")
    from pipeline.study_draft import run

    table, dictionary = files
    draft = run(table, output, dictionary)
    typer.echo(draft if output is None else f"{output}: a first map; fill in what it marks")


@app.command()
def study(output: OutputFolder, params: ParamsOption = None) -> None:
    """Stage: bring in the study that params.yaml names.

    Example: eih study --output outputs/demo
    """
    from pipeline.study import run

    with working("study"):
        run(load(params).study, output)


@app.command()
def reserve(
    folder: StudyFolder,
    output: OutputFolder,
    trials: Annotated[
        str, typer.Option(metavar=NAME, help="Trials that become the baseline: odd, even.")
    ] = ("even"),
    json: JsonOption = None,
) -> None:
    """Divide the trials before exercise between the baseline feature and the outcome.

    For a study without a baseline block of its own: a threshold that is both predictor and
    reference of the change predicts its noise.

    Example: eih reserve outputs/mystudy --trials even --output outputs/mystudy_reserved
    """
    from pipeline.reserve import reserve as run

    if trials not in ("odd", "even"):
        raise typer.BadParameter("--trials: expected odd or even.")
    report = run(folder, "odd" if trials == "odd" else "even", output)
    emit(report, json)
    if json != "-":
        typer.echo(f"{output}: {report['n_readings']} readings are now the baseline, not 'pre'")


@app.command()
def validate(
    table: Annotated[
        Path,
        typer.Argument(metavar=FILE, help="A table of cases or measurements.", callback=file_there),
    ],
    kind: Annotated[str, typer.Option(metavar=NAME, help="cases or measurements.")] = "cases",
    json: JsonOption = None,
) -> None:
    """Check a table against the contract and list every violation.

    Example: eih validate outputs/demo/measurements.parquet --kind measurements
    """
    from pipeline.validate import run

    result = run(table, kind)
    emit(result.to_dict(), json)
    if json != "-":
        result.require()
        typer.echo(f"{table}: {result.rows} rows, no violation of the contract for {kind}")
    else:
        raise typer.Exit(11 if result.violations else 0)


@app.command()
def score(
    instrument: Annotated[
        str, typer.Argument(metavar="INSTRUMENT", help="A name in seeds/instruments.toml, as pcs.")
    ],
    table: Annotated[
        Path,
        typer.Argument(metavar=FILE, help="csv, tsv, parquet, xlsx or sav.", callback=file_there),
    ],
    output: OutputFile,
    prefix: Annotated[
        str | None,
        typer.Option(metavar=NAME, help="Beginning of the columns' names; default <instrument>_."),
    ] = None,
    already_reversed: Annotated[
        bool, typer.Option("--already-reversed", help="Reversed items are stored reversed.")
    ] = False,
    accept_form: Annotated[
        bool, typer.Option("--accept-form", help="Score although it looks like another form.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Score a questionnaire from its items or stored scores; report its consistency.

    Example: eih score tsk17 items.csv --prefix tsk_ --already-reversed --output scored.csv
    """
    from pipeline.score import ScoreOptions, describe_report, run

    options = ScoreOptions(prefix, already_reversed, accept_form)
    report = run(instrument, table, options, output)
    for warning in report["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    emit(report, json)
    if json != "-":
        typer.echo("\n".join(describe_report(report)))


@app.command()
def label(
    folder: StudyFolder,
    output: OutputFile,
    rules: Annotated[
        bool, typer.Option("--rules", help="Show every rule's classes side by side.")
    ] = False,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: compute changes and the targets response, hyperalgesia and flare.

    Example: eih label outputs/demo --output outputs/demo/outcomes.parquet --rules
    """
    from pipeline.label import rules_in_words, run

    with working("label"):
        summary = run(load(params).label, folder, output)
    emit(summary, json)
    if json != "-":
        for e in summary["endpoints"]:
            typer.echo(
                f"{e['endpoint']}: {e['n_participants']} persons, {e['n_bouts']} bouts, "
                f"{e['n_response']} responses, {e['n_hyperalgesia']} hyperalgesic, "
                f"{e['n_flare']} flares"
            )
        for line in rules_in_words(summary) if rules else ():
            typer.echo(line)


@app.command()
def reliability(folder: StudyFolder, params: ParamsOption = None, json: JsonOption = None) -> None:
    """Say how reliable the outcomes are, and what a perfect model could reach.

    Example: eih reliability outputs/demo --json -
    """
    from pipeline.reliability import describe, run

    with working("reliability"):
        records = run(load(params).label, folder)
    emit(records, json)
    if json != "-":
        typer.echo("\n".join(describe(records, folder)))


@app.command()
def featurize(
    folder: StudyFolder,
    output: OutputFile,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: build the feature table.

    Example: eih featurize outputs/demo --output outputs/demo/features.parquet
    """
    from pipeline.featurize import run

    with working("featurize"):
        made = run(load(params).featurize, folder, output)
    emit(made, json)
    if json != "-":
        typer.echo(
            f"{output}: {made['rows']} rows, {made['features']} features, "
            f"{made['absent']} of them not measured in this study"
        )


@app.command()
def zscore(
    table: Annotated[
        Path,
        typer.Argument(
            metavar=FILE, help="Cases with sensory testing as measured.", callback=file_there
        ),
    ],
    norms: Annotated[
        Path,
        typer.Option(metavar=FILE, help="Reference: parameter, mean, sd ...", callback=file_there),
    ],
    output: OutputFile,
    json: JsonOption = None,
) -> None:
    """Turn sensory testing into z-scores against a reference table, + = gain of function.

    Example: eih zscore cases.csv --norms norms.csv --output cases_z.csv
    """
    from pipeline.zscore import run

    known = run(table, norms, output)
    emit(known, json)
    if json != "-":
        typer.echo(f"{output}: " + ", ".join(f"{n} {k} rows" for n, k in known.items()))


@app.command()
def dictionary(output: OutputFile = Path("seeds/README.md")) -> None:
    """Write the data dictionary: every column, unit, range and source, from the contract.

    Example: eih dictionary --output seeds/README.md
    """
    from pipeline.dictionary import run

    typer.echo(f"{output}: {run(output)} lines")
