"""Batch prediction against the least that must be done: read, predict with raw boosters, write.

    python benchmarks/batch.py [--quick] [--json FILE]

Parquet to Parquet, forty raw columns, two targets, both boosted trees. The peer reads the same
file, calls ``inplace_predict`` of the same boosters on a ready matrix of float32, with as many
threads as XGBoost takes by itself, and writes keys and probabilities: it checks nothing, builds no
feature, rejects no row, and does not say how sure it is. ``ratio`` is our time over
its, ``cpu_ratio`` the same in processor time, which a busy machine disturbs less; ours and the
peer take turns, and the fastest of three counts. ``explain_ratio`` is our time with every
contribution over our time without, in processor time. ``linearity`` is what a further row takes
beyond the middle of three numbers of rows over what one takes below it: 1 on a straight line.
``peak_mib`` is the memory of a process of its own that does nothing but predict, for two numbers
of rows: it must not grow with them. ``one_row_ms`` is the median time of one row in a process of
its own that has loaded both models, ``one_row_mlflow_ms`` that of one row and one model through
MLflow's own ``predict``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from features.columns import CASES_BY_NAME, KEYS  # noqa: E402
from models.scorers import BoostedScorer  # noqa: E402
from pipeline import featurize, label, mlflow_model, train  # noqa: E402
from pipeline.artefacts import find_bundles  # noqa: E402
from pipeline.config import Params, PredictParams  # noqa: E402
from pipeline.predict import PredictOptions, predict, run  # noqa: E402
from pipeline.simulate import simulate  # noqa: E402
from pipeline.tracking import cases_signature  # noqa: E402

# Of the memory and of the ratio, and of the straight line.
ROWS = {"quick": (100_000, 200_000), "full": (1_000_000, 5_000_000)}
LINE = {"quick": (50_000, 100_000, 200_000), "full": (100_000, 1_000_000, 10_000_000)}
TAKES = 3
GROUP_ROWS = 100_000
N_COLUMNS = 40


def boosted_models(folder: Path) -> Path:
    """Train two targets on a simulated study; return a folder with their boosted bundles."""
    params = Params()
    study = folder / "study"
    simulate(200, "base", 1, study)
    label.run(params.label, study, study / "outcomes.parquet")
    featurize.run(params.featurize, study, study / "features.parquet")
    quick = replace(params.train, repeats=1, folds=3, inner_folds=2)
    models = folder / "models"
    for target in params.targets:
        tables = (study / "features.parquet", study / "outcomes.parquet")
        train.run(quick, tables, target, study / target)
        chosen = study / target / "train" / "candidates" / "xgboost"
        (models / target).mkdir(parents=True)
        chosen.rename(models / target / "bundle")
    return models


def write_cases(source: Path, path: Path, n_rows: int) -> None:
    """Repeat the study's exercise rows, forty columns of them, with new ids."""
    cases = pd.read_parquet(source)
    cases = cases[cases["modality"] != "rest"]
    items = [f"pcs_{i}" for i in range(1, 14)]
    wanted = [*KEYS, "condition", "modality", "intensity_metric", "intensity_value", *items]
    others = [c for c in cases.columns if c in CASES_BY_NAME and c not in wanted]
    cases = cases[[*wanted, *others][:N_COLUMNS]].reset_index(drop=True)
    with pq.ParquetWriter(path, pa.Table.from_pandas(cases).schema) as writer:
        for first in range(0, n_rows, GROUP_ROWS):
            rows = np.arange(first, min(first + GROUP_ROWS, n_rows))
            part = cases.iloc[rows % len(cases)].reset_index(drop=True)
            part["participant_id"] = [f"p{r}" for r in rows]
            writer.write_table(pa.Table.from_pandas(part, schema=writer.schema))


