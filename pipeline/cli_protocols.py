"""Subcommands that ask how far a study's results can be trusted: the validation protocols."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli_app import (
    COLUMN,
    FOLDER,
    NAME,
    NAMES,
    NUMBER,
    NUMBERS,
    SHARE,
    JobsOption,
    JsonOption,
    ParamsOption,
    TargetOption,
    app,
    emit,
    folder_there,
    load,
)
from pipeline.progress import working

Trained = Annotated[
    Path,
    typer.Argument(
        metavar=FOLDER, help="Output folder of a study after featurize.", callback=folder_there
    ),
]
One = Annotated[
    str, typer.Option(metavar=NAME, help="A rung of the ladder, or 'selected' for its choice.")
]
Several = Annotated[str, typer.Option(metavar=NAMES, help="Rungs of the ladder.")]
Resamples = Annotated[
    int,
    typer.Option(metavar=NUMBER, min=2, help="Resamples of the persons; more go on with a run."),
]


def _subject(params: Path | None, folder: Path, target: str, jobs: int | None) -> Any:
    from pipeline.protocols import open_subject

    train = load(params).train
    return open_subject(train if jobs is None else replace(train, jobs=jobs), folder, target)


def _say(result: dict[str, Any], json: str | None, text: str) -> None:
    emit(result, json)
    if json != "-":
        typer.echo(text)


@app.command()
def optimism(
    folder: Trained,
    target: TargetOption = "response",
    candidate: One = "logistic",
    resamples: Resamples = 200,
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Correct performance for optimism: the whole procedure on resamples of the persons.

    A killed run continues where it ended.

    Example: eih optimism outputs/demo --target response --candidate logistic --json -
    """
    from pipeline.optimism import run

    with working("optimism"):
        result = run(_subject(params, folder, target, jobs), candidate, resamples)
    auc, head = result["metrics"]["auc"], result["headline"]
    _say(
        result,
        json,
        f"{target}, {candidate}: AUC {auc['apparent']:.3f} apparent, {head['auc']:.3f} by "
        f"{head['method']} ({result['n_successful']} of {result['n_resamples']} resamples)",
    )


@app.command()
def stability(
    folder: Trained,
    target: TargetOption = "response",
    candidate: One = "logistic",
    resamples: Resamples = 200,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar=SHARE, min=0.0, max=1.0, help="Risk that splits; default: the event rate."
        ),
    ] = None,
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Say how far each prediction would move had other persons been in the data.

    Reads the run of 'eih optimism' where there is one.

    Example: eih stability outputs/demo --target response --candidate logistic --json -
    """
    from pipeline.stability import run

    with working("stability"):
        result = run(_subject(params, folder, target, jobs), candidate, resamples, threshold)
    _say(
        result,
        json,
        f"{target}, {candidate}: mean absolute prediction error {result['mape']:.3f} (90 % of rows "
        f"below {result['mape_p90']:.3f}), {result['classification_instability']:.1%} change "
        f"sides of {result['threshold']:.2f} ({result['n_successful']} resamples)",
    )


@app.command()
def audit(
    folder: Trained,
    target: TargetOption = "response",
    permutations: Annotated[
        int, typer.Option(metavar=NUMBER, min=19, help="Shuffles of the outcomes.")
    ] = 199,
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Permutation audit: is the pipeline's skill distinguishable from shuffled outcomes?

    Outcomes go from person to person, a person's own rows together. A killed run continues.

    Example: eih audit outputs/demo --target response --permutations 199 --json -
    """
    from pipeline.audit import run

    with working("audit"):
        result = run(_subject(params, folder, target, jobs), permutations)
    _say(result, json, f"{target}: {result['sentence']}")


@app.command(name="internal-external")
def internal_external(
    folder: Trained,
    by: Annotated[
        str,
        typer.Option(metavar=COLUMN, help="Whose values are left out: study_id, condition ..."),
    ],
    target: TargetOption = "response",
    candidates: Several = "stratum,baseline,logistic",
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Leave out each lab, study or condition in turn; pool with random effects.

    Example: eih internal-external outputs/demo --by site_id --json -
    """
    from pipeline.internal_external import run

    names = tuple(candidates.split(","))
    with working("internal-external"):
        result = run(_subject(params, folder, target, jobs), by, names)
    lines = [
        f"{target}, {name}: AUC {found['auc']['estimate']:.3f} ({found['auc']['lower']:.3f} to "
        f"{found['auc']['upper']:.3f}), in a new {by} {found['auc']['prediction_lower']:.3f} to "
        f"{found['auc']['prediction_upper']:.3f}"
        for name, found in result["candidates"].items()
    ]
    _say(result, json, "\n".join(lines))


@app.command()
def temporal(
    folder: Trained,
    by: Annotated[
        str, typer.Option(metavar=COLUMN, help="Whose numbers order the rows.")
    ] = "period",
    cut: Annotated[
        float | None, typer.Option(metavar="VALUE", help="Last value learnt from.")
    ] = None,
    target: TargetOption = "response",
    candidates: Several = "stratum,baseline,logistic",
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Predict later rows from earlier rows of other persons.

    Example: eih temporal outputs/demo --by period --cut 4 --json -
    """
    from pipeline.temporal import run

    names = tuple(candidates.split(","))
    with working("temporal"):
        result = run(_subject(params, folder, target, jobs), by, cut, names)
    lines = [
        f"{target}, {name}: AUC {found['auc']['estimate']:.3f} ({found['auc']['lower']:.3f} to "
        f"{found['auc']['upper']:.3f}) after {by} {result['cut']:g}"
        for name, found in result["candidates"].items()
    ]
    _say(result, json, "\n".join(lines))


@app.command(name="learning-curve")
def learning_curve(
    folder: Trained,
    target: TargetOption = "response",
    candidates: Several = "stratum,baseline,logistic",
    sizes: Annotated[str, typer.Option(metavar=NUMBERS, help="Persons to learn from.")] = "",
    jobs: JobsOption = None,
    params: ParamsOption = None,
    json: JsonOption = None,
) -> None:
    """Predict the same persons from fewer and fewer others.

    Example: eih learning-curve outputs/demo --target response --sizes 50,100,200 --json -
    """
    from pipeline.learning_curve import run

    wanted = tuple(int(s) for s in sizes.split(",") if s)
    names = tuple(candidates.split(","))
    with working("learning-curve"):
        result = run(_subject(params, folder, target, jobs), names, wanted)
    lines = [
        f"{p['candidate']}, {p['n_participants']} persons: log loss {p['log_loss']:.4f}, "
        f"AUC {p['auc']:.3f}"
        for p in result["points"]
    ]
    _say(result, json, "\n".join(lines))
