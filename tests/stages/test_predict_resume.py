"""A killed run goes on where it was; whatever happens, the output is whole or not there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.config import PredictParams
from pipeline.predict import PredictOptions, run
from pipeline.study_folder import read_cases

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
# At least so many kills of every kind of run: EIH_KILL_MOMENTS=20 for all.
MOMENTS = int(os.environ.get("EIH_KILL_MOMENTS", "0"))


@pytest.fixture(scope="module")
def many(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight thousand rows, as Parquet of several row groups and CSV, every eleventh broken."""
    cases = read_cases(trained)
    copies = pd.concat([cases] * 30, ignore_index=True)
    copies.loc[::11, "age_years"] = 500.0
    path = tmp_path_factory.mktemp("many") / "cases.parquet"
    copies.to_parquet(path, row_group_size=1500)
    copies.to_csv(path.with_suffix(".csv"), index=False)
    return path


def arguments(model: Path, source: Path, output: Path, *more: str) -> list[str]:
    return [
        "predict",
        "--model",
        str(model),
        "--input",
        str(source),
        "--output",
        str(output),
        *more,
    ]


def both(output: Path) -> tuple[bytes, bytes]:
    return output.read_bytes(), output.with_name(f"{output.stem}.rejects.csv").read_bytes()


def finished_pieces(output: Path) -> int:
    return len(list(output.with_name(f".{output.name}.parts").glob("[0-9]*-*.json")))


def pieces_of(source: Path, chunk_rows: int) -> int:
    groups = pq.ParquetFile(source).metadata
    rows = [groups.row_group(g).num_rows for g in range(groups.num_row_groups)]
    return sum(-(-n // chunk_rows) for n in rows)


def kill_when(child: subprocess.Popen[bytes], ready: Callable[[], bool], delay_s: float) -> bool:
    """SIGKILL a run a moment after it has come so far; False where it ended before."""
    while child.poll() is None and not ready():
        time.sleep(0.0005)
    time.sleep(delay_s)
    child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "form", "more", "moments"),
    [
        (1, ".parquet", (), 20),
        (2, ".parquet", ("--explain",), 4),
        (1, ".csv", ("--explain",), 4),
        (2, ".csv", (), 4),
    ],
)
def test_a_run_killed_at_random_moments_gives_the_same_bytes_when_resumed(
    trained: Path,
    many: Path,
    tmp_path: Path,
    workers: int,
    form: str,
    more: tuple[str, ...],
    moments: int,
) -> None:
    moments = max(moments, MOMENTS)
    source = many.with_suffix(form)
    settings = tmp_path / "params.yaml"
    settings.write_text(
        (ROOT / "params.yaml").read_text().replace("chunk_rows: 0", "chunk_rows: 97")
    )
    whole, broken = tmp_path / f"whole{form}", tmp_path / f"broken{form}"
    run(PredictParams(97), trained, source, whole, PredictOptions(explain=bool(more)))
    rng = random.Random(f"{workers}{form}")
    more = (*more, "--resume", "--jobs", str(workers), "--params", str(settings))
    command = [sys.executable, "-m", "pipeline", *arguments(trained, source, broken, *more)]
    rejects = broken.with_name("broken.rejects.csv")
    wanted = both(whole)

    kills = 0
    for _ in range(moments):
        # All pieces there: killed while the files are completed.
        goal = min(finished_pieces(broken) + rng.randint(1, 4), pieces_of(many, 97))
        child = subprocess.Popen(command, cwd=ROOT)

        def ready(goal: int = goal) -> bool:
            return finished_pieces(broken) >= goal

        killed = kill_when(child, ready, rng.uniform(0, 0.02))
        if not killed:
            break
        kills += 1
        # Under the final names is all of it or nothing.
        assert not broken.exists() or broken.read_bytes() == wanted[0]
        assert not rejects.exists() or rejects.read_bytes() == wanted[1]
    subprocess.run(command, cwd=ROOT, check=True)

    assert kills >= 0.75 * moments
    assert both(broken) == wanted
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("chunk_rows", "workers"), [(0, 1), (97, 1), (1000, 2), (100_000, 1)])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_bytes_depend_neither_on_chunks_nor_on_workers(
    trained: Path, many: Path, tmp_path: Path, chunk_rows: int, workers: int, suffix: str
) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"

    run(PredictParams(411), trained, many, first, PredictOptions())
    run(PredictParams(chunk_rows), trained, many, second, PredictOptions(workers=workers))

    assert both(first) == both(second)


