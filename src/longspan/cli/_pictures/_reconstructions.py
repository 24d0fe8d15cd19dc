"""Sequences and what is given back of them."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, FAINT, INK, new_figure
from longspan.cli._scores import mean_of_known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from longspan.sequences import Sequences

_CHANNELS = 4
_QUANTILES = {"well": 0.1, "middling": 0.5, "badly": 0.9}


def reconstructions(
    sequences: "Sequences", given: "NDArray[Any]", names: tuple[str, ...], keys: "NDArray[Any]"
) -> "Figure":
    """Draw three sequences over what was given back: one given back well, one middling, one badly.

    Parameters
    ----------
    sequences : Sequences
    given : array (sum T_i, I)
        What was given back, step by step.
    names : tuple of str
        Of the channels; if there are many, those are drawn of which least to most is lost.
    keys : array (N,)
        What the sequences are called.
    """
    import numpy as np

    offsets, values = sequences.offsets, sequences.values.astype(float)
    variance = mean_of_known((values - mean_of_known(values, axis=0)) ** 2, axis=0)
    squares = (values - given) ** 2 / np.where(variance > 0, variance, 1.0)
    by_step = mean_of_known(squares, axis=1)
    errors = np.array([mean_of_known(by_step[a:b], axis=0) for a, b in pairwise(offsets)])
    order = np.argsort(errors, kind="stable")
    chosen = {int(order[round(place * (len(order) - 1))]): word for word, place in _QUANTILES.items()}
    channels = _spread(mean_of_known(squares, axis=0))
    figure = new_figure(1.2 + 2.9 * len(channels), 1.1 + 1.75 * len(chosen))
    grid: Any = figure.subplots(len(chosen), len(channels), squeeze=False, sharex="row", sharey="col")
    for row, (number, word) in zip(grid, chosen.items(), strict=True):
        steps = slice(offsets[number], offsets[number + 1])
        for axes, channel in zip(row, channels, strict=True):
            _draw(axes, values[steps, channel], given[steps, channel])
        row[0].set_ylabel(f"{_short(str(keys[number]))}\ngiven back {word}")
    for axes, channel in zip(grid[0], channels, strict=True):
        axes.set_title(_short(names[channel]))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    grid[0, 0].legend(loc="best", fontsize=8, handlelength=1.6, borderpad=0.2)
    if len(channels) < len(names):
        figure.suptitle(f"{len(channels)} of {len(names)} channels", size=9, color=FAINT, x=0.99, ha="right")
    return figure


def _spread(lost: "NDArray[Any]") -> "NDArray[Any]":
    """Return some channels in their order, from the one of which least is lost to the one of which most is."""
    import numpy as np

    order = np.argsort(lost, kind="stable")
    places = np.linspace(0, len(order) - 1, min(_CHANNELS, len(order))).round().astype(int)
    return np.sort(order[places])


def _draw(axes: "Axes", original: "NDArray[Any]", given: "NDArray[Any]") -> None:
    marker = "." if len(original) <= 30 else None
    axes.plot(original, color=INK, linewidth=1.1, marker=marker, markersize=3, label="original")
    axes.plot(given, color=COLOURS["rnn"], linewidth=1.8, alpha=0.85, label="given back")
    axes.grid(axis="y")
    axes.margins(x=0.02)
    axes.locator_params(axis="x", integer=True, nbins=5)
    axes.locator_params(axis="y", nbins=5)


def _short(text: str) -> str:
    return text if len(text) <= 22 else text[:20] + "..."
