"""Averaging weights over the last steps of training, which ends nearer the middle of a minimum than any one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of everything a network learns or measures.

    Parameters
    ----------
    network : nn.Module
        What is trained.
    decay : float
        Share of the average kept at each step; early on it is less, so that the random start is soon forgotten.

    References
    ----------
    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        state = network.state_dict()
        self._live = [tensor for tensor in state.values() if tensor.is_floating_point()]
        self._average = [tensor.clone() for tensor in self._live]
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._average, self._live, 1.0 - decay)
        self.steps += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights of the network and their average; twice changes nothing."""
        kept = [tensor.clone() for tensor in self._live]
        torch._foreach_copy_(self._live, self._average)
        torch._foreach_copy_(self._average, kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the average for the length of a ``with`` block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
