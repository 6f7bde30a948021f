"""Report, choosing exercise: both risks at once, and whether the best differs between persons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.io import read_json
from pipeline.policy_words import METRICS, OVERLAP, TARGETING, sentence
from pipeline.report_exhibit import Exhibit, figure_text, read_plain
from pipeline.report_figures import Forest, banded, forest
from pipeline.report_trust import Part
from pipeline.target_folder import NOT_ENOUGH_DATA

VALUES = {
    "individual": "recommended by person",
    "average_best": "best on average, to all",
    "as_done": "as it was done",
}
DIFFERENCE = "by person minus best on average"


def choice_parts(study: Path) -> list[Part]:
    """Parts on choosing exercise, in the order of the page."""
    return [joint_part(study), policy_part(study)]


def joint_part(study: Path) -> Part:
    """Both risks from one model, and what acting on them is worth."""
    title = "Two risks at once"
    path = study / "joint" / "metrics.json"
    if not path.exists():
        return Part(
            title,
            missing=f"eih joint --features outputs/{study.name}/features.parquet "
            f"--outcomes outputs/{study.name}/outcomes.parquet --output outputs/{study.name}/joint",
        )
    joint = read_json(path)
    if "decision_table" not in joint:
        return Part(title, [str(joint.get("not_enough_data", "Not enough data."))])
    rows = [
        {
            "harm_of_a_flare": r["harm_of_flare"],
            "share_chosen": r["share_done"]["estimate"],
            "chosen": r["by_risks"]["estimate"],
            "all": r["all"]["estimate"],
            "chosen_minus_all": r["against_all"]["estimate"],
            "lower": r["against_all"]["lower"],
            "upper": r["against_all"]["upper"],
        }
        for r in joint["decision_table"]
    ]
    table = pd.DataFrame(rows)
    how = Forest("harm_of_a_flare", "chosen_minus_all", "lower", "upper", "chosen minus all", 0.0)
    loss, classes = joint["against_shares"]["log_loss"], joint["classes"]
    said = (
        f"{joint['n_participants']} persons; {classes['response']} responses, "
        f"{classes['hyperalgesia']} with hyperalgesia, {classes['neither']} neither. Log loss "
        f"against the shares of the classes {figure_text(loss['estimate'], 4)} "
        f"({figure_text(loss['lower'], 4)} to {figure_text(loss['upper'], 4)}, negative = better)."
    )
    shown = Exhibit(
        "joint-worth",
        "Worth of choosing bouts by both risks",
        "A response counts 1, a flare the harm at the left. Right of the line choosing by both "
        "risks is worth more than doing every bout. " + str(joint["note"]),
        table,
        svg=forest(table, how, "joint-worth"),
    )
    return Part(title, [said], [shown])


def policy_part(study: Path) -> Part:
    """What the design lets one say of exercises, and whether to recommend by person."""
    title = "Which exercise for whom"
    where = study / "policy"
    if not (where / METRICS).exists():
        folder = f"outputs/{study.name}"
        return Part(title, missing=f"eih policy {folder} --output {folder}/policy")
    found = read_json(where / METRICS)
    said = [sentence(found)]
    if NOT_ENOUGH_DATA in found:
        return Part(title, said)
    differently = found["share_recommended_differently"]
    said += [
        f"Values of '{found['arm']}' are compared: {', '.join(found['arms'])}. The rule by person "
        f"names another one than the best on average for {differently:.0%} of bouts.",
        found["overlap_note"],
    ]
    shown = [_values(found), _overlap(where, found), *_targeting(where, found)]
    return Part(title, said, shown)


def _values(found: Mapping[str, Any]) -> Exhibit:
    """Each rule's worth per bout, and the difference that decides."""
    estimates = {VALUES[k]: found["value"][k] for k in VALUES}
    estimates[DIFFERENCE] = found["against_average_best"]
    keys = ("estimate", "lower", "upper")
    rows = [{"rule": name, **{k: e[k] for k in keys}} for name, e in estimates.items()]
    table = pd.DataFrame(rows).rename(columns={"estimate": "utility_per_bout"})
    how = Forest("rule", "utility_per_bout", "lower", "upper", "utility per bout, 95 %", 0.0)
    strong = [name == DIFFERENCE for name in estimates]
    return Exhibit(
        "policy-values",
        "What following a rule would be worth",
        f"{_heading(found)}. A response counts {found['benefit_of_response']:g}, hyperalgesia "
        f"-{found['harm_of_flare']:g}, neither 0. Only the last, coloured line decides: right of "
        "the dashed line recommending by person does better than giving everybody what is best on "
        "average, on persons that the rules have not learnt from. An interval that holds 0 does "
        "not show that persons are alike.",
        table,
        svg=forest(table, how, "policy-values", strong),
    )


def _heading(found: Mapping[str, Any]) -> str:
    """The wording's first words: effect contrast or associational scenario."""
    return str(found["wording"]).partition(":")[0].capitalize()


def _overlap(where: Path, found: Mapping[str, Any]) -> Exhibit:
    return Exhibit(
        "policy-overlap",
        "Could everybody have had every exercise",
        "Share scarce: of those who could have had it, those nearly nobody like whom did; nothing "
        "is known of them. The effective number is what the bouts count for once those who rarely "
        "had it weigh more. The covariate is the one by which those who had the exercise differ "
        "most from others of their condition, in SD; beyond 'by chance' lot does not explain it.",
        read_plain(where / OVERLAP),
    )


def _targeting(where: Path, found: Mapping[str, Any]) -> list[Exhibit]:
    """Curves and areas: does the predicted gain find the persons who gain?"""
    curves, shown = read_plain(where / TARGETING), []
    if len(curves):
        drawn = curves.assign(pair=curves["arm"] + " over " + curves["against"])
        words = ("share of persons, largest predicted gain first", "gain beyond that of all")
        svg = banded(drawn, ("pair", "share", "estimate"), words, "policy-targeting")
        shown.append(
            Exhibit(
                "policy-targeting",
                "Gain among those for whom most was predicted",
                "One curve an exercise, against the one best on average. High at the left and "
                "falling: the persons predicted to gain most do gain more than all do. Around 0: "
                "the prediction does not find them. Bands are 95 % at each point.",
                curves,
                svg=svg,
            )
        )
    areas = pd.DataFrame(found["rate"])
    areas = areas[areas["estimate"].notna()] if len(areas) else areas
    if len(areas):
        table = areas.assign(pair=areas["arm"] + " over " + areas["against"])
        table = table[["pair", "n_participants", "estimate", "lower", "upper", "p_value"]]
        table = table.rename(columns={"estimate": "area"})
        how = Forest("pair", "area", "lower", "upper", "area under the targeting curve", 0.0)
        shown.append(
            Exhibit(
                "policy-rate",
                "Area under each of these curves (RATE, AUTOC)",
                "Right of 0 the predicted gain sorts persons better than chance. It judges an "
                "order of persons, not a rule, and does not decide whether to recommend by "
                "person. Several exercises are several tests: no correction is made.",
                table.reset_index(drop=True),
                svg=forest(table, how, "policy-rate"),
            )
        )
    return shown
