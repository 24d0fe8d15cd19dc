"""One vector for each sequence out of the outputs of all its steps."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan import ops
from longspan.errors import ParameterError, ShapeError
from longspan.nn._layout import spread
from longspan.nn._recurrent import check_positive
from longspan.ops import is_dense, last_rows, sequence_lengths

_PARTS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """Pool the steps of each sequence of a batch.

    Parameters
    ----------
    kind : str
        "last": the last step, and of the backward half the first one; it is h_n of the top layer.
        "mean", "max": over all steps.
        "attention": a weighted mean, with weights ``softmax_t(v . tanh(W h_t + b))``.
        Several joined by "+", such as "last+mean+max", put their results side by side.
    input_size : int
        Features of each step.
    bidirectional : bool
        Whether the second half of the features comes from the backward direction.
    device, dtype
        Of the attention weights.

    Raises
    ------
    ParameterError
        `kind` is unknown, or the features cannot be halved.

    References
    ----------
    Attention: Bahdanau, Cho & Bengio 2015 (additive scores); Yang et al. 2016 (with a learned query).

    Examples
    --------
    >>> from torch.nn.utils.rnn import pack_sequence
    >>> steps = pack_sequence([torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0]])])
    >>> Pooling("last+mean", 1)(steps)
    tensor([[3., 2.],
            [5., 5.]])
    """

    def __init__(
        self,
        kind: str,
        input_size: int,
        *,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive("input_size", input_size)
        parts = kind.split("+")
        if len(set(parts)) < len(parts) or not set(parts) <= set(_PARTS):
            raise ParameterError(
                f"kind is {kind!r}, but it must be one of {', '.join(map(repr, _PARTS))},\n"
                f'  or several different ones joined by "+", such as "last+mean+max".'
            )
        if bidirectional and input_size % 2:
            raise ParameterError(
                f"input_size is {input_size}, an odd number, so it has no forward and backward half.\n"
                f"  Pass the output size of the bidirectional stack, twice its hidden size."
            )
        self.kind = kind
        self.input_size = input_size
        self.bidirectional = bidirectional
        if "attention" in parts:
            self.attention = _Attention(input_size, device=device, dtype=dtype)

    @property
    def output_size(self) -> int:
        """Features of the result, input_size for each kind that is joined."""
        return self.input_size * len(self.kind.split("+"))

    def forward(self, input: PackedSequence) -> Tensor:
        """Pool the steps of each sequence.

        Parameters
        ----------
        input : PackedSequence
            Outputs of all steps, `input_size` features.

        Returns
        -------
        Tensor, shape (B, output_size)
            One row a sequence, in the order in which the sequences were before they were packed.

        Raises
        ------
        ShapeError
            The number of features does not fit.
        """
        rows, batch_sizes = input.data, input.batch_sizes
        if rows.shape[-1] != self.input_size:
            raise ShapeError(
                f"the input has {rows.shape[-1]} features, but the pooling takes {self.input_size}.\n"
                f"  Pass the output_size of the module below as input_size."
            )
        pooled = torch.cat(self._pool(rows, batch_sizes), dim=-1)
        return pooled if input.unsorted_indices is None else pooled.index_select(0, input.unsorted_indices)

    def _pool(self, rows: Tensor, batch_sizes: Tensor) -> list[Tensor]:
        parts = self.kind.split("+")
        total, largest = ops.pool_steps(rows, batch_sizes, total="mean" in parts, largest="max" in parts)
        found = {"max": largest}
        if total is not None:
            found["mean"] = total / sequence_lengths(batch_sizes).to(rows.device, rows.dtype).unsqueeze(1)
        if "last" in parts:
            found["last"] = self._last(rows, batch_sizes)
        if "attention" in parts:
            found["attention"] = self.attention(rows, batch_sizes)
        return [cast(Tensor, found[part]) for part in parts]

    def _last(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        if not self.bidirectional:
            return _last_steps(rows, batch_sizes)
        last = last_rows(batch_sizes)
        # Of half rows: the forward half of each last row, and the backward half of each first one.
        index = torch.stack([2 * last, 2 * torch.arange(len(last)) + 1], dim=1).flatten().to(rows.device)
        halves = rows.reshape(-1, self.input_size // 2)
        return halves.index_select(0, index).view(-1, self.input_size)

    def extra_repr(self) -> str:
        """Arguments that differ from their defaults."""
        return f"{self.kind!r}, {self.input_size}" + (", bidirectional=True" if self.bidirectional else "")


class _Attention(nn.Module):
    """Weighted mean over the steps, with weights ``softmax_t(v . tanh(W h_t + b))``."""

    def __init__(self, input_size: int, **factory: Any) -> None:
        super().__init__()
        self.hidden = nn.Linear(input_size, input_size, **factory)
        self.score = nn.Linear(input_size, 1, bias=False, **factory)

    def forward(self, rows: Tensor, batch_sizes: Tensor) -> Tensor:
        score = self.score(torch.tanh(self.hidden(rows)))
        # Shifting a sequence's scores by their maximum changes nothing but keeps exp from overflowing.
        _, highest = ops.pool_steps(score.detach(), batch_sizes, total=False)
        weight = torch.exp(score - spread(cast(Tensor, highest), batch_sizes))
        return sum_steps(weight * rows, batch_sizes) / sum_steps(weight, batch_sizes)


def _last_steps(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    if is_dense(batch_sizes):
        return rows[-int(batch_sizes[0]) :]
    return rows.index_select(0, last_rows(batch_sizes).to(rows.device))


def sum_steps(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    """Sum the steps of each packed sequence.

    Parameters
    ----------
    rows : Tensor, shape (R, features)
        Packed rows.
    batch_sizes : Tensor, int64, shape (T,)
        Rows of each step.

    Returns
    -------
    Tensor, shape (B, features)
        Steps are added in pairs, the pairs in pairs, and so on from the first step: a sequence's sum has the same bits
        in any batch.

    Examples
    --------
    >>> sum_steps(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([2, 1]))
    tensor([[4.],
            [2.]])
    """
    return cast(Tensor, ops.pool_steps(rows, batch_sizes, largest=False)[0])
