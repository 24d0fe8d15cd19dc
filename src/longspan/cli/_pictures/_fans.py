"""Forecasts as fans: the past, the median, and bands around it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 6


def fans(draw: Callable[[int, Any], object], names: Sequence[str]) -> "Figure":
    """Draw up to six series, each on axes of its own.

    Parameters
    ----------
    draw : callable
        Called with the number of a series and its axes.
    names : list of str
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
    for place, (number, axes) in enumerate(zip(chosen, grid.flat, strict=False)):
        draw(number, axes)
        if len(names) > 1:
            axes.set_title(names[number])
        if place and axes.get_legend() is not None:
            axes.get_legend().remove()
        axes.grid(axis="y")
        axes.margins(x=0.02)
        _tidy_dates(axes)
    if len(names) > count:
        figure.suptitle(f"{count} of {len(names)} series", size=9, x=0.99, ha="right")
    return figure


def _tidy_dates(axes: Any) -> None:
    """Let dates say no more than they must."""
    from matplotlib import dates

    as_any: Any = dates  # matplotlib types these only in part
    if isinstance(axes.xaxis.get_major_locator(), dates.AutoDateLocator):
        locator = as_any.AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(as_any.ConciseDateFormatter(locator))
