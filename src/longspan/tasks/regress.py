"""Regression: one or more numbers for each sequence, or for each step."""

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan.tasks.task import Task, weighted_mean, weighted_sums


class Regression(Task):
    """Predict K numbers by least squares.

    Parameters
    ----------
    network : nn.Module
        Gives standardised predictions, shape (B, K), or (sum T_b, K) where each step is predicted.
    target_mean, target_scale : Tensor, shape (K,)
        What the standardised numbers are multiplied by, and what is added then, to be in the units of the targets.
    """

    def __init__(self, network: nn.Module, *, target_mean: Tensor, target_scale: Tensor) -> None:
        super().__init__(network)
        self.target_mean = target_mean
        self.target_scale = target_scale

    def loss(self, inputs: PackedSequence, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return the mean squared error of standardised targets."""
        return weighted_mean(self._squared_error(inputs, targets), weights)

    def metrics(self, inputs: PackedSequence, targets: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Return the weighted sum of the squared error of standardised targets."""
        return weighted_sums(weights, loss=self._squared_error(inputs, targets))

    def read(self, outputs: Tensor) -> Tensor:
        """Return predictions in the units of the targets, shape (..., K)."""
        return outputs.cpu().double() * self.target_scale + self.target_mean

    def _squared_error(self, inputs: PackedSequence, targets: Tensor) -> Tensor:
        error: Tensor = self.network(inputs) - targets
        return error.square().mean(dim=-1)
