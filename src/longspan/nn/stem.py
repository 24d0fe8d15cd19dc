"""A convolutional stem: short patterns found first, and fewer steps for the recurrent layers to remember over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longspan.nn._recurrent import check_positive
from longspan.ops import is_dense, sequence_lengths


class ConvStem(nn.Module):
    """Blocks of convolution over time, batch normalisation, relu and max pooling.

    A block with stride s gives ``ceil(T / s)`` steps for a sequence of T. Nothing beyond the end of a sequence is seen:
    convolutions find zeros there, and normalisation counts the steps of sequences only, so that in evaluation a
    sequence's result does not depend on its neighbours.

    Parameters
    ----------
    input_size : int
        Input features, I.
    channels : int
        Features of every block's output.
    strides : sequence of int
        One block for each; the stride of its pooling.
    kernel_sizes : sequence of int
        Odd widths of the convolutions, one a block; the last one serves all further blocks.

    Examples
    --------
    >>> from torch.nn.utils.rnn import pack_sequence
    >>> stem = ConvStem(1, 4, strides=(2, 2))
    >>> stem(pack_sequence([torch.zeros(9, 1), torch.zeros(4, 1)])).batch_sizes
    tensor([2, 1, 1])

    References
    ----------
    Wang, Yan & Oates 2017, "Time series classification from scratch with deep neural networks" (the blocks);
    Karim et al. 2018, "LSTM fully convolutional networks" (beside an LSTM).
    """

    def __init__(
        self, input_size: int, channels: int, strides: Sequence[int], kernel_sizes: Sequence[int] = (7, 5)
    ) -> None:
        super().__init__()
        for stride in strides:
            check_positive("stride", stride)
        self.strides = tuple(strides)
        widths = [kernel_sizes[min(number, len(kernel_sizes) - 1)] for number in range(len(strides))]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if number else input_size, channels, width, padding=width // 2, bias=False)
            for number, width in enumerate(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in strides)
        self.output_size = channels

    def forward(self, input: PackedSequence) -> PackedSequence:
        """Return the steps that the stem makes, `channels` features each, packed in the same order."""
        lengths = sequence_lengths(input.batch_sizes)
        dense = is_dense(input.batch_sizes)
        steps = _channels_first(input, dense)
        for convolution, norm, stride in zip(self.convolutions, self.norms, self.strides, strict=True):
            here = None if dense else _within(lengths, steps.device)
            steps = F.relu(_normalise(convolution(steps), cast(nn.BatchNorm1d, norm), here))
            if stride > 1:
                steps = F.max_pool1d(steps, min(stride, steps.shape[-1]), ceil_mode=True)
                lengths = -(-lengths // stride)
        return input._replace(data=_packed_rows(steps, lengths, dense), batch_sizes=_batch_sizes(lengths))


def _channels_first(packed: PackedSequence, dense: bool) -> Tensor:
    """Return (B, features, T), zero beyond the end of each sequence."""
    if dense:
        block = packed.data.view(packed.batch_sizes.numel(), -1, packed.data.shape[-1])
    else:
        block = pad_packed_sequence(PackedSequence(packed.data, packed.batch_sizes))[0]
    return block.permute(1, 2, 0)


def _within(lengths: Tensor, device: torch.device) -> Tensor:
    """Return (B, T): whether a step lies within its sequence."""
    return (torch.arange(int(lengths[0])) < lengths[:, None]).to(device)


def _normalise(steps: Tensor, norm: nn.BatchNorm1d, within: Tensor | None) -> Tensor:
    """Normalise each channel over the steps of all sequences; beyond their ends there is zero."""
    if within is None:
        return _batch_norm(steps, norm)
    rows = steps.transpose(1, 2)
    normalised = rows.new_zeros(rows.shape)
    normalised[within] = _batch_norm(rows[within], norm)
    return normalised.transpose(1, 2)


def _batch_norm(values: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Normalise by the batch, or, if that is a single step, by what was seen so far: one step has no variance."""
    if values.numel() > values.shape[1]:
        return cast(Tensor, norm(values))
    return F.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _packed_rows(steps: Tensor, lengths: Tensor, dense: bool) -> Tensor:
    block = steps.permute(2, 0, 1)
    if dense:
        return block.reshape(-1, block.shape[-1])
    return block[_within(lengths, steps.device).T]


def _batch_sizes(lengths: Tensor) -> Tensor:
    """Return how many sequences run at each step, from lengths that do not rise."""
    return (torch.arange(int(lengths[0]))[:, None] < lengths).sum(dim=1)
