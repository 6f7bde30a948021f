"""The container recipes: pinned, without root, secrets or data, and reachable from here only.

No container is started: what can be read off the files is checked.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "containers"
PINNED = re.compile(r"[\w./-]+:(\w[\w.-]*\d[\w.-]*)")
SECRET = re.compile(r"password|passwd|secret|token|credential|access_key|api_key", re.IGNORECASE)
FINAL = ("serve", "tracking")
# The model comes from a build context of that name, which the user gives.
CONTEXTS = {"model"}


def instructions():
    """The recipe as (stage, instruction, rest), lines that go on joined."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    stage = ""
    for line in filter(str.strip, lines):
        word, rest = line.strip().split(maxsplit=1)
        if word == "FROM":
            stage = rest.split(" AS ")[1]
        yield stage, word, rest


RECIPE = list(instructions())
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


def of(stage, word):
    return [rest for where, what, rest in RECIPE if (where, what) == (stage, word)]


def test_every_base_image_is_pinned():
    bases = [rest.split(" AS ")[0] for _, word, rest in RECIPE if word == "FROM"]

    assert len(bases) == 4
    assert all(PINNED.fullmatch(base) for base in bases)


@pytest.mark.parametrize("stage", FINAL)
def test_the_process_is_not_root(stage):
    uid, gid = of(stage, "USER")[-1].split(":")

    assert int(uid) > 0
    assert int(gid) > 0
    # Nothing is copied or run as another user after it.
    words = [word for where, word, _ in RECIPE if where == stage]
    assert not {"COPY", "RUN", "ADD"} & set(words[words.index("USER") :])


@pytest.mark.parametrize("stage", FINAL)
def test_the_image_says_whether_it_is_healthy(stage):
    (check,) = of(stage, "HEALTHCHECK")
    (port,) = of(stage, "EXPOSE")

    assert f"http://127.0.0.1:{port}/health" in check


def test_nothing_is_fetched_by_address():
    assert not [rest for _, word, rest in RECIPE if word == "ADD"]
    fetching = re.compile(r"https?://(?!127\.0\.0\.1)|curl|wget|git clone")
    assert not [rest for _, _, rest in RECIPE if fetching.search(rest)]


def test_packages_are_installed_by_hash_or_from_checked_wheels():
    runs = [rest for _, word, rest in RECIPE if word == "RUN" and "pip " in rest]

    assert len(runs) == 3
    assert all("--require-hashes" in run or "--no-index" in run for run in runs)


def test_what_is_copied_from_the_checkout_exists_and_is_let_in():
    let_in = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copies = [rest.split() for _, word, rest in RECIPE if word == "COPY"]
    stages = {where for where, _, _ in RECIPE}
    sources = set()
    for parts in copies:
        origin = [p.removeprefix("--from=") for p in parts if p.startswith("--from=")]
        if origin:
            assert origin[0] in stages | CONTEXTS
        else:
            sources |= {p for p in parts[:-1] if not p.startswith("--")}

    assert sources == let_in
    assert all((ROOT / source).is_file() for source in sources)


def test_a_build_sees_nothing_but_what_it_copies():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert all(rule.startswith("!") for rule in rules[1:])


def test_the_model_cannot_be_written():
    (copy,) = [c for c in of("serve", "COPY") if "--from=model" in c]

    assert "--chown=root:root" in copy
    assert "--chmod=a=rX" in copy


def test_the_recipe_holds_no_secret():
    named = [rest for _, word, rest in RECIPE if word in ("ENV", "ARG") and SECRET.search(rest)]

    assert named == []


# ---- compose


def test_every_image_is_pinned_or_built_here():
    stages = {where for where, _, _ in RECIPE}
    for service in SERVICES.values():
        if "image" in service:
            assert PINNED.fullmatch(service["image"])
        else:
            assert service["build"]["target"] in stages
            assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_ports_are_on_the_loopback_only():
    ports = [p for service in SERVICES.values() for p in service.get("ports", [])]

    assert len(ports) == 2
    assert all(p.startswith("127.0.0.1:") for p in ports)


def test_the_store_is_reached_through_the_tracking_server_only():
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert {n for n, s in SERVICES.items() if "store" in s["networks"]} == {
        "postgres",
        "objects",
        "bucket",
        "tracking",
    }
    assert {n for n, s in SERVICES.items() if "front" in s["networks"]} == {"tracking", "serve"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


def test_secrets_come_from_files_that_are_not_in_the_repository():
    files = [secret["file"] for secret in COMPOSE["secrets"].values()]
    ignored = subprocess.run(
        ["git", "check-ignore", *[str(FOLDER / f) for f in files]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(ignored.stdout.splitlines()) == len(files) == 3


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_secrets_as_files_only(name):
    environment = SERVICES[name].get("environment", {})

    secret = {n: v for n, v in environment.items() if SECRET.search(n)}
    assert all(str(v).startswith("/run/secrets/") for v in secret.values())
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])


def test_the_tracking_server_starts_as_the_tested_one_does():
    script = (FOLDER / "tracking.sh").read_text(encoding="utf-8")

    # tests/stages/test_postgres.py: the same program, address without password, PGPASSWORD.
    assert '"postgresql+psycopg2://mlflow@postgres:5432/mlflow"' in script
    assert "export PGPASSWORD" in script
    assert (FOLDER / "tracking.sh").stat().st_mode & 0o111
