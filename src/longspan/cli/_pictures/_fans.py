"""Forecasts as fans: the past, the median, and bands around it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import FAINT, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 6


def fans(draw: Callable[[int, Any], object], names: Sequence[str], *, past: int = 100) -> "Figure":
    """Draw up to six series, each on axes of its own.

    Parameters
    ----------
    draw : callable
        Called with the number of a series and its axes.
    names : list of str
    past : int
        Steps before the forecast that are shown, at most.
    """
    count = min(_MOST, len(names))
    columns = 1 if count == 1 else 2
    rows = -(-count // columns)
    figure = new_figure(8.4 if columns == 1 else 12.6, 0.5 + (3.6 if rows == 1 else 2.8) * rows)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    # Spread over all of them, so that the first few do not stand for the rest.
    chosen = [round(place * (len(names) - 1) / max(1, count - 1)) for place in range(count)]
    for number, axes in zip(chosen, grid.flat, strict=False):
        draw(number, axes)
        _crop(axes, past)
        if len(names) > 1:
            axes.set_title(names[number])
        if axes.get_legend() is not None:
            axes.get_legend().remove()
        axes.grid(axis="y")
        _tidy_dates(axes)
    # Above the axes, where it covers nothing.
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    if len(names) > count:
        figure.supxlabel(f"{count} of {len(names)} series", size=9, color=FAINT, x=0.99, ha="right")
    return figure


def _crop(axes: Any, past: int) -> None:
    """Show only so many steps of the first line, which is the past, in a frame that fits what is left."""
    import numpy as np

    line = axes.lines[0]
    x, y = (np.asarray(data, dtype=float) for data in (line.get_xdata(orig=False), line.get_ydata(orig=False)))
    if len(x) <= past:
        return
    line.set_data(x[-past:], y[-past:])
    heights = [other.get_ydata(orig=False) for other in axes.lines]
    heights += [path.vertices[:, 1] for band in axes.collections for path in band.get_paths()]
    seen = np.concatenate([np.asarray(part, dtype=float) for part in heights])
    low, high = np.nanmin(seen), np.nanmax(seen)
    margin = 0.05 * ((high - low) or 1.0)
    axes.set_ylim(low - margin, high + margin)
    axes.autoscale(axis="x")
    axes.set_xlim(left=x[-past])


def _tidy_dates(axes: Any) -> None:
    """Let dates say no more than they must."""
    from matplotlib import dates

    as_any: Any = dates  # matplotlib types these only in part
    if isinstance(axes.xaxis.get_major_locator(), dates.AutoDateLocator):
        locator = as_any.AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(as_any.ConciseDateFormatter(locator))
