"""A convolutional stem: short patterns found first, and fewer steps for the recurrent layers to remember over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import ParameterError
from longspan.nn._recurrent import check_positive
from longspan.ops import is_dense, row_index, sequence_lengths


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
        for width in kernel_sizes:
            check_positive("kernel size", width)
            if width % 2 == 0:
                raise ParameterError(f"A kernel size is {width}, but it must be odd, so that each step has a middle.")
        widths = [kernel_sizes[min(number, len(kernel_sizes) - 1)] for number in range(len(strides))]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if number else input_size, channels, width, padding=width // 2, bias=False)
            for number, width in enumerate(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in strides)
        self.output_size = channels

    def forward(self, input: PackedSequence) -> PackedSequence:
        """Return the steps that the stem makes, `channels` features each, packed in the same order."""
        rows, grid = input.data, _Grid(input.batch_sizes, input.data.device)
        for convolution, norm, stride in zip(self.convolutions, self.norms, self.strides, strict=True):
            found = _convolve(grid.picture(rows), cast(Tensor, convolution.weight))
            rows = F.relu(_batch_norm(grid.rows(found), cast(nn.BatchNorm1d, norm)))
            if stride > 1:
                # Relu leaves nothing below the zeros beyond the end of a sequence.
                found = F.max_pool2d(grid.picture(rows), (min(stride, grid.steps), 1), ceil_mode=True)
                grid = _Grid(_batch_sizes(-(-sequence_lengths(grid.batch_sizes) // stride)), rows.device)
                rows = grid.rows(found)
        return input._replace(data=rows, batch_sizes=grid.batch_sizes)


class _Grid:
    """Packed rows as a picture and back, with the index that both take made once.

    The picture is T steps high and B sequences wide, and its channels, the features, come last in memory: so lie the
    rows of a dense batch as they are, and torch convolves and pools such pictures without moving them.
    """

    def __init__(self, batch_sizes: Tensor, device: torch.device) -> None:
        self.batch_sizes = batch_sizes
        self.steps, self.batch = len(batch_sizes), int(batch_sizes[0])
        self._places: Tensor | None = None  # of each packed row in the rows of the picture
        if not is_dense(batch_sizes):
            step, sequence, _ = row_index(batch_sizes)
            self._places = (step * self.batch + sequence).to(device)

    def picture(self, rows: Tensor) -> Tensor:
        """Return (1, features, T, B), zero beyond the end of each sequence."""
        if self._places is not None:
            rows = _put(rows, self._places, self.steps * self.batch)
        return rows.view(1, self.steps, self.batch, -1).permute(0, 3, 1, 2)

    def rows(self, picture: Tensor) -> Tensor:
        """Return the packed rows of (1, features, T, B)."""
        rows = picture.permute(0, 2, 3, 1).reshape(-1, picture.shape[1])
        if self._places is not None:
            rows = _Take.apply(rows, self._places)  # type: ignore[no-untyped-call]
        return rows


class _Take(torch.autograd.Function):
    """Rows by index, each at most once; what torch does for rows that may come twice takes longer on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = len(values)
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return _put(grad, index, ctx.count), None


def _put(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """Put rows to their places among `count`, the others of which are zero."""
    return rows.new_zeros(count, rows.shape[1]).index_copy_(0, index, rows)


def _convolve(picture: Tensor, weight: Tensor) -> Tensor:
    """Convolve (1, features, T, B) over T with a weight (channels, features, width) of a `Conv1d`."""
    # Laid out as the picture is, once; torch would do so itself, and again on the way back.
    kernel = weight.unsqueeze(-1).contiguous(memory_format=torch.channels_last)
    return F.conv2d(picture, kernel, padding=(weight.shape[-1] // 2, 0))


def _batch_norm(values: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Normalise by the batch, or, if that is a single step, by what was seen so far: one step has no variance."""
    if values.numel() > values.shape[1]:
        return cast(Tensor, norm(values))
    return F.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _batch_sizes(lengths: Tensor) -> Tensor:
    """Return how many sequences run at each step, from lengths that do not rise."""
    return (torch.arange(int(lengths[0]))[:, None] < lengths).sum(dim=1)
