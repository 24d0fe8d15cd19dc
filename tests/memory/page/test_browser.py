"""The page in a real browser: it opens silently, and answers to mouse, keys and changes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from longspan import LSTMForecaster, memory_report
from longspan.memory.page import write
from tests.estimators.small import ragged, signs
from tests.memory.page.browsers import find_browser, how_to_launch
from tests.memory.page.reports import a_report, fitted

PATIENCE = 120_000
"""Milliseconds to wait for anything: a busy machine is slow, and that is not what is tested here."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium was found: run `make browser`, or name one in LONGSPAN_BROWSER")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(**how_to_launch(executable))
        yield opened
        opened.close()


class Opened(NamedTuple):
    page: Page
    complaints: list[str]
    requests: list[str]


Open = Callable[..., Opened]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    contexts = []

    def opening(report: Any, **options: Any) -> Opened:
        path = write(report, tmp_path / "report.html")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page, complaints, requests = context.new_page(), [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(f"{error}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        return Opened(page, complaints, requests)

    yield opening
    for context in contexts:
        context.close()


def classifier_report(**parameters: Any) -> Any:
    X = ragged()
    y = np.where(signs(X), "up", "down")
    return a_report(fitted(X=X, y=y, **parameters), X, y)


@pytest.fixture(scope="module")
def report() -> Any:
    return classifier_report(pooling="last+mean+max")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_a_complaint_and_without_a_request(open_page: Open, report: Any, scheme: Any) -> None:
    page, complaints, requests = open_page(report, color_scheme=scheme)
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in requests if url.startswith("file:")]) == 1
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, paper[4:-1].split(","))) < 60) == (scheme == "dark")


def test_the_browser_has_fonts_of_its_own(browser: Browser) -> None:
    # Without one, it ends itself where it has to draw text before the page's own font is read.
    page = browser.new_page()
    page.set_content("<span>words</span>")
    assert page.locator("span").evaluate("node => node.offsetWidth") > 20
    page.close()


def test_the_verdict_stands_on_top_and_every_chart_has_a_name(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    assert page.locator("h1").inner_text() == "The network remembers: it uses 30 steps, and 25 are needed."
    assert page.locator("#advice").inner_text() == "Learning more would be slow."
    assert page.locator("#spans [role=listitem]").count() == 5
    charts = page.locator(".plot")
    assert charts.count() == 11
    for number in range(charts.count()):
        assert len(charts.nth(number).get_attribute("aria-label") or "") > 10
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button,input,select')].filter(node => "
        "!node.getAttribute('aria-label') && !node.textContent.trim() && !node.labels?.length).length"
    )
    assert unnamed == 0


