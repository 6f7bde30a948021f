"""The tables of a simulated study: what was drawn, as a study would deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.columns import KEYS
from features.reference import load_reference
from features.simulated_missingness import lose_at_random, punch_holes
from features.simulated_people import Codes, People
from features.simulated_readings import KINDS, Readings
from features.simulated_responses import VISITS, Responses, Visits
from features.simulation_parameters import Parameters, Plan
from features.spec import Vector
from features.units import KPA_PER_UNIT

STUDY_ID = "simulated"
SITES = ("local", "remote")
# The model knows no anatomy: one level per person and role, whatever the muscle.
BODY_SITES = np.array(["exercised_muscle", "remote_muscle"])
PROGRAMME = "programme"
# Sessions in the order of the rows of a person.
SESSIONS = (*(f"{kind}_{v + 1}" for v in range(VISITS) for kind in KINDS), PROGRAMME)


@dataclass(frozen=True)
class Rows:
    """The sessions that took place, one a row of ``cases``.

    Parameters
    ----------
    person, session : ndarray of shape (n_rows,), int
        ``session`` is a position in :data:`SESSIONS`.
    """

    person: Codes
    session: Codes

    @property
    def visit(self) -> Codes:
        """Visit of each row; a programme follows the first exercise."""
        return np.where(self.is_programme, 0, self.session // len(KINDS))

    @property
    def kind(self) -> Codes:
        """0 = rest, 1 = bout (or programme)."""
        return np.where(self.is_programme, 1, self.session % len(KINDS))

    @property
    def is_programme(self) -> npt.NDArray[np.bool_]:
        """Whether the row is a programme."""
        trained: npt.NDArray[np.bool_] = self.session == len(SESSIONS) - 1
        return trained


def session_rows(visits: Visits) -> Rows:
    """List the sessions that took place, person by person."""
    attended = np.repeat(visits.attended, len(KINDS), axis=1)
    person, session = np.nonzero(np.column_stack([attended, visits.programme]))
    return Rows(person, session)


def key_columns(rows: Rows) -> pd.DataFrame:
    """Keys of every row; an id has at least four digits, however many people there are."""
    ids = np.array([f"P{i:04d}" for i in range(1, rows.person.max() + 2)])
    return pd.DataFrame(
        {
            "study_id": STUDY_ID,
            "participant_id": ids[rows.person],
            "session_id": np.array(SESSIONS)[rows.session],
        }
    )


def cases_table(
    people: People, visits: Visits, readings: Readings, plan: Plan, rows: Rows
) -> pd.DataFrame:
    """Person columns, with their missing values, beside those of the bout."""
    now = _pain_now(readings, rows, plan)
    first = (rows.session == 0) & (rows.kind == 0)
    persons = _persons(people, now[first].to_numpy(), plan)
    of_rows = persons.iloc[rows.person].reset_index(drop=True)
    order = visits.order[rows.person, rows.visit]
    period = np.where(rows.is_programme, 2 * VISITS + 1, 2 * order - 1 + rows.kind)
    visit = np.where(rows.is_programme, VISITS + 1, order)
    when = pd.DataFrame({"period": period, "visit_id": visit})
    when["visit_id"] = "visit_" + when["visit_id"].astype(str)
    exercise = _exercise_columns(people, visits, plan.parameters, rows)
    return pd.concat(
        [key_columns(rows), when, of_rows, now.rename("pain_now_nrs"), exercise], axis=1
    )


def _pain_now(readings: Readings, rows: Rows, plan: Plan) -> pd.Series:
    """Pain on arrival, some of it not reported."""
    arrival = readings.pain_nrs[..., 0].reshape(len(readings.pain_nrs), -1)
    every = np.column_stack([arrival, readings.programme_nrs[:, 0]])
    table = pd.DataFrame(every, columns=list(SESSIONS))
    holed = punch_holes(table, [(s,) for s in SESSIONS], plan, "pain on arrival")
    return pd.Series(holed.to_numpy()[rows.person, rows.session])


def _persons(people: People, pain_reported: Vector, plan: Plan) -> pd.DataFrame:
    labs = plan.parameters["labs"]
    persons = people.table.assign(site_id=np.array(list(labs))[people.lab])
    persons = lose_at_random(persons, pain_reported, plan)
    timing = pd.Series([lab["cpm_timing"] or None for lab in labs.values()], dtype="str")
    persons["cpm_timing"] = timing.iloc[people.lab].to_numpy()
    cpm = [c for c in persons.columns if c.startswith("cpm_ppt_")]
    persons.loc[persons["cpm_timing"].isna(), cpm] = np.nan
    return persons


def _exercise_columns(people: People, visits: Visits, tree: Parameters, rows: Rows) -> pd.DataFrame:
    """What is planned; rest is the last entry; the metric of aerobic intensity is the lab's."""
    rest = {"modality": "rest", "painful": 0, "duration_min": tree["sessions"]["rest_min"]}
    exercises: list[dict[str, Any]] = [*tree["exercise"].values(), rest]
    done = visits.exercise[rows.person, rows.visit]
    done = np.where(rows.kind == 0, len(exercises) - 1, done)
    of_lab = [[_intensity(e, lab, tree) for e in exercises] for lab in tree["labs"].values()]
    metric = np.array([[m for m, _ in row] for row in of_lab], dtype=object)
    value = np.array([[v for _, v in row] for row in of_lab])
    lab = people.lab[rows.person]
    plan = pd.DataFrame(
        {
            "modality": [e["modality"] for e in exercises],
            "duration_min": [float(e["duration_min"]) for e in exercises],
            "body_region": pd.Series([e.get("body_region") for e in exercises], dtype="str"),
            "loads_painful_region": [float(e["painful"]) for e in exercises],
        }
    ).iloc[done]
    programme = tree["programme"]
    return plan.reset_index(drop=True).assign(
        intensity_metric=pd.Series(metric[lab, done], dtype="str"),
        intensity_value=value[lab, done],
        programme_weeks=np.where(rows.is_programme, float(programme["weeks"]), np.nan),
        frequency_per_week=np.where(
            rows.is_programme, float(programme["frequency_per_week"]), np.nan
        ),
    )


