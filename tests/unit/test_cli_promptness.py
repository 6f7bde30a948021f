"""Help and mistakes in the arguments come before anything heavy is imported."""

import subprocess
import sys

import pytest

# What takes the time: measured, each costs a quarter of a second or more.
HEAVY = ("pandas", "pyarrow", "scipy", "sklearn", "xgboost", "mlflow")
CODE = (
    "import sys; from pipeline.cli import main; code = main(sys.argv[1:]); "
    f"sys.stderr.write(str(sorted(set(sys.modules) & set({HEAVY!r})))); sys.exit(code)"
)
NOWHERE = "nothing/here.csv"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["predict", "--help"], 0),
        (["predict", "--nonsense"], 2),
        (["nonsense"], 2),
        (["predict", "--model", NOWHERE, "--input", "-", "--output", "p.csv"], 11),
        (["train", "--features", NOWHERE, "--outcomes", NOWHERE, "--target", "response"], 11),
        (["evaluate", NOWHERE], 11),
        (["monitor", NOWHERE], 11),
        (["validate", NOWHERE], 11),
        (["featurize", NOWHERE, "--output", "features.parquet"], 11),
        (["report", NOWHERE, "--output", "report"], 11),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else str(value),
)
def test_mistakes_in_the_arguments_import_nothing_heavy(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == code, done.stderr
    assert done.stderr.endswith("[]"), done.stderr
    assert "Traceback" not in done.stderr


def test_cases_that_are_not_there_are_told_before_the_program_is_loaded(tmp_path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    command = ["predict", "--model", str(bundle), "--input", NOWHERE, "--output", "p.csv"]

    done = subprocess.run(
        [sys.executable, "-c", CODE, *command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 11
    assert done.stderr == f"{NOWHERE}: expected a file, found nothing there. Check the path.\n[]"
