"""Two risks from one model, and every answer about being sure: the same bytes, however made.

The joint model is two bundles; with them come sets, intervals, distances and abstention of both.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline import joint
from pipeline.config import Params, PredictParams
from pipeline.predict import PredictOptions, run
from pipeline.study_folder import read_cases

SURE = ("lower", "upper", "set", "distance", "abstained", "abstain_reasons")


@pytest.fixture(scope="module")
def both(trained: Path, small: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint")
    joint.run(small, (trained / "features.parquet", trained / "outcomes.parquet"), folder)
    return folder


@pytest.fixture(scope="module")
def many(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thousand rows in several row groups: good, bad, and unlike any of the study."""
    copies = pd.concat([read_cases(trained)] * 8, ignore_index=True)
    copies.loc[::11, "age_years"] = 500.0
    copies.loc[::7, "bmi_kg_m2"] = 69.0
    copies.loc[::13, "condition"] = "cervical_radiculopathy"
    path = tmp_path_factory.mktemp("many") / "cases.parquet"
    copies.to_parquet(path, row_group_size=500)
    return path


def both_files(output: Path) -> tuple[bytes, bytes]:
    return output.read_bytes(), output.with_name(f"{output.stem}.rejects.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "more"), [(".parquet", {}), (".csv", {"explain": True}), (".parquet", {"top": 2})]
)
def test_bytes_of_the_joint_model_depend_neither_on_chunks_nor_workers_nor_a_stop(
    both: Path,
    many: Path,
    tmp_path: Path,
    suffix: str,
    more: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("whole", "workers", "stopped")
    whole, workers, stopped = (tmp_path / f"{n}{suffix}" for n in names)
    run(PredictParams(411), both, many, whole, PredictOptions(**more))

    run(PredictParams(97), both, many, workers, PredictOptions(workers=2, **more))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.predict.put_together", killed)
    with pytest.raises(KeyboardInterrupt):
        run(PredictParams(64), both, many, stopped, PredictOptions(**more))
    monkeypatch.undo()
    pieces = sorted((tmp_path / f".stopped{suffix}.parts").glob("[0-9]*-*.json"))
    # The first half was finished when the run was killed.
    for piece in pieces[len(pieces) // 2 :]:
        piece.unlink()
    run(PredictParams(64), both, many, stopped, PredictOptions(resume=True, workers=2, **more))

    assert both_files(workers) == both_files(whole)
    assert both_files(stopped) == both_files(whole)


def test_rows_of_every_kind_are_among_them(both: Path, many: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"

    summary = run(PredictParams(), both, many, output, PredictOptions())

    found = pd.read_parquet(output)
    for target in ("response", "hyperalgesia"):
        columns = [c for c in found.columns if c.endswith(target) or f"p_{target}_" in c]
        assert all(any(kind in c for c in columns) for kind in SURE)
        # The answers are no constants: there is something that could be mixed up.
        assert found[f"abstained_{target}"].nunique() == 2
        assert found[f"abstain_reasons_{target}"].nunique() >= 3
        assert found[f"distance_{target}"].nunique() > 100
    assert (found["p_response"] + found["p_hyperalgesia"] <= 1).all()
    assert summary["rejected"] > 0
