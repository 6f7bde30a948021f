"""The stage graph: one word in four places, and dependencies that are exactly what is read.

Run as a program (``make fix``), it writes code and reference data into dvc.yaml.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from pipeline.cli import app
from pipeline.config import Params, load_params

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("features", "models", "pipeline")
# Wiring only: which function a subcommand calls. A change there changes no result.
WIRING = {
    str(path.relative_to(ROOT))
    for pattern in ("__main__.py", "cli.py", "cli_*.py")
    for path in ROOT.joinpath("pipeline").glob(pattern)
}
STAGES: dict[str, dict[str, object]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported_files(module: str) -> set[str]:
    """Every file of the project that importing ``module`` runs, itself included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        relative = path.relative_to(ROOT).as_posix()
        if relative in found or not path.exists():
            continue
        found.add(relative)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
                waiting += [n for n in names if n.split(".")[0] in PACKAGES]
    return found


def reference_data(files: set[str]) -> set[str]:
    """Every file of seeds/ that one of these modules loads by name."""
    calls = [
        (getattr(node.func, "id", ""), node.args)
        for path in files
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    named = {
        f"seeds/{arguments[0].value}"
        for name, arguments in calls
        if name == "load_reference" and isinstance(arguments[0], ast.Constant)
    }
    return named | {"seeds/evidence" for name, _ in calls if name == "load_evidence"}


def needed_files(stage: str) -> set[str]:
    """The code a stage runs, and the reference data that code loads."""
    code = imported_files(f"pipeline.{stage}")
    return (code - WIRING) | reference_data(code)


def declared_dependencies(stage: str) -> set[str]:
    body = STAGES[stage]
    return {d for d in body["deps"] if d.split("/")[0] in (*PACKAGES, "seeds")}  # type: ignore[union-attr,attr-defined]


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_exactly_the_code_it_runs(stage: str) -> None:
    declared = {d for d in declared_dependencies(stage) if d.endswith((".py", ".toml", "evidence"))}

    assert declared == needed_files(stage), "run 'make fix'"


def test_a_stage_is_one_word_in_four_places() -> None:
    sections = {f.name for f in dataclasses.fields(Params)} - {"targets"}
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    modules = {p.stem for p in (ROOT / "pipeline").glob("*.py")}

    assert set(STAGES) == sections
    assert set(STAGES) <= commands
    assert set(STAGES) <= modules


def test_params_file_states_the_built_in_values() -> None:
    assert load_params(ROOT / "params.yaml") == Params()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs").rglob("*params.yaml")), ids=lambda path: path.name
)
def test_params_files_of_the_documents_can_be_read(path: Path) -> None:
    assert isinstance(load_params(path), Params)


def with_imports(graph: str) -> str:
    """Return dvc.yaml with every stage's code dependencies replaced by its imports."""
    head, *stages = re.split(r"(?m)^(?=  \w+:$)", graph)
    return head + "".join(_stage_with_imports(s) for s in stages)


def _stage_with_imports(text: str) -> str:
    needed = needed_files(text.strip().split(":")[0])
    code = re.compile(
        rf"      - (?:(?:{'|'.join(PACKAGES)})/\S+\.py|seeds/(?:\S+\.toml|evidence))\n"
    )
    kept = code.sub("", text)
    at = kept.index("    deps:\n") + len("    deps:\n")
    while kept.startswith("      - ", at):
        at = kept.index("\n", at) + 1
    return kept[:at] + "".join(f"      - {p}\n" for p in sorted(needed)) + kept[at:]


def test_writing_the_imports_changes_nothing_that_is_right() -> None:
    graph = (ROOT / "dvc.yaml").read_text()

    assert yaml.safe_load(with_imports(graph)) == yaml.safe_load(graph)
    assert with_imports(graph.replace("      - features/units.py\n", "")) == with_imports(graph)


if __name__ == "__main__":
    (ROOT / "dvc.yaml").write_text(with_imports((ROOT / "dvc.yaml").read_text()))
