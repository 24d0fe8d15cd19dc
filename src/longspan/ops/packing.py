"""Packed rows: a ragged batch as one matrix, without padding.

Rows lie as in `torch.nn.utils.rnn.PackedSequence`: time-major, sequences sorted by falling length.
Step ``t`` holds the rows of the first ``batch_sizes[t]`` sequences. A dense batch is the case where all sizes
are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class RowIndex(NamedTuple):
    """Where each packed row belongs.

    Attributes
    ----------
    step : Tensor, int64, shape (R,)
        The step of each row.
    sequence : Tensor, int64, shape (R,)
        The place of its sequence in the packed (sorted) batch.
    offsets : Tensor, int64, shape (T,)
        The row at which each step begins.
    """

    step: Tensor
    sequence: Tensor
    offsets: Tensor


def is_dense(batch_sizes: Tensor) -> bool:
    """Whether all sequences have one length: sizes only fall, so the last one tells."""
    return int(batch_sizes[0]) == int(batch_sizes[-1])


def dense_batch_sizes(steps: int, batch: int) -> Tensor:
    """The batch sizes of a dense batch.

    Examples
    --------
    >>> dense_batch_sizes(steps=3, batch=2)
    tensor([2, 2, 2])
    """
    return torch.full((steps,), batch, dtype=torch.int64)


def sequence_lengths(batch_sizes: Tensor) -> Tensor:
    """Lengths of the packed sequences, falling.

    Examples
    --------
    >>> sequence_lengths(torch.tensor([3, 2, 2, 1]))
    tensor([4, 3, 1])
    """
    places = torch.arange(int(batch_sizes[0]))
    # Sizes fall, so their negatives rise: a sequence lives as long as its place is below the size.
    return torch.searchsorted(-batch_sizes, -places)


def row_index(batch_sizes: Tensor) -> RowIndex:
    """Step and sequence of each packed row.

    Examples
    --------
    >>> row_index(torch.tensor([2, 1])).sequence
    tensor([0, 1, 0])
    """
    offsets = batch_sizes.cumsum(0) - batch_sizes
    step = torch.repeat_interleave(batch_sizes)
    sequence = torch.arange(step.numel()) - offsets.index_select(0, step)
    return RowIndex(step=step, sequence=sequence, offsets=offsets)


def reversal_index(batch_sizes: Tensor) -> Tensor:
    """The rows in the order that reverses each sequence within its own length; its own inverse.

    Examples
    --------
    >>> reversal_index(torch.tensor([2, 2, 1]))
    tensor([4, 3, 2, 1, 0])
    """
    step, sequence, offsets = row_index(batch_sizes)
    return offsets[sequence_lengths(batch_sizes)[sequence] - 1 - step] + sequence


def last_rows(batch_sizes: Tensor) -> Tensor:
    """The row of the last step of each packed sequence.

    Examples
    --------
    >>> last_rows(torch.tensor([2, 2, 1]))
    tensor([4, 3])
    """
    offsets = batch_sizes.cumsum(0) - batch_sizes
    last = sequence_lengths(batch_sizes) - 1
    return offsets.index_select(0, last) + torch.arange(last.numel())


def reverser(batch_sizes: Tensor, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function that reverses rows within their sequences; applied twice, it changes nothing."""
    if is_dense(batch_sizes):
        steps = batch_sizes.numel()
        return lambda rows: rows.reshape(steps, -1, rows.shape[-1]).flip(0).view(rows.shape)
    index = reversal_index(batch_sizes).to(device)
    return lambda rows: rows.index_select(0, index)


def axes_of(rows: Tensor, values: Tensor) -> Tensor:
    """Give values of packed rows, (R, features), the leading axes of `rows`: (R,) or (T, B)."""
    return values.view(*rows.shape[:-1], values.shape[-1])


def runs_of_equal_size(batch_sizes: Tensor) -> list[tuple[int, int]]:
    """Runs of steps with the same batch size, as (batch size, number of steps).

    Examples
    --------
    >>> runs_of_equal_size(torch.tensor([3, 3, 1]))
    [(3, 2), (1, 1)]
    """
    sizes, counts = torch.unique_consecutive(batch_sizes, return_counts=True)
    return list(zip(sizes.tolist(), counts.tolist(), strict=True))


def carry_state(
    sizes: Sequence[int],
    state: tuple[Tensor, ...],
    advance: Callable[[int, tuple[Tensor, ...]], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """Carry a state through segments of falling batch size, setting aside sequences as they end.

    Parameters
    ----------
    sizes : sequence of int
        Batch size of each segment.
    state : tuple of Tensor, each (..., B, features)
        State before the first segment.
    advance : callable
        Takes the number of a segment and the state of the sequences in it; gives their new state.

    Returns
    -------
    tuple of Tensor
        The state of each sequence at its own end, in the packed order.
    """
    ended: list[tuple[Tensor, ...]] = []
    for segment, size in enumerate(sizes):
        if size < state[0].shape[-2]:
            ended.append(tuple(part[..., size:, :] for part in state))
            state = tuple(part[..., :size, :] for part in state)
        state = advance(segment, state)
    if not ended:
        return state
    ended.append(state)
    return tuple(torch.cat(parts[::-1], dim=-2) for parts in zip(*ended, strict=True))
