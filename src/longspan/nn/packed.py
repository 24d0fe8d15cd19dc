"""Rows of packed sequences: moved by a step, framed, prolonged, padded, as networks that generate steps need them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longspan.ops import dense_batch_sizes, is_dense, last_rows, row_index, sequence_lengths

__all__ = [
    "framed",
    "last_steps",
    "one_step",
    "padded_rows",
    "prolonged",
    "row_index",
    "rows_before",
    "sequence_lengths",
]


def rows_before(rows: PackedSequence, first: Tensor | None = None) -> PackedSequence:
    """Return for each packed row the one a step before; at the first step `first`, or NaN."""
    count = int(rows.batch_sizes[0])
    if first is None:
        first = torch.full_like(rows.data[:count], torch.nan)
    if is_dense(rows.batch_sizes):
        before = rows.data[:-count]
    else:
        step, sequence, offsets = row_index(rows.batch_sizes)
        index = offsets[step[count:] - 1] + sequence[count:]
        before = rows.data.index_select(0, index.to(rows.data.device))
    return rows._replace(data=torch.cat([first, before]))


def framed(rows: PackedSequence, borders: Tensor) -> PackedSequence:
    """Return each sequence between two more rows; `borders` has the first and the last one, shape (2, features).

    Examples
    --------
    >>> steps = torch.nn.utils.rnn.pack_sequence([torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]])])
    >>> framed(steps, torch.tensor([[8.0], [9.0]])).data.ravel()
    tensor([8., 8., 1., 3., 2., 9., 9.])
    """
    sizes = rows.batch_sizes
    longer = torch.cat([sizes.new_full((2,), int(sizes[0])), sizes])
    step, sequence, _ = row_index(longer)
    offsets = sizes.cumsum(0) - sizes
    inside = offsets[(step - 1).clamp(0, len(sizes) - 1)] + sequence
    is_last = step == sequence_lengths(sizes)[sequence] + 1
    index = torch.where(step == 0, 0, torch.where(is_last, 1, inside + 2))
    data = torch.cat([borders, rows.data]).index_select(0, index.to(rows.data.device))
    return rows._replace(data=data, batch_sizes=longer)


def prolonged(rows: PackedSequence, before: Tensor) -> PackedSequence:
    """Return each sequence after the rows `before` it, shape (W, B, features)."""
    sizes = rows.batch_sizes
    longer = torch.cat([sizes.new_full((len(before),), int(sizes[0])), sizes])
    return rows._replace(data=torch.cat([before.flatten(0, 1), rows.data]), batch_sizes=longer)


def last_steps(rows: PackedSequence, count: int) -> Tensor:
    """Return the last `count` rows of each sequence, shape (count, B, features); each has so many.

    Examples
    --------
    >>> steps = torch.nn.utils.rnn.pack_sequence([torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[3.0], [5.0]])])
    >>> last_steps(steps, 2)[:, :, 0]
    tensor([[2., 3.],
            [4., 5.]])
    """
    sizes = rows.batch_sizes
    step, sequence, offsets = row_index(sizes)
    last = last_rows(sizes)
    steps = step[last] - torch.arange(count - 1, -1, -1).unsqueeze(1)
    index = offsets[steps] + sequence[last]
    return rows.data.index_select(0, index.flatten().to(rows.data.device)).view(count, int(sizes[0]), -1)


def one_step(rows: Tensor) -> PackedSequence:
    """Return one row for each of B sequences, shape (B, features), as packed sequences of one step."""
    return PackedSequence(rows, dense_batch_sizes(1, len(rows)))


def padded_rows(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """Return rows as (B, T, features), and for each packed row its place among them."""
    step, sequence, _ = row_index(packed.batch_sizes)
    index = sequence * len(packed.batch_sizes) + step
    return pad_packed_sequence(packed, batch_first=True)[0], index.to(packed.data.device)
