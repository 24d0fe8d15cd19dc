"""What a reconstruction leaves of sequences, and how unusual that is."""

from __future__ import annotations

import torch
from torch import Tensor

from longspan.nn.pooling import sum_steps
from longspan.nn.steps import rows_before

_FLOOR = 1e-6
"""Added to a mean square before its logarithm is taken: of what is given back to the last digit, too."""


class Residuals(torch.nn.Module):
    """How standardised steps of training sequences differ from their reconstruction.

    A channel's residual is `persistence` times the one before, and an innovation. Of each innovation what the
    innovations of the other channels tell about it is taken off, and the rest has unit variance on the training
    sequences: it is the part that is surprising. Its mean square over a sequence has a logarithm that in training was
    `level` on average, give or take `spread`.

    Parameters
    ----------
    size : int
        Channels, I.

    Attributes
    ----------
    persistence : Tensor, shape (I,)
        Regression of each channel's residual on the one before.
    innovation, first : Tensor, shape (I, I)
        A precision matrix, the inverse of a covariance, its columns over the roots of its diagonal: of the innovations,
        and of the residuals, which the first one of a sequence is compared with.
    level, spread : Tensor, shape (I,)
        Mean and standard deviation over sequences.
    """

    persistence: Tensor
    innovation: Tensor
    first: Tensor
    level: Tensor
    spread: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("persistence", torch.zeros(size))
        self.register_buffer("innovation", torch.eye(size))
        self.register_buffer("first", torch.eye(size))
        self.register_buffer("level", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def surprises(self, residuals: Tensor, batch_sizes: Tensor) -> Tensor:
        """Return the surprising part of packed residuals, shape (sum T_b, I)."""
        begun = int(batch_sizes[0])
        innovations = residuals[begun:] - self.persistence * rows_before(residuals, batch_sizes)
        return torch.cat([residuals[:begun] @ self.first, innovations @ self.innovation])

    def log_squares(self, residuals: Tensor, batch_sizes: Tensor, seen: Tensor | None) -> Tensor:
        """Return the logarithm of the mean square of each channel's surprises, shape (B, I); NaN if never seen."""
        squares = self.surprises(residuals, batch_sizes).double().square()
        there = torch.ones_like(squares) if seen is None else seen.double()
        squares, count = squares * there, sum_steps(there, batch_sizes)
        return (sum_steps(squares, batch_sizes) / count + _FLOOR).log()

    def strangeness(self, residuals: Tensor, batch_sizes: Tensor, seen: Tensor | None) -> Tensor:
        """Return by how many standard deviations each sequence's strangest channel is above the usual, shape (B,).

        A channel that was never seen is as usual.
        """
        deviations = (self.log_squares(residuals, batch_sizes, seen) - self.level) / self.spread
        return deviations.nan_to_num(nan=0.0).amax(dim=1)
