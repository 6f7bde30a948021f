"""The feature table: its columns, where they come from, and the hash that guards them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features import build
from features.build import BUILDERS, SPECS, build_features, contract_hash, contract_parts
from features.columns import CASES, CASES_BY_NAME, CONDITIONS, KNOWN_AT_ORDER, MODALITIES
from features.contract import check_cases
from features.instruments import INSTRUMENTS
from features.spec import Builder

REQUIRED = ("study_id", "participant_id", "session_id", "condition", "modality")


def minimum(n=2):
    """Cases with nothing but the required columns."""
    return pd.DataFrame(
        {
            "study_id": ["s"] * n,
            "participant_id": [str(i) for i in range(n)],
            "session_id": ["a"] * n,
            "condition": ["healthy"] * n,
            "modality": ["aerobic"] * n,
        }
    )


def filled(n=6, seed=0):
    """Cases in which every column known before the bout has a plausible value."""
    rng = np.random.default_rng(seed)
    known = {
        c.name: plausible(c, n, rng)
        for c in CASES
        if c.name not in REQUIRED and c.kind != "text" and c.known_at not in ("during", "after")
    }
    return pd.concat([minimum(n), pd.DataFrame(known)], axis=1)


def plausible(column, n, rng):
    """Values of a column that the contract accepts."""
    if column.levels:
        return rng.choice(column.levels, n)
    if column.kind == "integer":
        return rng.integers(column.low, column.high, n, endpoint=True) * 1.0
    return rng.uniform(column.low, column.high, n)


def changed(before, after):
    """Names of the features that differ between two tables."""
    same = (before == after) | (before.isna() & after.isna())
    return set(before.columns[~same.all()])


# ---- the table


def test_columns_are_the_specs_in_their_order():
    features = build_features(check_cases(minimum()).table)

    assert list(features.columns) == [s.name for s in SPECS]
    assert (features.dtypes == np.float64).all()


def test_the_required_columns_alone_are_enough():
    features = build_features(check_cases(minimum(2)).table)
    known = features.columns[features.notna().all()]

    assert len(features) == 2
    assert {c.rsplit("_", 1)[0] for c in known} >= {"condition", "modality"}
    assert set(known) == {c for c in features.columns if c.startswith(("condition_", "modality_"))}


def test_features_keep_the_index_of_the_cases():
    table = check_cases(minimum(3)).table.set_axis([7, 3, 5], axis=0)

    assert build_features(table).index.tolist() == [7, 3, 5]


def test_no_cases_give_no_features():
    features = build_features(check_cases(minimum(0)).table)

    assert features.shape == (0, len(SPECS))


def test_every_feature_can_be_known():
    features = build_features(filled(200))

    assert features.notna().any().all()


def test_build_features_leaves_the_cases_alone():
    table = filled()
    before = table.copy(deep=True)

    build_features(table)

    pd.testing.assert_frame_equal(table, before)


def test_a_builder_that_returns_other_columns_than_it_declares_is_refused(monkeypatch):
    person = BUILDERS["person"]

    def forgets_age(cases):
        columns = person.build(cases)
        return {k: v for k, v in columns.items() if k != "age_years"}

    broken = Builder("person", person.specs, forgets_age)
    monkeypatch.setattr(build, "BUILDERS", {"person": broken})

    with pytest.raises(RuntimeError, match=r"builder 'person'.*\['age_years'\]"):
        build_features(minimum())


@pytest.mark.parametrize("table", [minimum(), filled()], ids=["few columns", "all columns"])
def test_features_asked_for_alone_are_those_of_the_whole_table(table):
    checked = check_cases(table).table
    coded = check_cases(table, categorical=True).table
    whole = build_features(checked)
    for asked in ([s.name for s in SPECS], [s.name for s in SPECS][::3], ["age_years"]):
        for given in (checked, coded):
            found = build_features(given, set(asked))

            pd.testing.assert_frame_equal(found, whole[asked], check_column_type=False)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_feature_is_missing_where_all_its_columns_are_absent(name):
    built = BUILDERS[name].build(pd.DataFrame(index=range(3)))

    assert all(np.isnan(values).all() for values in built.values())


# ---- where features come from


def test_names_are_unique():
    names = [s.name for s in SPECS]

    assert len(set(names)) == len(names)


def test_every_source_is_a_column_of_cases():
    assert {x for s in SPECS for x in s.sources} <= set(CASES_BY_NAME)
    assert all(s.sources and s.description for s in SPECS)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_a_feature_is_not_known_before_its_sources(spec):
    latest = max(KNOWN_AT_ORDER.index(CASES_BY_NAME[x].known_at) for x in spec.sources)

    assert KNOWN_AT_ORDER.index(spec.known_at) >= latest


def test_no_feature_comes_from_during_or_after_the_bout():
    late = {c.name for c in CASES if c.known_at in ("during", "after")}

    assert not late & {x for s in SPECS for x in s.sources}
    assert {s.known_at for s in SPECS} <= {"screening", "baseline"}


def test_columns_known_too_late_change_no_feature():
    table = filled()
    late = {c.name: 9.0 for c in CASES if c.known_at in ("during", "after")}

    pd.testing.assert_frame_equal(build_features(table.assign(**late)), build_features(table))


def test_keys_and_places_change_no_feature():
    table = filled()
    other = table.assign(
        study_id="t", participant_id="x", session_id="y", site_id="z", visit_id="v", drug="saline"
    )

    pd.testing.assert_frame_equal(build_features(other), build_features(table))


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_a_feature_needs_its_sources_and_is_missing_without_them(spec):
    table = filled().drop(columns=list(spec.sources))

    assert build_features(table)[spec.name].isna().all()


SOURCES = tuple(c.name for c in CASES if c.known_at in ("screening", "baseline"))


@pytest.fixture(scope="module")
def scored_from_items():
    """Cases without totals, and their features. Read only."""
    scores = [i.scale_column(s) for i in INSTRUMENTS if i.items for s in i.scales]
    cases = filled(8).drop(columns=scores).copy()
    return cases, build_features(cases)


@pytest.mark.parametrize("source", [s for s in SOURCES if not s.removeprefix("pcs_").isdigit()])
def test_a_source_changes_no_feature_that_does_not_declare_it(scored_from_items, source):
    cases, before = scored_from_items
    declared = {s.name for s in SPECS if source in s.sources}

    after = build_features(cases.assign(**{source: np.nan}))

    assert changed(before, after) <= declared


@pytest.mark.parametrize("item", range(1, 14))
def test_an_item_of_the_pcs_changes_no_scale_that_does_not_declare_it(item):
    # With one item missing already, a second one anywhere empties every scale.
    table = filled(8)
    table[f"pcs_{item % 13 + 1}"] = np.nan
    declared = {s.name for s in SPECS if f"pcs_{item}" in s.sources}

    after = build_features(table.assign(**{f"pcs_{item}": np.nan}))

    assert changed(build_features(table), after) <= declared


def test_roles_of_the_ladder_are_where_the_design_puts_them():
    role = {s.name: s.role for s in SPECS}
    stratum = {n for n, r in role.items() if r == "stratum"}
    baseline = {n for n, r in role.items() if r == "baseline"}

    assert stratum == {
        "intensity_class",
        *(f"condition_{c}" for c in CONDITIONS),
        *(f"modality_{m}" for m in MODALITIES),
    }
    assert baseline == {
        "pain_now_nrs",
        "pain_average_week_nrs",
        "pain_worst_week_nrs",
        *(
            f"{device}ppt_baseline_{site}_log_kpa"
            for device in ("", "cuff_")
            for site in ("local", "remote")
        ),
    }


# ---- the hash


def test_the_hash_is_the_same_twice():
    assert contract_parts() == contract_parts()
    assert contract_hash() == contract_hash(contract_parts())


def test_the_hash_is_the_same_in_another_process():
    code = "from features.build import contract_hash; print(contract_hash())"

    root = Path(build.__file__).parents[1]
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )

    assert other.stdout.strip() == contract_hash()


def test_the_hash_does_not_depend_on_the_order_of_the_parts():
    parts = contract_parts()

    assert contract_hash(dict(reversed(parts.items()))) == contract_hash(parts)


@pytest.mark.parametrize(
    "change", [{"high": 12.0}, {"low": -1.0}, {"unit": "cm"}, {"known_at": "after"}]
)
def test_a_changed_column_changes_its_part_and_the_hash(monkeypatch, change):
    parts = contract_parts()
    changed = tuple(replace(c, **change) if c.name == "pain_now_nrs" else c for c in CASES)

    monkeypatch.setattr(build, "CASES", changed)
    now = contract_parts()

    assert {k for k in parts if now[k] != parts[k]} == {"column pain_now_nrs"}
    assert contract_hash() != contract_hash(parts)


def test_a_new_level_changes_the_hash(monkeypatch):
    before = contract_hash()
    changed = tuple(
        replace(c, levels=(*c.levels, "migraine")) if c.name == "condition" else c for c in CASES
    )

    monkeypatch.setattr(build, "CASES", changed)

    assert contract_hash() != before


def test_a_changed_feature_changes_its_part_and_the_hash(monkeypatch):
    parts = contract_parts()
    first = replace(SPECS[0], unit="decades")

    monkeypatch.setattr(build, "SPECS", (first, *SPECS[1:]))
    now = contract_parts()

    assert {k for k in parts if now[k] != parts[k]} == {f"feature {first.name}"}
    assert contract_hash() != contract_hash(parts)


@pytest.mark.parametrize("seed_file", build.REFERENCES)
def test_a_changed_reference_changes_its_part_and_the_hash(monkeypatch, seed_file):
    parts = contract_parts()
    load = build.load_reference

    monkeypatch.setattr(
        build, "load_reference", lambda n: {**load(n), "x": 1} if n == seed_file else load(n)
    )
    now = contract_parts()

    assert {k for k in parts if now[k] != parts[k]} == {f"seeds/{seed_file}"}
    assert contract_hash() != contract_hash(parts)
