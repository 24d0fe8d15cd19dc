"""Conformal calibration: how wide intervals must be to cover what was held out."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ENOUGH_PER_STEP = 200
"""Windows held out from which each step of the horizon is calibrated by itself."""


def conformal_widths(truth: Floats, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Return what the distances of quantiles from the median must be multiplied by to cover what was held out.

    Parameters
    ----------
    truth : ndarray, shape (M, H)
        What happened; NaN where nothing was measured.
    quantiles : ndarray, shape (M, H, Q)
        What was forecast.
    levels : tuple of float
        Rising, 0.5 among them. Two levels that add to 1 bound one interval, which is scaled on both sides alike.

    Returns
    -------
    ndarray, shape (H, Q)
        The same for each step, unless there are windows enough to tell the steps apart. Windows that overlap are no
        sample of as many: M of them count as M / sqrt(H), which came closest to the share on series of all kinds.

    References
    ----------
    Romano, Patterson & Candès 2019, "Conformalized quantile regression", NeurIPS; relative to the distance from the
    median, as Kivaranovic, Johnson & Leeb 2020, "Adaptive, distribution-free prediction intervals for deep networks".
    """
    count, horizon, size = quantiles.shape
    independent = max(1.0, count / np.sqrt(horizon))  # windows overlap, and count for fewer
    middle = levels.index(0.5)
    widths = np.ones((horizon, size))
    error = truth - quantiles[..., middle]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = error[..., None] / np.abs(quantiles - quantiles[..., middle, None])
    for place, level in enumerate(levels):
        if place == middle:
            continue
        partner = int(np.argmin(np.abs(np.array(levels) - (1.0 - level))))
        below, above = -relative[..., min(place, partner)], relative[..., max(place, partner)]
        if abs(levels[partner] + level - 1.0) < 1e-9:
            scores, share = np.maximum(below, above), abs(1.0 - 2.0 * level)
        else:
            sign = 1.0 if level > 0.5 else -1.0
            scores, share = sign * relative[..., place], max(level, 1.0 - level)
        if count >= _ENOUGH_PER_STEP:
            widths[:, place] = [_conformal_quantile(scores[:, step], share, independent) for step in range(horizon)]
        else:
            widths[:, place] = _conformal_quantile(scores, share, independent)
    return np.clip(widths, 0.2, 5.0)


def _conformal_quantile(scores: Floats, share: float, count: float) -> float:
    """Return the score that a share of others like it stay below; a little more, as the scores are a sample."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return 1.0
    return float(np.quantile(known, min(1.0, share * (1.0 + 1.0 / count))))
