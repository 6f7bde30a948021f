"""Features from wide cases: ours against the same scores and changes written in plain pandas.

    python benchmarks/features.py [--quick] [--json FILE]

Ours: :func:`features.contract.check_cases` and :func:`features.build.build_features`, in chunks
of the size batch prediction uses; it types and checks every cell, can name every faulty row, and
builds every declared feature. Two peers, in the same process on the same table:

``peer`` scores person by person (``DataFrame.apply(axis=1)``, one form at a time), as scoring
code of the field is mostly written. It is timed on its first rows and scaled to all of them: its
cost is one call a row. ``ratio`` is its time over ours (above 1: ours is faster).

``columns`` is the least a script can do: whole-column pandas, range checks that blank a value
and name nothing, and only the features these columns carry (ours builds about eight times as
many). ``ratio_columns`` is its time over ours; below 1 it shows what naming every fault and
building every declared feature costs.

The answers of all three are compared before any time is believed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from features.build import build_features  # noqa: E402
from features.columns import CASES_BY_NAME  # noqa: E402
from features.contract import check_cases  # noqa: E402
from features.reference import load_reference  # noqa: E402

CHUNK_ROWS = 65_536  # params.yaml, predict.chunk_rows
FULL, QUICK = 1_000_000, 250_000
SAMPLE = 10_000
LIMIT_S = 10.0
TEXTS = {
    "sex": ("female", "male"),
    "condition": ("healthy", "fibromyalgia", "knee_osteoarthritis", "chronic_low_back_pain"),
    "cpm_timing": ("parallel", "sequential"),
    "modality": ("aerobic", "isometric", "dynamic_resistance"),
    "intensity_metric": ("percent_hrr", "percent_hrmax"),
    "body_region": ("upper_limb", "lower_limb"),
}
NUMBERS = {
    "age_years": (18, 80),
    "pain_now_nrs": (0, 10),
    "cpm_ppt_unconditioned_kpa": (100, 500),
    "cpm_ppt_conditioned_kpa": (100, 600),
    "cpm_rating_unconditioned_nrs": (1, 10),
    "cpm_rating_conditioned_nrs": (1, 10),
    "intensity_value": (60, 100),
    "duration_min": (3, 60),
}


def wide_cases(n_rows: int, seed: int = 1) -> pd.DataFrame:
    """Made-up cases with 13 PCS items, 17 TSK items, CPM and exercise; 3 % of items missing."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {
        "study_id": pd.Series(["made_up"] * n_rows, dtype="str"),
        "participant_id": pd.Series([f"p{i}" for i in range(n_rows)], dtype="str"),
        "session_id": pd.Series(["a"] * n_rows, dtype="str"),
    }
    for name, levels in TEXTS.items():
        columns[name] = pd.Series(
            np.array(levels)[rng.integers(0, len(levels), n_rows)], dtype="str"
        )
    for name, (low, high) in NUMBERS.items():
        columns[name] = rng.uniform(low, high, n_rows)
    for form, n_items, low, high in (("pcs", 13, 0, 4), ("tsk17", 17, 1, 4)):
        for item in range(1, n_items + 1):
            answers = rng.integers(low, high, n_rows, endpoint=True).astype(float)
            columns[f"{form}_{item}"] = np.where(rng.random(n_rows) < 0.03, np.nan, answers)
    return pd.DataFrame(columns)


