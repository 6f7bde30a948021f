"""`make audit` passes only when every locked version was looked up and nothing was found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def audit(folder, said, code):
    """Run the script with a stand-in for pip-audit that says this and ends so."""
    stand_in = folder / "pip-audit"
    stand_in.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit {code}\n")
    stand_in.chmod(0o755)
    return subprocess.run(
        ["bash", str(ROOT / ".ci" / "audit"), str(stand_in)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_advisory_passes(tmp_path):
    done = audit(tmp_path, "No known vulnerabilities found", 0)

    assert done.returncode == 0
    assert done.stdout == "audit: no known advisory on the versions in requirements.lock\n"


def test_an_advisory_fails_and_is_shown(tmp_path):
    done = audit(tmp_path, "Found 1 known vulnerability in 1 package\nflask 0.5 PYSEC-1", 1)

    assert done.returncode == 1
    assert "flask 0.5 PYSEC-1" in done.stdout


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ERROR:pip_audit._cli:Could not connect to the vulnerability feed", 1),
        ("ERROR:pip_audit._cli:flask: Dependency not found and could not be audited", 1),
        ("", 0),
        ("", 1),
    ],
)
def test_silence_of_the_service_is_no_pass(tmp_path, said, code):
    done = audit(tmp_path, said, code)

    assert done.returncode == 2
    assert "the advisory service could not be asked about every version" in done.stdout


def test_a_missing_program_is_no_pass(tmp_path):
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "audit"), str(tmp_path / "nothing")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2


def test_ci_does_not_depend_on_the_advisory_service():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    checks = recipe.split("\ncheck: ")[1].split("\n\n")[0]

    assert "audit" not in checks
    assert "audit" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