def _intensity(
    exercise: dict[str, Any], lab: dict[str, Any], tree: Parameters
) -> tuple[str | None, float]:
    """Metric and value in which a laboratory prescribes an exercise; rest has neither."""
    if exercise["modality"] == "rest":
        return None, np.nan
    metric = tree["metrics"].get(exercise["modality"], lab["aerobic_metric"])
    scale = load_reference("exercise_intensity.toml")
    points = scale["metrics"][metric]["value"]
    return metric, float(np.rint(np.interp(exercise["relative"], scale["relative"], points)))


def measurements_table(
    people: People, readings: Readings, tree: Parameters, rows: Rows
) -> pd.DataFrame:
    """One row per trial, sessions in the order of ``cases``; what was not read has no row."""
    pressure = _pressure_rows(people, readings, tree, rows)
    pain = _pain_rows(readings, tree, rows)
    table = pd.concat([pressure, pain]).sort_values("row", kind="stable", ignore_index=True)
    keys = key_columns(rows).iloc[table.pop("row").to_numpy()].reset_index(drop=True)
    return pd.concat([keys, table], axis=1)


def _timepoints(tree: Parameters) -> Vector:
    names: Vector = np.array(["pre", "post", "post_24h", f"week_{int(tree['programme']['weeks'])}"])
    return names


def _left(readings: Readings, rows: Rows) -> npt.NDArray[np.bool_]:
    of_visit = readings.left[rows.person, rows.visit, rows.kind]
    return np.where(rows.is_programme, readings.programme_left[rows.person], of_visit)


def _pressure_rows(
    people: People, readings: Readings, tree: Parameters, rows: Rows
) -> pd.DataFrame:
    """Readings as the laboratory's device shows them: its unit, its resolution."""
    kpa = readings.ppt_kpa[rows.person, rows.visit, rows.kind]
    kpa[rows.is_programme] = readings.programme_kpa[rows.person[rows.is_programme]]
    units = [lab["unit"] for lab in tree["labs"].values()]
    lab = people.lab[rows.person]
    factor = np.array([KPA_PER_UNIT[u] for u in units])[lab][:, None, None, None]
    step = np.array([v["resolution"] for v in tree["labs"].values()])[lab][:, None, None, None]
    shown = np.rint(kpa / (factor * step)) * step
    row, site, time, trial = (a.ravel() for a in np.indices(shown.shape))
    late = time == 1
    moment = np.where(late & rows.is_programme[row], 3, time)
    table = pd.DataFrame(
        {
            "row": row,
            "measure": "ppt",
            "body_site": BODY_SITES[site],
            "site_role": np.array(SITES)[site],
            "timepoint": _timepoints(tree)[moment],
            "trial": trial + 1,
            # Multiples of .05 and .1 are not exact in binary: show what the display shows.
            "value": shown.ravel().round(2),
            "unit": np.array(units)[lab[row]],
        }
    )
    kept: pd.DataFrame = table[~(late & _left(readings, rows)[row])]
    return kept


def _pain_rows(readings: Readings, tree: Parameters, rows: Rows) -> pd.DataFrame:
    """Clinical pain before, after and a day later, or before and after a programme."""
    pain = readings.pain_nrs[rows.person, rows.visit, rows.kind, 1:]
    pain[rows.is_programme, :2] = readings.programme_nrs[rows.person[rows.is_programme], 1:]
    row, time = (a.ravel() for a in np.indices(pain.shape))
    trained = rows.is_programme[row]
    moment = np.where((time == 1) & trained, 3, time)
    table = pd.DataFrame(
        {
            "row": row,
            "measure": "pain_nrs",
            "body_site": "own_pain",
            "site_role": "clinical",
            "timepoint": _timepoints(tree)[moment],
            "trial": 1,
            "value": pain.ravel(),
            "unit": "0-10",
        }
    )
    late = (time > 0) & _left(readings, rows)[row]
    kept: pd.DataFrame = table[~(late | ((time == 2) & trained))]
    return kept


def truth_table(responses: Responses, tree: Parameters, rows: Rows) -> pd.DataFrame:
    """What no study knows, one row per row of ``cases``."""
    bout = rows.kind == 1
    acute = bout & ~rows.is_programme
    where = (rows.person, rows.visit)
    change = np.where(acute[:, None], responses.log_change[where], 0.0)
    change[rows.is_programme] = responses.programme[rows.person[rows.is_programme]]
    stratum = np.where(acute[:, None], responses.stratum[where], 0.0)
    mean = tree["programme"]["mean"]
    stratum[rows.is_programme] = [mean["local"], mean["remote"]]
    return key_columns(rows)[list(KEYS)].assign(
        true_response_local_log=change[:, 0],
        true_response_remote_log=change[:, 1],
        stratum_mean_local_log=stratum[:, 0],
        stratum_mean_remote_log=stratum[:, 1],
        laboratory_log=np.where(acute, responses.laboratory[rows.person], 0.0),
        linear_predictor=np.where(bout, responses.linear[rows.person], 0.0),
        p_flare=np.select(
            [acute, bout], [responses.flare[where], np.nan], tree["flare"]["rest_rate"]
        ),
    )
