"""The report in a terminal, in a notebook and as a picture."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from longspan import memory_report
from longspan.memory.report import MemoryReport
from longspan.memory.terminal import as_html, show, span_rows, spark, summary
from tests.memory.small import positive, sums_the_last


@pytest.fixture(scope="module")
def report() -> MemoryReport:
    X = positive(60, steps=40)
    return memory_report(sums_the_last(12), X, X[:, -12:, 0].sum(axis=1), lag=12)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_verdict_comes_first_and_lines_fit(report: MemoryReport, width: int) -> None:
    file = io.StringIO()
    show(report, Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert "The memory suffices" in lines[1]
    assert max(map(len, lines)) <= width
    assert any("needed" in line and "12" in line for line in lines)


def test_show_prints(report: MemoryReport, capsys: pytest.CaptureFixture[str]) -> None:
    report.show()
    assert "The memory suffices" in capsys.readouterr().out


def test_spans_have_their_words_and_share(report: MemoryReport) -> None:
    rows = {row.name: row for row in span_rows(report)}
    assert list(rows) == ["needed", "used", "gradient", "gradient at first"]
    assert rows["needed"].value == "12"
    assert rows["used"].share == pytest.approx(12 / max(report.gradient_span_at_init, 12))
    told = replace(report, at_least=("used_span",), training_window=7, intervals={"used_span": (3.0, np.inf)})
    rows = {row.name: row for row in span_rows(told)}
    assert rows["used"].value == "≥ 12"
    assert rows["used"].interval == "3 to the end"
    assert rows["training"].value == "7"


def test_text_has_the_numbers(report: MemoryReport) -> None:
    assert summary(report) == repr(report)
    assert "needed 12, used 12" in summary(report)


def test_html_is_escaped(report: MemoryReport) -> None:
    assert "&lt;b&gt;" in as_html(replace(report, advice="<b>"))


def test_a_line_of_blocks_falls_with_its_curve() -> None:
    line, longest = spark(np.arange(1000.0), 0.5 ** np.arange(1000.0), logarithmic=True)
    assert longest == 999
    assert line[0] == "▇"
    assert line[-1] == "▁"
    assert list(line) == sorted(line, reverse=True)


def test_plot_draws_four_panels(report: MemoryReport) -> None:
    import matplotlib.pyplot as plt

    figure = report.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 4
    assert "gradient by lag" in titles[0]
    figure.canvas.draw()
    plt.close(figure)
