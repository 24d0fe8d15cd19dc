"""What every task is: a network, its loss, and how to read its output."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Task(ABC):
    """A network, its loss, and how to read its output.

    The training loop knows nothing else of what is learned: it minimises `loss` over batches and watches the `metrics`
    of sequences that are held out. `inputs` and `targets` are whatever the batches carry, a `PackedSequence` and a
    tensor for most; `weights` has one entry a target.

    Attributes
    ----------
    network : nn.Module
        What is trained.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @abstractmethod
    def loss(self, inputs: Any, targets: Any, weights: Tensor | None) -> Tensor:
        """Return the training loss of a batch, a scalar: the mean over targets of weight times loss."""

    @abstractmethod
    def metrics(self, inputs: Any, targets: Any, weights: Tensor | None) -> dict[str, Tensor]:
        """Return sums over a batch of whatever is worth watching: ``"loss"``, ``"weight"`` and others.

        Each divided by the sum of ``"weight"``, over all batches, is a mean that can be shown.
        """

    @abstractmethod
    def read(self, outputs: Tensor) -> Tensor:
        """Turn outputs of the network into what a person asked for."""


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean of `losses`, each times its weight; weights are expected to average one over the training set."""
    return losses.mean() if weights is None else (losses * weights).mean()


def weighted_sums(weights: Tensor | None, **values: Tensor) -> dict[str, Tensor]:
    """Return the total weight of a batch, and the weighted sum of each of `values`, one entry a target."""
    some = next(iter(values.values()))
    weights = some.new_ones(some.shape) if weights is None else weights
    return {"weight": weights.sum(), **{name: (value * weights).sum() for name, value in values.items()}}
