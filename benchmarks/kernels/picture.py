"""The roofline: operations a second over operations a byte, under what the machine can do at most."""

from typing import Any

from benchmarks.kernels import dense, roofs
from benchmarks.kernels.problems import Problem

_RANGE = (1.0, 1000.0)
"""Operations a byte that are shown."""
_COLOURS = {"longspan": "#3a7ca5", "torch": "#c2571a"}


def draw(result: dict[str, Any]) -> Any:
    """Draw dense training on the table's shapes, and return the figure."""
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    machine = next((record for record in result["records"] if record["case"] == roofs.CASE), None)
    if machine is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not measured yet", ha="center")
        return figure
    rate, bandwidth = machine["GF/s, float32"][1], machine["GB/s"][1]
    intensity = np.geomspace(*_RANGE, 200)
    axes.set_title(result["machine"]["processor"], loc="left", fontsize=10)
    axes.plot(intensity, np.minimum(rate, bandwidth * intensity), color="black", linewidth=1.2)
    axes.annotate(f"matrix product, {rate:.0f} GF/s", (_RANGE[1], rate), (0, 4), textcoords="offset points", ha="right")
    axes.annotate(f"memory, {bandwidth:.0f} GB/s", (1.1, bandwidth * 1.1), (8, -4), textcoords="offset points")
    shown = [record for record in result["records"] if record["case"] == dense.TRAINING and "GF/s" in record]
    points = sorted(((Problem(*(record[letter] for letter in "BTIH")), record) for record in shown), key=_intensity)
    for number, (problem, record) in enumerate(points):
        _point(axes, problem, record, above=number % 2 == 0)
    axes.set(xscale="log", yscale="log", xlim=_RANGE, xlabel="operations a byte of memory", ylabel="GF/s")
    axes.set_ylim(min(bandwidth, 0.1 * rate), 2 * rate)
    axes.spines[["top", "right"]].set_visible(False)
    handles = [axes.scatter([], [], color=colour, label=name) for name, colour in _COLOURS.items()]
    axes.legend(handles=handles, frameon=False, loc="lower right")
    return figure


def _intensity(point: tuple[Problem, dict[str, Any]]) -> float:
    return point[0].flops(training=True) / point[0].traffic()


def _point(axes: Any, problem: Problem, record: dict[str, Any], *, above: bool) -> None:
    x = _intensity((problem, record))
    rates = {"longspan": record["GF/s"], "torch": record["GF/s of torch"]}
    axes.plot([x, x], list(rates.values()), color="#bbbbbb", linewidth=0.8, zorder=1)
    for name, rate in rates.items():
        axes.scatter([x], [rate], color=_COLOURS[name], s=22, zorder=2)
    y, shift = (max(rates.values()), 6) if above else (min(rates.values()), -12)
    label = f"B={problem.batch} H={problem.hidden}"
    axes.annotate(label, (x, y), (0, shift), textcoords="offset points", ha="center", fontsize=7)
