"""One temperature that makes probabilities honest, from answers to sequences that were held out."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from longspan.data import Batches

_LOWEST, _HIGHEST = 1e-2, 1e2
"""Of a temperature; a network whose best one lies outside knows all, or nothing."""

_Function = Callable[[float], float]


class HeldOut(NamedTuple):
    """What a network says of targets that it was not trained on.

    Attributes
    ----------
    logits : ndarray of float64, shape (n, C)
    labels : ndarray of int64, shape (n,)
    weights : ndarray of float64, shape (n,)
    """

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, network: torch.nn.Module, batches: Batches) -> "HeldOut":
        """Run a network over batches; the order of the targets is that of the batches."""
        network.eval()
        logits, labels, weights = [], [], []
        with torch.inference_mode():
            for batch in batches.longest_first():
                logits.append(network(batch.inputs).cpu().double().numpy())
                labels.append(batch.targets.cpu().numpy())  # type: ignore[union-attr]
                ones = np.ones(len(labels[-1]))
                weights.append(ones if batch.weights is None else batch.weights.cpu().double().numpy())
        return cls(np.concatenate(logits), np.concatenate(labels), np.concatenate(weights))

    @classmethod
    def pooled(cls, parts: Iterable["HeldOut"]) -> "HeldOut":
        """Put several parts, each answered by its own network, under each other."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def of_classes(self, known: NDArray[np.bool_]) -> "HeldOut":
        """Return the part whose class is among `known`, shape (C,): those that the network had examples of."""
        kept = known[self.labels]
        return HeldOut(self.logits[kept], self.labels[kept], self.weights[kept])


def negative_log_likelihood(held: HeldOut, temperature: float = 1.0) -> float:
    """Return the weighted mean of minus the logarithm of the probability of the label, in nats."""
    log_p = log_softmax(held.logits / temperature, axis=1)[np.arange(len(held.labels)), held.labels]
    return float(np.average(-log_p, weights=held.weights))


def fit_temperature(held: HeldOut) -> float:
    """Return the temperature at which the held-out labels are likeliest.

    The negative log-likelihood is convex in the inverse temperature, and its slope there is the mean of the expected
    logit less the logit of the label; the root of that slope is what is looked for. Where (nearly) everything is right
    the likelihood would have the temperature fall to 0, and all probabilities become 0 or 1, which n answers cannot
    bear out: the mean probability of what is predicted may rise to ``(n + 1) / (n + 2)`` and no further, the rule of
    succession for n that are right. No temperature leaves the range from 0.01 to 100.

    Parameters
    ----------
    held : HeldOut
        n logits, labels and weights.

    Returns
    -------
    float
        The likelihood there is never lower than at temperature 1.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", ICML, section 4.2.
    """
    rows, weights = np.arange(len(held.labels)), held.weights / held.weights.sum()
    centred = held.logits - held.logits[rows, held.labels][:, None]

    def slope(inverse: float) -> float:
        return float(weights @ (softmax(inverse * centred, axis=1) * centred).sum(axis=1))

    def excess(inverse: float) -> float:
        n = len(held.labels)
        return float(weights @ softmax(inverse * centred, axis=1).max(axis=1)) - (n + 1) / (n + 2)

    if slope(1.0) >= 0:  # too sure of itself, or no matter: logits that are all equal
        return 1 / _root(slope, 1 / _HIGHEST, 1.0)
    return 1 / _root(slope, 1.0, _root(excess, 1.0, 1 / _LOWEST))


def _root(rising: _Function, low: float, high: float) -> float:
    """Return where a rising function is 0, or the end of the range that is closest to it; `high` if it is level."""
    if rising(high) <= 0:
        return high
    if rising(low) >= 0:
        return low
    return float(brentq(rising, low, high, xtol=1e-12, rtol=1e-12))
