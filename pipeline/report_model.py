"""Report, middle sections of a target: ladder, calibration, decision curve, ROC, explanations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.evaluate import ladder_table
from pipeline.report_exhibit import Exhibit, image_uri, key_of, read_plain
from pipeline.report_figures import Forest, bars, calibration, decision, forest, roc
from pipeline.report_svg import STYLES

INTERVALS = "95 % intervals resample persons, not rows."
PERSON_TITLES = {
    "person A": "A person of low predicted risk",
    "person B": "A person of middling predicted risk",
    "person C": "A person of high predicted risk",
}
# Figures that stage explain drew: file of the image and of its table, title, how to read it.
DRAWN = {
    "dependence": (
        "dependence",
        "Contributions by value",
        "Each panel: the value against what it adds to the log-odds; crosses at the left are "
        "missing values. The table averages groups of at least ten bouts, with the 5th and 95th "
        "percentile.",
    ),
    "interaction": (
        "interactions",
        "Largest interaction",
        "What two values add together beyond each alone; the colour is the second value. Exact "
        "for the trees in use.",
    ),
}


def ladder_exhibit(metrics: Mapping[str, Any], target: str) -> Exhibit:
    """Every candidate's figures with intervals, the ceiling as the last row."""
    table = ladder_table(dict(metrics)).sort_values("candidate", key=_rung, ignore_index=True)
    drawn = table[["candidate", "auc", "auc_lower", "auc_upper"]]
    limit = metrics["ceiling"]["auc"]
    if limit["estimate"] is not None:
        values = [limit[k] for k in ("estimate", "lower", "upper")]
        last = pd.DataFrame([["ceiling", *values]], columns=drawn.columns)
        drawn = pd.concat([drawn, last], ignore_index=True)
        table = pd.concat([table, last.assign(selected=False)], ignore_index=True)
    how = Forest("candidate", "auc", "auc_lower", "auc_upper", "AUC", 0.5)
    strong = [str(c) == metrics["selected"] for c in drawn["candidate"]]
    return Exhibit(
        key_of("ladder", target),
        f"AUC of every candidate, {target}",
        "From the simplest model (everybody has the average risk) to the most flexible; the "
        "coloured dot is the chosen one. Compare a dot with 'stratum' (condition and exercise "
        f"alone), not with 0.5; the ceiling is what a perfect model could reach. {INTERVALS}",
        table,
        svg=forest(drawn, how, key_of("ladder", target), strong),
    )


def _rung(names: pd.Series) -> pd.Series:
    """Order candidates from the simplest to the most flexible."""
    places = {name: at for at, name in enumerate(STYLES)}
    return names.map(lambda name: places.get(name, len(places)))


def judged_exhibits(folder: Path, metrics: Mapping[str, Any], target: str) -> list[Exhibit]:
    """Calibration, decision curve, ROC and thresholds, from the tables of ``evaluate/plots``."""
    plots, selected = folder / "evaluate" / "plots", metrics["selected"]
    found = [_calibration(plots, selected, target)]
    benefit = _in_order(read_plain(plots / "net_benefit.csv"))
    if len(benefit):
        found.append(_decision(benefit, target))
    points = read_plain(plots / "thresholds.csv")
    own = points[points["candidate"] == selected] if len(points) else points
    curves = _in_order(read_plain(plots / "roc.csv"))
    found.append(
        Exhibit(
            key_of("roc", target),
            f"ROC curves, {target}",
            "The further a curve bends to the upper left, the better it separates; the diagonal is "
            f"chance. Dots: thresholds of '{selected}', with what they cost below. Curves are "
            "means over repeats, out of fold. They say nothing of whether risks are right: see the "
            "calibration.",
            curves,
            svg=roc(curves, own, key_of("roc", target)),
        )
    )
    if len(own):
        found.append(
            Exhibit(
                key_of("thresholds", target),
                f"What each threshold means, '{selected}', {target}",
                "Acting from this risk on: share of events found (sensitivity), of the others left "
                "alone (specificity), of the flagged who are events (ppv), of the rest who are "
                "none (npv). Thresholds were declared before looking.",
                own.drop(columns="candidate"),
            )
        )
    return found


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return table
    return table.sort_values("candidate", key=_rung, kind="stable", ignore_index=True)


