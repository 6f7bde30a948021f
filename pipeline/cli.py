"""The command line: options in, one function of one module called, exit code out.

Modules are imported inside the commands, so that help and usage errors come at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="eih",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Predict who responds to exercise with less pain, and who is at risk of more.",
    epilog="Exit codes: 0 ok, 2 usage, 10 configuration, 11 bad table, 12 model mismatch, "
    "13 not enough data.",
)

ParamsOption = Annotated[
    Path | None, typer.Option("--params", help="Default: ./params.yaml, or built-in values.")
]
OutputFolder = Annotated[Path, typer.Option("--output", help="Folder to write to.")]
OutputFile = Annotated[Path, typer.Option("--output", help="File to write.")]
JsonOption = Annotated[
    str | None, typer.Option("--json", help="Write the result as JSON to FILE, or - for stdout.")
]
StudyFolder = Annotated[Path, typer.Argument(help="Folder with cases and measurements.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    A user's mistake is one line on stderr and a documented code; a defect of the program is a
    traceback and 1.
    """
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        from pipeline.errors import exit_code

        known = exit_code(error)
        if known is None:
            raise
        sys.stderr.write(f"{error}\n")
        return known
    return 0


def _params(path: Path | None) -> Any:
    from pipeline.config import load_params

    return load_params(path)


def _emit(content: Any, target: str | None) -> None:
    """Write JSON where it is wanted: nowhere, to a file, or to standard output."""
    from pipeline.io import to_json, write_json

    if target == "-":
        sys.stdout.write(to_json(content))
    elif target:
        write_json(content, Path(target))


@app.command()
def simulate(
    output: OutputFolder,
    participants: Annotated[int, typer.Option(help="Number of people.")] = 300,
    scenario: Annotated[str, typer.Option(help="base, pessimistic, optimistic or null.")] = "base",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal studies.")] = 1,
) -> None:
    """Make a simulated study, its latent truth kept apart.

    Example: eih simulate --participants 200 --scenario null --output outputs/null
    """
    from pipeline.simulate import simulate as run

    report = run(participants, scenario, seed, output)
    typer.echo(
        f"{output}: {report['participants']} persons, {report['bouts']} bouts, "
        f"{report['measurements']} measurements, scenario {scenario}, seed {seed} (simulated)"
    )


@app.command()
def ingest(
    study: Annotated[str, typer.Argument(help="A map in seeds/studies, or a .toml file.")],
    output: OutputFolder,
    source: Annotated[Path | None, typer.Option(help="Folder of the study's files.")] = None,
    json: JsonOption = None,
) -> None:
    """Bring a real study in by its map: cases, measurements, ingest report.

    Example: eih ingest peep --source studies/eih_peep_nold2025 --output outputs/peep
    """
    from pipeline.ingest import describe_report
    from pipeline.ingest import ingest as run

    report = run(study, source, output)
    if json != "-":
        typer.echo("\n".join(describe_report(report)))
    _emit(report, json)


@app.command()
def study(output: OutputFolder, params: ParamsOption = None) -> None:
    """Stage: bring in the study that params.yaml names.

    Example: eih study --output outputs/demo
    """
    from pipeline.study import run

    run(_params(params).study, output)


@app.command()
def validate(
    table: Annotated[Path, typer.Argument(help="A table of cases or measurements.")],
    kind: Annotated[str, typer.Option(help="cases or measurements.")] = "cases",
    json: JsonOption = None,
) -> None:
    """Check a table against the contract and list every violation.

    Example: eih validate outputs/demo/measurements.parquet --kind measurements
    """
    from pipeline.validate import run

    result = run(table, kind)
    _emit(result.to_dict(), json)
    if json != "-":
        result.require()
        typer.echo(f"{table}: {result.rows} rows, no violation of the contract for {kind}")
    else:
        raise typer.Exit(11 if result.violations else 0)


@app.command()
def label(
    folder: StudyFolder, output: OutputFile, params: ParamsOption = None, json: JsonOption = None
) -> None:
    """Stage: compute changes and the targets response, hyperalgesia and flare.

    Example: eih label outputs/demo --output outputs/demo/outcomes.parquet
    """
    from pipeline.label import run

    summary = run(_params(params).label, folder, output)
    _emit(summary, json)
    if json != "-":
        for e in summary["endpoints"]:
            typer.echo(
                f"{e['endpoint']}: {e['n_participants']} persons, {e['n_bouts']} bouts, "
                f"{e['n_response']} responses, {e['n_hyperalgesia']} hyperalgesic, "
                f"{e['n_flare']} flares"
            )


@app.command()
def featurize(folder: StudyFolder, output: OutputFile, params: ParamsOption = None) -> None:
    """Stage: build the feature table.

    Example: eih featurize outputs/demo --output outputs/demo/features.parquet
    """
    from pipeline.featurize import run

    made = run(_params(params).featurize, folder, output)
    typer.echo(
        f"{output}: {made['rows']} rows, {made['features']} features, "
        f"{made['absent']} of them not measured in this study"
    )


