"""Report, last sections of a target: markers, stability, subgroups, settings, uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import expit

from pipeline.io import read_json
from pipeline.protocol_sections import protocol_sections
from pipeline.report_exhibit import Exhibit, figure_text, image_uri, key_of, read_plain
from pipeline.report_figures import Forest, banded, forest

# Which protocol answers what; a report without it says how to make it.
PROTOCOLS = {
    "optimism_*.json": "eih optimism {folder} --target {target}",
    "stability_*.json": "eih stability {folder} --target {target}",
    "internal_external_*.json": "eih internal-external {folder} --by site_id --target {target}",
    "audit.json": "eih audit {folder} --target {target}",
}
NORMAL = 1.96


@dataclass(frozen=True)
class Part:
    """A titled part of a section: sentences, exhibits, and the command for what is missing."""

    title: str
    sentences: list[str] = field(default_factory=list)
    exhibits: list[Exhibit] = field(default_factory=list)
    missing: str = ""


def biomarker_part(folder: Path, target: str) -> Part:
    """What each marker adds to the base set."""
    where = folder / "biomarker"
    title = f"Markers, {target}"
    made_by = f"eih biomarker outputs/{folder.parent.name} --target {target} --output {{}}"
    if not (where / "biomarker.json").exists():
        return Part(
            title, missing=made_by.format(f"outputs/{folder.parent.name}/{target}/biomarker")
        )
    content = read_json(where / "biomarker.json")
    table = read_plain(where / "biomarker.csv")
    if table.empty:
        return Part(title, [content.get("not_enough_data", "No marker could be judged.")])
    base = ", ".join(content["base"]["asked"])
    how = Forest(
        "name",
        "auc_difference_estimate",
        "auc_difference_lower",
        "auc_difference_upper",
        "difference of the AUC, out of fold",
        0.0,
    )
    shown = Exhibit(
        key_of("markers", target),
        f"What each marker adds, {target}",
        f"The AUC with the marker minus without it, over a base set of {base}. Right of the line "
        "the marker helps; an interval that crosses it shows nothing either way. The table holds "
        "the likelihood-ratio test, corrected for the number of tests.",
        table,
        svg=forest(table, how, key_of("markers", target)),
    )
    robust = read_plain(where / "robustness.csv")
    more = []
    if len(robust):
        more.append(
            Exhibit(
                key_of("markers-robustness", target),
                f"The same under other rules and learners, {target}",
                "A finding that holds under one responder rule or one learner only is none.",
                robust,
            )
        )
    return Part(title, [c["sentence"] for c in content["candidates"]], [shown, *more])


def stability_parts(folder: Path, target: str) -> list[Part]:
    """Protocols that were run, and the commands of those that were not."""
    parts = [
        Part(s.title, s.sentences, _images(s.figures, target)) for s in protocol_sections(folder)
    ]
    for path in sorted((folder / "protocols").glob("internal_external_*.json")):
        parts.append(_settings(read_json(path), target))
    for pattern, command in PROTOCOLS.items():
        if not list((folder / "protocols").glob(pattern)):
            said = command.format(folder=f"outputs/{folder.parent.name}", target=target)
            name = said.split()[1].replace("-", " ").capitalize()
            parts.append(Part(name, missing=said))
    return parts


def _images(figures: Mapping[str, Path], target: str) -> list[Exhibit]:
    found = []
    for title, path in figures.items():
        table = read_plain(path.with_suffix(".csv"))
        if table.empty:  # figures of one run share the table of its rows
            candidate = path.stem.rsplit("_", 1)[-1]
            table = read_plain(path.with_name(f"prediction_instability_{candidate}.csv"))
        image = image_uri(path)
        if image:
            found.append(
                Exhibit(
                    key_of(path.stem, target),
                    f"{title}, {target}",
                    HOW_TO_READ.get(title, "Each point is a model of other persons."),
                    table,
                    image=image,
                )
            )
    return found


HOW_TO_READ = {
    "Prediction instability": "Each dot is one bout's risk by a model of resampled persons. The "
    "wider the cloud around the diagonal, the more a prediction hangs on who happened to be there.",
    "Mean absolute prediction error": "How far a bout's risk moves on average when other persons "
    "are learnt from; the line is the mean.",
    "Classification instability": "The share of resamples that put a bout on the other side of the "
    "threshold; highest beside it.",
    "Calibration instability": "Calibration curves of resampled models; the grey band holds 90 % "
    "of them.",
    "Learning curve": "A curve that still falls at its right end says that more persons would "
    "help.",
}


def _settings(found: Mapping[str, Any], target: str) -> Part:
    by, last = found["by"], list(found["candidates"])[-1]
    table = pd.concat(
        [
            _per_setting(across).assign(candidate=name)
            for name, across in found["candidates"].items()
        ],
        ignore_index=True,
    )
    table = table[["candidate", *table.columns.drop("candidate")]]
    drawn = table[(table["candidate"] == last) & table["auc"].notna()]
    key = key_of("settings", by, target)
    how = Forest("setting", "auc", "auc_lower", "auc_upper", f"AUC of '{last}', left-out {by}", 0.5)
    shown = Exhibit(
        key,
        f"Each {by} predicted from the others, {target}",
        f"Every {by} is left out in turn. The spread of the dots, not their mean, is what to "
        "expect in a place that is not here; the last line is that expectation (prediction "
        "interval). Settings with one class have no AUC.",
        table,
        svg=forest(drawn, how, key) if len(drawn) else "",
    )
    return Part(f"Between {by}, {target}", [], [shown])


def _per_setting(across: Mapping[str, Any]) -> pd.DataFrame:
    """Return the settings with the interval of their AUC, and what a new one would give."""
    rows = pd.DataFrame(across["settings"])
    logit, se = (pd.to_numeric(rows[c], errors="coerce") for c in ("logit_auc", "logit_auc_se"))
    table = rows[["setting", "n_participants", "n_events"]].assign(
        auc=pd.to_numeric(rows["auc"], errors="coerce"),
        auc_lower=expit(logit - NORMAL * se),
        auc_upper=expit(logit + NORMAL * se),
        oe_ratio=pd.to_numeric(rows["oe_ratio"], errors="coerce"),
        reason=rows["reason"].fillna(""),
    )
    pooled, oe = across["auc"], across["oe_ratio"]
    new = {
        "setting": "a new one",
        "auc": pooled["estimate"],
        "auc_lower": pooled["prediction_lower"],
        "auc_upper": pooled["prediction_upper"],
        "oe_ratio": oe["estimate"],
        "reason": "",
    }
    return pd.concat([table, pd.DataFrame([new])], ignore_index=True)


def subgroup_part(folder: Path, model: str, target: str) -> Part:
    """One model's figures in each subgroup that is large enough."""
    title = f"Subgroups, {target}"
    table = read_plain(folder / "evaluate" / "subgroups.csv")
    left_out = {}
    path = folder / "evaluate" / "subgroups.json"
    if path.exists():
        left_out = read_json(path)["columns_left_out"]
    said = [f"Not looked at: {column} ({reason})." for column, reason in left_out.items()]
    if table.empty:
        return Part(title, [*said, "No subgroup could be judged."])
    own = table[table["model"] == model].reset_index(drop=True)
    names = own["column"].astype(str) + ": " + own["level"].astype(str)
    keep = ["n_participants", "n_events", "auc", "auc_lower", "auc_upper", "auc_reason"]
    keep += ["in_the_large", "in_the_large_lower", "in_the_large_upper", "slope"]
    shown = own[[c for c in keep if c in own]].assign(subgroup=names)
    shown = shown[["subgroup", *shown.columns.drop("subgroup")]]
    shown["auc_reason"] = shown["auc_reason"].fillna("")
    drawn = shown[shown["auc"].notna()]
    key = key_of("subgroups", target)
    how = Forest("subgroup", "auc", "auc_lower", "auc_upper", f"AUC of '{model}'", 0.5)
    exhibit = Exhibit(
        key,
        f"'{model}' in subgroups, {target}",
        "Overlapping intervals show no difference between groups, and wide ones cannot rule it "
        "out. Calibration in the large: 0 is right, above it risks are too low in that group. "
        "Groups too small to judge carry the reason.",
        shown,
        svg=forest(drawn, how, key) if len(drawn) else "",
    )
    return Part(title, said, [exhibit])


