"""eih score: files in, scores and a report out; what is refused, warned of and counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.columns import CASES_BY_NAME
from pipeline.dataset import usable_columns

ROOT = Path(__file__).resolve().parents[2]
N = 60
POOLED = "tsk_percent_of_range"


def pcs_items(n=N, severity=1.5):
    trait = np.random.default_rng(2).standard_normal((n, 1))
    noise = np.random.default_rng(3).standard_normal((n, 13))
    answers = np.clip(np.rint(severity + trait + noise), 0, 4).astype(int)
    return pd.DataFrame(answers, columns=[f"pcs_{i}" for i in range(1, 14)])


def tsk_items(n=120, *, turned):
    """TSK-17 answers; ``turned``: as answered, so that items 4, 8, 12, 16 run against."""
    trait = np.random.default_rng(4).standard_normal((n, 1))
    noise = np.random.default_rng(5).standard_normal((n, 17))
    answers = np.clip(np.rint(2.5 + 0.8 * trait + 0.8 * noise), 1, 4).astype(int)
    table = pd.DataFrame(answers, columns=[f"tsk17_{i}" for i in range(1, 18)])
    if turned:
        for item in (4, 8, 12, 16):
            table[f"tsk17_{item}"] = 5 - table[f"tsk17_{item}"]
    return table


def save(table, path):
    table.to_csv(path, index=False)
    return path


# ---- what comes out --------------------------------------------------------------------------


def test_scores_bands_and_keys_are_written_row_by_row(eih, tmp_path):
    items = pcs_items().assign(study_id="s", participant_id=range(N), session_id="a")
    out = tmp_path / "scored.csv"

    said = eih("score", "pcs", save(items, tmp_path / "items.csv"), "--output", out)

    scored = pd.read_csv(out)
    assert (said.code, said.err) == (0, "")
    assert list(scored.columns) == [
        *("study_id", "participant_id", "session_id"),
        *("pcs_rumination", "pcs_magnification", "pcs_helplessness", "pcs_total"),
        "pcs_total_band",
    ]
    assert scored["pcs_total"].tolist() == items.filter(like="pcs_").sum(axis=1).tolist()
    high = scored["pcs_total"] > 30
    assert (scored["pcs_total_band"] == np.where(high, "above 30", "up to 30")).all()


def test_rows_without_keys_are_numbered(eih, tmp_path):
    out = tmp_path / "scored.parquet"

    eih("score", "pcs", save(pcs_items(), tmp_path / "items.tsv.csv"), "--output", out)

    assert pd.read_parquet(out)["row"].tolist() == list(range(N))


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".xlsx", ".sav"])
def test_every_kind_of_table_gives_the_same_scores(eih, tmp_path, suffix):
    items, path = pcs_items(), tmp_path / f"items{suffix}"
    if suffix == ".tsv":
        items.to_csv(path, index=False, sep="\t")
    elif suffix == ".parquet":
        items.to_parquet(path)
    elif suffix == ".xlsx":
        items.to_excel(path, index=False)
    else:
        import pyreadstat

        pyreadstat.write_sav(items, str(path))

    said = eih("score", "pcs", path, "--output", tmp_path / "scored.csv")

    assert said.code == 0, said.err
    assert pd.read_csv(tmp_path / "scored.csv")["pcs_total"].tolist() == items.sum(axis=1).tolist()


@pytest.mark.parametrize("prefix", ["q", "q_"])
def test_a_prefix_names_the_columns(eih, tmp_path, prefix):
    items = pcs_items().rename(columns=lambda c: c.replace("pcs_", "q_"))
    path = save(items, tmp_path / "items.csv")

    said = eih("score", "pcs", path, "--prefix", prefix, "--output", tmp_path / "out.csv")

    assert said.code == 0, said.err
    assert pd.read_csv(tmp_path / "out.csv")["pcs_total"].tolist() == items.sum(axis=1).tolist()


def test_the_report_counts_every_row_once(eih, tmp_path):
    items = pcs_items().astype(float)
    items.iloc[0] = np.nan
    items.iloc[1, [0, 1]] = np.nan  # two items of helplessness
    items.iloc[2, 0] = np.nan  # one: pro-rated
    path = save(items, tmp_path / "items.csv")

    said = eih("score", "pcs", path, "--output", tmp_path / "out.csv", "--json", "-")

    report = json.loads(said.out)
    assert report["rows"] == N
    total, rumination = report["scores"]["total"], report["scores"]["rumination"]
    assert total["n_scored"] == N - 2
    assert total["n_missing"] == {"no item answered": 1, "more than 1 of its items missing": 1}
    assert rumination["n_missing"] == {"no item answered": 1}
    assert (report["status"], report["missing_rule_status"]) == ("verified", "unverified")
    assert 0.8 < total["alpha"]["value"] < 1
    assert "one-factor" in report["method"]


def test_ipaq_says_why_a_person_has_no_score(eih, tmp_path):
    rows = [[3, 30, 2, 45, 5, 60, 300], [7, 600, 7, 400, 0, 0, 0], [3, None, 0, 0, 0, 0, 0]]
    table = pd.DataFrame([*rows, [None] * 7], columns=[f"ipaq_sf_{i}" for i in range(1, 8)])
    path = save(table, tmp_path / "ipaq.csv")

    said = eih("score", "ipaq_sf", path, "--output", tmp_path / "out.csv", "--json", "-")

    assert json.loads(said.out)["scores"]["total"]["n_missing"] == {
        "no item answered": 1,
        "days or minutes missing": 1,
        "more than 960 minutes of activity a day": 1,
    }
    activity = pd.read_csv(tmp_path / "out.csv")["ipaq_sf_activity"]
    assert activity.fillna("").tolist() == ["high", "", "", ""]


def test_stored_totals_are_scored_without_consistency(eih, tmp_path):
    path = save(pd.DataFrame({"tsk11_total": [11, 20, 44]}), tmp_path / "totals.csv")

    said = eih("score", "tsk11", path, "--output", tmp_path / "out.csv")

    assert said.code == 0
    assert "from stored scores of 3 rows" in said.out
    assert "no alpha (needs the items)" in said.out
    bands = pd.read_csv(tmp_path / "out.csv")["tsk11_total_band"]
    assert bands.tolist() == ["11 to 17", "18 to 24", "39 to 44"]


def test_the_expectation_is_an_instrument_too(eih, tmp_path):
    path = save(pd.DataFrame({"expectancy": [-10, 4.5]}), tmp_path / "e.csv")

    said = eih("score", "expectancy", path, "--output", tmp_path / "out.csv")

    assert said.code == 0, said.err
    assert pd.read_csv(tmp_path / "out.csv")["expectancy_total"].tolist() == [-10, 4.5]


def test_an_unverified_key_is_said_to_be_one(eih, tmp_path):
    path = save(pd.DataFrame({"pseq2_1": [3], "pseq2_2": [4]}), tmp_path / "p.csv")

    said = eih("score", "pseq2", path, "--output", tmp_path / "out.csv")

    assert "scoring key unverified" in said.out


def test_other_columns_of_the_same_name_are_no_obstacle(eih, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("note,note,pseq2_1,pseq2_2\na,b,3,4\n")

    said = eih("score", "pseq2", path, "--output", tmp_path / "out.csv")

    assert said.code == 0, said.err


# ---- reversed items --------------------------------------------------------------------------


def test_items_stored_reversed_warn_unless_said_to_be(eih, tmp_path):
    path = save(tsk_items(turned=False), tmp_path / "items.csv")

    silent = eih("score", "tsk17", path, "--already-reversed", "--output", tmp_path / "a.csv")
    warned = eih("score", "tsk17", path, "--output", tmp_path / "b.csv")

    assert (silent.code, silent.err) == (0, "")
    assert warned.code == 0
    assert "use --already-reversed" in warned.err
    assert (
        pd.read_csv(tmp_path / "a.csv")["tsk17_total"].tolist()
        == tsk_items(turned=False).sum(axis=1).tolist()
    )


def test_items_stored_as_answered_warn_if_said_to_be_reversed(eih, tmp_path):
    path = save(tsk_items(turned=True), tmp_path / "items.csv")

    silent = eih("score", "tsk17", path, "--output", tmp_path / "a.csv")
    warned = eih("score", "tsk17", path, "--already-reversed", "--output", tmp_path / "b.csv")

    assert (silent.code, silent.err) == (0, "")
    assert "leave --already-reversed out" in warned.err


# ---- refusals --------------------------------------------------------------------------------


def refusal(eih, tmp_path, instrument, table, *options):
    out = tmp_path / "out.csv"
    said = eih("score", instrument, save(table, tmp_path / "t.csv"), "--output", out, *options)
    assert said.code == 11
    assert not out.exists()
    assert "Traceback" not in said.err
    return said.err


def test_items_and_total_that_disagree_are_refused_with_their_rows(eih, tmp_path):
    items = pcs_items()
    wrong = items.sum(axis=1)
    wrong[[4, 7]] += 1

    error = refusal(eih, tmp_path, "pcs", items.assign(pcs_total=wrong))

    assert "column 'pcs_total'" in error
    assert "2 that differ (rows 4, 7)" in error


def test_a_disagreement_that_reversed_items_explain_names_the_option(eih, tmp_path):
    stored = tsk_items(turned=False)

    error = refusal(eih, tmp_path, "tsk17", stored.assign(tsk17_total=stored.sum(axis=1)))

    assert "use --already-reversed" in error


def test_a_pcs_that_never_exceeds_24_is_refused_with_the_reason(eih, tmp_path):
    table = pd.DataFrame({"pcs_total": np.tile(np.arange(25), 6)})

    error = refusal(eih, tmp_path, "pcs", table)

    assert "no score above 24 in 150 rows, where the form goes up to 52" in error
    path = tmp_path / "t.csv"
    said = eih("score", "pcs", path, "--accept-form", "--output", tmp_path / "out.csv")
    assert said.code == 0


def test_repeated_bouts_of_a_person_are_no_evidence(eih, tmp_path):
    totals = np.tile(np.arange(25), 6)
    table = pd.DataFrame({"pcs_total": totals, "participant_id": totals, "study_id": "s"})

    said = eih("score", "pcs", save(table, tmp_path / "t.csv"), "--output", tmp_path / "o.csv")

    assert said.code == 0, said.err  # 25 persons


@pytest.mark.parametrize("empty", [False, True], ids=["columns absent", "columns empty"])
def test_a_form_with_too_few_items_is_refused(eih, tmp_path, empty):
    table = pcs_items().astype(float)
    late = [f"pcs_{i}" for i in range(7, 14)]
    table = table.assign(**dict.fromkeys(late, np.nan)) if empty else table.drop(columns=late)

    error = refusal(eih, tmp_path, "pcs", table)

    assert "expected the 13 items of pcs, found 6 columns with answers" in error


def test_a_tampa_counted_from_zero_is_refused_with_the_reason(eih, tmp_path):
    error = refusal(eih, tmp_path, "tsk17", tsk_items(turned=True) - 1)

    assert "look shifted by 1: add 1 to each" in error


def test_totals_of_a_tampa_counted_from_zero_are_refused_with_the_reason(eih, tmp_path):
    error = refusal(eih, tmp_path, "tsk17", pd.DataFrame({"tsk17_total": [9, 25, 40]}))

    assert "column 'tsk17_total'" in error or "counted from 0" in error


def test_an_impossible_answer_names_column_and_row(eih, tmp_path):
    items = pcs_items()
    items.loc[3, "pcs_2"] = 9

    assert "column 'pcs_2': expected whole numbers in 0 to 4, found 1 outside (row 3)" in refusal(
        eih, tmp_path, "pcs", items
    )


def test_an_answer_between_the_steps_of_an_item_is_refused(eih, tmp_path):
    rows = [[1, 1, 1, 1, 1, 1, 1, 0, 2], [1, 1, 1, 1, 1, 1, 1, 0, 1]]
    table = pd.DataFrame(rows, columns=[f"paindetect_{i}" for i in range(1, 10)])

    error = refusal(eih, tmp_path, "paindetect", table)

    assert "column 'paindetect_9': expected 0 to 2 in steps of 2, found 1 between (row 1)" in error


def test_a_table_of_something_else_is_refused(eih, tmp_path):
    error = refusal(eih, tmp_path, "pcs", pd.DataFrame({"weight_kg": [70]}))

    assert "expected columns of pcs" in error
    assert "--prefix" in error


def test_an_unknown_instrument_is_a_configuration_error(eih, tmp_path):
    path = save(pcs_items(), tmp_path / "t.csv")

    said = eih("score", "nonsense", path, "--output", tmp_path / "out.csv")

    assert said.code == 10
    assert "expected one of pcs, tsk17" in said.err


# ---- the contract ----------------------------------------------------------------------------


def test_validate_names_totals_that_disagree(eih, tmp_path):
    keys = {"study_id": "s", "participant_id": range(N), "session_id": "a"}
    cases = pcs_items().assign(**keys, condition="healthy", modality="aerobic")
    totals = cases.filter(like="pcs_").sum(axis=1)
    totals[5] += 2

    said = eih("validate", save(cases.assign(pcs_total=totals), tmp_path / "cases.csv"))

    assert said.code == 11
    assert "column 'pcs_total'" in said.err
    assert "(row 5)" in said.err


@pytest.mark.parametrize("forms", [["tsk17"], ["tsk17", "tsk11"]], ids=["one form", "two forms"])
def test_a_study_of_one_tampa_form_does_not_learn_its_total_twice(forms):
    names = [f"{form}_total" for form in forms]
    table = pd.DataFrame({**{n: [20.0, 30.0, 40.0] for n in names}, POOLED: [5.0, 25.0, 45.0]})

    assert (POOLED in usable_columns(table)) == (len(forms) == 2)


# ---- a new instrument ------------------------------------------------------------------------

MADE_UP = """
[made_up]
title = "A questionnaire nobody has seen"
items = 4
low = 1
high = 5
reversed = [2]
max_missing = 1
source = "made up"
status = "unverified"
[made_up.subscales]
first_half = [1, 2]
[made_up.bands]
total = [[4, "few"], [12, "many"]]
"""
USE = """
import pandas as pd
from features.build import SPECS, build_features
from features.contract import check_cases
keys = {"study_id": "s", "session_id": "a", "condition": "healthy", "modality": "aerobic"}
cases = pd.read_csv("items.csv").assign(**keys, participant_id=["1", "2", "3"])
checked = check_cases(cases)
print([v.code for v in checked.violations])
print(build_features(checked.table)["made_up_total"].tolist())
print([s.name for s in SPECS if s.name.startswith("made_up")])
"""


def test_a_new_instrument_takes_one_entry_and_nothing_else(tmp_path):
    for name in ("features", "models", "pipeline", "seeds"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "seeds" / "instruments.toml").open("a", encoding="utf-8") as handle:
        handle.write(MADE_UP)
    (tmp_path / "items.csv").write_text(
        "made_up_1,made_up_2,made_up_3,made_up_4\n5,1,5,5\n1,5,,1\n1,,,1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    python("-m", "pipeline", "score", "made_up", "items.csv", "--output", "scored.csv")
    scored = pd.read_csv(tmp_path / "scored.csv")
    said = python("-c", USE).splitlines()

    complete, one_missing = 5 + (1 + 5 - 1) + 5 + 5, (1 + (1 + 5 - 5) + 1) * 4 / 3
    np.testing.assert_allclose(scored["made_up_total"], [complete, one_missing, np.nan])
    np.testing.assert_allclose(scored["made_up_first_half"], [5 + 5, 1 + 1, 2.0])
    assert scored["made_up_total_band"].fillna("").tolist() == ["many", "few", ""]
    assert said == [
        "[]",
        str([float(complete), one_missing, float("nan")]),
        "['made_up_first_half', 'made_up_total']",
    ]
    assert "made_up_total" not in CASES_BY_NAME


# ---- real data -------------------------------------------------------------------------------

TRIAL = "cervical_radiculopathy_exercise_rct"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("scale", "items", "rows"),
    [
        ("total", range(1, 14), 117),
        ("rumination", (8, 9, 10, 11), 122),
        ("magnification", (6, 7, 13), 122),
        ("helplessness", (1, 2, 3, 4, 5, 12), 119),
    ],
)
def test_the_trial_has_the_pcs_scores_it_stored(eih, real_study, tmp_path, scale, items, rows):
    path = real_study(TRIAL) / "baseline_pcs_tsk_items.csv"
    stored = pd.read_csv(path)

    assert eih("score", "pcs", path, "--output", tmp_path / "out.csv").code == 0

    complete = stored[[f"pcs_{i}" for i in items]].notna().all(axis=1)
    equal = pd.read_csv(tmp_path / "out.csv")[f"pcs_{scale}"] == stored[f"pcs_{scale}"]
    assert (int(complete.sum()), int(equal[complete].sum())) == (rows, rows)


@pytest.mark.realdata
def test_the_trial_has_the_tampa_total_it_stored_and_warns_without_the_option(
    eih, real_study, tmp_path
):
    path = real_study(TRIAL) / "baseline_pcs_tsk_items.csv"
    options = ("--prefix", "tsk_", "--output", tmp_path / "out.csv")

    as_stored = eih("score", "tsk17", path, "--already-reversed", *options)
    stored = pd.read_csv(path)
    equal = pd.read_csv(tmp_path / "out.csv")["tsk17_total"] == stored["tsk17_total"]
    turned_again = eih("score", "tsk17", path, *options)

    complete = stored[[f"tsk_{i}" for i in range(1, 18)]].notna().all(axis=1)
    assert (int(complete.sum()), int(equal[complete].sum())) == (104, 104)
    assert as_stored.err == ""
    assert "use --already-reversed" in turned_again.err


@pytest.mark.realdata
def test_the_students_have_pcs_scores_from_their_items(eih, real_study, tmp_path):
    path = real_study("sa_students_pcs_ppt_cpt") / "bivariate-data.csv"
    items = pd.read_csv(path)[[f"pcs_{i}" for i in range(1, 14)]]

    said = eih("score", "pcs", path, "--output", tmp_path / "out.csv")

    complete = items.notna().all(axis=1)
    total = pd.read_csv(tmp_path / "out.csv")["pcs_total"]
    assert (said.code, said.err) == (0, "")
    assert (total[complete] == items[complete].sum(axis=1)).all()
    assert int(complete.sum()) == 205
