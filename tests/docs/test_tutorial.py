"""Pages with transcripts are run as they are written, and print what they say."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = "tutorial/your_study.md"
HISTORY = "how_to/update_after_each_bout.md"
PAGES = [
    "quick_start.md",
    TUTORIAL,
    "how_to/compare_exercises.md",
    "how_to/programmes.md",
    "how_to/groups.md",
    HISTORY,
    "how_to/explore.md",
]
SCRIPT = "docs/tutorial/make_lab_export.py"
# Stages whose results the tutorial reads; the others are the business of tests/stages.
STAGES = ("study", "label", "featurize", "train", "evaluate", "explain", "check", "report")
SHORT = {
    "train": {
        "repeats": 1,
        "folds": 3,
        "inner_folds": 2,
        "jobs": 1,
        "stratum_prior_strength": [8.0],
        "logistic_c": [0.01, 0.1],
        "regression_alpha": [100.0],
        "xgboost_max_depth": [2],
        "xgboost_n_estimators": [20],
    },
    "evaluate": {"resamples": 100},
    "explain": {"candidates": ["logistic"], "refits": 2},
}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the tutorial needs of a clone, and short settings."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in SHORT.items():
        params[section] |= values
    (tmp_path / "seeds" / "studies").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / SCRIPT).parent.mkdir(parents=True)
    shutil.copy(ROOT / SCRIPT, tmp_path / SCRIPT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def steps(page: str) -> list[tuple[str, str, str]]:
    """Return (kind, command or lines, what it prints or its file) in the order of the page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = []
    blocks = r'```(console|toml|yaml|csv)(?: title="(.*?)")?\n(.*?)```'
    for kind, title, block in re.findall(blocks, text, flags=re.DOTALL):
        if kind != "console":
            found.append((kind, block, title))
            continue
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            line, _, printed = part.partition("\n")
            found.append((kind, line, printed))
    return found


def as_pattern(printed: str) -> str:
    """Everything literal, but for '...' which stands for any text; more lines may follow."""
    return ".*".join(re.escape(piece) for piece in printed.rstrip("\n").split("..."))


def fill_in(lines: str, study_map: Path) -> None:
    """Do what the page asks of an editor: replace the lines of these keys."""
    text = study_map.read_text(encoding="utf-8")
    for line in lines.splitlines():
        key = line.partition(" =")[0]
        text, count = re.subn(rf"(?m)^{key} = .*FILL IN.*$", lambda _, new=line: new, text)
        assert count == 1, key
    assert not re.search(r"(?m)^[^#].*FILL IN", text)
    study_map.write_text(text, encoding="utf-8")


def write_down(kind: str, lines: str, title: str) -> None:
    """Do what the page asks of an editor: settings, a map's keys, a table."""
    if kind == "toml":
        fill_in(lines, Path(title))
    elif kind == "csv":
        Path(title).write_text(lines, encoding="utf-8")
    else:
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        for section, values in yaml.safe_load(lines).items():
            assert values.keys() <= params[section].keys()
            params[section] |= values
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def run_stages(name: str, eih: Callable[..., Any]) -> None:
    """Do what 'make study' does, in this process: the stages of dvc.yaml in their order."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["study"] |= {"name": f"seeds/studies/{name}.toml", "source": f"studies/{name}"}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for stage in STAGES:
        content = stages[stage]
        items = content.get("matrix", {}).get("target", content.get("foreach", [None]))
        for item in params["targets"] if items != [None] else [None]:
            command = content.get("do", content)["cmd"]
            command = command.replace("${study.name}", name)
            command = re.sub(r"\$\{item(\.target)?\}", str(item), command)
            said = eih(*shlex.split(command)[3:])
            assert said.code == 0, f"{command}: {said.err}"


def perform(line: str, eih: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Run one line of a transcript; return what it prints."""
    program, *arguments = shlex.split(line)
    if program == "make":
        run_stages(arguments[1].removeprefix("NAME="), eih)
        return ""
    if program == "eih":
        said = eih(*arguments)
        return str(said.out + said.err)
    sys.argv = arguments
    capsys.readouterr()
    runpy.run_path(arguments[0], run_name="__main__")
    return capsys.readouterr().out


def has_report(clone: Path) -> None:
    """The tutorial ends with a report; codes and labels of one study give the same tables."""
    assert (clone / "outputs/lab/report/index.html").is_file()
    for table in ("cases.parquet", "measurements.parquet"):
        labels, codes = (
            pd.read_parquet(clone / "outputs" / name / table) for name in ("lab", "lab_raw")
        )
        pd.testing.assert_frame_equal(labels, codes)


def risk_follows_history(clone: Path) -> None:
    """The page says which way the risk goes, and what happens where no history is sent."""
    said = pd.read_csv(clone / "anna_said.csv").set_index("session_id")
    risk = said["p_response"]
    assert risk["after_a_bad_one"] < risk["first"] < risk["after_a_good_one"]
    absent = said["absent_blocks"].str.split(";")
    assert [s for s in said.index if "history" in absent[s]] == ["not_sent"]
    assert "missing_block" in said.loc["not_sent", "abstain_reasons_response"]


LEFT_BEHIND = {TUTORIAL: has_report, HISTORY: risk_follows_history}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_says(
    page: str,
    clone: Path,
    eih: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    # The explorer opens its port and says where; nobody is there to press Ctrl-C.
    monkeypatch.setattr("werkzeug.serving.BaseWSGIServer.serve_forever", lambda server: None)
    found = steps(page)
    assert len(found) >= 2

    for kind, line, printed in found:
        if kind != "console":
            write_down(kind, line, printed)
            continue
        text = perform(line, eih, capsys)
        assert re.match(as_pattern(printed), text, re.DOTALL), f"{line} printed:\n{text}"
    LEFT_BEHIND.get(page, lambda _: None)(clone)
