"""Subcommands that learn, judge, explain and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    COLUMN,
    COLUMNS,
    FILE,
    FOLDER,
    NAME,
    NAMES,
    EndpointsOption,
    FeatureTable,
    JsonOption,
    OutcomeTable,
    OutputFile,
    OutputFolder,
    PageOption,
    ParamsOption,
    RecordTooFewOption,
    StudyFolder,
    TargetOption,
    app,
    emit,
    file_there,
    folder_there,
    load,
)
from pipeline.progress import working

TrainedTarget = Annotated[
    Path,
    typer.Argument(
        metavar=FOLDER, help="Output folder of a trained target.", callback=folder_there
    ),
]


@app.command()
def train(
    features: FeatureTable,
    outcomes: OutcomeTable,
    target: TargetOption,
    output: OutputFolder,
    record_too_few: RecordTooFewOption = False,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: validate the ladder by person, choose a candidate, make bundles.

    Example: eih train --features outputs/demo/features.parquet --outcomes
    outputs/demo/outcomes.parquet --target response --output outputs/demo/response
    """
    from pipeline.io import read_json
    from pipeline.target_folder import SELECTION
    from pipeline.train import run, run_or_record

    tables = (features, outcomes)
    settings = load(params).train
    with working(f"train {target}"):
        chosen = (run_or_record if record_too_few else run)(settings, tables, target, output)
    if json:
        emit(read_json(output / "train" / SELECTION), json)
    if json == "-":
        return
    if chosen is None:
        typer.echo(f"{target}: not enough data, see {output / 'train' / SELECTION}")
        return
    losses = ", ".join(f"{n} {v:.4f}" for n, v in chosen.log_loss.items())
    typer.echo(f"{target}: chose '{chosen.selected}' (log loss out of fold: {losses})")


@app.command()
def joint(
    features: FeatureTable,
    outcomes: OutcomeTable,
    output: OutputFolder,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: response and hyperalgesia in one model, and what acting on both risks is worth.

    Example: eih joint --features outputs/demo/features.parquet --outcomes
    outputs/demo/outcomes.parquet --output outputs/demo/joint
    """
    from pipeline.joint import run, sentence

    with working("joint"):
        result = run(load(params), (features, outcomes), output)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))


@app.command()
def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar=FILE, help="Table with outcomes and predicted risks.", callback=file_there
        ),
    ],
    outcome: Annotated[str, typer.Option(metavar=COLUMN, help="Of the 0/1 outcome.")] = "y",
    probability: Annotated[str, typer.Option(metavar=COLUMN, help="Of the predicted risk.")] = "p",
    versus: Annotated[
        str | None, typer.Option(metavar=COLUMN, help="Of a second model's risk.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar=COLUMNS,
            help="Of the person. Default: study_id and participant_id where present, else every "
            "row is a person.",
        ),
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(metavar=NAME, help="Of the AUC: auto, delong, clustered or bootstrap."),
    ] = None,
    harm_ratio: Annotated[
        float | None,
        typer.Option(
            metavar="H",
            help="Harm of needless over benefit of needed action: threshold H / (1 + H).",
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(metavar="P,...", help="Risks at which net benefit is reported."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar=COLUMNS, help="Whose values are subgroups.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar=FILE,
            help="Cases, for subgroup columns the predictions lack.",
            callback=file_there,
        ),
    ] = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Judge every candidate of a training run.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(metavar=FOLDER, help="Folder to write to, with --ladder.")
    ] = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Judge predictions: discrimination, calibration, net benefit, intervals over persons.

    Example: eih evaluate predictions.csv --outcome y --probability p --cluster participant_id
    --json -
    """
    from pipeline.evaluate import run, run_ladder, sentence, with_options
    from pipeline.judging import Columns

    settings = with_options(load(params).evaluate, interval, harm_ratio, thresholds)
    if ladder:
        if output is None:
            raise typer.BadParameter("--ladder needs --output.")
        with working("evaluate"):
            metrics = run_ladder(settings, predictions, output, cases)
        emit(metrics, json)
        if json != "-":
            typer.echo(metrics.get("not_enough_data") or metrics["verdict"]["sentence"])
        return
    columns = Columns(outcome=outcome, cluster=tuple(cluster.split(",")) if cluster else ())
    groups = (tuple(by.split(",")) if by else (), cases)
    with working("evaluate"):
        result = run(settings, predictions, columns, (probability, versus), groups)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))