@app.command()
def train(
    features: Annotated[Path, typer.Option(help="Feature table.")],
    outcomes: Annotated[Path, typer.Option(help="Outcome table.")],
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
    settings = _params(params).train
    chosen = (run_or_record if record_too_few else run)(settings, tables, target, output)
    if chosen is None:
        typer.echo(f"{target}: not enough data, see {output / 'train' / 'selection.json'}")
        return
    losses = ", ".join(f"{n} {v:.4f}" for n, v in chosen.log_loss.items())
    typer.echo(f"{target}: chose '{chosen.selected}' (log loss out of fold: {losses})")


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Table with outcomes and predicted risks.")],
    outcome: Annotated[str, typer.Option(help="Column of the 0/1 outcome.")] = "y",
    probability: Annotated[str, typer.Option(help="Column of the predicted risk.")] = "p",
    versus: Annotated[str | None, typer.Option(help="Column of a second model's risk.")] = None,
    cluster: Annotated[
        str, typer.Option(help="Column(s) of the person, joined by commas.")
    ] = "study_id,participant_id",
    ladder: Annotated[bool, typer.Option(help="Judge every candidate of a training run.")] = False,
    output: Annotated[Path | None, typer.Option(help="With --ladder: folder to write to.")] = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Judge predictions: discrimination, calibration, intervals over persons.

    Example: eih evaluate predictions.csv --outcome y --probability p --cluster participant_id
    --json -
    """
    from pipeline.evaluate import Columns, run, run_ladder

    settings = _params(params).evaluate
    if ladder:
        if output is None:
            raise typer.BadParameter("--ladder needs --output.")
        metrics = run_ladder(settings, predictions, output)
        typer.echo(metrics.get("not_enough_data") or metrics["verdict"]["sentence"])
        _emit(metrics, json)
        return
    columns = Columns(outcome=outcome, cluster=tuple(cluster.split(",")))
    result = run(settings, predictions, columns, probability, versus)
    _emit(result, json)
    if json != "-":
        found = result["auc"]
        typer.echo(
            f"AUC {found['estimate']:.3f} ({found['lower']:.3f} to {found['upper']:.3f}), "
            f"Brier {result['brier']:.4f}, log loss {result['log_loss']:.4f}, calibration slope "
            f"{result['calibration']['slope']:.2f}; {result['n']} rows, "
            f"{result['n_participants']} persons, {result['n_events']} events, "
            f"{result['n_left_out']} rows left out"
        )


@app.command()
def explain(
    target: Annotated[Path, typer.Argument(help="Output folder of a trained target.")],
    features: Annotated[Path, typer.Option(help="Feature table it was trained on.")],
    output: OutputFolder,
    params: ParamsOption = None,
) -> None:
    """Stage: exact contributions on the log-odds scale.

    Example: eih explain outputs/demo/response --features outputs/demo/features.parquet
    --output outputs/demo/response/explain
    """
    from pipeline.explain import run

    for name, found in run(_params(params).explain, target, features, output).items():
        typer.echo(f"{name}: additive to {found['largest_additivity_gap']:.1e} log-odds")


@app.command()
def predict(
    model: Annotated[Path, typer.Option(help="A bundle, or a study's output folder.")],
    input: Annotated[Path, typer.Option("--input", help="Cases to score.")],
    output: OutputFile,
    rejects: Annotated[
        Path | None, typer.Option(help="Rejected rows; default: beside the output.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add every contribution.")] = False,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Score raw cases; rows that break the contract go to the rejects file.

    Example: eih predict --model outputs/demo --input new.csv --output predictions.csv
    """
    from pipeline.predict import PredictOptions, run

    options = PredictOptions(rejects, explain)
    summary = run(_params(params).predict, model, input, output, options)
    _emit(summary, json)
    if json != "-":
        typer.echo(
            f"{summary['rows_in']} rows in, {summary['predicted']} predicted, "
            f"{summary['rejected']} rejected ({summary['rejects']})"
        )
        for code, count in summary["rejected_by_reason"].items():
            typer.echo(f"  {code}: {count}")


@app.command()
def report(folder: StudyFolder, output: OutputFolder, params: ParamsOption = None) -> None:
    """Stage: the study's results as one page.

    Example: eih report outputs/demo --output outputs/demo/report
    """
    from pipeline.report import run

    loaded = _params(params)
    typer.echo(str(run(loaded.report, folder, loaded.targets, output)))


@app.command()
def register(
    target: Annotated[Path, typer.Argument(help="Output folder of a trained target.")],
    output: OutputFile,
    params: ParamsOption = None,
) -> None:
    """Stage: log runs, figures and the model to MLflow, alias 'candidate'.

    Example: eih register outputs/demo/response --output outputs/demo/response/registration.json
    """
    from pipeline.register import run

    done = run(_params(params).register, target, output)
    if "not_enough_data" in done:
        typer.echo(f"{target}: nothing to register, {done['not_enough_data']}")
        return
    typer.echo(f"{done['model']} version {done['version']} @{done['alias']}, run {done['run_id']}")


@app.command()
def where(params: ParamsOption = None) -> None:
    """Say where the results of the study in params.yaml are."""
    from pipeline.summary import where as run

    typer.echo(run(_params(params)))


@app.command()
def results(output: OutputFile, params: ParamsOption = None) -> None:
    """Run every study at hand and write the results table of the README.

    Example: eih results --output docs/results.md
    """
    from pipeline.summary import results as run

    run(_params(params), output)
