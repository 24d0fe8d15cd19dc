"""Draw docs/_static/memory.png, the top of a report page; from the root: python -m docs.memory_page (a minute).

The network adds two marked numbers, of which the first comes up to 199 steps before the end.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from longspan import LSTMRegressor, memory_report
from longspan.problems import Adding
from tests.memory.page.browsers import find_browser, how_to_launch

PICTURE = Path(__file__).parent / "_static" / "memory.png"
SIZE = {"width": 1160, "height": 1330}


def main() -> None:
    """Train, measure, and take the picture."""
    problem = Adding(length=200)
    X, y = problem.dataset(3000, random_state=0)
    adder = LSTMRegressor(
        hidden_size=32,
        bidirectional=False,
        pooling="last",
        views=("level",),
        stem=None,
        dropout=0.0,
        init="chrono",
        max_lag=200,
        lr=0.01,
        batch_size=32,
        max_epochs=8,
        random_state=0,
    ).fit(X, y)
    X, y = problem.dataset(150, random_state=1)
    report = memory_report(adder, X, y, lag=problem.lag)
    print(f"R2 {adder.score(X, y):.3f}. {report.advice}")
    executable = find_browser()
    if executable is None:
        raise SystemExit("there is no browser: run  make browser")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**how_to_launch(executable))
        page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1.5)
        page.goto(report.to_html(Path(folder) / "memory.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    main()