def test_a_folder_is_read_as_one_input_in_the_order_of_names(
    trained: Path, many: Path, tmp_path: Path, eih: Run
) -> None:
    table = pq.read_table(many).to_pandas()
    folder = tmp_path / "in"
    folder.mkdir()
    table.iloc[:1000].to_csv(folder / "a.csv", index=False)
    table.iloc[1000:3000].to_parquet(folder / "b.parquet")
    table.iloc[3000:].to_csv(folder / "c.tsv", index=False, sep="\t")
    (folder / "notes.md").write_text("no table")

    eih(*arguments(trained, many, tmp_path / "one.csv"))
    said = eih(*arguments(trained, folder, tmp_path / "several.csv"))

    assert said.code == 0
    assert both(tmp_path / "one.csv") == both(tmp_path / "several.csv")


def test_standard_input_is_read(trained: Path, many: Path, tmp_path: Path) -> None:
    csv = pq.read_table(many).to_pandas().iloc[:50].to_csv(index=False)

    subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments(trained, Path("-"), tmp_path / "out.csv")],
        cwd=ROOT,
        input=csv.encode(),
        check=True,
    )

    out = pd.read_csv(tmp_path / "out.csv")
    rejects = pd.read_csv(tmp_path / "out.rejects.csv")
    assert sorted([*out["row"], *rejects["row"]]) == list(range(50))


def test_a_resumed_run_must_be_the_one_that_was_stopped(
    trained: Path, many: Path, tmp_path: Path, eih: Run
) -> None:
    output = tmp_path / "out.csv"
    pieces = tmp_path / ".out.csv.parts"
    pieces.mkdir()
    (pieces / "state.json").write_text('{"chunk_rows": 5}')

    said = eih(*arguments(trained, many, output, "--resume"))

    assert said.code == 10
    assert said.err.startswith("--resume: expected the run that was stopped, found another chunk")
    assert pieces.exists()
    assert not output.exists()


def test_strict_ends_with_11_and_still_writes_everything(
    trained: Path, many: Path, tmp_path: Path, eih: Run
) -> None:
    said = eih(*arguments(trained, many, tmp_path / "out.csv", "--strict"))

    assert said.code == 11
    assert "expected no rejected row (--strict), found" in said.err
    assert said.err.count("\n") == 1
    assert (tmp_path / "out.csv").exists()
    assert (tmp_path / "out.rejects.csv").exists()


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is one of POSIX")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    trained: Path, many: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"out{suffix}"
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "from pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    )

    said = subprocess.run(
        [sys.executable, "-c", limited, *arguments(trained, many, output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 11
    assert said.stderr == f"{output}: cannot be written (File too large).\n"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_one_line(
    trained: Path, many: Path, tmp_path: Path, eih: Run
) -> None:
    (tmp_path / "file").write_text("")

    said = eih(*arguments(trained, many, tmp_path / "file" / "out.csv"))

    assert said.code == 11
    assert said.err.startswith(f"{tmp_path / 'file' / 'out.csv'}: cannot be written")
    assert said.err.count("\n") == 1


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ends(condition: Callable[[], bool], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are listed in /proc")
def test_workers_end_with_the_process_that_started_them(
    trained: Path, many: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    settings = tmp_path / "params.yaml"
    settings.write_text(
        (ROOT / "params.yaml").read_text().replace("chunk_rows: 0", "chunk_rows: 50")
    )
    more = ("--jobs", "2", "--params", str(settings))
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments(trained, many, output, *more)], cwd=ROOT
    )

    assert ends(lambda: finished_pieces(output) >= 1, within_s=60)
    started = children_of(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()

    assert len(started) >= 2
    assert ends(lambda: not any(is_running(p) for p in started), within_s=10)


def test_a_piece_that_lost_its_content_is_scored_again(
    trained: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = tmp_path / "whole.csv", tmp_path / "out.csv"
    run(PredictParams(900), trained, many, whole, PredictOptions())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.predict.put_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(900), trained, many, output, PredictOptions())
    monkeypatch.undo()
    piece = sorted((tmp_path / ".out.csv.parts").glob("*.predictions.arrow"))[0]
    piece.write_bytes(bytes(piece.stat().st_size))

    run(PredictParams(900), trained, many, output, PredictOptions(resume=True))

    assert both(output) == both(whole)


def test_what_a_kill_left_without_a_name_is_neither_counted_nor_read(
    trained: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = tmp_path / "whole.csv", tmp_path / "out.csv"
    expected = run(PredictParams(900), trained, many, whole, PredictOptions())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.predict.put_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(900), trained, many, output, PredictOptions())
    monkeypatch.undo()
    pieces = tmp_path / ".out.csv.parts"
    for number, piece in enumerate(sorted(pieces.glob("0*-*"))):
        # Killed just before the renaming, and just after the name was made.
        (pieces / f".tmp-{number}{piece.suffix}").write_bytes(piece.read_bytes())
        (pieces / f".tmp-new{number}{piece.suffix}").touch()

    found = run(PredictParams(900), trained, many, output, PredictOptions(resume=True))

    counts = ("rows_in", "predicted", "rejected", "rejected_by_reason", "drift")
    assert [found[c] for c in counts] == [expected[c] for c in counts]
    assert both(output) == both(whole)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []
