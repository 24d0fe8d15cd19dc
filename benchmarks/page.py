"""How long does a report page take to open, and how large is it? ``python -m benchmarks.page`` (a minute)."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from longspan import LSTMClassifier, load_japanese_vowels, memory_report
from tests.memory.page.browsers import find_browser, how_to_launch

_TIMES = 7


def _opened(browser: Browser, page: Path) -> float:
    """Return the seconds until a page is drawn, in a window of its own."""
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    window.goto(page.as_uri())
    window.wait_for_selector("html[data-ready]")
    seconds = time.perf_counter() - began
    window.close()
    return seconds


def main() -> None:
    """Open the page of a classifier of speakers several times."""
    executable = find_browser()
    if executable is None:
        raise SystemExit("there is no browser: run  make browser")
    X_train, y_train, X_test, y_test = load_japanese_vowels()
    report = memory_report(LSTMClassifier(random_state=0).fit(X_train, y_train), X_test, y_test)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = report.to_html(Path(folder) / "memory.html")
        browser = playwright.chromium.launch(**how_to_launch(executable))
        seconds = [_opened(browser, page) for _ in range(_TIMES)]
        size = page.stat().st_size / 1e6
        browser.close()
    print(f"{size:.2f} MB; opens in {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
