"""What a prediction says besides the probability, and input that means harm."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.artefacts import find_bundles
from pipeline.config import PredictParams
from pipeline.predict import PredictOptions, ScoreOptions, predict, run
from pipeline.study_folder import read_cases
from pipeline.table_writer import harmless

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def rows(trained: Path) -> pd.DataFrame:
    cases = read_cases(trained)
    return cases[cases["modality"] != "rest"].head(20).reset_index(drop=True)


def test_the_class_is_one_where_the_risk_reaches_the_stored_threshold(
    trained: Path, rows: pd.DataFrame
) -> None:
    bundles = find_bundles(trained)

    scored = predict(rows, bundles).predictions

    for target, bundle in bundles.items():
        threshold = bundle.training["threshold"]["value"]
        expected = (scored[f"p_{target}"] >= threshold).astype(int)
        assert scored[f"class_{target}"].tolist() == expected.tolist()


def test_a_value_far_from_training_is_named(trained: Path, rows: pd.DataFrame) -> None:
    bundles = find_bundles(trained)
    far = rows.assign(age_years=[109.0, *rows["age_years"][1:]])

    named = predict(far, bundles).predictions["out_of_range"].str.split(";")

    assert "age_years" in named[0]
    assert not any("age_years" in n for n in named[1:])


def test_reasons_are_the_largest_contributions(trained: Path, rows: pd.DataFrame) -> None:
    model = {"response": find_bundles(trained / "response/train/candidates/logistic")["response"]}
    everything = predict(rows, model, explain=True).predictions
    parts = everything.filter(like="response_contribution_")

    named = predict(rows, model, options=ScoreOptions(top=3)).predictions

    order = np.argsort(-parts.abs().to_numpy(), axis=1, kind="stable")[:, :3]
    names = parts.columns.str.removeprefix("response_contribution_").to_numpy()
    for place in range(3):
        at = order[:, place]
        assert named[f"response_reason_{place + 1}"].tolist() == names[at].tolist()
        values = parts.to_numpy()[np.arange(len(parts)), at]
        assert named[f"response_reason_{place + 1}_log_odds"].tolist() == values.tolist()


def test_pseudonyms_are_the_same_in_both_files_and_the_ids_in_neither(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    source, secret, output = tmp_path / "in.csv", tmp_path / "key", tmp_path / "out.csv"
    twice = pd.concat([rows, rows.assign(age_years=500)])
    twice.assign(participant_id="Smith-" + twice["participant_id"]).to_csv(source, index=False)
    secret.write_bytes(b"k" * 32)

    said = eih(
        "predict", "--model", trained, "--input", source, "--output", output,
        "--pseudonymise", secret,
    )  # fmt: skip

    assert said.code == 0
    good, bad = pd.read_csv(output), pd.read_csv(tmp_path / "out.rejects.csv")
    assert good["participant_id"].tolist() == bad["participant_id"].tolist()
    assert good["participant_id"].str.fullmatch("[0-9a-f]{32}").all()
    assert good["participant_id"].nunique() == rows["participant_id"].nunique()
    assert "Smith" not in output.read_text() + (tmp_path / "out.rejects.csv").read_text()


def test_a_short_secret_is_refused(trained: Path, tmp_path: Path, eih: Run) -> None:
    (tmp_path / "key").write_bytes(b"short\n")

    said = eih(
        "predict", "--model", trained, "--input", trained / "cases.parquet",
        "--output", tmp_path / "out.csv", "--pseudonymise", tmp_path / "key",
    )  # fmt: skip

    assert said.code == 10
    assert "expected a secret of at least 16 bytes, found 5" in said.err


def test_the_summary_and_the_file_name_the_model_and_the_contract(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    rows.to_parquet(source)

    summary = run(PredictParams(), trained, source, output, PredictOptions())

    stored = {k.decode(): v.decode() for k, v in pq.read_schema(output).metadata.items()}
    assert stored["eih_contract"] == summary["contract"]
    assert stored["eih_model_response"] == summary["models"]["response"]


def test_whole_numbers_as_ids_stay_exact_beside_missing_ones(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    large = 2**53 + 1
    ids = pa.array([large, None, *range(18)], pa.int64())
    table = pa.Table.from_pandas(rows)
    at = table.schema.get_field_index("participant_id")
    pq.write_table(table.set_column(at, "participant_id", ids), tmp_path / "in.parquet")

    run(
        PredictParams(3), trained, tmp_path / "in.parquet", tmp_path / "out.parquet",
        PredictOptions(),
    )  # fmt: skip

    assert pd.read_parquet(tmp_path / "out.parquet")["participant_id"][0] == str(large)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("age_years", [[1.0]] * 20, "expected numbers, found list"),
        ("participant_id", [b"x"] * 20, "expected texts, found binary"),
        ("age_years", [pd.Timestamp(0)] * 20, "expected numbers, found timestamp"),
    ],
)
def test_a_column_of_another_kind_is_one_line(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, eih: Run, column: str, values: list[Any],
    expected: str,
) -> None:  # fmt: skip
    source = tmp_path / "in.parquet"
    rows.drop(columns=column).assign(**{column: values}).to_parquet(source)

    said = eih("predict", "--model", trained, "--input", source, "--output", tmp_path / "o.csv")

    assert said.code == 11
    assert f"column '{column}': {expected}" in said.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.slow
def test_a_hundred_thousand_foreign_columns_are_not_read(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    table = pa.Table.from_pandas(rows)
    wide = {f"x{i}": pa.nulls(20, pa.float64()) for i in range(100_000)}
    source = tmp_path / "in.parquet"
    pq.write_table(
        pa.table(dict(zip(table.column_names, table.columns, strict=True)) | wide), source
    )

    summary = run(PredictParams(), trained, source, tmp_path / "out.csv", PredictOptions())

    assert summary["predicted"] == 20


def test_a_column_that_is_there_twice_is_refused(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    table = pa.Table.from_pandas(rows)
    source = tmp_path / "in.parquet"
    pq.write_table(table.append_column("age_years", table["age_years"]), source)

    said = eih("predict", "--model", trained, "--input", source, "--output", tmp_path / "o.csv")

    assert said.code == 11
    assert "column 'age_years': expected this column once, found it 2 times" in said.err


def test_quoted_line_ends_marks_and_formulas_arrive_as_they_are_or_are_rejected(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    ids = ["=1+1", "'quoted", 'a"b', "a,b", "two\nlines", "nul\x00", "\x1b[2J", "x" * 300]
    some = rows.head(len(ids)).assign(participant_id=ids)
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("\ufeff" + some.to_csv(index=False), encoding="utf-8")

    run(PredictParams(), trained, source, output, PredictOptions())

    good, bad = pd.read_csv(output), pd.read_csv(tmp_path / "out.rejects.csv")
    assert good["participant_id"].tolist() == ["'=1+1", "''quoted", 'a"b', "a,b"]
    assert bad["code"].tolist() == [*["unprintable_key"] * 3, "oversized_key"]
    assert bad["participant_id"].tolist()[:3] == ["two\\nlines", "nul\\x00", "\\x1b[2J"]
    assert bad["participant_id"][3] == "x" * 200 + "…"


def test_taking_one_apostrophe_away_gives_every_text_back() -> None:
    texts = ["=1", "'=1", "''", "'", "", "a'", "-5", "-x", "+1.5", "@a", "\t1", "＝1", None]

    stored = harmless(pa.table({"id": pa.array(texts)}))["id"].to_pylist()

    assert [t if t is None else t.removeprefix("'") for t in stored] == texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", b"\xff\xfe\x00s\x00t"),
        ("in.parquet", b"PAR1 no parquet"),
        ("in.xlsx", b"PK no workbook"),
        ("in.csv", b"study_id,participant_id\n" + b"x" * 200_000 + b",1\n"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(
    trained: Path, tmp_path: Path, eih: Run, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)

    said = eih(
        "predict", "--model", trained, "--input", tmp_path / name, "--output", tmp_path / "o.csv"
    )

    assert said.code == 11
    assert said.err.count("\n") <= 4
    assert "Traceback" not in said.err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_workbook_that_unpacks_to_gigabytes_is_not_opened(
    trained: Path, tmp_path: Path, eih: Run
) -> None:
    source = tmp_path / "in.xlsx"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(2**26))

    said = eih("predict", "--model", trained, "--input", source, "--output", tmp_path / "o.csv")

    assert said.code == 11
    assert "expected a workbook of at most 1024 MiB and at most 200 times" in said.err


def test_a_link_in_a_folder_is_not_followed(
    trained: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rows.to_csv(folder / "a.csv", index=False)
    rows.to_csv(tmp_path / "outside.csv", index=False)
    (folder / "b.csv").symlink_to(tmp_path / "outside.csv")

    summary = run(PredictParams(), trained, folder, tmp_path / "out.csv", PredictOptions())

    assert summary["rows_in"] == len(rows)


def test_the_input_is_never_written_over(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    source = tmp_path / "in.csv"
    rows.to_csv(source, index=False)
    before = source.read_bytes()

    said = eih("predict", "--model", trained, "--input", source, "--output", source)

    assert (said.code, source.read_bytes()) == (10, before)


def test_neither_ids_nor_values_are_printed_or_summarised(
    trained: Path, rows: pd.DataFrame, tmp_path: Path, eih: Run
) -> None:
    source = tmp_path / "in.csv"
    rows.assign(participant_id="Smith", age_years="secret-7").to_csv(source, index=False)

    said = eih(
        "predict", "--model", trained, "--input", source, "--output", tmp_path / "o.csv",
        "--strict", "--json", tmp_path / "summary.json",
    )  # fmt: skip

    printed = said.out + said.err
    assert "Smith" not in printed
    assert "secret" not in printed
    assert "secret" not in (tmp_path / "o.rejects.csv").read_text()
