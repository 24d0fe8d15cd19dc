"""The input of a network: channels standardised, and seen in more than one way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longspan.errors import ParameterError
from longspan.nn._layout import spread
from longspan.nn._recurrent import check_choice
from longspan.nn.steps import rows_before
from longspan.ops import is_dense, sequence_lengths

VIEWS = ("level", "change", "shape")

_STILL = 1e-4
"""Added to a sequence's variance, so that one that hardly moves is not blown up into noise."""


class InputViews(nn.Module):
    """Standardise each channel, and put one or more views of it side by side.

    The scaling is part of the network, so that it is saved, moved and differentiated with it.

    Parameters
    ----------
    input_size : int
        Channels I.
    views : sequence of {"level", "change", "shape"}
        The standardised value; its difference from the step before (0 at the first step); and the value after the mean
        of its own sequence is taken off and the sequence's own standard deviation divided out.
    gaps : bool
        Values may be NaN, and then count as the mean of their channel.
    noise : float
        Standard deviation of Gaussian noise added to every number while training.
    amplitude_noise : float
        Standard deviation of the logarithm of a factor that each sequence is multiplied by while training.

    Attributes
    ----------
    mean, scale : Tensor, shape (I,)
        Of the channels.
    view_mean, view_scale : Tensor, shape (output_size,)
        Of the views, which are standardised once more.
    output_size : int
        I for each view.

    Examples
    --------
    >>> from torch.nn.utils.rnn import pack_sequence
    >>> steps = pack_sequence([torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]])])
    >>> InputViews(1, ("level", "change"))(steps).data
    tensor([[1., 0.],
            [5., 0.],
            [3., 2.]])
    """

    mean: Tensor
    scale: Tensor
    view_mean: Tensor
    view_scale: Tensor

    def __init__(
        self,
        input_size: int,
        views: Sequence[str] = ("level",),
        *,
        gaps: bool = False,
        noise: float = 0.0,
        amplitude_noise: float = 0.0,
    ) -> None:
        super().__init__()
        for view in views:
            check_choice("view", view, VIEWS)
        if not views or len(set(views)) < len(views):
            raise ParameterError(f"views must be some of {VIEWS}, each once, but they were {tuple(views)}.")
        self.views = tuple(views)
        self.gaps = gaps
        self.noise = noise
        self.amplitude_noise = amplitude_noise
        self.output_size = input_size * len(self.views)
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("scale", torch.ones(input_size))
        self.register_buffer("view_mean", torch.zeros(self.output_size))
        self.register_buffer("view_scale", torch.ones(self.output_size))

    def scale_channels(self, mean: ArrayLike, scale: ArrayLike) -> None:
        """Standardise channels by these from now on, each of shape (I,)."""
        self.mean.copy_(torch.as_tensor(np.asarray(mean)))
        self.scale.copy_(torch.as_tensor(np.asarray(scale)))

    def scale_views(self, mean: ArrayLike, scale: ArrayLike) -> None:
        """Standardise views by these from now on, each of shape (output_size,)."""
        self.view_mean.copy_(torch.as_tensor(np.asarray(mean)))
        self.view_scale.copy_(torch.as_tensor(np.asarray(scale)))

    def look(self, input: PackedSequence) -> Tensor:
        """Return the views as they are before they are standardised, shape (sum T_b, output_size)."""
        level = (input.data - self.mean) / self.scale
        if self.gaps:
            level = torch.nan_to_num(level, nan=0.0)
        if self.views == ("level",):
            return level
        makers = {"level": lambda rows, _: rows, "change": _change, "shape": _shape}
        return torch.cat([makers[view](level, input.batch_sizes) for view in self.views], dim=-1)

    def forward(self, input: PackedSequence) -> PackedSequence:
        """Return the standardised views, packed as the input is."""
        rows = self.look(input)
        if self.views != ("level",):
            rows = (rows - self.view_mean) / self.view_scale
        if self.training and self.amplitude_noise:
            factors = torch.exp(self.amplitude_noise * torch.randn(int(input.batch_sizes[0]), 1, device=rows.device))
            rows = rows * spread(factors, input.batch_sizes)
        if self.training and self.noise:
            rows = rows + self.noise * torch.randn_like(rows)
        return input._replace(data=rows)

    def extra_repr(self) -> str:
        """Channels and views."""
        return f"{self.mean.numel()}, views={self.views}"


def _change(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    """Return each row less the one a step before, zero at the first step."""
    first = int(batch_sizes[0])
    return torch.cat([torch.zeros_like(rows[:first]), rows[first:] - rows_before(rows, batch_sizes)])


def _shape(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    """Return each row less the mean of its sequence, over the sequence's standard deviation."""
    centred = rows - spread(_mean_steps(rows, batch_sizes), batch_sizes)
    deviation = (_mean_steps(centred.square(), batch_sizes) + _STILL).sqrt()
    return centred / spread(deviation, batch_sizes)


def _mean_steps(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    if is_dense(batch_sizes):
        return rows.view(batch_sizes.numel(), -1, rows.shape[-1]).mean(0)
    padded = pad_packed_sequence(PackedSequence(rows, batch_sizes))[0]
    return padded.sum(0) / sequence_lengths(batch_sizes).to(rows.device, rows.dtype).unsqueeze(1)
