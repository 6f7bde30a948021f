"""Full disks, places that cannot be written to, and inputs that go or change: one line each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import batch, batch_assembly
from pipeline.config import PredictParams
from pipeline.errors import TableError
from pipeline.predict import PredictOptions, run
from pipeline.study_folder import read_cases

Run = Callable[..., Any]
Mount = Callable[[str], Path]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def many(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four thousand rows as Parquet and as CSV, every eleventh of them broken."""
    cases = read_cases(trained)
    copies = pd.concat([cases] * 15, ignore_index=True)
    copies.loc[::11, "age_years"] = 500.0
    folder = tmp_path_factory.mktemp("many")
    copies.to_parquet(folder / "cases.parquet", row_group_size=700)
    copies.to_csv(folder / "cases.csv", index=False)
    return folder


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system in memory with the options given; skip where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def make(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            pytest.skip("there is no mount on this system")
        if done.returncode:
            pytest.skip(f"this user cannot mount a file system: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for at in mounted:
        subprocess.run(["umount", str(at)], check=True)


def arguments(trained: Path, source: Path, output: Path, *more: str) -> list[str]:
    start = ["predict", "--model", str(trained), "--input", str(source)]
    return [*start, "--output", str(output), *more]


def used(folder: Path) -> int:
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())


# ---- full disks


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_disk_that_is_full_before_the_first_piece_is_one_line(
    trained: Path, many: Path, mount: Mount, workers: str
) -> None:
    disk = mount("size=256k")
    command = arguments(trained, many / "cases.parquet", disk / "out.parquet", "--jobs", workers)

    said = subprocess.run(
        [sys.executable, "-m", "pipeline", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 11
    assert said.stderr == f"{disk / 'out.parquet'}: cannot be written (No space left on device).\n"
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_disk_that_is_full_while_the_output_is_put_together_is_one_line(
    trained: Path,
    many: Path,
    mount: Mount,
    eih: Run,
    suffix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def measured(*given: Any) -> None:
        sizes.append(used(tmp_path))
        batch_assembly.put_together(*given)

    monkeypatch.setattr("pipeline.predict.put_together", measured)
    source = many / "cases.parquet"
    run(PredictParams(), trained, source, tmp_path / f"out{suffix}", PredictOptions())
    whole = used(tmp_path)
    # All pieces find room, and half of the output beside them.
    disk = mount(f"size={sizes[0] + whole // 2}")

    said = eih(*arguments(trained, source, disk / f"out{suffix}"))

    assert len(sizes) == 2
    assert (said.code, said.err) == (
        11,
        f"{disk / f'out{suffix}'}: cannot be written (No space left on device).\n",
    )
    assert list(disk.iterdir()) == []


def test_pieces_of_a_killed_run_are_kept_when_going_on_finds_the_disk_full(
    trained: Path, many: Path, mount: Mount, eih: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mount("size=64m")
    command = arguments(trained, many / "cases.parquet", disk / "out.csv")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.predict.put_together", killed)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(), trained, many / "cases.parquet", disk / "out.csv", PredictOptions())
    monkeypatch.undo()
    left = [p.name for p in disk.iterdir()]
    filler = disk / "filler"
    filler.write_bytes(bytes((os.statvfs(disk).f_bavail - 8) * os.statvfs(disk).f_bsize))

    full = eih(*command, "--resume")
    filler.unlink()
    done = eih(*command, "--resume")

    assert left == [".out.csv.parts"]
    assert full.code == 11
    assert "cannot be written (No space left on device)" in full.err
    assert full.err.count("\n") == 1
    assert done.code == 0
    assert sorted(p.name for p in disk.iterdir()) == ["out.csv", "out.rejects.csv"]


# ---- places


def test_a_disk_that_is_read_only_is_one_line(
    trained: Path, many: Path, mount: Mount, eih: Run, tmp_path: Path
) -> None:
    disk = mount("ro,size=1m")

    said = eih(*arguments(trained, many / "cases.csv", disk / "out.csv"))
    beside = eih(
        *arguments(
            trained, many / "cases.csv", tmp_path / "out.csv", "--rejects", str(disk / "r.csv")
        )
    )

    assert said.err == f"{disk / 'out.csv'}: cannot be written (Read-only file system).\n"
    assert beside.err == f"{disk / 'r.csv'}: cannot be written (Read-only file system).\n"
    assert (said.code, beside.code) == (11, 11)
    assert [p.name for p in tmp_path.iterdir()] == ["disk"]


@pytest.mark.parametrize("option", ["--output", "--rejects"])
def test_a_folder_of_the_outputs_name_is_found_before_a_row_is_read(
    trained: Path, many: Path, eih: Run, option: str, tmp_path: Path
) -> None:
    folder = tmp_path / "there.csv"
    folder.mkdir()
    names = {"--output": tmp_path / "out.csv", "--rejects": tmp_path / "r.csv"} | {option: folder}

    said = eih(
        *arguments(trained, many / "cases.csv", names["--output"]),
        *("--rejects", names["--rejects"]),
    )

    assert said.code == 11
    assert said.err == f"{folder}: expected the name of a file, found a folder.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["there.csv"]


def test_rejects_find_a_folder_of_their_own(trained: Path, many: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "new" / "r.csv"

    run(
        PredictParams(),
        trained,
        many / "cases.csv",
        tmp_path / "out.csv",
        PredictOptions(rejects=rejects),
    )

    assert len(pd.read_csv(rejects)) >= 1


def test_a_name_the_system_cannot_look_up_is_one_line(
    trained: Path, many: Path, tmp_path: Path, eih: Run
) -> None:
    name = tmp_path / ("x" * 300 + ".csv")

    as_input = eih(*arguments(trained, name, tmp_path / "out.csv"))
    as_output = eih(*arguments(trained, many / "cases.csv", name))

    assert as_input.err == f"{name}: cannot be read (File name too long).\n"
    assert as_output.err == f"{name}: cannot be written (File name too long).\n"
    assert (as_input.code, as_output.code) == (11, 11)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    trained: Path, tmp_path: Path, eih: Run
) -> None:
    os.mkfifo(tmp_path / "in.csv")

    said = eih(*arguments(trained, tmp_path / "in.csv", tmp_path / "out.csv"))

    assert said.code == 11
    assert said.err.endswith("in.csv: expected a file, found a pipe or a device.\n")


# ---- inputs that go or change


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("change", ["gone", "changed"])
def test_an_input_that_goes_or_changes_on_the_way_is_one_line_and_no_output(
    trained: Path,
    many: Path,
    tmp_path: Path,
    eih: Run,
    suffix: str,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}{suffix}").write_bytes((many / f"cases{suffix}").read_bytes())
    write = batch.write_piece

    def meddled(*given: Any) -> None:
        write(*given)
        last = folder / f"b{suffix}"
        if change == "gone":
            last.unlink(missing_ok=True)
        else:
            os.utime(last, ns=(1, 1))

    monkeypatch.setattr("pipeline.batch.write_piece", meddled)

    said = eih(*arguments(trained, folder, tmp_path / "out.csv"))

    found = {"gone": "found nothing there", "changed": "found it changed"}[change]
    assert said.code == 11
    assert said.err.startswith(f"{folder / f'b{suffix}'}: expected a")
    assert found in said.err
    assert said.err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_an_input_that_changed_since_the_kill_is_not_gone_on_with(
    trained: Path, many: Path, tmp_path: Path, eih: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes((many / "cases.csv").read_bytes())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.predict.put_together", killed)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(), trained, source, output, PredictOptions())
    monkeypatch.undo()
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join(lines[:-1]))

    said = eih(*arguments(trained, source, output, "--resume"))
    anew = eih(*arguments(trained, source, output))

    assert said.code == 10
    assert said.err.startswith(
        "--resume: expected the run that was stopped, found another input. Give the same command"
    )
    assert anew.code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv", "out.rejects.csv"]
    rows = [*pd.read_csv(output)["row"], *pd.read_csv(tmp_path / "out.rejects.csv")["row"]]
    assert sorted(rows) == list(range(len(lines) - 2))


def test_a_kill_between_the_two_renames_is_completed_by_going_on(
    trained: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = tmp_path / "whole.csv", tmp_path / "out.csv"
    run(PredictParams(), trained, many / "cases.csv", whole, PredictOptions())

    def killed(path: Path) -> None:
        if path == tmp_path:
            raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.batch_assembly.sync", killed)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(), trained, many / "cases.csv", output, PredictOptions())
    monkeypatch.undo()
    first = output.read_bytes(), (tmp_path / "out.rejects.csv").exists()
    run(PredictParams(), trained, many / "cases.csv", output, PredictOptions(resume=True))

    assert first == (whole.read_bytes(), False)
    assert output.read_bytes() == whole.read_bytes()
    rejects = [(tmp_path / f"{n}.rejects.csv").read_bytes() for n in ("whole", "out")]
    assert rejects[0] == rejects[1]


def test_a_mistake_in_the_input_is_not_taken_for_one_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="expected a file, found a folder"):
        next(batch.iter_tasks([tmp_path], 10))
