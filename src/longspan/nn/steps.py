"""Packed rows as steps of sequences: the step before, and where in its sequence a step is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from longspan.ops import is_dense, row_index, sequence_lengths


def rows_before(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    """Return, for each packed row but those of the first step, the row a step before.

    Parameters
    ----------
    rows : Tensor, shape (R, features)
        Packed rows of B sequences.
    batch_sizes : Tensor, int64, shape (T,)
        Rows of each step.

    Returns
    -------
    Tensor, shape (R - B, features)

    Examples
    --------
    >>> rows_before(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([2, 1, 1]))
    tensor([[1.],
            [3.]])
    """
    begun = int(batch_sizes[0])
    if is_dense(batch_sizes):
        return rows[:-begun]
    # A row is as far behind the one of its sequence before it as there were sequences at that step.
    index = torch.arange(begun, len(rows)) - torch.repeat_interleave(batch_sizes[:-1], batch_sizes[1:])
    return rows.index_select(0, index.to(rows.device))


def cosine_code(batch_sizes: Tensor, harmonics: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return what tells where in its sequence each packed row is, shape (R, harmonics + 1), on the CPU.

    A constant, and cosines of the fraction of the sequence that is behind: the first functions of the discrete cosine
    transform (of type II) of a sequence of that length, each with a mean square of 1.

    Examples
    --------
    >>> cosine_code(torch.tensor([1, 1]), harmonics=1)
    tensor([[ 1.0000,  1.0000],
            [ 1.0000, -1.0000]])
    """
    step, sequence, _ = row_index(batch_sizes)
    fraction = (step.to(dtype) + 0.5) / sequence_lengths(batch_sizes)[sequence]
    waves = math.sqrt(2.0) * torch.cos(math.pi * fraction[:, None] * torch.arange(1, harmonics + 1))
    return torch.cat([torch.ones_like(waves[:, :1]), waves], dim=1)


def log_lengths(batch_sizes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the logarithm of the number of steps of each packed row's sequence, shape (R, 1), on the CPU."""
    sequence = row_index(batch_sizes).sequence
    return sequence_lengths(batch_sizes)[sequence, None].to(dtype).log()
