"""The report in a terminal and in a notebook: the verdict in words first, then the spans, then the curves."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longspan.memory.verdict import VERDICTS, steps

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from longspan.memory.report import MemoryReport

Array = NDArray[np.float64]

_WIDEST = 110
_BAR, _BESIDE_BAR = 48, 56
_SPARK = 48
_BESIDE_SPARK = 56
_BLOCKS = "▁▂▃▄▅▆▇█"

GOOD = ("memory_suffices", "no_long_memory_needed")
"""Verdicts that ask for nothing."""

MEANINGS = {
    "needed_span": ("needed", "by the targets", "how far back inputs matter for the targets"),
    "used_span": ("used", "by the network", "how far back inputs change what it predicts"),
    "gradient_span": ("gradient", "reaches", "how far back a hundredth of the gradient arrives"),
    "gradient_span_at_init": ("gradient at first", "reached", "the same, of the network before training"),
    "gate_span": ("gates", "hold, median unit", "time constant of the median unit"),
}
"""Each span by its name: the word for it, how the word goes on, and what it says."""


@dataclass(frozen=True)
class Row:
    """A span as a person reads it.

    Attributes
    ----------
    name, verb, meaning : str
        Its word, how it goes on, and what it says.
    value, interval : str
        In steps; empty where there is none.
    share : float
        Of the longest span, 0 to 1.
    """

    name: str
    verb: str
    meaning: str
    value: str
    interval: str
    share: float


def span_rows(report: MemoryReport) -> list[Row]:
    """Return the spans that there are, the needed one first."""
    spans = {name: report.spans[name] for name in MEANINGS}
    longest = max([span for span in spans.values() if span is not None and np.isfinite(span)], default=1.0) or 1.0
    rows = []
    for name, span in spans.items():
        if span is None:
            continue
        word, verb, meaning = MEANINGS[name]
        low, high = report.intervals.get(name, (span, span))
        value = f"{'≥ ' if name in report.at_least else ''}{number(span)}"
        interval = "" if low == high else f"{number(low)} to {number(high)}"
        rows.append(Row(word, verb, meaning, value, interval, min(span / longest, 1.0)))
    if report.training_window is not None:
        share = min(report.training_window / longest, 1.0)
        seen = ("training", "saw together", "steps that training saw together")
        rows.append(Row(*seen, number(report.training_window), "", share))
    return rows


def number(span: float) -> str:
    """Return a span as a number; one without an end reaches the end."""
    if np.isinf(span):
        return "the end"
    return f"{span:,.1f}" if span < 10 and span != round(span) else f"{span:,.0f}"


def headline(report: MemoryReport) -> str:
    """Return the verdict in a few words, as a sentence begins."""
    words = VERDICTS[report.verdict]
    return words[0].upper() + words[1:]


def summary(report: MemoryReport) -> str:
    """Return the report as a few lines of plain text."""
    spans = ", ".join(f"{row.name} {row.value}" for row in span_rows(report))
    return f"MemoryReport: {VERDICTS[report.verdict]}\n  {report.advice}\n  In steps: {spans}."


def looked_at(report: MemoryReport) -> str:
    """Return one line on what was measured."""
    facts = report.facts
    length = steps(facts["longest"])
    if facts["shortest"] != facts["longest"]:
        length = f"{facts['shortest']:,} to {length}"
    score = "" if facts["score"] is None else f", {facts['score_name']} {facts['score']:.3f}"
    features = f"{facts['n_features']} feature" + ("" if facts["n_features"] == 1 else "s")
    what = "windows" if facts["task"] == "forecast" else "sequences"
    kind = "" if facts["num_layers"] == 1 else f" × {facts['num_layers']}"
    return (
        f"{facts['estimator']}, {facts['cell']} {facts['hidden_size']}{kind}, {facts['parameters']:,} parameters; "
        f"{facts['n_sequences']:,} {what} of {length}, {features}{score}"
    )


def show(report: MemoryReport, console: Console | None = None) -> None:
    """Print the report."""
    from rich.console import Console, Group
    from rich.panel import Panel
    from rich.text import Text

    console = Console() if console is None else console
    colour = "green" if report.verdict in GOOD else "yellow"
    width = min(console.width, _WIDEST)
    first, stop, rest = report.advice.partition(". ")
    words = Text.assemble((first + stop, f"bold {colour}"), rest)
    console.print(
        Panel(
            Group(
                words, Text(""), _table(report, width), *_curves(report, width), Text(looked_at(report), style="dim")
            ),
            title="memory span",
            title_align="left",
            border_style=colour,
            width=width,
        )
    )


def _table(report: MemoryReport, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    table.add_column("span", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("interval", style="dim", no_wrap=True)
    table.add_column("", no_wrap=True)
    longest = max(min(width - _BESIDE_BAR, _BAR), 0)
    for row in span_rows(report):
        bar = "█" * max(1, round(row.share * longest)) if row.share * longest > 0 else ""
        name = Text.assemble(row.name, (f" {row.verb}", "dim"))
        table.add_row(name, Text(row.value, style="bold"), row.interval, Text(bar, style="cyan"))
    return table


def _curves(report: MemoryReport, width: int) -> list[RenderableType]:
    """Return a line for each of the curves that say most, over lag on a logarithmic scale."""
    from rich.table import Table
    from rich.text import Text

    curves = report.curves
    lines: list[tuple[str, Any, Any, bool]] = []
    if curves.gradient is not None:
        lines.append(("gradient, log scale", curves.gradient.lags, curves.gradient.median, True))
    if curves.ablation is not None:
        lines.append(("loss, K steps left", curves.ablation.context, curves.ablation.loss, False))
    if not lines:
        return []
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, lags, values, logarithmic in lines:
        line, longest = spark(np.asarray(lags, float), np.asarray(values, float), logarithmic=logarithmic)
        line = line[:: 1 if width >= _SPARK + _BESIDE_SPARK else 2 if width >= _SPARK + _BESIDE_SPARK // 2 else 3]
        table.add_row(Text(name, style="dim"), Text(line, style="cyan"), Text(f"1 to {longest:,} steps", style="dim"))
    return [Text(""), table, Text("")]


def spark(lags: Array, values: Array, *, logarithmic: bool) -> tuple[str, int]:
    """Return a curve as one line of blocks, lags on a logarithmic scale, and the longest lag.

    Examples
    --------
    >>> line, longest = spark(np.arange(5.0), np.array([1, 0.5, 0.25, 0.1, 0.0]), logarithmic=False)
    >>> line[0], line[-1], longest
    ('▅', '▁', 4)
    """
    longest = max(int(lags[-1]), 1)
    at = np.geomspace(1, longest, _SPARK)
    curve = np.interp(at, lags, np.nan_to_num(values))
    if logarithmic:  # from a thousandth, the lowest block, to 1
        heights = (np.log10(curve.clip(min=1e-3)) + 3) / 3
    else:
        heights = curve / max(float(np.nan_to_num(values).max(initial=0.0)), 1e-12)
    levels = np.round(heights.clip(0, 1) * (len(_BLOCKS) - 1)).astype(int)
    return "".join(_BLOCKS[level] for level in levels), longest


def as_html(report: MemoryReport) -> str:
    """Return the report as a notebook shows it."""
    rows = "".join(
        f"<tr><td>{escape(row.name)}</td><td style='text-align:right'><b>{escape(row.value)}</b></td>"
        f"<td>{escape(row.interval)}</td><td style='min-width:12em'><div style='background:#0072B2;height:.7em;"
        f"width:{100 * row.share:.1f}%'></div></td><td>{escape(row.meaning)}</td></tr>"
        for row in span_rows(report)
    )
    return (
        f"<div><b>{escape(headline(report))}.</b> {escape(report.advice)}"
        f"<table><tr><th>span</th><th>steps</th><th>interval</th><th></th><th></th></tr>{rows}</table>"
        f"<small>{escape(looked_at(report))}</small></div>"
    )
