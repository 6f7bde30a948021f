"""The program ``eih`` and what its subcommands share: options, parameters, JSON output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="eih",
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
    Path | None, typer.Option("--params", help="Default: ./params.yaml, or built-in values.")
]
OutputFolder = Annotated[Path, typer.Option("--output", help="Folder to write to.")]
OutputFile = Annotated[Path, typer.Option("--output", help="File to write.")]
JsonOption = Annotated[
    str | None, typer.Option("--json", help="Write the result as JSON to FILE, or - for stdout.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="PARAMETER=VALUE of the simulator; may be repeated."),
]
ParametersOption = Annotated[
    Path | None, typer.Option("--parameters", help="TOML file of simulator parameters.")
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
    Path, typer.Argument(help="Folder with cases and measurements.", callback=folder_there)
]
FeatureTable = Annotated[Path, typer.Option(help="Feature table.", callback=file_there)]
OutcomeTable = Annotated[Path, typer.Option(help="Outcome table.", callback=file_there)]


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
