"""Where a decoder looks while it answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import LINE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_NAMED = 40
_SQUARE = 0.26
"""Inches of a step."""


def attention(weights: Sequence["NDArray[Any]"], sources: Sequence[Any], targets: Sequence[Any]) -> "Figure":
    """Draw the weights of a few answers: a row for each symbol said, a column for each step of the source.

    Parameters
    ----------
    weights : list of array (T_i, S_i)
    sources : list
        Symbols of each source; None for a source of numbers, whose steps are counted.
    targets : list
        Symbols of each answer.
    """
    columns = 2 if len(weights) > 1 else 1
    rows = max(1, -(-len(weights) // columns))
    widest = max((each.shape[1] for each in weights), default=1)
    tallest = max((len(each) for each in weights), default=1)
    width, height = (min(7.0, max(3.0, 1.0 + _SQUARE * steps)) for steps in (widest, tallest))
    figure = new_figure(columns * width + 0.6, rows * height + 0.3)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(weights) :]:
        axes.set_visible(False)
    image = None
    for axes, each, source, target in zip(grid.flat, weights, sources, targets, strict=False):
        image = axes.imshow(each, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        _name_steps(axes, source, target, each.shape[1])
    for axes in grid[-1]:
        axes.set_xlabel("source")
    for axes in grid[:, 0]:
        axes.set_ylabel("answer")
    if image is not None:
        figure.colorbar(image, ax=grid, label="attention", aspect=40, shrink=0.8)
    return figure


def _name_steps(axes: "Axes", source: Any, target: Any, steps: int) -> None:
    if source is not None and steps <= _MOST_NAMED:
        axes.set_xticks(range(steps), [_shown(symbol) for symbol in source], rotation=_turn(source))
    if len(target) <= _MOST_NAMED:
        axes.set_yticks(range(len(target)), [_shown(symbol) for symbol in target])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(LINE)


def _shown(symbol: Any) -> str:
    """Return a symbol so that it can be seen, and is not read as mathematics."""
    text = {" ": "\N{OPEN BOX}", "\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"}.get(str(symbol), str(symbol))
    return text.replace("$", r"\$")


def _turn(source: Any) -> int:
    return 90 if max(map(len, map(str, source))) > 2 else 0
