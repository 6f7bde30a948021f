"""The program ``eih`` and what its subcommands share: options, parameters, JSON output."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# What stands for a value in --help.
FILE, FOLDER, COLUMN, COLUMNS = "FILE", "FOLDER", "COLUMN", "COLUMN,..."
NAME, NAMES, NUMBER, NUMBERS, SHARE = "NAME", "NAME,...", "N", "N,...", "P"
# Earlier spellings, by command: still taken, shown nowhere.
RENAMED = {
    "simulate": {"--parameters": "--set-file"},
    "rehearse": {"--parameters": "--set-file"},
    "zscore": {"--reference": "--norms"},
    "predict": {"--workers": "--jobs"},
    "contrast": {"--endpoints": "--endpoint"},
}


class Program(TyperGroup):
    """The program, which also takes the earlier spellings of options."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is asked for and its arguments, in today's spelling."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, [_todays(RENAMED.get(name or "", {}), word) for word in rest]


def _todays(renamed: Mapping[str, str], word: str) -> str:
    option, equals, value = word.partition("=")
    return f"{renamed.get(option, option)}{equals}{value}"


app = typer.Typer(
    name="eih",
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 ok, 2 usage, 10 configuration, 11 bad table, 12 model mismatch, "
    "13 not enough data, 14 drift.",
)


def _tell_versions(wanted: bool) -> None:
    if wanted:
        from pipeline.artefacts import stack_versions

        found = stack_versions()
        typer.echo(f"eih {found.pop('eih')}")
        typer.echo(", ".join(f"{name} {number}" for name, number in found.items()))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_tell_versions,
            is_eager=True,
            help="Versions of this program and of what it stands on.",
        ),
    ] = False,
) -> None:
    """Predict who responds to exercise with less pain, and who is at risk of more.

    Example: eih predict --model outputs/demo --input new.csv --output predictions.csv
    """


ParamsOption = Annotated[
    Path | None,
    typer.Option(
        "--params",
        metavar=FILE,
        help="Settings; default: ./params.yaml, or built-in values.",
    ),
]
OutputFolder = Annotated[Path, typer.Option("--output", metavar=FOLDER, help="Folder to write to.")]
OutputFile = Annotated[Path, typer.Option("--output", metavar=FILE, help="File to write.")]
JsonOption = Annotated[
    str | None,
    typer.Option("--json", metavar=FILE, help="Write the result as JSON to FILE, or - for stdout."),
]
PageOption = Annotated[
    Path | None,
    typer.Option("--page", metavar=FILE, help="Markdown page of the main figures."),
]
TARGETS = "response, hyperalgesia or flare."
EndpointsOption = Annotated[
    str | None,
    typer.Option(metavar=NAMES, help="Default: the primary one. Of several, a list of results."),
]
JsonAndTableFolder = Annotated[
    Path | None,
    typer.Option(metavar=FOLDER, help="Folder to write to: the JSON and the table."),
]
TargetOption = Annotated[str, typer.Option("--target", metavar=NAME, help=TARGETS)]
RecordTooFewOption = Annotated[
    bool,
    typer.Option(
        "--record-too-few",
        help="Too few events: write the reason and end with 0, so that other targets go on.",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", metavar=NUMBER, min=1, help="Processes; default: train.jobs."),
]
OwnJobsOption = Annotated[int, typer.Option("--jobs", metavar=NUMBER, min=1, help="Processes.")]
ScenarioOption = Annotated[
    str,
    typer.Option("--scenario", metavar=NAME, help="base, pessimistic, optimistic or null."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PARAMETER=VALUE", help="One parameter of the simulator; repeat it."
    ),
]
SetFileOption = Annotated[
    Path | None,
    typer.Option("--set-file", metavar=FILE, help="TOML file of simulator parameters."),
]


def file_there(path: Path | None) -> Path | None:
    """Refuse a file that is not there, at once."""
    from pipeline.paths import check_file

    if path is not None:
        check_file(path)
    return path


def folder_there(path: Path) -> Path:
    """Refuse a folder that is not there, at once."""
    from pipeline.paths import check_folder

    check_folder(path)
    return path


StudyFolder = Annotated[
    Path,
    typer.Argument(
        metavar=FOLDER, help="Folder with cases and measurements.", callback=folder_there
    ),
]
FeatureTable = Annotated[
    Path, typer.Option(metavar=FILE, help="Feature table.", callback=file_there)
]
OutcomeTable = Annotated[
    Path, typer.Option(metavar=FILE, help="Outcome table.", callback=file_there)
]


def load(path: Path | None) -> Any:
    """Read params.yaml; without one, the built-in values."""
    from pipeline.config import load_params

    return load_params(path)


def emit(content: Any, target: str | None) -> None:
    """Write JSON where it is wanted: nowhere, to a file, or to standard output."""
    from pipeline.io import to_json, write_json

    if target == "-":
        sys.stdout.write(to_json(content))
    elif target:
        write_json(content, Path(target))
