"""Subcommands that learn, judge, explain and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_app import (
    FeatureTable,
    JsonOption,
    OutcomeTable,
    OutputFile,
    OutputFolder,
    ParametersOption,
    ParamsOption,
    SetOption,
    StudyFolder,
    app,
    emit,
    file_there,
    folder_there,
    load,
)

TrainedTarget = Annotated[
    Path, typer.Argument(help="Output folder of a trained target.", callback=folder_there)
]


@app.command()
def train(
    features: FeatureTable,
    outcomes: OutcomeTable,
    target: Annotated[str, typer.Option(help="response, hyperalgesia or flare.")],
    output: OutputFolder,
    record_too_few: Annotated[
        bool,
        typer.Option(
            "--record-too-few",
            help="Too few events: write the reason and end with 0, so that other targets go on.",
        ),
    ] = False,
    params: ParamsOption = None,
) -> None:
    """Stage: validate the ladder by person, choose a candidate, make bundles.

    Example: eih train --features outputs/demo/features.parquet --outcomes
    outputs/demo/outcomes.parquet --target response --output outputs/demo/response
    """
    from pipeline.train import run, run_or_record

    tables = (features, outcomes)
    settings = load(params).train
    chosen = (run_or_record if record_too_few else run)(settings, tables, target, output)
    if chosen is None:
        typer.echo(f"{target}: not enough data, see {output / 'train' / 'selection.json'}")
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

    result = run(load(params), (features, outcomes), output)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="Table with outcomes and predicted risks.", callback=file_there)
    ],
    outcome: Annotated[str, typer.Option(help="Column of the 0/1 outcome.")] = "y",
    probability: Annotated[str, typer.Option(help="Column of the predicted risk.")] = "p",
    versus: Annotated[str | None, typer.Option(help="Column of a second model's risk.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column(s) of the person, joined by commas. Default: study_id and "
            "participant_id where present, else every row is a person."
        ),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="Of the AUC: auto, delong, clustered or bootstrap.")
    ] = None,
    harm_ratio: Annotated[
        float | None,
        typer.Option(help="Harm of needless over benefit of needed action: threshold h / (1 + h)."),
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="Risks at which net benefit is reported, with commas.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Column(s) of subgroups, joined by commas.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(help="Cases, for subgroup columns the predictions lack.", callback=file_there),
    ] = None,
    ladder: Annotated[bool, typer.Option(help="Judge every candidate of a training run.")] = False,
    output: Annotated[Path | None, typer.Option(help="With --ladder: folder to write to.")] = None,
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
        metrics = run_ladder(settings, predictions, output, cases)
        typer.echo(metrics.get("not_enough_data") or metrics["verdict"]["sentence"])
        emit(metrics, json)
        return
    columns = Columns(outcome=outcome, cluster=tuple(cluster.split(",")) if cluster else ())
    groups = (tuple(by.split(",")) if by else (), cases)
    result = run(settings, predictions, columns, (probability, versus), groups)
    emit(result, json)
    if json != "-":
        typer.echo(sentence(result))


@app.command()
def samplesize(
    outcome: Annotated[str, typer.Option(help="binary or continuous.")],
    parameters: Annotated[int, typer.Option(help="Coefficients considered, before selection.")],
    prevalence: Annotated[float | None, typer.Option(help="Binary: share of events.")] = None,
    c_statistic: Annotated[float | None, typer.Option(help="Binary: anticipated.")] = None,
    r2: Annotated[
        float | None, typer.Option(help="Anticipated R² (binary: of Cox and Snell).")
    ] = None,
    mean: Annotated[float | None, typer.Option(help="Continuous: mean of the outcome.")] = None,
    sd: Annotated[float | None, typer.Option(help="Continuous: SD of the outcome.")] = None,
    shrinkage: Annotated[float, typer.Option(help="Least shrinkage of coefficients.")] = 0.9,
    bouts: Annotated[float, typer.Option(help="Bouts per person.")] = 1.0,
    icc: Annotated[
        float, typer.Option(help="Correlation of the outcome between bouts of a person.")
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
def biomarker(
    folder: StudyFolder,
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="Feature, column of cases or family; repeat it. Default: the panel."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="What is known already, joined by commas.")
    ] = None,
    target: Annotated[str, typer.Option(help="response, hyperalgesia or flare.")] = "response",
    endpoint: Annotated[
        str | None,
        typer.Option(help="Several joined by commas: a list of results. Default: the primary one."),
    ] = None,
    reliability: Annotated[
        list[str] | None, typer.Option(help="Of a candidate, as name=0.7; repeat it.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for tables and forest plot.")] = None,
    page: Annotated[Path | None, typer.Option(help="Markdown file of the main figures.")] = None,
    record_too_few: Annotated[
        bool, typer.Option("--record-too-few", help="Too few events: write the reason, end with 0.")
    ] = False,
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
    results = run_endpoints((loaded.biomarker, loaded.label), folder, question, endpoints, written)
    emit(results[0] if len(results) == 1 else {"endpoints": results}, json)
    if json != "-":
        for result in results:
            typer.echo("\n".join(lines(result)))


@app.command()
def explain(
    target: TrainedTarget,
    features: Annotated[
        Path, typer.Option(help="Feature table it was trained on.", callback=file_there)
    ],
    output: OutputFolder,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            help="Outcome table: how ranks and reasons move on resampled persons.",
            callback=file_there,
        ),
    ] = None,
    params: ParamsOption = None,
) -> None:
    """Stage: exact contributions on the log-odds scale.

    Example: eih explain outputs/demo/response --features outputs/demo/features.parquet
    --outcomes outputs/demo/outcomes.parquet --output outputs/demo/response/explain
    """
    from pipeline.explain import Refitting, run

    chosen = load(params)
    refitting = None if outcomes is None else Refitting(outcomes, chosen.train)
    for name, found in run(chosen.explain, target, features, output, refitting).items():
        typer.echo(f"{name}: additive to {found['largest_additivity_gap']:.1e} log-odds")


@app.command()
def report(folder: StudyFolder, output: OutputFolder, params: ParamsOption = None) -> None:
    """Stage: the study's results as one page.

    Example: eih report outputs/demo --output outputs/demo/report
    """
    from pipeline.report import run

    loaded = load(params)
    typer.echo(str(run(loaded.report, folder, loaded.targets, output)))


@app.command()
def register(
    target: TrainedTarget,
    output: OutputFile,
    params: ParamsOption = None,
) -> None:
    """Stage: log runs, figures and the model to MLflow, alias 'candidate' ('champion' if promoted).

    Example: eih register outputs/demo/response --output outputs/demo/response/registration.json
    """
    from pipeline.register import run

    done = run(load(params).register, target, output)
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

    run(load(params), output)


@app.command()
def rehearse(
    output: OutputFolder,
    scenario: Annotated[str, typer.Option(help="base, pessimistic, optimistic or null.")] = "base",
    participants: Annotated[str, typer.Option(help="Persons; several joined by commas.")] = "100",
    runs: Annotated[int, typer.Option(min=1, help="Studies of each design.")] = 200,
    target: Annotated[str, typer.Option(help="response, hyperalgesia or flare.")] = "response",
    population: Annotated[int, typer.Option(min=100, help="Persons the truth rests on.")] = 3000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    set_: SetOption = None,
    parameters: ParametersOption = None,
    track: Annotated[bool, typer.Option(help="Log the table to MLflow.")] = True,
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
    overrides = read_overrides(parameters, set_ or [])
    designs = [Design(scenario, n, target, overrides, population) for n in sizes(participants)]
    with counting("rehearse", "studies", runs * len(designs)) as progress:
        content = run(designs, loaded, output, runs, jobs, progress)
    if track:
        from pipeline.tracking import log_rehearsal

        log_rehearsal((loaded.register.tracking_uri, loaded.register.experiment), content, output)
    emit(content, json)
    if json != "-":
        typer.echo(as_markdown(content))
