"""The report as one picture: what arrives, what is used, where it matters, and what the units keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.errors import MissingDependencyError
from longspan.memory.gradients import VANISHED
from longspan.memory.terminal import headline

if TYPE_CHECKING:
    from longspan.memory.report import MemoryReport

# Okabe and Ito's colours, which everyone can tell apart; each curve has a line style of its own too.
_BLUE, _ORANGE, _GREEN, _PINK, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#767676"
_FLOOR = 1e-8


def draw(report: MemoryReport) -> Any:
    """Draw four panels, and return the figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="plots", purpose="draw the memory report") from error
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    figure.suptitle(headline(report), x=0.01, ha="left", fontweight="bold")
    for panel, place in zip((_gradients, _context, _occlusion, _units), axes.flat, strict=True):
        panel(report, place)
        place.spines[["top", "right"]].set_visible(False)
        if place.get_legend_handles_labels()[0]:
            place.legend(frameon=False, fontsize=8)
    return figure


def _gradients(report: MemoryReport, axes: Any) -> None:
    curves = report.curves
    axes.set(title="What arrives: gradient by lag", xlabel="lag in steps", ylabel="relative to lag 0", yscale="log")
    for curve, colour, line, label in (
        (curves.gradient, _BLUE, "-", "gradient"),
        (curves.gradient_at_init, _GREY, "--", "before training"),
    ):
        if curve is not None:
            at = curve.lags + 1.0
            axes.plot(at, curve.median.clip(_FLOOR), line, color=colour, label=label)
            axes.fill_between(at, curve.lower.clip(_FLOOR), curve.upper.clip(_FLOOR), color=colour, alpha=0.15)
    if curves.influence is not None:
        largest = curves.influence.median.max(initial=0.0) or 1.0
        relative = (curves.influence.median / largest).clip(_FLOOR)
        axes.plot(curves.influence.lags + 1.0, relative, ":", color=_ORANGE, label="of the input")
    axes.axhline(VANISHED, color=_GREY, linewidth=0.8)
    axes.set_xscale("log")
    _mark(report, axes, ("gradient_span", "needed_span"), shift=1.0)


def _context(report: MemoryReport, axes: Any) -> None:
    axes.set(title="What is used: the last K steps only", xlabel="K in steps", ylabel="loss that it costs")
    for curve, colour, line, label in (
        (report.curves.ablation, _BLUE, "-o", "older steps of another sequence"),
        (report.curves.shuffling, _GREEN, "--s", "older steps in another order"),
    ):
        if curve is not None:
            bars = {"markersize": 3, "linewidth": 1.2, "elinewidth": 0.6}
            axes.errorbar(curve.context, curve.loss, curve.error, fmt=line, color=colour, label=label, **bars)
    axes.set_xscale("symlog", linthresh=1)
    axes.axhline(0.0, color=_GREY, linewidth=0.8)
    _mark(report, axes, ("used_span", "needed_span"))


def _occlusion(report: MemoryReport, axes: Any) -> None:
    curve = report.curves.occlusion
    axes.set(
        title="Where it matters: one window of another sequence", xlabel="lag in steps", ylabel="loss that it costs"
    )
    if curve is not None:
        middle = curve.lags + curve.width / 2
        axes.bar(middle, curve.loss, curve.width, yerr=curve.error, color=_ORANGE, ecolor=_GREY, error_kw={"lw": 0.6})
        axes.axhline(0.0, color=_GREY, linewidth=0.8)
    _mark(report, axes, ("needed_span",))


def _units(report: MemoryReport, axes: Any) -> None:
    constants = report.curves.time_constants
    if constants is None:
        _forgetting(report, axes)
        return
    axes.set(title="What the units keep: time constants", xlabel="steps", ylabel="units")
    tau = constants.tau[np.isfinite(constants.tau)].clip(min=0.1)
    if len(tau):
        edges = np.geomspace(tau.min() * 0.99, max(tau.max(), tau.min() * 1.1) * 1.01, 25)
        axes.hist(tau, edges, color=_PINK)
        axes.set_xscale("log")
    _mark(report, axes, ("gate_span", "needed_span"))


def _forgetting(report: MemoryReport, axes: Any) -> None:
    curve = report.curves.forgetting
    axes.set(title="What the state keeps: forgetting curve", xlabel="steps after the pasts met", ylabel="distance left")
    if curve is None:
        axes.text(0.5, 0.5, "this network carries no state", ha="center", transform=axes.transAxes, color=_GREY)
        return
    axes.plot(curve.steps, curve.median, color=_BLUE)
    axes.fill_between(curve.steps, curve.lower, curve.upper, color=_BLUE, alpha=0.15)


def _mark(report: MemoryReport, axes: Any, names: tuple[str, ...], shift: float = 0.0) -> None:
    """Draw a vertical line at some of the spans."""
    styles = {"needed_span": ("-.", _ORANGE), "used_span": (":", _BLUE), "gradient_span": (":", _BLUE)}
    for name in names:
        span = report.spans[name]
        if span is not None and np.isfinite(span):
            line, colour = styles.get(name, (":", _PINK))
            label = name.removesuffix("_span").replace("gate", "median")
            axes.axvline(span + shift, linestyle=line, color=colour, linewidth=1.2, label=f"{label}: {span:,.0f}")
