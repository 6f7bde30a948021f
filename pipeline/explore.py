"""Tool ``explore``: one person and one exercise on a local page; nothing is kept.

Rendered here, without scripts: what is entered goes to this process in the body of a request and
into the answer to it, not into addresses, logs or files.
"""

from __future__ import annotations

import logging
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, render_template, request
from werkzeug.serving import BaseWSGIServer, make_server

from features.simulated_tables import STUDY_ID
from models.bundle import Bundle
from pipeline.artefacts import bundle_id, find_bundles
from pipeline.errors import ConfigError
from pipeline.explorer_answer import Answer, answer
from pipeline.explorer_curve import HEIGHT, STROKES, WIDTH
from pipeline.explorer_form import NAME, read_form, sections

LOOPBACK = "127.0.0.1"
NAMES = frozenset({LOOPBACK, "localhost"})
MOST_BYTES = 1 << 20
# Nothing from elsewhere, no script at all, no frame around the page.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Model:
    """What answers, and the name of the folder it came from."""

    name: str
    bundles: Mapping[str, Bundle]

    def described(self) -> list[dict[str, str]]:
        """Return each target with its candidate and the id of its bundle."""
        return [
            {"target": t, "candidate": b.candidate, "id": bundle_id(b)}
            for t, b in self.bundles.items()
        ]


def make_app(model: Model) -> Flask:
    """Return the application: ``/`` (the form, and the answer to it) and ``/style.css``."""
    app = Flask("pipeline", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MOST_BYTES
    app.jinja_env.autoescape = True
    app.before_request(_only_from_here)
    app.after_request(_with_headers)
    app.add_url_rule("/", "page", lambda: _page(model), methods=["GET", "POST"])
    app.add_url_rule("/style.css", "style", _style)
    app.add_url_rule("/health", "health", lambda: Response("ok", mimetype="text/plain"))
    return app


def _only_from_here() -> None:
    """Refuse requests under another name (DNS rebinding) and forms of other pages."""
    if request.host.rpartition(":")[0] not in NAMES:
        abort(403)
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin not in (None, "null", f"http://{request.host}"):
        abort(403)
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


def _style() -> Response:
    return Response(render_template("explorer.css.jinja"), mimetype="text/css")


def _page(model: Model) -> str:
    entered = read_form(request.form)
    found = answer(model.bundles, entered) if request.method == "POST" else Answer()
    return render_template(
        "explorer.html.jinja",
        model=model,
        simulated=any(b.record.get("study") == STUDY_ID for b in model.bundles.values()),
        name=entered.get(NAME, ""),
        answer=found,
        sections=sections(model.bundles, entered, found.errors or {}),
        size=(WIDTH, HEIGHT),
        strokes=STROKES,
    )


def open_server(model: Path, port: int) -> BaseWSGIServer:
    """Return a server on the loopback that answers for a bundle or a study's outputs.

    Parameters
    ----------
    model : Path
    port : int
        0 takes any free one.

    Raises
    ------
    ConfigError
        If the port is taken.
    """
    bundles = find_bundles(model)
    # Requests are not logged: an address could hold what somebody typed into it.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        return make_server(LOOPBACK, port, make_app(Model(model.resolve().name, bundles)))
    except (OSError, SystemExit):
        raise ConfigError(
            f"--port: expected a free port, found {port} in use. Choose another, or 0 for any."
        ) from None


def run(model: Path, port: int, say: Callable[[str], None], show: bool = True) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    model : Path
        A bundle, or a study's output folder.
    port : int
    say : callable
        Is told the address.
    show : bool, default=True
        Whether to open the page in the user's browser.
    """
    server = open_server(model, port)
    address = f"http://{LOOPBACK}:{server.server_port}/"
    say(address)
    if show:
        webbrowser.open_new_tab(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("stopped")
    finally:
        server.server_close()
