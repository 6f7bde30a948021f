"""The page of ``trajectory``: what it hides, and that of the trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.trajectory import Asked
from pipeline.trajectory_page import write_page

ROOT = Path(__file__).resolve().parents[2]


def test_trajectory_page_has_its_command_and_no_share_that_a_small_one_follows_from(
    tmp_path: Path,
) -> None:
    names = ("hypoalgesia", "no_change", "hyperalgesia", "indeterminate", "not_seen")
    counts = {6: (21, 62, 3, 0, 38), 12: (16, 52, 5, 0, 51)}
    result = {"study": "made", "simulated": True, "ingested": False, "measure": "pain_nrs"}
    result |= {"site_role": "clinical", "rule": "sem", "n_programmes": 124, "n_persons": 124}
    result |= {"n_without_reference": 0, "weights_know": [], "sensitivity": [], "sentences": []}
    result |= {"waves": [{"week": w, "effective_size": 86.0, "n_seen": 86} for w in counts]}
    result["mixed"] = {"fitted": False, "reason": ""}
    result["figures"] = [
        {"kind": "seen_share", "group": "everybody", "week": week, "state": name}
        | {"estimate": n / 124, "lower": 0.0, "upper": 1.0}
        for week, row in counts.items()
        for name, n in zip(names, row, strict=True)
    ]

    write_page(result, (Path("outputs/made"), Asked(by="sex", resamples=100)), tmp_path / "page.md")

    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "$ eih trajectory outputs/made --by sex --resamples 100 --page " in page
    assert (
        "| 6 | 17% (0% to 100%) | not given | fewer than 5 | 0% (0% to 100%) | 31% (0% to 100%) |"
        in page
    )
    assert "| 12 | 13% (0% to 100%) | 42% (0% to 100%) | 4% (0% to 100%) |" in page


@pytest.mark.realdata
@pytest.mark.slow
def test_the_example_of_the_trial_is_what_the_command_prints(
    real_study: Callable[[str], Path],
    tmp_path: Path,
    eih: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_study("cervical_radiculopathy_exercise_rct")
    example = (ROOT / "docs" / "examples" / "trajectory_rct.md").read_text(encoding="utf-8")
    commands = [line[2:].split()[1:] for line in example.splitlines() if line.startswith("$ ")]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "examples").mkdir(parents=True)

    assert [c[0] for c in commands] == ["ingest", "trajectory"]
    for arguments in commands:
        assert eih(*arguments).code == 0

    made = (tmp_path / "docs" / "examples" / "trajectory_rct.md").read_text(encoding="utf-8")
    assert made == example
