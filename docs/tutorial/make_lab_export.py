"""Write a simulated study as a laboratory's own export: other names, other units, one wide table.

Everything in it is simulated. Names and words are those of a REDCap project exported with labels,
or with raw codes and REDCap's data dictionary beside it; thresholds are in kgf/cm2, body height in
metres, pain duration in years.

    python docs/tutorial/make_lab_export.py simulated lab
    python docs/tutorial/make_lab_export.py simulated lab_raw --raw
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

KGF_CM2 = 98.0665  # kPa
KEYS = ["participant_id", "session_id"]
NAMES = {
    "participant_id": "record_id",
    "session_id": "bout",
    "visit_id": "visit_day",
    "age_years": "age",
    "sex": "gender",
    "weight_kg": "weight",
    "condition": "diagnosis",
    "pain_now_nrs": "pain_current",
    "modality": "exercise_type",
    "intensity_metric": "intensity_metric",
    "intensity_value": "intensity",
    "duration_min": "exercise_duration",
    "body_region": "exercised_region",
    "expectancy": "expectation",
}
CODED = {"gender": "Gender", "diagnosis": "Diagnosis", "exercise_type": "Exercise"}
MOMENTS = {"pre": "before", "post": "after"}


def wide_thresholds(readings: pd.DataFrame) -> pd.DataFrame:
    """One row per person and bout, one column per site, moment and trial, in kgf/cm2."""
    ppt = readings[readings["measure"].eq("ppt") & readings["timepoint"].isin(MOMENTS)]
    moment = ppt["timepoint"].map(MOMENTS)
    name = "ppt_" + ppt["site_role"] + "_" + moment + "_" + ppt["trial"].astype(int).astype(str)
    wide = ppt.assign(name=name).pivot_table(index=KEYS, columns="name", values="value")
    return (wide / KGF_CM2).round(3)


def lab_export(cases: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    """Return the export: one row per person and bout."""
    bouts = cases[cases["session_id"].ne("programme")]
    export = bouts[list(NAMES)].copy()
    for coded in ("sex", "condition", "modality"):
        export[coded] = export[coded].str.replace("_", " ").str.capitalize()
    export["duration_years"] = (bouts["pain_duration_months"] / 12).round(1)
    export["height_m"] = (bouts["height_cm"] / 100).round(2)
    for item in range(1, 14):
        export[f"pcs_q{item}"] = bouts[f"pcs_{item}"]
    for item in range(1, 18):
        export[f"tsk_{item:02d}"] = bouts[f"tsk17_{item}"]
    export["cpm_ppt_alone_kgf"] = (bouts["cpm_ppt_unconditioned_kpa"] / KGF_CM2).round(3)
    export["cpm_ppt_during_kgf"] = (bouts["cpm_ppt_conditioned_kpa"] / KGF_CM2).round(3)
    joined = export.set_index(KEYS).join(wide_thresholds(readings), how="inner")
    return joined.reset_index().rename(columns=NAMES)


def raw_codes(export: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the export with codes from 1 for words, and the data dictionary that explains them."""
    coded, choices = export.copy(), {}
    for name in CODED:
        words = sorted(export[name].dropna().unique())
        codes = {word: code for code, word in enumerate(words, 1)}
        coded[name] = export[name].map(codes).astype("Int64")
        choices[name] = " | ".join(f"{code}, {word}" for word, code in codes.items())
    fields = [
        {
            "Variable / Field Name": name,
            "Form Name": "visit",
            "Field Type": "radio" if name in CODED else "text",
            "Field Label": CODED.get(name, name),
            "Choices, Calculations, OR Slider Labels": choices.get(name, ""),
        }
        for name in export.columns
    ]
    return coded, pd.DataFrame(fields)


def main(source: Path, target: Path, n_new: int = 0, raw: bool = False) -> None:
    """Read the simulated tables and write the export ``lab.csv``; of new people, no readings.

    With ``raw``, words are codes, and ``dictionary.csv`` says what they mean.
    """
    cases = pd.read_parquet(source / "cases.parquet")
    readings = pd.read_parquet(source / "measurements.parquet")
    export = lab_export(cases, readings)
    if n_new:
        export = export.head(n_new)
        export = export[[c for c in export.columns if not c.startswith("ppt_")]]
    target.mkdir(parents=True, exist_ok=True)
    if raw:
        export, dictionary = raw_codes(export)
        dictionary.to_csv(target / "dictionary.csv", index=False)
        print(f"{target / 'dictionary.csv'}: {len(dictionary)} fields, {len(CODED)} with codes")
    export.to_csv(target / "lab.csv", index=False)
    print(f"{target / 'lab.csv'}: {len(export)} rows, {export.shape[1]} columns (simulated)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder that 'eih simulate' wrote")
    parser.add_argument("target", type=Path, help="folder for lab.csv")
    parser.add_argument("--new", type=int, default=0, help="so many rows, without readings")
    parser.add_argument("--raw", action="store_true", help="codes, and REDCap's dictionary of them")
    chosen = parser.parse_args()
    main(chosen.source, chosen.target, chosen.new, chosen.raw)
