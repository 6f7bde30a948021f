"""eih zscore: sensory testing against a reference file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Run = Callable[..., Any]


def write_cases(path: Path, **columns: Any) -> Path:
    n = 2
    keys = {"study_id": "s", "participant_id": ["1", "2"], "session_id": "a"}
    plan = {"condition": "healthy", "modality": "aerobic"}
    pd.DataFrame({**keys, **plan, **columns}, index=range(n)).to_csv(path, index=False)
    return path


def write_norms(path: Path, sd: str = "0.1") -> Path:
    path.write_text(f"parameter,site,sex,mean,sd\nppt,,female,2.5,{sd}\nppt,,male,2.6,{sd}\n")
    return path


def test_zscore_adds_the_z_scores_to_the_cases(tmp_path: Path, eih: Run) -> None:
    cases = write_cases(
        tmp_path / "cases.csv", sex=["female", "male"], qst_ppt_kpa=[10**2.4, 10**2.6]
    )

    said = eih(
        "zscore", cases, "--norms", write_norms(tmp_path / "norms.csv"),
        "--output", tmp_path / "z.csv", "--json", tmp_path / "z.json",
    )  # fmt: skip

    assert said.code == 0
    written = pd.read_csv(tmp_path / "z.csv")
    np.testing.assert_allclose(written["qst_ppt_z"], [(2.5 - 2.4) / 0.1, 0], atol=1e-9)
    assert written["condition"].tolist() == ["healthy", "healthy"]
    assert json.loads((tmp_path / "z.json").read_text()) == {"qst_ppt_z": 2}
    assert eih("validate", tmp_path / "z.csv").code == 0


@pytest.mark.parametrize(
    ("sd", "columns", "message"),
    [
        ("0", {"qst_ppt_kpa": [300, 300]}, "norms.csv: columns 'mean' and 'sd': expected numbers"),
        ("0.1", {"pain_now_nrs": [3, 3]}, "cases.csv: expected a column of a parameter"),
        ("0.1", {"qst_ppt_kpa": [300, 3]}, "column 'qst_ppt_kpa': expected numbers in 20 to 2000"),
    ],
    ids=["useless reference", "nothing tested", "value out of range"],
)
def test_zscore_says_what_is_wrong_in_one_line(
    sd: str, columns: dict[str, Any], message: str, tmp_path: Path, eih: Run
) -> None:
    cases = write_cases(tmp_path / "cases.csv", **columns)

    said = eih(
        "zscore", cases, "--norms", write_norms(tmp_path / "norms.csv", sd),
        "--output", tmp_path / "z.csv",
    )  # fmt: skip

    assert said.code == 11
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "z.csv").exists()
