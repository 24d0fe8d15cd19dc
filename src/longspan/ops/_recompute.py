"""Gradients through long walks in little memory: states are kept at the ends of chunks, the rest is computed again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from longspan.ops.packing import axes_of, carry_state, reverser

#: Rows of a chunk times units of the layer: 8 MB of gates in float32, which stay in a processor's cache.
_UNITS_OF_A_CHUNK = 500_000

Run = Callable[[Tensor, Tensor, slice, tuple[Tensor, ...]], tuple[Tensor, tuple[Tensor, ...]]]


def run_in_chunks(
    run: Run, rows: Tensor, batch_sizes: Tensor, state: tuple[Tensor, ...], *, reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a layer chunk by chunk; the backward pass runs each chunk once more.

    What is kept of a row is its output alone, H numbers, beside the states at the ends of chunks.

    Parameters
    ----------
    run : callable
        Takes packed rows (R', I), their batch sizes, where they lie in the walk, and the state before them;
        gives their output and the state after them. It runs twice, so it must draw no random numbers.
    rows : Tensor, shape (R, I) or (T, B, I)
        Packed input.
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step.
    state : tuple of Tensor, each (B, features)
        State before the walk.
    reverse : bool
        Walk from each sequence's own last step to its first.

    Returns
    -------
    output : Tensor, shape (R, P) or (T, B, P)
    state : tuple of Tensor
        State of each sequence at its own end.

    References
    ----------
    Chen et al. 2016, "Training deep nets with sublinear memory cost".
    """
    backwards = reverser(batch_sizes, rows.device) if reverse else None
    walked = rows if backwards is None else backwards(rows)
    flat = walked.reshape(-1, rows.shape[-1])
    steps = _chunks(batch_sizes, units=state[-1].shape[-1])
    offsets = [0, *batch_sizes.cumsum(0).tolist()]
    outputs: list[Tensor] = []

    def advance(chunk: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        first, last = steps[chunk]
        part = slice(offsets[first], offsets[last])
        output, state = checkpoint(
            run, flat[part], batch_sizes[first:last], part, state, use_reentrant=False, preserve_rng_state=False
        )
        outputs.append(output)
        return state

    state = carry_state([int(batch_sizes[first]) for first, _ in steps], state, advance)
    output = axes_of(rows, torch.cat(outputs))
    return output if backwards is None else backwards(output), state


def _chunks(batch_sizes: Tensor, *, units: int) -> list[tuple[int, int]]:
    """Cut the steps of a walk into runs of about the same number of rows, as (first, last)."""
    ends = batch_sizes.cumsum(0)
    rows = max(int(batch_sizes[0]), _UNITS_OF_A_CHUNK // units)
    count = -(-int(ends[-1]) // rows)
    cuts = torch.searchsorted(ends, torch.arange(1, count) * rows)
    return list(pairwise(torch.unique(torch.cat([torch.tensor([0]), cuts + 1, torch.tensor([len(ends)])])).tolist()))
