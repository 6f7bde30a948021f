"""Columns of the exercise proposed: frequency, intensity, time, type, volume, progression."""

from __future__ import annotations

from features.column import Column, choice, count, flag, number
from features.reference import load_reference

MODALITIES = ("aerobic", "isometric", "dynamic_resistance", "mixed", "mind_body", "rest")
REGIONS = ("upper_limb", "lower_limb", "trunk", "neck", "whole_body")
PROGRESSIONS = ("none", "scheduled", "individual")
HEART_RATE = "heart_rate_bpm"
_INTENSITY = "seeds/exercise_intensity.toml"

EXERCISE_COLUMNS: tuple[Column, ...] = (
    Column(
        "modality", "category", "baseline", "exercise planned", levels=MODALITIES, required=True
    ),
    choice(
        "intensity_metric",
        (*load_reference("exercise_intensity.toml")["metrics"], HEART_RATE),
        "what intensity_value is measured in",
        source=_INTENSITY,
    ),
    number("intensity_value", "", (0, 250), "planned intensity", source=_INTENSITY),
    number("resting_heart_rate_bpm", "1/min", (30, 130), "resting heart rate"),
    number("maximal_heart_rate_bpm", "1/min", (80, 230), "maximal heart rate, measured"),
    number("exercise_mets", "MET", (1, 25), "energy cost of the exercise, as in the Compendium"),
    number("duration_min", "min", (0, 600), "planned duration of the bout"),
    count("sets", (1, 100), "planned sets"),
    count("repetitions", (1, 1000), "planned repetitions or contractions of a set"),
    number("contraction_s", "s", (0.1, 7200), "planned time of one isometric contraction"),
    number("load_kg", "kg", (0, 1000), "planned load of one repetition"),
    number("frequency_per_week", "1/week", (0, 21), "bouts per week of a programme"),
    number("programme_weeks", "weeks", (0, 260), "length of a programme"),
    choice("progression", PROGRESSIONS, "how the load of a programme rises"),
    choice("body_region", REGIONS, "region exercised"),
    choice("tested_region", REGIONS, "region in which the response is measured"),
    choice("painful_region", REGIONS, "main painful region; whole_body where pain is widespread"),
    flag("loads_painful_region", "the exercise loads a painful region"),
)
