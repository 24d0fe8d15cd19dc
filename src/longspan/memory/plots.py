"""The report as one picture: what arrives, what is used, where it matters, and what the units keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.errors import MissingDependencyError
from longspan.memory.gradients import VANISHED
from longspan.memory.terminal import headline, looked_at, number

if TYPE_CHECKING:
    from longspan.memory.report import MemoryReport

# Okabe and Ito's colours, which everyone can tell apart; each curve has a line style of its own too.
_BLUE, _ORANGE, _GREEN, _GREY, _INK = "#0072B2", "#D55E00", "#009E73", "#767676", "#222222"
_FLOOR = 1e-6

_NAMED = {"needed_span": "needed", "used_span": "used", "gradient_span": "reached", "gate_span": "median"}


def draw(report: MemoryReport) -> Any:
    """Draw four panels, and return the figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="plots", purpose="draw the memory report") from error
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
    figure.suptitle(headline(report), x=0.01, ha="left", fontweight="bold", fontsize=15, color=_INK)
    figure.supxlabel(looked_at(report), x=0.01, ha="left", fontsize=8, color=_GREY)
    for panel, place in zip((_gradients, _context, _occlusion, _units), axes.flat, strict=True):
        place.xaxis.get_major_locator().set_params(integer=True)
        panel(report, place)
        _tidy(place)
    return figure


def _tidy(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.tick_params(color="#BBBBBB", labelcolor=_INK, labelsize=9)
    title = axes.get_title()
    axes.set_title("")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK, pad=32)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5, loc="best")


def _gradients(report: MemoryReport, axes: Any) -> None:
    curves = report.curves
    axes.set(title="What arrives: gradient by lag", xlabel="lag (steps back)", ylabel="relative to lag 0", yscale="log")
    low = 0.3 * VANISHED
    for curve, colour, line, label in (
        (curves.gradient_at_init, _GREY, "--", "before training"),
        (curves.gradient, _BLUE, "-", "gradient by the state"),
    ):
        if curve is not None:
            lower, median, upper = (part.clip(_FLOOR, 1 / _FLOOR) for part in (curve.lower, curve.median, curve.upper))
            axes.plot(curve.lags, median, line, color=colour, label=label)
            axes.fill_between(curve.lags, lower, upper, color=colour, alpha=0.15, linewidth=0)
            low = min(low, float(median.min()))
    if curves.influence is not None:
        largest = curves.influence.median.max(initial=0.0)
        relative = (curves.influence.median / (largest or 1.0)).clip(_FLOOR, 1)
        axes.plot(curves.influence.lags, relative, ":", color=_ORANGE, label="by the input, of its largest")
    axes.axhline(VANISHED, color=_GREY, linewidth=0.8)
    axes.text(1, VANISHED, "one hundredth ", transform=axes.get_yaxis_transform(), ha="right", va="bottom", **_SMALL)
    axes.set_ylim(bottom=max(low / 2, _FLOOR))
    _mark(report, axes, ("gradient_span", "needed_span"))


_SMALL: dict[str, Any] = {"fontsize": 8, "color": _GREY}


def _context(report: MemoryReport, axes: Any) -> None:
    axes.set(title="What is used: the last K steps only", xlabel="K (steps that are left)", ylabel=_cost(report))
    for curve, colour, line, label in (
        (report.curves.ablation, _BLUE, "-o", "older steps of another sequence"),
        (report.curves.shuffling, _GREEN, "--s", "older steps in another order"),
    ):
        if curve is not None:
            bars = {"markersize": 3, "linewidth": 1.2, "elinewidth": 0.6}
            axes.errorbar(curve.context, curve.loss, curve.error, fmt=line, color=colour, label=label, **bars)
    axes.axhline(0.0, color=_GREY, linewidth=0.8)
    _mark(report, axes, ("used_span", "needed_span"))


def _occlusion(report: MemoryReport, axes: Any) -> None:
    curve = report.curves.occlusion
    axes.set(title="Where it matters: one window replaced", xlabel="lag (steps back)", ylabel=_cost(report))
    if curve is not None:
        middle = curve.lags + (curve.width - 1) / 2
        axes.bar(middle, curve.loss, curve.width, yerr=curve.error, color=_BLUE, ecolor=_GREY, error_kw={"lw": 0.6})
        axes.axhline(0.0, color=_GREY, linewidth=0.8)
    _mark(report, axes, ("needed_span",))


def _cost(report: MemoryReport) -> str:
    curve = report.curves.ablation
    return "loss that it costs" + ("" if curve is None else f" ({curve.unit})")


def _units(report: MemoryReport, axes: Any) -> None:
    constants = report.curves.time_constants
    if constants is None:
        _forgetting(report, axes)
        return
    axes.set(title="What the units keep: time constants", xlabel="time constant (steps)", ylabel="units")
    tau = constants.tau[np.isfinite(constants.tau)].clip(min=0.1)
    if len(tau):
        edges = np.geomspace(tau.min() * 0.99, max(tau.max(), tau.min() * 1.1) * 1.01, 25)
        axes.hist(tau, edges, color=_BLUE, rwidth=0.9)
        _plain_logarithmic(axes, edges[0], edges[-1])
    _mark(report, axes, ("gate_span", "needed_span"))


def _plain_logarithmic(axes: Any, low: float, high: float) -> None:
    """Make the lower axis logarithmic, with few and plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    leading = (1, 2, 5) if len(decades) <= 3 else (1,)
    ticks = [first * 10.0**decade for decade in decades for first in leading]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _forgetting(report: MemoryReport, axes: Any) -> None:
    curve = report.curves.forgetting
    axes.set(title="What the state keeps: forgetting curve", xlabel="steps after the pasts met", ylabel="distance left")
    if curve is None:
        missing = "no forgetting curve: this network does not\ncarry one state from step to step"
        axes.text(0.5, 0.5, missing, ha="center", va="center", transform=axes.transAxes, color=_GREY)
        axes.set(xticks=[], yticks=[], xlabel="", ylabel="")
        return
    axes.plot(curve.steps, curve.median, color=_BLUE)
    axes.fill_between(curve.steps, curve.lower, curve.upper, color=_BLUE, alpha=0.15, linewidth=0)
    axes.set_ylim(bottom=0)


def _mark(report: MemoryReport, axes: Any, names: tuple[str, ...]) -> None:
    """Draw a vertical line at some of the spans, and name them above the panel."""
    placed: list[float] = []
    for name in names:
        span = report.spans[name]
        if span is None or not np.isfinite(span):
            continue
        colour = _ORANGE if name == "needed_span" else _BLUE
        axes.axvline(span, linestyle="-." if name == "needed_span" else ":", color=colour, linewidth=1.2)
        placed.append(span)
        text = f"{_NAMED[name]} {'≥ ' if name in report.at_least else ''}{number(span)}"
        higher = 1.07 if len(placed) > 1 else 1.0
        axes.text(
            span,
            higher,
            text,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=8.5,
            color=colour,
        )
