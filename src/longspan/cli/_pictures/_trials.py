"""What came of trials: how the loss fell, when they ended, how far the gradient reached before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, FAINT, LINES, NAMES, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALLEST = 1e-6
_VANISHED = 0.01


def trials(result: Mapping[str, Any]) -> "Figure":
    """Draw the loss of every run, the sequences until success, and the gradient by lag at the beginning."""
    cells, problem = result["cells"], result["problem"]
    figure = new_figure(13.2, 4.2)
    losses, ends, gradients = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _draw_losses(losses, cells, problem)
    _draw_ends(ends, cells, result["settings"]["limit"])
    _draw_gradients(gradients, cells, problem["lag"])
    length = problem["parameters"].get("length")
    figure.suptitle(f"{problem['name']}{f', T = {length:,}' if length else ''}: {problem['title']}", ha="left", x=0.01)
    return figure


def _draw_losses(axes: "Axes", cells: list[dict[str, Any]], problem: Mapping[str, Any]) -> None:
    for cell in cells:
        for number, run in enumerate(cell["runs"]):
            sequences, values = zip(*run["history"], strict=True) if run["history"] else ((), ())
            name = cell["cell"]
            label = NAMES[name] if number == 0 else None
            axes.plot(sequences, values, color=COLOURS[name], linestyle=LINES[name], linewidth=1.1, label=label)
    for name, loss in (("constant", problem["constant_loss"]), ("no memory", problem["memoryless_loss"])):
        if name == "constant" or loss < problem["constant_loss"]:
            axes.axhline(loss, color=FAINT, linewidth=1)
            axes.annotate(name, (1, loss), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                          ha="right", color=FAINT, size=9)  # fmt: skip
    axes.set(title="Loss while learning", ylabel=problem["loss"], yscale="log")
    _count_sequences(axes)
    axes.legend(loc="best")
    axes.grid(axis="y")


def _count_sequences(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_xlabel("sequences seen")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_ends(axes: "Axes", cells: list[dict[str, Any]], limit: int) -> None:
    for row, cell in enumerate(cells):
        colour = COLOURS[cell["cell"]]
        for solved, marker in ((True, "o"), (False, "x")):
            seen = [run["sequences"] for run in cell["runs"] if run["solved"] is solved]
            axes.plot(seen, [row] * len(seen), marker, color=colour, markersize=7, alpha=0.75)
    axes.axvline(limit, color=FAINT, linewidth=1, linestyle=":")
    axes.set_yticks(
        range(len(cells)), [f"{NAMES[cell['cell']]}\n{cell['solved']} of {cell['seeds']}" for cell in cells]
    )
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set(title="Solved (dot), or given up (cross)")
    _count_sequences(axes)
    axes.grid(axis="x")


def _draw_gradients(axes: "Axes", cells: list[dict[str, Any]], lag: int) -> None:
    highest = 1.0
    for cell in cells:
        if cell["gradient_by_lag"] is None:
            continue
        lags, share = cell["gradient_by_lag"]
        name, highest = cell["cell"], max(highest, *share)
        axes.plot(lags, share, color=COLOURS[name], linestyle=LINES[name], linewidth=1.8, label=NAMES[name])
    axes.axhline(_VANISHED, color=FAINT, linewidth=1, linestyle=":")
    axes.axvline(lag, color=FAINT, linewidth=1)
    axes.annotate("needed", (lag, 0.45), (-3, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
                  ha="right", va="center", rotation=90, color=FAINT, size=9)  # fmt: skip
    axes.set(title="Gradient by lag, before learning", xlabel="steps back", ylabel="share left", yscale="log")
    axes.set_ylim(_SMALLEST, max(2.0, 2.0 * highest))
    axes.grid(axis="y")