def ours(cases: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Checked cases to features, chunk by chunk as batch prediction takes them."""
    for start in range(0, len(cases), CHUNK_ROWS):
        checked = check_cases(cases.iloc[start : start + CHUNK_ROWS], unique=False)
        if checked.violations:
            raise RuntimeError(f"the made-up cases break the contract: {checked.violations[0]}")
        yield build_features(checked.table)


def ours_consumed(cases: pd.DataFrame) -> int:
    """Make every feature and let it go; return how many cells there were."""
    return sum(chunk.size for chunk in ours(cases))


def by_person(cases: pd.DataFrame) -> pd.DataFrame:
    """The questionnaires, CPM and exercise of one person after the other."""
    reference = load_reference("exercise_intensity.toml")
    key = load_reference("instruments.toml")["pcs"]["subscales"]
    scales = {"total": tuple(range(1, 14)), **{k: tuple(v) for k, v in key.items()}}

    def person(row: pd.Series) -> dict[str, float]:
        out = {f"pcs_{k}": _one_score([row[f"pcs_{i}"] for i in m]) for k, m in scales.items()}
        answers = [row[f"tsk17_{i}"] for i in range(1, 18)]
        turned = [5 - a if i in (4, 8, 12, 16) else a for i, a in enumerate(answers, start=1)]
        out["tsk17_total"] = _one_score(turned)
        out["cpm_ppt_log_ratio"] = math.log(
            row["cpm_ppt_conditioned_kpa"] / row["cpm_ppt_unconditioned_kpa"]
        )
        out["cpm_rating_nrs"] = (
            row["cpm_rating_unconditioned_nrs"] - row["cpm_rating_conditioned_nrs"]
        )
        out["duration_log_min"] = math.log1p(row["duration_min"])
        points = reference["metrics"][row["intensity_metric"]]["value"]
        out["intensity_relative"] = float(
            np.interp(row["intensity_value"], points, reference["relative"])
        )
        return out

    return cases.apply(person, axis=1, result_type="expand")


def _one_score(answers: list[float]) -> float:
    given = [a for a in answers if not math.isnan(a)]
    if len(given) < len(answers) - 1:
        return math.nan
    return sum(given) * len(answers) / len(given)


def by_column(cases: pd.DataFrame) -> pd.DataFrame:
    """The same checks and the features these columns carry, in whole columns."""
    frame = pd.DataFrame({name: _checked(cases[name], name) for name in cases.columns})
    out = pd.DataFrame(index=cases.index)
    scales = {"total": range(1, 14), **load_reference("instruments.toml")["pcs"]["subscales"]}
    for scale, members in scales.items():
        out[f"pcs_{scale}"] = _prorated(frame[[f"pcs_{i}" for i in members]])
    tsk = frame[[f"tsk17_{i}" for i in range(1, 18)]].copy()
    for item in (4, 8, 12, 16):
        tsk[f"tsk17_{item}"] = 5 - tsk[f"tsk17_{item}"]
    out["tsk17_total"] = _prorated(tsk)
    out["cpm_ppt_log_ratio"] = np.log(
        frame["cpm_ppt_conditioned_kpa"] / frame["cpm_ppt_unconditioned_kpa"]
    )
    out["cpm_rating_nrs"] = (
        frame["cpm_rating_unconditioned_nrs"] - frame["cpm_rating_conditioned_nrs"]
    )
    out["duration_log_min"] = np.log1p(frame["duration_min"])
    out["age_years"], out["pain_now_nrs"] = frame["age_years"], frame["pain_now_nrs"]
    metrics = load_reference("exercise_intensity.toml")
    for metric, group in frame.groupby("intensity_metric"):
        points = metrics["metrics"][metric]["value"]
        out.loc[group.index, "intensity_relative"] = np.interp(
            group["intensity_value"], points, metrics["relative"]
        )
    dummies = [
        pd.get_dummies(frame[name], prefix=name, dtype=float)
        for name in ("condition", "modality", "body_region")
    ]
    return pd.concat([out, *dummies], axis=1)


def _checked(column: pd.Series, name: str) -> pd.Series:
    declared = CASES_BY_NAME[name]
    if declared.kind in ("number", "integer"):
        values = pd.to_numeric(column, errors="coerce")
        return values.where(values.between(declared.low, declared.high))
    words = column.str.strip()
    return words.where(words.isin(declared.levels)) if declared.levels else words


def _prorated(items: pd.DataFrame) -> pd.Series:
    """Mean of the answered items times their number, where at most one is missing."""
    return (items.mean(axis=1) * items.shape[1]).where(items.isna().sum(axis=1) <= 1)


def compare(made: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Refuse to time two programs that give different answers."""
    for name in wanted.columns:
        np.testing.assert_allclose(
            made[name].to_numpy(), wanted[name].to_numpy(), rtol=1e-12, atol=1e-12, err_msg=name
        )


def timed(
    work: Callable[[pd.DataFrame], object], cases: pd.DataFrame, repeats: int
) -> tuple[float, float]:
    """Best of a few runs: seconds by the clock, and of this process's own computing."""
    clock, computing = [], []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        work(cases)
        clock.append(time.perf_counter() - start)
        computing.append(time.process_time() - cpu)
    return min(clock), min(computing)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 where a full run misses its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rows instead of {FULL}")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    n_rows = QUICK if options.quick else FULL
    cases = wide_cases(n_rows)
    first = next(ours(cases.head(SAMPLE)))
    compare(first, by_column(cases.head(SAMPLE)))
    compare(first, by_person(cases.head(SAMPLE)))
    sizes = [n_rows // 8, n_rows // 4, n_rows // 2, n_rows]
    seconds = {size: timed(ours_consumed, cases.head(size), 2) for size in sizes}
    columns_s, _ = timed(by_column, cases, 2)
    peer_s = timed(by_person, cases.head(SAMPLE), 2)[0] * n_rows / SAMPLE
    for size, (clock, cpu) in seconds.items():
        print(f"{size:>9} rows {clock:6.2f} s, {1e6 * cpu / size:6.2f} us of computing a row")
    ours_s, ours_cpu_s = seconds[n_rows]
    figures = {
        "ratio": peer_s / ours_s,
        "ours_s": ours_s,
        "peer_s": peer_s,
        "peer_rows_timed": SAMPLE,
        "ratio_columns": columns_s / ours_s,
        "columns_s": columns_s,
        "rows": n_rows,
        "rows_s": n_rows / ours_s,
        "s_per_million": 1e6 * ours_s / n_rows,
        "ours_cpu_s": ours_cpu_s,
        # 1 = linear. Of computing time: another program's load must not look like ours.
        "growth": ours_cpu_s / seconds[sizes[0]][1] / 8,
    }
    print(
        f"{n_rows} rows: ours {ours_s:.2f} s ({figures['rows_s']:.0f} rows/s); person by person "
        f"{peer_s:.1f} s, ratio {figures['ratio']:.1f}; bare columns {columns_s:.2f} s, ratio "
        f"{figures['ratio_columns']:.2f}; eight times the rows cost "
        f"{8 * figures['growth']:.2f} times the computing"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return int(not options.quick and figures["ours_s"] > LIMIT_S)


if __name__ == "__main__":
    raise SystemExit(main())
