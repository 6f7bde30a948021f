"""The explorer in a browser: what it shows is what ``eih predict`` writes."""

from __future__ import annotations

import http.client
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from werkzeug.serving import BaseWSGIServer, make_server

from pipeline.artefacts import find_bundles
from pipeline.explore import LOOPBACK, Model, make_app, open_server

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


@contextmanager
def serving(server: BaseWSGIServer) -> Iterator[str]:
    """Serve meanwhile; give host and port."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"{LOOPBACK}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def address(trained: Path) -> Iterator[str]:
    """Host and port of an explorer of the small study."""
    with serving(open_server(trained, 0)) as place:
        yield place


@pytest.fixture(scope="module")
def with_reasons(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with the models that use predictors, whichever was chosen."""
    folder = tmp_path_factory.mktemp("explored") / "logistic"
    for target in TARGETS:
        shutil.copytree(trained / target / "train/candidates/logistic", folder / target / "bundle")
    return folder


@pytest.fixture(scope="module")
def two_address(with_reasons: Path) -> Iterator[str]:
    """An explorer of models that use predictors."""
    with serving(open_server(with_reasons, 0)) as place:
        yield place


@pytest.fixture(scope="module")
def flare_address(with_reasons: Path) -> Iterator[str]:
    """An explorer of a study whose second target is flare."""
    bundles = find_bundles(with_reasons)
    flare = replace(bundles["hyperalgesia"], target="flare")
    model = Model("flares", {"response": bundles["response"], "flare": flare})
    with serving(make_server(LOOPBACK, 0, make_app(model))) as place:
        yield place


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


def styles(watched: Any, selector: str, what: str) -> set[str]:
    """The values that a property has in all elements found; there has to be one."""
    found = watched.page.locator(selector).evaluate_all(
        "(all, what) => all.map(e => getComputedStyle(e)[what])", what
    )
    assert found, selector
    return set(found)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("second", "stroke"), [("hyperalgesia", "dashed"), ("flare", "dotted")])
def test_a_target_has_one_colour_and_the_legend_names_it(
    open_page: Any, two_address: str, flare_address: str, second: str, stroke: str, scheme: str
) -> None:
    place = flare_address if second == "flare" else two_address
    watched = open_page(f"http://{place}/", scheme=scheme)

    enter(watched, CASE)

    colours = {}
    for target in ("response", second):
        bars = styles(watched, f"#risk-{target} .bar", "fill")
        assert len(bars) == 1
        assert styles(watched, f"svg .line.{target}", "stroke") == bars
        assert styles(watched, f"#risk-{target} > .risk", "color") <= bars | styles(
            watched, ".abstained > .risk, .soft", "color"
        )
        colours[target] = bars
    assert colours["response"] != colours[second]
    legend = watched.page.locator(".legend li").all_inner_texts()
    assert sorted(legend) == sorted(["response, solid", f"{second}, {stroke}"])
    dashes = styles(watched, f".legend .line.{second}", "strokeDasharray")
    assert dashes == styles(watched, f".curve .line.{second}", "strokeDasharray") != {"none"}
    assert styles(watched, ".curve .line.response", "strokeDasharray") == {"none"}
    other = "hyperalgesia" if second == "flare" else "flare"
    assert other not in watched.page.locator("section").inner_text()


@pytest.mark.slow
def test_a_curve_outside_the_training_range_is_hollow_everywhere_and_says_so(
    open_page: Any, two_address: str, eih: Any, with_reasons: Path, tmp_path: Path
) -> None:
    case = CASE | {"weight_kg": "250", "height_cm": "140", "duration_min": "600"}
    watched = open_page(f"http://{two_address}/")

    enter(watched, case)

    row = by_command(eih, with_reasons, case, tmp_path)[0].iloc[0]
    assert "outside_training_range" in row["abstain_reasons_response"]
    assert "lies outside" in watched.page.locator("#risk-response .abstention").inner_text()
    for what in ("intensity", "duration"):
        curve = watched.page.locator(f"#curve-{what}")
        assert curve.locator(".dot.response").count() == 25
        # A dose beyond the end of the axis has no mark on it.
        assert curve.locator(".here").count() == (what == "intensity")
        assert any("risk of response" in t for t in curve.locator(".everywhere").all_inner_texts())
        curve.locator("summary").click()
        assert curve.locator("tbody tr", has_text="(abstains)").count() == 25
    assert watched.overflow() <= 0
    assert watched.grave_violations() == []
    assert watched.faults == []


@pytest.mark.slow
def test_without_a_dose_there_is_no_curve(open_page: Any, address: str) -> None:
    watched = open_page(f"http://{address}/")

    enter(watched, {"condition": "healthy", "modality": "aerobic"})

    assert watched.page.locator("#risk-response .risk").count() == 1
    assert watched.page.locator(".curve, .legend").count() == 0
    assert watched.faults == []


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
