"""What is computed: shapes, and numbers to fill them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence


class Problem(NamedTuple):
    """A batch and a layer: B sequences of T steps (or of `lengths`, longest first), I features, H units."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    lengths: tuple[int, ...] | None = None

    @property
    def rows(self) -> int:
        """Real steps of all sequences."""
        return self.batch * self.steps if self.lengths is None else sum(self.lengths)

    def flops(self, *, training: bool) -> float:
        """Operations of the matrix products, 8 H (I + H) a row forward, three times that with the gradients."""
        return (3.0 if training else 1.0) * self.rows * 8 * self.hidden * (self.inputs + self.hidden)

    def traffic(self) -> float:
        """Bytes of float32 that training moves at least, if caches hold no more than the weights.

        Forward, x is read and the output, the gates and the cell states written; backward, these and the output's
        gradient are read and that of x written. Weights are read and their gradients written once.
        """
        a_row = 3 * self.inputs + 13 * self.hidden
        weights = 4 * self.hidden * (self.inputs + self.hidden + 2)
        return 4.0 * (self.rows * a_row + 2 * weights)

    def describe(self) -> dict[str, Any]:
        """Return B, T, I, H, and the lengths' mean where they differ."""
        about: dict[str, Any] = {"B": self.batch, "T": self.steps, "I": self.inputs, "H": self.hidden}
        return about if self.lengths is None else {**about, "mean length": self.rows / self.batch}


TABLE = [
    Problem(32, 100, 1, 32),
    Problem(32, 100, 8, 64),
    Problem(32, 200, 32, 128),
    Problem(64, 100, 64, 256),
    Problem(64, 100, 128, 512),
    Problem(128, 50, 256, 1024),
    Problem(1, 1000, 16, 64),
    Problem(128, 784, 1, 128),
    Problem(16, 1000, 2, 64),
]
"""The shapes on which the goals are stated."""

GRID = [
    Problem(*sizes)
    for sizes in [
        (1, 1, 1, 3),
        (1, 1, 16, 64),
        (1, 20, 4, 32),
        (1, 100, 128, 512),
        (1, 200, 700, 1024),
        (1, 5000, 8, 64),
        (2, 500, 4, 48),
        (2, 1000, 16, 128),
        (3, 300, 24, 100),
        (4, 100, 64, 17),
        (5, 50, 700, 33),
        (7, 333, 13, 77),
        (8, 1000, 40, 256),
        (8, 5000, 2, 32),
        (12, 20, 5, 12),
        (16, 64, 3, 200),
        (24, 128, 100, 96),
        (32, 1, 700, 512),
        (32, 25, 12, 3),
        (48, 30, 9, 24),
        (64, 10, 300, 650),
        (100, 40, 1, 3),
        (128, 100, 40, 30),
        (200, 60, 20, 160),
        (256, 1, 1, 1024),
        (256, 128, 4, 64),
        (512, 1, 64, 3),
        (512, 5, 700, 1024),
        (512, 50, 16, 16),
        (512, 200, 1, 8),
    ]
]
"""Shapes beyond the table: H from 3 to 1024, B from 1 to 512, T from 1 to 5000, I from 1 to 700."""


def ragged(batch: int, steps: int, inputs: int, hidden: int) -> Problem:
    """Return sequences with lengths uniform in [T/4, T]; the longest has T steps."""
    lengths = np.random.default_rng(0).integers(steps // 4, steps + 1, size=batch)
    lengths[0] = steps
    return Problem(batch, steps, inputs, hidden, tuple(sorted(map(int, lengths), reverse=True)))


class Data(NamedTuple):
    """Numbers for a problem: input, weights by torch's names, and a gradient of the output."""

    problem: Problem
    x: Tensor  # (T, B, I), or packed rows (R, I)
    sizes: Tensor  # (T,)
    weights: dict[str, Tensor]
    grad: Tensor  # as the output

    @property
    def input(self) -> Tensor | PackedSequence:
        """The input as a layer takes it."""
        return self.x if self.problem.lengths is None else PackedSequence(self.x, self.sizes)

    def packed(self) -> PackedSequence:
        """Return the input packed, dense or not."""
        return PackedSequence(self.x.flatten(0, -2), self.sizes)


def draw(problem: Problem, dtype: torch.dtype = torch.float32) -> Data:
    """Draw numbers; the weights are as `torch.nn.LSTM` begins."""
    torch.manual_seed(0)
    steps, batch, inputs, hidden, lengths = (
        problem.steps,
        problem.batch,
        problem.inputs,
        problem.hidden,
        problem.lengths,
    )
    module = torch.nn.LSTM(inputs, hidden, dtype=dtype)
    x = torch.randn(steps, batch, inputs, dtype=dtype)
    grad = torch.randn(steps, batch, hidden, dtype=dtype)
    sizes = torch.full((steps,), batch)
    if lengths is not None:
        x, sizes = pack_padded_sequence(x, torch.tensor(lengths))[:2]
        grad = pack_padded_sequence(grad, torch.tensor(lengths)).data
    return Data(problem, x, sizes, {name: w.detach() for name, w in module.named_parameters()}, grad)
