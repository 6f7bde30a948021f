"""Bad input gets one clear line a fault and the documented exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import exit_code

Run = Callable[..., Any]
DEFAULTS = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8")
ONE_TARGET = DEFAULTS.replace("[response, hyperalgesia]", "response")
CASES = {
    "study_id": "s",
    "participant_id": ["1", "2"],
    "session_id": "bout_1",
    "condition": "healthy",
    "modality": "aerobic",
}
MEASUREMENTS = {
    "study_id": "s",
    "participant_id": ["1", "2"],
    "session_id": "bout_1",
    "measure": "ppt",
    "site_role": "local",
    "timepoint": "pre",
    "trial": 1,
    "value": [3.5, 4.5],
    "unit": "kPa",
}


def write(path: Path, content: dict[str, object], **changes: object) -> Path:
    pd.DataFrame(content | changes).to_csv(path, index=False)
    return path


def missing_file(folder: Path) -> tuple[Path, str]:
    path = folder / "nothing.csv"
    return path, f"{path}: expected a file, found nothing there. Check the path."


def wrong_delimiter(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.csv"
    pd.DataFrame(CASES).to_csv(path, index=False, sep=";")
    first = (
        f"{path}, column 'study_id': expected this column, found 1 other columns. "
        "The header looks separated by semicolons: save it as .csv (commas) or .tsv."
    )
    return path, first


def empty_table(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.csv"
    path.write_text(",".join(CASES) + "\n")
    return path, f"{path}: expected at least one row, found none."


def empty_file(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.csv"
    path.touch()
    return path, f"{path}: expected a table with a header, found an empty file."


def duplicate_keys(folder: Path) -> tuple[Path, str]:
    path = write(folder / "cases.csv", CASES, participant_id=["1", "1"])
    return path, (
        f"{path}, column 'study_id, participant_id, session_id': expected keys that occur once, "
        "found 1 rows that repeat an earlier row's keys (row 1)."
    )


def pcs_item_of_7(folder: Path) -> tuple[Path, str]:
    path = write(folder / "cases.csv", CASES, pcs_1=[7, 2])
    return path, (
        f"{path}, column 'pcs_1': expected whole numbers in 0 to 4, found 1 outside (row 0)."
    )


def unknown_condition(folder: Path) -> tuple[Path, str]:
    path = write(folder / "cases.csv", CASES, condition=["healthy", "gout"])
    return path, (
        f"{path}, column 'condition': expected one of healthy, chronic_low_back_pain, "
        "knee_osteoarthritis, hip_osteoarthritis, chronic_neck_pain, whiplash, shoulder_pain, "
        "patellofemoral_pain, tendinopathy, temporomandibular_disorder, cervical_radiculopathy, "
        "lumbar_radiculopathy, painful_polyneuropathy, fibromyalgia, chronic_widespread_pain, "
        "chronic_fatigue_syndrome, rheumatoid_arthritis, other, found 1 with another word "
        "(row 1)."
    )


def text_in_a_number_column(folder: Path) -> tuple[Path, str]:
    path = write(folder / "cases.csv", CASES, age_years=["forty", "41"])
    return path, (
        f"{path}, column 'age_years': expected numbers in 10 to 110 years, "
        "found 1 that are not numbers (row 0)."
    )


def ragged_row(folder: Path) -> tuple[Path, str]:
    path = write(folder / "cases.csv", CASES)
    path.write_text(path.read_text() + "s,3,bout_1\n")
    return path, (
        f"{path}, row 2: expected 5 cells as in the header, found 3. Check delimiters and quotes."
    )


def unknown_format(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.doc"
    path.write_text("x")
    return path, (f"{path}: expected one of .csv, .tsv, .txt, .parquet, .xlsx, .sav, found '.doc'.")


def broken_parquet(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.parquet"
    path.write_bytes(b"not parquet at all")
    return path, f"{path}: could not be read as .parquet ("


def not_utf8(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.csv"
    path.write_bytes("study_id\nM\xe4rz\n".encode("latin-1"))
    return path, f"{path}: expected UTF-8 text, found other bytes. Save it as UTF-8."


def repeated_header(folder: Path) -> tuple[Path, str]:
    path = folder / "cases.csv"
    path.write_text("study_id,study_id\ns,s\n")
    return path, (f"{path}: expected column names that occur once, found study_id more than once.")


FAULTS = [
    missing_file,
    wrong_delimiter,
    empty_table,
    empty_file,
    duplicate_keys,
    pcs_item_of_7,
    unknown_condition,
    text_in_a_number_column,
    ragged_row,
    unknown_format,
    broken_parquet,
    not_utf8,
    repeated_header,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_validate_says_what_is_wrong_and_ends_with_11(
    fault: Callable[[Path], tuple[Path, str]], tmp_path: Path, eih: Run
) -> None:
    path, line = fault(tmp_path)

    said = eih("validate", path)

    assert said.code == 11
    assert said.err.splitlines()[0].startswith(line)
    assert "Traceback" not in said.err


def test_validate_names_the_likely_unit_of_a_threshold_in_the_wrong_one(
    tmp_path: Path, eih: Run
) -> None:
    path = write(tmp_path / "measurements.csv", MEASUREMENTS)

    said = eih("validate", path, "--kind", "measurements")

    assert said.code == 11
    assert said.err == (
        f"{path}, column 'value': expected ppt declared in kPa to lie in 20 to 2000 kPa, found 2 "
        "outside (rows 0, 1). The values look like kgf/cm2: correct the declared unit.\n"
    )


def test_validate_lists_every_violation_one_a_line(tmp_path: Path, eih: Run) -> None:
    path = write(tmp_path / "cases.csv", CASES, pcs_1=[7, 2], age_years=["x", "41"])

    said = eih("validate", path, "--json", "-")

    assert said.code == 11
    assert said.out.count('"code"') == 2
    assert eih("validate", path).err.count("\n") == 2


def test_validate_passes_a_good_table(study: Path, eih: Run) -> None:
    said = eih("validate", study / "cases.parquet")

    assert said.code == 0
    assert said.out.endswith("no violation of the contract for cases\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("label", "{missing}", "--output", "{out}"),
        ("featurize", "{missing}", "--output", "{out}"),
        ("report", "{missing}", "--output", "{out}"),
        ("explain", "{missing}", "--features", "{missing}", "--output", "{out}"),
        ("register", "{missing}", "--output", "{out}"),
        ("evaluate", "{missing}/predictions.csv"),
        ("predict", "--model", "{missing}", "--input", "{missing}", "--output", "{out}"),
        (
            "train",
            "--features",
            "{missing}/features.parquet",
            "--outcomes",
            "{missing}/outcomes.parquet",
            "--target",
            "response",
            "--output",
            "{out}",
        ),
    ],
    ids=lambda a: a[0],
)
def test_every_command_survives_missing_input(
    arguments: tuple[str, ...], tmp_path: Path, eih: Run
) -> None:
    places = {"missing": tmp_path / "missing", "out": tmp_path / "out.csv"}

    said = eih(*(a.format(**places) for a in arguments))

    assert said.code == 11
    assert said.err.count("\n") == 1
    assert "missing" in said.err


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("study: {name: demo}", ": expected the key 'targets', found it missing."),
        ("targts: [response]", "found 'targts'."),
        (
            DEFAULTS.replace("[response, hyperalgesia]", "response"),
            ", targets: expected a list, found str.",
        ),
        ("[", ": expected YAML ("),
    ],
)
def test_a_wrong_params_file_ends_with_10(
    content: str, line: str, tmp_path: Path, eih: Run
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)

    said = eih("featurize", tmp_path, "--output", tmp_path / "f.csv", "--params", path)

    assert said.code == 10
    assert line in said.err
    assert said.err.count("\n") == 1


def test_an_unknown_study_ends_with_10(tmp_path: Path, eih: Run) -> None:
    said = eih("ingest", "no_such_study", "--output", tmp_path)

    assert said.code == 10
    assert said.err.count("\n") == 1


def test_an_unknown_option_ends_with_2(eih: Run) -> None:
    assert eih("predict", "--modle", "x").code == 2


def test_a_defect_of_the_program_is_no_users_mistake() -> None:
    assert exit_code(ZeroDivisionError()) is None
