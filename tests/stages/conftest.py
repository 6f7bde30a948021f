"""Servers of other programs, started on the loopback and stopped with the tests that use them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

STARTS_WITHIN_S = 120


@dataclass(frozen=True)
class Served:
    """A server on the loopback: its port, what it has said, and its process."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]


Serve = Callable[[list[str], Path, Mapping[str, str]], Served]


def bare_environment() -> dict[str, str]:
    """An environment that does not lead to this checkout, with the interpreter's programs."""
    left = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "PYTEST_CURRENT_TEST")}
    # MLflow starts its servers by their names.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return left | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}


def find_free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def bare() -> dict[str, str]:
    """See :func:`bare_environment`."""
    return bare_environment()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """See :func:`find_free_port`."""
    return find_free_port


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Start ``python -m <arguments> --host 127.0.0.1 --port N`` and wait for its health check."""
    with ExitStack() as running:
        yield lambda arguments, folder, environment: running.enter_context(
            _serving(arguments, folder, environment)
        )


@contextmanager
def _serving(
    arguments: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[Served]:
    port = find_free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=bare_environment() | dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        served = Served(port, folder / "log", process)
        _wait_for(served)
        yield served
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _wait_for(served: Served) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        assert served.process.poll() is None, served.log.read_text()
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)) as client:
                client.request("GET", "/health")
                if client.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {served.log.read_text()}")
