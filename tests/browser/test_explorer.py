"""The explorer in a browser: what it shows is what ``eih predict`` writes."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.explore import open_server

CASE = {
    "participant_id": "p1",
    "condition": "chronic_low_back_pain",
    "modality": "aerobic",
    "sex": "female",
    "age_years": "45",
    "pcs_total": "21",
    "pain_now_nrs": "4.5",
    "intensity_metric": "percent_hrr",
    "intensity_value": "55",
    "duration_min": "30",
}
TARGETS = ("response", "hyperalgesia")
SCRIPT = "<script>alert('x')</script>"
ANSWERED = "#risk-response, #errors"


@pytest.fixture(scope="module")
def address(trained: Path) -> Iterator[str]:
    """Host and port of an explorer of the small study."""
    server = open_server(trained, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def enter(watched: Any, case: dict[str, str]) -> None:
    """Fill in the form and send it."""
    page = watched.page
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for name, value in case.items():
        is_list = page.locator(f"select#{name}").count()
        (page.select_option if is_list else page.fill)(f"#{name}", value)
    page.click("button[type=submit]")
    page.wait_for_selector(ANSWERED)


def by_command(
    eih: Callable[..., Any], model: Path, case: dict[str, str], folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and rejects that the command line gives for the same values."""
    row = {"study_id": "s", "session_id": "a", **case}
    pd.DataFrame([row]).to_csv(folder / "in.csv", index=False)
    output = folder / "out.csv"

    said = eih("predict", "--model", model, "--input", folder / "in.csv", "--output", output)

    assert said.code == 0, said.err
    return pd.read_csv(output), pd.read_csv(folder / "out.rejects.csv")


def shown(watched: Any, target: str) -> tuple[float, float, float]:
    """Risk and interval as the page holds them, unrounded."""
    card = watched.page.locator(f"#risk-{target}")
    interval = card.locator(".interval")
    return (
        float(card.locator(".risk").get_attribute("data-risk")),
        float(interval.get_attribute("data-lower")),
        float(interval.get_attribute("data-upper")),
    )


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{}, {"pcs_total": "50", "intensity_value": "85"}])
def test_explorer_shows_exactly_what_predict_writes(
    open_page: Any, address: str, eih: Any, trained: Path, tmp_path: Path, changed: dict[str, str]
) -> None:
    case = CASE | changed
    watched = open_page(f"http://{address}/")

    enter(watched, case)

    row = by_command(eih, trained, case, tmp_path)[0].iloc[0]
    for target in TARGETS:
        names = (f"p_{target}", f"p_{target}_lower", f"p_{target}_upper")
        assert shown(watched, target) == tuple(row[n] for n in names)
        stops = watched.page.locator(f"#risk-{target} .abstention").count()
        assert stops == row[f"abstained_{target}"]
    assert watched.page.locator(".curve").count() == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [{"age_years": "450"}, {"duration_min": "x", "pcs_total": "99"}, {"modality": "rest"}],
)
def test_explorer_refuses_with_the_words_of_the_command_line(
    open_page: Any, address: str, eih: Any, trained: Path, tmp_path: Path, wrong: dict[str, str]
) -> None:
    watched = open_page(f"http://{address}/")

    enter(watched, CASE | wrong)

    reason = by_command(eih, trained, CASE | wrong, tmp_path)[1]["reason"].iloc[0]
    lines = watched.page.locator("#errors li").all_inner_texts()
    assert "; ".join(lines) == reason
    for name in wrong:
        assert watched.page.locator(f"#{name}").get_attribute("aria-invalid") == "true"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_explorer_is_clean_at_any_width_and_in_either_scheme(
    open_page: Any, address: str, width: int, scheme: str
) -> None:
    watched = open_page(f"http://{address}/", width, scheme)

    enter(watched, CASE | {"participant_id": SCRIPT})

    assert watched.page.locator("#who").inner_text() == SCRIPT
    assert watched.overflow() <= 0
    assert watched.grave_violations() == []
    assert watched.external(address) == []
    assert watched.faults == []
    assert all("?" not in r for r in watched.requests), "values in an address"


@pytest.mark.slow
def test_explorer_keeps_nothing_and_answers_only_its_own_page(
    address: str, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*")}
    host, _, port = address.partition(":")

    def ask(headers: dict[str, str]) -> tuple[int, str]:
        client = http.client.HTTPConnection(host, int(port), timeout=60)
        form = "condition=healthy&modality=aerobic&age_years=41.375"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        client.request("POST", "/", form, kind | headers)
        answer = client.getresponse()
        body = answer.read().decode()
        client.close()
        return answer.status, body

    status, body = ask({})

    assert (status, "41.375" in body) == (200, True)
    assert ask({"Host": f"rebound.example:{port}"})[0] == 403
    assert ask({"Origin": "http://elsewhere.example"})[0] == 403
    assert {p: p.stat().st_mtime_ns for p in trained.rglob("*")} == before
    assert "41.375" not in "".join(capfd.readouterr())