@app.command()
def biomarker(
    folder: StudyFolder,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            metavar=NAME, help="Feature, column of cases or family; repeat it. Default: the panel."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar=NAMES, help="What is known already; default: biomarker.base."),
    ] = None,
    target: TargetOption = "response",
    endpoint: EndpointsOption = None,
    reliability: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=R", help="Of a candidate, as pcs_total=0.7; repeat it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar=FOLDER, help="Folder to write to: tables and forest plot."),
    ] = None,
    page: PageOption = None,
    record_too_few: RecordTooFewOption = False,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage and tool: what a marker adds to a base set, tested and out of fold.

    Example: eih biomarker outputs/demo --candidate pcs_total --base age_years,sex,condition
    --json -
    """
    from pipeline.biomarker import Question, Written, lines, run_endpoints
    from pipeline.biomarker_reliability import read_reliability

    loaded = load(params)
    names = tuple(n for n in (base or "").split(",") if n)
    question = Question(target, tuple(candidate or ()), names, read_reliability(reliability or ()))
    endpoints = tuple((endpoint or loaded.biomarker.endpoint).split(","))
    written = Written(output, page, record_too_few)
    sections = (loaded.biomarker, loaded.label)
    with working("biomarker"):
        results = run_endpoints(sections, folder, question, endpoints, written)
    emit(results[0] if len(results) == 1 else {"endpoints": results}, json)
    if json != "-":
        for result in results:
            typer.echo("\n".join(lines(result)))


@app.command()
def explain(
    target: TrainedTarget,
    features: Annotated[
        Path,
        typer.Option(metavar=FILE, help="Feature table it was trained on.", callback=file_there),
    ],
    output: OutputFolder,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            metavar=FILE,
            help="Outcome table: how ranks and reasons move on resampled persons.",
            callback=file_there,
        ),
    ] = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: exact contributions on the log-odds scale.

    Example: eih explain outputs/demo/response --features outputs/demo/features.parquet
    --outcomes outputs/demo/outcomes.parquet --output outputs/demo/response/explain
    """
    from pipeline.explain import Refitting, run

    chosen = load(params)
    refitting = None if outcomes is None else Refitting(outcomes, chosen.train)
    with working("explain"):
        summary = run(chosen.explain, target, features, output, refitting)
    emit(summary, json)
    for name, found in summary.items() if json != "-" else ():
        typer.echo(f"{name}: additive to {found['largest_additivity_gap']:.1e} log-odds")


@app.command()
def report(folder: StudyFolder, output: OutputFolder, params: ParamsOption = None) -> None:
    """Stage: the study's results as one page.

    Example: eih report outputs/demo --output outputs/demo/report
    """
    from pipeline.report import run

    loaded = load(params)
    with working("report"):
        page = run(loaded.report, folder, loaded.targets, output)
    typer.echo(str(page))


@app.command()
def register(
    target: TrainedTarget,
    output: OutputFile,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Stage: log runs, figures and the model to MLflow, alias 'candidate' ('champion' if promoted).

    Example: eih register outputs/demo/response --output outputs/demo/response/registration.json
    """
    from pipeline.register import run

    with working("register"):
        done = run(load(params).register, target, output)
    emit(done, json)
    if json == "-":
        return
    if "not_enough_data" in done:
        typer.echo(f"{target}: nothing to register, {done['not_enough_data']}")
        return
    aliases = ", ".join(f"@{a}" for a in done["aliases"])
    typer.echo(f"{done['model']} version {done['version']} {aliases}, run {done['run_id']}")


@app.command()
def where(params: ParamsOption = None) -> None:
    """Say where the results of the study in params.yaml are.

    Example: eih where
    """
    from pipeline.summary import where as run

    typer.echo(run(load(params)))


@app.command()
def results(output: OutputFile, params: ParamsOption = None) -> None:
    """Run every study at hand and write the results table of the README.

    Example: eih results --output docs/results.md
    """
    from pipeline.summary import results as run

    with working("results"):
        run(load(params), output)