def peer(models: Path, source: Path, output: Path) -> None:
    """Read, predict with the raw boosters and write."""
    ready = {
        target: _ready(bundle.scorer)
        for target, bundle in find_bundles(models).items()
        if isinstance(bundle.scorer, BoostedScorer)
    }
    writer: pq.ParquetWriter | None = None
    for batch in pq.ParquetFile(source).iter_batches(GROUP_ROWS):
        frame = batch.to_pandas()
        columns: dict[str, object] = {k: frame[k] for k in KEYS}
        for target, (booster, matrix) in ready.items():
            columns[f"p_{target}"] = booster.inplace_predict(matrix[: len(frame)])
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(output, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def _ready(scorer: BoostedScorer) -> tuple[xgboost.Booster, npt.NDArray[np.float32]]:
    """Return the booster as XGBoost loads it by itself, and something to predict."""
    booster = xgboost.Booster()
    booster.load_model(bytearray(scorer.ubj))
    matrix = np.random.default_rng(0).normal(size=(GROUP_ROWS, len(scorer.columns)))
    return booster, matrix.astype(np.float32)


def one_row_ms(models: Path, source: Path, repeats: int = 200) -> dict[str, float]:
    """Median time of one row in this process, in ms."""
    bundles = find_bundles(models)
    row = next(pq.ParquetFile(source).iter_batches(1)).to_pandas()
    served = pyfunc_model(models / next(iter(bundles)) / "bundle")
    return {
        "one_row_ms": _median_ms(lambda: predict(row, bundles), repeats),
        "one_row_mlflow_ms": _median_ms(lambda: served.predict(row), repeats),
    }


def linearity(models: Path, files: dict[int, Path], output: Path) -> float:
    """What a row takes between the last two numbers of rows, over that between the first two."""
    counts, seconds = list(files), []
    for source in files.values():
        takes = [spent(lambda source=source: ours(models, source, output, False)) for _ in "12"]
        seconds.append(min(processor for _, processor in takes))
    below, beyond = np.diff(seconds) / np.diff(counts)
    return float(beyond / below)


def pyfunc_model(bundle: Path) -> Any:
    """Save and load a bundle as 'eih register' does."""
    with tempfile.TemporaryDirectory() as name:
        path = str(Path(name) / "model")
        mlflow.pyfunc.save_model(
            path,
            loader_module=mlflow_model.__name__,
            data_path=str(bundle),
            signature=cases_signature(),
            pip_requirements=[],
        )
        return mlflow.pyfunc.load_model(path)


def _median_ms(call: Callable[[], object], repeats: int) -> float:
    for _ in range(10):
        call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def ours(models: Path, source: Path, output: Path, explain: bool) -> None:
    """Take the whole batch run."""
    run(PredictParams(), models, source, output, PredictOptions(explain=explain))


def spent(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def peak_mib(models: Path, source: Path, output: Path) -> float:
    """Peak memory of a process that predicts, in MiB."""
    command = ["predict", "--model", models, "--input", source, "--output", output]
    # Not ru_maxrss: on Linux a process begins with that of the one which started it.
    said = alone(
        "import sys; from pipeline.cli import main; main(sys.argv[1:]); "
        "print(*(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))",
        *command,
    )
    return float(said) / 1024


def alone(code: str, *arguments: object) -> str:
    """Run code in a process of its own; return the last line of what it prints."""
    done = subprocess.run(  # nosec B603
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Compare, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows: under a minute on 2 cores"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    size = "quick" if options.quick else "full"
    few, many = ROWS[size]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = boosted_models(folder)
        files = {n: folder / f"{n}.parquet" for n in sorted({few, many, *LINE[size]})}
        for n_rows, path in files.items():
            write_cases(folder / "study" / "cases.parquet", path, n_rows)
        small, large, output = files[few], files[many], folder / "out.parquet"
        one_row = alone(
            "import json, sys; sys.path.insert(0, 'benchmarks'); import batch; "
            "print(json.dumps(batch.one_row_ms(*map(batch.Path, sys.argv[1:]))))",
            models,
            small,
        )
        ours(models, small, output, True)  # compiles what explains, once a process
        ours_takes, peer_takes = [], []
        for _ in range(TAKES):
            ours_takes.append(spent(lambda: ours(models, large, output, False)))
            peer_takes.append(spent(lambda: peer(models, large, folder / "peer.parquet")))
        plain, peer_s = (min(wall for wall, _ in takes) for takes in (ours_takes, peer_takes))
        plain_cpu, peer_cpu = (min(cpu for _, cpu in takes) for takes in (ours_takes, peer_takes))
        _, small_cpu = spent(lambda: ours(models, small, output, False))
        _, explained_cpu = spent(lambda: ours(models, small, output, True))
        result = {
            "ratio": plain / peer_s,
            "ours_s": plain,
            "peer_s": peer_s,
            "cpu_ratio": plain_cpu / peer_cpu,
            "rows": many,
            "rows_s": many / plain,
            "rows_s_core": many / plain_cpu,
            "explain_ratio": explained_cpu / small_cpu,
            "linearity": linearity(models, {n: files[n] for n in LINE[size]}, output),
            "linearity_rows": LINE[size],
            "peak_mib": peak_mib(models, large, output),
            "peak_mib_fewer_rows": peak_mib(models, small, output),
            "fewer_rows": few,
            **json.loads(one_row),
        }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