def test_curves_are_read_out_under_keys_and_pointer(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    plot = page.locator("#gradient .plot")
    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#gradient .readout").inner_text().startswith("lag 1 ")
    assert "this LSTM 0.82" in page.locator("#gradient .readout").inner_text()
    page.keyboard.press("End")
    assert page.locator("#gradient .readout").inner_text().startswith("lag 39 ")
    page.keyboard.press("Escape")
    assert page.locator("#gradient .readout").inner_text() == "It falls below one hundredth after 23 steps."
    page.locator("#ablation .u-over").hover()
    assert "kept" in page.locator("#ablation .readout").inner_text()


def test_the_scrubber_moves_by_keys_and_by_mouse(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    last = len(report.examples[0].values) - 1
    said = page.locator(".scrub output")
    assert said.inner_text() == f"step {last} of {last}"
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    assert said.inner_text() == f"step 0 of {last}"
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == f"step 1 of {last}"
    assert "step 1" in page.locator("#cell h3").inner_text()
    over = page.locator("#x-prediction .u-over")
    over.click(position={"x": over.evaluate("node => node.clientWidth") - 3, "y": 20})
    page.mouse.move(0, 0)
    assert said.inner_text() == f"step {last} of {last}"


def test_playing_goes_to_the_end_and_stops(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    last = len(report.examples[0].values) - 1
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert page.locator(".scrub output").inner_text() == f"step {last} of {last}"


def lit_columns(page: Page) -> list[bool]:
    """For each step, whether its bar over the inputs is lit."""
    found: list[bool] = page.evaluate(
        """() => {
          const canvas = document.querySelector("#x-inputs .u-under canvas");
          const ctx = canvas.getContext("2d");
          const steps = Number(document.getElementById("scrub").max) + 1;
          return Array.from({ length: steps }, (_, t) => {
            const x = Math.floor(((t + 0.5) / steps) * canvas.width);
            return ctx.getImageData(x, 0, 1, 1).data[3] > 128;
          });
        }"""
    )
    return found


def test_hovering_lights_up_the_inputs_behind_the_answer_there(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    steps = len(report.examples[0].values)
    assert any(lit_columns(page)[3:])
    over = page.locator("#x-prediction .u-over")
    over.hover(position={"x": over.evaluate("node => node.clientWidth") * 1.5 / steps, "y": 30})  # the second step
    lit = lit_columns(page)
    assert any(lit[:2])
    assert not any(lit[2:])
    assert page.locator(".scrub output").inner_text() == f"step 1 of {steps - 1}"
    page.mouse.move(0, 0)
    assert page.locator(".scrub output").inner_text() == f"step {steps - 1} of {steps - 1}"


def test_the_cell_shows_the_values_of_the_chosen_unit(open_page: Open, report: Any) -> None:
    from longspan.memory.page._traces import trace_cells

    page = open_page(report).page
    trace = trace_cells(report.estimator.network_, report.examples[0].values)[0]
    page.locator("#unit").select_option("1")
    unit = int(page.locator("#unit option:checked").inner_text().split(",")[0].split()[1])
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    label = page.locator(".cell-svg").get_attribute("aria-label") or ""
    for name, words in (("f", "forget gate"), ("i", "input gate"), ("g", "cell input"), ("o", "output gate")):
        shown = f"{trace.fields[name][1, unit]:.3f}".replace("-", "−")
        assert f"{words} {shown}" in label
    before, after = (f"{trace.fields['c'][step, unit]:.3f}".replace("-", "−") for step in (0, 1))
    assert f"State before {before}, after {after}." in label


def test_a_row_of_the_heatmap_is_chosen_by_mouse_and_by_keys(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    plot = page.locator("#x-heatmap .plot")
    plot.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#unit").input_value() == "1"
    over = page.locator("#x-heatmap .u-over")
    over.click(position={"x": 20, "y": over.evaluate("node => node.clientHeight") - 6})
    assert page.locator("#unit").input_value() == "2"
    page.locator("input[name=part][value='1']").check()
    page.locator("input[name=field][value=c]").check()
    assert page.locator("#x-heatmap h3").inner_text() == "Cell state of 3 units"
    assert "reads from the end" in page.locator("#cell p").inner_text()


def outcome(page: Page) -> dict[str, list[str]]:
    rows = page.locator(".outcome tbody tr")
    return {
        rows.nth(k).locator("th").inner_text(): rows.nth(k).locator("td").all_inner_texts() for k in range(rows.count())
    }


def test_a_changed_input_gives_what_python_predicts(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    values = report.examples[0].values.copy()
    model = report.estimator
    before = dict(zip(model.classes_, model.predict_proba([values])[0], strict=True))
    values[2, 1] = 3.5
    after = dict(zip(model.classes_, model.predict_proba([values])[0], strict=True))
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.locator("#channel").select_option("1")
    page.locator("#input-number").fill("3.5")
    for name, shown in outcome(page).items():
        assert float(shown[0]) == pytest.approx(before[name], abs=6e-4)
        assert float(shown[1]) == pytest.approx(after[name], abs=6e-4)
    assert abs(after["up"] - before["up"]) > 0.01
    page.get_by_role("button", name="Undo all changes").click()
    assert all(shown[1] == "–" for shown in outcome(page).values())


def test_a_held_gate_shows_in_the_cell_and_changes_the_answer(open_page: Open, report: Any) -> None:
    page = open_page(report).page
    page.locator("#gate").select_option("f")
    page.locator("#who").select_option("all")
    page.locator("#gate-value").fill("0")
    assert page.locator("#hold").is_checked()
    assert "forget gate 0.000" in (page.locator(".cell-svg").get_attribute("aria-label") or "")
    assert page.locator(".cell-svg .held").text_content() == "held 0.00"
    assert any(shown[1] not in ("–", shown[0]) for shown in outcome(page).values())
    page.locator("#hold").uncheck()
    assert page.locator(".cell-svg .held").count() == 0


@pytest.mark.parametrize("cell", ["gru", "rnn", "feedforward"])
def test_what_another_cell_does_not_have_is_left_out_and_said(open_page: Open, cell: str) -> None:
    page, complaints, _ = open_page(classifier_report(cell=cell))
    assert complaints == []
    text = page.locator("main").inner_text()
    said = {
        "gru": "how much of the past the new state sees",
        "rnn": "An RNN has no gates to hold.",
        "feedforward": "A feed-forward network has no gates and no state",
    }
    assert said[cell] in text
    assert ("undefined" in text, "NaN" in text) == (False, False)
    assert page.locator(".cell-svg").count() == (cell != "feedforward")
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    page.locator("#input-number").fill("4")
    assert all(shown[1] != "–" for shown in outcome(page).values())
    assert complaints == []


def test_a_network_that_is_too_large_is_shown_as_it_was_recorded(open_page: Open, monkeypatch: Any) -> None:
    from longspan.memory.page import _explorer

    monkeypatch.setattr(_explorer, "LARGEST", 10)
    page, complaints, _ = open_page(classifier_report(num_layers=2))
    assert complaints == []
    assert "What-if is for smaller networks" in page.locator("#whatif").inner_text()
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    assert "forget gate 0." in (page.locator(".cell-svg").get_attribute("aria-label") or "")
    page.locator("input[name=part][value='3']").check()
    assert "reads from the end" in page.locator("#cell p").inner_text()
    assert complaints == []


@pytest.mark.parametrize("kind", ["regress", "encode"])
def test_pages_of_other_tasks_open_and_move(open_page: Open, kind: str) -> None:
    X = ragged()
    targets = None if kind == "encode" else [x[0] for x in X]
    report = a_report(fitted(kind, X=X, y=targets), X, targets)
    page, complaints, _ = open_page(report)
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowLeft")
    assert complaints == []


def test_steps_that_each_have_an_answer_are_shown_with_what_is_right(open_page: Open) -> None:
    X = ragged()
    y = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    page, complaints, _ = open_page(a_report(fitted(X=X, y=y, per_step=True), X, y))
    assert complaints == []
    assert "What it says at each step" in page.locator("#x-prediction").inner_text()
    assert f"right: {y[0][-1]}" in page.locator("#x-prediction .readout").inner_text()


def test_the_page_of_a_forecaster_says_what_is_not_there(open_page: Open) -> None:
    X = np.random.default_rng(0).normal(size=(6, 30)).cumsum(axis=1)
    small: dict[str, Any] = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
    forecaster = LSTMForecaster(horizon=1, context_length=8, season_length=1, log=False, **small).fit(X)
    for part in (forecaster.network_.head.weight, forecaster.network_.head.bias):
        part.data.zero_()
    page, complaints, _ = open_page(memory_report(forecaster, X))
    assert complaints == []
    assert "windows of 8 steps" in page.locator("#subject").inner_text()
    assert "makes no difference to its output" in page.locator("#gradient").inner_text()
    assert "works in another way" in page.locator("#explorer").inner_text()


def test_paper_is_light(open_page: Open, report: Any) -> None:
    page, complaints, _ = open_page(report, color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert min(map(int, printed[4:-1].split(","))) > 200
    assert max(map(int, shown[4:-1].split(","))) < 60
    assert complaints == []


def test_the_page_fits_a_phone(open_page: Open, report: Any) -> None:
    page, complaints, _ = open_page(report, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('button,select,input[type=number],#scrub')]"
        ".filter(node => node.offsetHeight && node.offsetHeight < 28).length"
    )
    assert small == 0


def test_colours_can_be_switched(open_page: Open, report: Any) -> None:
    page, complaints, _ = open_page(report, color_scheme="light")
    button = page.locator("#theme")
    papers = []
    for _ in range(3):
        button.click()
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] == papers[2] != papers[1]
    assert complaints == []


def test_text_from_people_runs_nowhere(open_page: Open) -> None:
    X = ragged()
    hostile = "</script><img src=x onerror=\"document.title='run'\"><b>"
    y = np.where(signs(X), hostile, "plain")
    model = fitted(X=X, y=y)
    facts = a_report(model, X, y).facts | {"feature_names": [hostile, "b"], "estimator": hostile}
    page, complaints, _ = open_page(a_report(model, X, y, facts=facts, advice=f"{hostile} decides."))
    assert complaints == []
    assert page.title() != "run"
    assert page.locator("img").count() == 0
    assert hostile in page.locator("h1").inner_text()
    assert hostile in page.locator("#channel").inner_text()
