"""``eih doctor`` says whether an installation works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import doctor


def test_doctor_finds_this_installation_healthy(
    eih: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    said = eih("doctor", "--json", "-")

    found = json.loads(said.out)
    assert said.code == 0, said.err
    assert found["healthy"]
    assert {c["name"] for c in found["checks"]} == {"python", "shap x xgboost", "store", "disk"}
    assert found["versions"]["xgboost"]
    assert list(tmp_path.iterdir()) == []


def test_doctor_ends_with_10_and_says_what_to_do_where_the_store_does_not_answer(
    eih: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    said = eih("doctor", "--store", "http://someone:secret@127.0.0.1:9")  # pragma: allowlist secret

    assert said.code == 10
    assert "BAD store" in said.out
    assert "Check register.tracking_uri" in said.out
    assert "secret" not in said.out + said.err


def test_doctor_looks_at_the_rest_where_shap_cannot_read_xgboost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> tuple[bool, str]:
        raise ValueError("could not convert string to float")

    monkeypatch.setattr(doctor, "_explains", broken)

    found = doctor.examine("sqlite:///nowhere.db")

    assert not found["healthy"]
    assert [c["name"] for c in found["checks"] if not c["ok"]] == ["shap x xgboost"]
