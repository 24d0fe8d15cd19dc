"""A fan chart: the past of a series, and what may come, as nested bands."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.errors import MissingDependencyError

_INK, _FAINT, _BAND, _LINE = "#2b2b2b", "#767676", "#0072B2", "#0072B2"


def fan_chart(
    past_times: NDArray[Any],
    past: NDArray[np.float64],
    times: NDArray[Any],
    quantiles: NDArray[np.float64],
    levels: tuple[float, ...],
    *,
    truth: NDArray[np.float64] | None = None,
    axes: Any = None,
    label: bool = True,
) -> Any:
    """Draw the past (T,), quantiles of what comes (H, Q) as bands and a line, and maybe what came (H,).

    Bands and lines begin at the last value of the past, if that was measured: so a single step is seen too.
    """
    axes = new_axes() if axes is None else axes
    axes.plot(past_times, past, color=_INK, linewidth=1.2)
    if len(past) and np.isfinite(past[-1]):
        times = np.concatenate([past_times[-1:], times])
        quantiles = np.concatenate([np.full((1, len(levels)), past[-1]), quantiles])
        truth = None if truth is None else np.concatenate([past[-1:], truth])
    pairs = len(levels) // 2
    for inner in range(pairs):
        low, high = quantiles[:, inner], quantiles[:, -1 - inner]
        share = round(100 * (levels[-1 - inner] - levels[inner]))
        name = f"{share}% interval" if label else None
        axes.fill_between(times, low, high, color=_BAND, alpha=0.16 + 0.16 * inner / pairs, linewidth=0, label=name)
    if 0.5 in levels:
        name = "median forecast" if label else None
        axes.plot(times, quantiles[:, levels.index(0.5)], color=_LINE, linewidth=1.8, label=name)
    if truth is not None:
        axes.plot(times, truth, color=_INK, linewidth=1.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_FAINT)
    if label:
        axes.legend(frameon=False, loc="upper left")
    return axes


def new_axes(width: float = 8.0, height: float = 3.6) -> Any:
    """Return axes on a new figure, which is pyplot's current one, so that notebooks and scripts show it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="plots", purpose="draw forecasts") from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]