def _calibration(plots: Path, selected: str, target: str) -> Exhibit:
    curve, risks = read_plain(plots / "calibration.csv"), read_plain(plots / "risks.csv")
    return Exhibit(
        key_of("calibration", target),
        f"Calibration of '{selected}', {target}",
        "On the dashed line, 30 of 100 bouts given a risk of 0.3 had the event. Above it risks are "
        "too low, below it too high. Grey bars: how often each risk is given. A smooth curve, out "
        f"of fold. {INTERVALS}",
        curve,
        svg=calibration(curve, risks, key_of("calibration", target)),
    )


def _decision(benefit: pd.DataFrame, target: str) -> Exhibit:
    return Exhibit(
        key_of("decision", target),
        f"Decision curve, {target}",
        "Net benefit weighs events found against needless action at each threshold. A model is of "
        "use where its curve lies above both acting on all and acting on nobody, and above the "
        "simpler candidates.",
        benefit,
        svg=decision(benefit, key_of("decision", target)),
    )


def explanation_exhibits(folder: Path, candidate: str, target: str) -> list[Exhibit]:
    """Families, features, dependence, interactions and three persons of one candidate."""
    where = folder / "explain"
    families = read_plain(where / f"families_{candidate}.csv")
    if families.empty:
        return []
    about = f"'{candidate}', {target}"
    found = [
        _sizes(families, "family", f"Contribution by family, {about}", key_of("families", target)),
        _features(where, candidate, about, target),
        *_drawn(where, candidate, target),
    ]
    return [*found, *_persons(where, candidate, target)]


def _sizes(table: pd.DataFrame, label: str, title: str, key: str) -> Exhibit:
    axis = "mean absolute contribution, log-odds"
    ranked = {"lower", "upper"} <= set(table.columns)
    how = Forest(label, "mean_abs_log_odds", "lower", "upper", f"{axis}; line: 5 to 95 % of refits")
    shown = table.head(15)
    return Exhibit(
        key,
        title,
        "How far this group of values moves the prediction, on average. What a model uses is not "
        "what changes the response. "
        + ("Lines and ranks: the whole procedure on resampled persons." if ranked else ""),
        table,
        svg=forest(shown, how, key)
        if ranked
        else bars(shown, label, "mean_abs_log_odds", axis, key),
    )


def _features(where: Path, candidate: str, about: str, target: str) -> Exhibit:
    return Exhibit(
        key_of("beeswarm", target),
        f"Contributions to the log-odds, {about}",
        "One dot a bout: to the right the value raises the predicted risk, to the left it lowers "
        "it. Red dots are high values, blue ones low, grey ones missing. The table gives the "
        "average size, with ranks over refits where they were made.",
        read_plain(where / f"importance_{candidate}.csv"),
        image=image_uri(where / f"beeswarm_{candidate}.png"),
    )


def _drawn(where: Path, candidate: str, target: str) -> list[Exhibit]:
    """Return the figures that were drawn for this candidate, with their tables."""
    found = []
    for name, (data, start, caption) in DRAWN.items():
        table = read_plain(where / f"{data}_{candidate}.csv")
        image = image_uri(where / f"{name}_{candidate}.png")
        if image and len(table):
            title = f"{start}, '{candidate}', {target}"
            found.append(Exhibit(key_of(name, target), title, caption, table, image=image))
    return found


def _persons(where: Path, candidate: str, target: str) -> list[Exhibit]:
    table = read_plain(where / f"person_examples_{candidate}.csv")
    found = []
    for person, rows in table.groupby("person") if len(table) else ():
        rows = rows.assign(value=rows["value"].fillna(""))
        named = rows["feature"] + (" = " + rows["value"]).where(rows["value"] != "", "")
        drawn = rows.assign(label=named)[rows["feature"] != "start"]
        risk, key = float(rows["risk"].iloc[0]), key_of(str(person), target)
        found.append(
            Exhibit(
                key,
                f"{PERSON_TITLES[str(person)]} ({risk:.0%}), {target}",
                f"{str(person).replace('person', 'Person')} of this study, named by a letter; "
                "values rounded to two digits. Bars to the right raise the predicted risk, to the "
                "left lower it; with the start they add up to the log-odds.",
                rows.drop(columns="person"),
                svg=bars(drawn, "label", "log_odds", "contribution, log-odds", key),
            )
        )
    return found