def uncertainty_part(folder: Path, selected: str, target: str) -> Part:
    """Whether sets held, how often the model abstains, and what that gains."""
    title = f"How sure '{selected}' is, {target}"
    path = folder / "evaluate" / "uncertainty.json"
    sure = read_json(path) if path.exists() else {}
    if not sure:
        return Part(title, missing="dvc repro (the chosen model was trained without it)")
    rows = [
        {"class": name, **{k: c[k] for k in ("n_participants", "estimate", "lower", "upper")}}
        for name, c in sure["coverage"].items()
    ]
    coverage = Exhibit(
        key_of("coverage", target),
        f"Classes held by their sets, {target}",
        "A set names the classes that cannot be ruled out. Sets are made to hold each class in 90 "
        "% of persons unless params.yaml says otherwise; the table says what they held.",
        pd.DataFrame(rows).rename(columns={"estimate": "held_by_its_set"}),
    )
    curve = read_plain(folder / "evaluate" / "plots" / "coverage_risk.csv")
    found = [coverage]
    if len(curve):
        words = ("share answered, most certain first", "error")
        key = key_of("selective", target)
        found.append(
            Exhibit(
                key,
                f"Error among the most certain, {target}",
                "Reading from left to right more and more bouts are answered. A curve that rises "
                "says that the model knows where it is right; a flat one says that it does not.",
                curve,
                svg=banded(curve, ("error", "share", "estimate"), words, key),
            )
        )
    return Part(title, _said(sure), found)


def _said(sure: Mapping[str, Any]) -> list[str]:
    side, kept = sure["abstention"]["wrong_side"], sure["abstention"]["share_answered"]["estimate"]
    both = float(sure["sets"].get("no;yes", 0.0))
    reasons = ", ".join(f"{r.replace('_', ' ')} {s:.1%}" for r, s in sure["abstained"].items())
    return [
        f"{both:.0%} of sets hold both classes: there the model cannot tell. The probability's "
        f"interval is {figure_text(sure['interval_width'])} wide on average.",
        f"{figure_text(kept)} of bouts are answered. It abstains for: {reasons}.",
        f"Abstention: {side['sentence']} ({figure_text(side['answered']['estimate'])} of the "
        f"answered on the wrong side, {figure_text(side['everybody']['estimate'])} of all).",
    ]
