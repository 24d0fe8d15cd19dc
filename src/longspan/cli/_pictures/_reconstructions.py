"""Sequences and what is given back of them."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, FAINT, INK, new_figure

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
        Of the channels; the most varied are drawn if there are many.
    keys : array (N,)
        What the sequences are called.
    """
    import numpy as np

    offsets, values = sequences.offsets, sequences.values
    scale = np.nanstd(values, axis=0)
    scale[~(scale > 0)] = 1.0
    squares = np.nanmean(((values - given) / scale) ** 2, axis=1)
    errors = np.array([np.nanmean(squares[a:b]) for a, b in pairwise(offsets)])
    order = np.argsort(errors, kind="stable")
    chosen = {int(order[round(place * (len(order) - 1))]): word for word, place in _QUANTILES.items()}
    left = 1 - np.nanmean(((values - given) / scale) ** 2, axis=0)
    channels = np.sort(np.argsort(-left, kind="stable")[:: max(1, len(left) // _CHANNELS)][:_CHANNELS])
    figure = new_figure(1.2 + 2.9 * len(channels), 1.1 + 1.75 * len(chosen))
    grid: Any = figure.subplots(len(chosen), len(channels), squeeze=False, sharex="row", sharey="col")
    for row, (number, word) in zip(grid, chosen.items(), strict=True):
        steps = slice(offsets[number], offsets[number + 1])
        for axes, channel in zip(row, channels, strict=True):
            _draw(axes, values[steps, channel], given[steps, channel])
        row[0].set_ylabel(f"{_short(str(keys[number]))}\n{word}: {errors[number]:.2f}")
    for axes, channel in zip(grid[0], channels, strict=True):
        axes.set_title(_short(names[channel]))
    for axes in grid[-1]:
        axes.set_xlabel("step")
    grid[0, 0].legend(loc="best", fontsize=8, handlelength=1.6, borderpad=0.2)
    if len(channels) < len(names):
        figure.suptitle(f"{len(channels)} of {len(names)} channels", size=9, color=FAINT, x=0.99, ha="right")
    return figure


def _draw(axes: "Axes", original: "NDArray[Any]", given: "NDArray[Any]") -> None:
    marker = "." if len(original) <= 30 else None
    axes.plot(original, color=INK, linewidth=1.1, marker=marker, markersize=3, label="original")
    axes.plot(given, color=COLOURS["rnn"], linewidth=1.8, alpha=0.85, label="given back")
    axes.grid(axis="y")
    axes.margins(x=0.02)


def _short(text: str) -> str:
    return text if len(text) <= 22 else text[:20] + "..."
