"""A team's store: MLflow's server on a real PostgreSQL, as containers/compose.yaml sets it up."""

from __future__ import annotations

import getpass
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.artefacts import read_bundle
from pipeline.cli import main
from pipeline.io import read_json
from pipeline.predict import predict

ROOT = Path(__file__).resolve().parents[2]
MODEL = "eih-small-response"
NO_DRIVER = "psycopg2 is not installed (extra 'team')"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("psycopg2"), reason=NO_DRIVER),
]


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server on the loopback."""

    port: int
    password: str

    @property
    def uri(self) -> str:
        """Where it is, without the password."""
        return f"postgresql+psycopg2://eih@127.0.0.1:{self.port}/postgres"

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query, read beside MLflow."""
        import psycopg2

        where = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres", "user": "eih"}
        with (
            closing(psycopg2.connect(**where, password=self.password)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall()


def find_programs() -> Path:
    """Folder of PostgreSQL's server programs, or a skip with the reason."""
    beside = [Path(found).resolve().parent for found in [shutil.which("pg_ctl")] if found]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*packaged, *beside]:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    pytest.skip("PostgreSQL's server is not installed (package 'postgresql')")


def find_owner() -> str:
    """PostgreSQL refuses to run as root: another user of this machine, or the one we are."""
    if os.getuid() != 0:
        return getpass.getuser()
    names = {user.pw_name for user in pwd.getpwall()}
    owner = next((n for n in ("postgres", "nobody") if n in names), None)
    return owner or pytest.skip("no user but root, as whom PostgreSQL does not run")


@pytest.fixture(scope="module")
def database(free_port: Callable[[], int]) -> Iterator[Database]:
    """A new PostgreSQL server with nothing in it."""
    programs, owner = find_programs(), find_owner()
    found = Database(free_port(), secrets.token_urlsafe(16))
    identity = {"user": owner, "group": pwd.getpwnam(owner).pw_gid} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="eih-pg") as place:
        folder = Path(place)
        (folder / "password").write_text(found.password)
        for path in (folder, folder / "password"):
            shutil.chown(path, owner)

        def run(program: str, *options: str) -> None:
            log = (folder / "said").open("ab")
            with log:
                subprocess.run(
                    [str(programs / program), "-D", str(folder / "data"), *options],
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    check=True,
                    timeout=60,
                    extra_groups=[] if identity else None,
                    **identity,
                )

        run("initdb", "-U", "eih", "-A", "scram-sha-256", "--pwfile", f"{folder / 'password'}")
        where = f"-p {found.port} -h 127.0.0.1 -k {folder} -c fsync=off"
        run("pg_ctl", "start", "-w", "-o", where, "-l", str(folder / "log"))
        try:
            yield found
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


@pytest.fixture(scope="module")
def tracking(
    database: Database, serve: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """MLflow's server over the database; artefacts go through it, as to an object store."""
    folder = tmp_path_factory.mktemp("tracking")
    places = ["--backend-store-uri", database.uri, "--artifacts-destination", str(folder / "files")]
    environment = {
        "PGPASSWORD": database.password,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    served = serve(["mlflow", "server", *places, "--workers", "1"], folder, environment)
    before = mlflow.get_tracking_uri()
    yield served
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def registered(tracking: Any, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``eih register`` says after it has written to the team's server."""
    folder = tmp_path_factory.mktemp("registered")
    params = folder / "params.yaml"
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["register"]["tracking_uri"] = f"http://127.0.0.1:{tracking.port}"
    params.write_text(yaml.safe_dump(settings))
    output = folder / "registration.json"
    options = ["--output", str(output), "--params", str(params)]
    assert main(["register", str(trained / "response"), *options]) == 0
    return read_json(output)


def test_runs_and_registry_are_in_the_database(registered: Any, database: Database) -> None:
    assert registered["model"] == MODEL
    names = {name for (name,) in database.ask("select name from runs")}
    versions = database.ask("select name, version from model_versions")
    aliases = database.ask("select alias, version from registered_model_aliases")

    assert {MODEL, "prevalence", "logistic", "xgboost"} <= names
    assert versions == [(MODEL, 1)]
    assert aliases == [("candidate", 1)]


def test_model_comes_back_through_the_server_and_answers(
    registered: Any, tracking: Any, trained: Path
) -> None:
    mlflow.set_tracking_uri(f"http://127.0.0.1:{tracking.port}")
    cases = pd.read_parquet(trained / "cases.parquet").head(20)
    cases = cases[cases["modality"] != "rest"].reset_index(drop=True)
    bundle = read_bundle(trained / "response" / "bundle")
    expected = predict(cases, {"response": bundle}).predictions["p_response"]

    answer = mlflow.pyfunc.load_model(f"models:/{MODEL}@candidate").predict(cases)

    np.testing.assert_array_equal(answer["p_response"], expected)


def test_password_is_in_no_log_and_no_table(
    registered: Any, tracking: Any, database: Database
) -> None:
    assert database.password not in tracking.log.read_text()
    assert database.password not in str(registered)
    texts = database.ask("select key, value from params union select key, value from tags")
    assert database.password not in str(texts)
