"""Gradients through long walks in little memory: states are kept at the ends of chunks, the rest is computed again.

For what the native kernels of the plain cells do not run; these compute gates again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from longspan.ops.packing import axes_of, carry_state, reverser

#: Rows of a chunk times units of the layer: 16 MB of gates in float32, which a processor's last cache may hold.
_UNITS_OF_A_CHUNK = 1_000_000

Weights = tuple[Tensor | None, ...]
Run = Callable[[Tensor, Tensor, slice, tuple[Tensor, ...], Weights], tuple[Tensor, tuple[Tensor, ...]]]


def run_in_chunks(
    run: Run,
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    *,
    reverse: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a layer chunk by chunk; the backward pass runs each chunk once more.

    What is kept of a row is its output alone, H numbers, beside the states at the ends of chunks.

    Parameters
    ----------
    run : callable
        Takes packed rows (R', I), their batch sizes, where they lie in the walk, the state before them and the
        weights; gives their output and the state after them. It runs twice, so it must draw no random numbers.
    rows : Tensor, shape (R, I) or (T, B, I)
        Packed input.
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step.
    state : tuple of Tensor, each (B, features)
        State before the walk.
    weights : tuple of Tensor
        Weights of the layer; what is None stays so.
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
    steps = _chunks(batch_sizes, units=state[-1].shape[-1])
    offsets = [0, *batch_sizes.cumsum(0).tolist()]
    parts = [slice(offsets[first], offsets[last]) for first, last in steps]
    blocks = torch.split(walked.reshape(-1, rows.shape[-1]), [part.stop - part.start for part in parts])
    outputs: list[Tensor] = []

    def advance(chunk: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        sizes = batch_sizes[slice(*steps[chunk])]
        given = (run, sizes, parts[chunk], len(state), blocks[chunk], *state, *weights)
        output, *state_after = _Chunk.apply(*given)  # type: ignore[no-untyped-call]
        outputs.append(output)
        return tuple(state_after)

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


class _Chunk(torch.autograd.Function):
    """A part of the walk, of which nothing but what it was given is kept."""

    @staticmethod
    def forward(
        ctx: Any, run: Run, batch_sizes: Tensor, part: slice, states: int, *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        ctx.run, ctx.batch_sizes, ctx.part, ctx.states = run, batch_sizes, part, states
        ctx.save_for_backward(*tensors)
        output, state = _run(run, batch_sizes, part, states, tensors)
        return output, *state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[4:]
        tensors = [
            None if tensor is None else tensor.detach().requires_grad_(want)
            for tensor, want in zip(ctx.saved_tensors, wanted, strict=True)
        ]
        with torch.enable_grad():
            output, state = _run(ctx.run, ctx.batch_sizes, ctx.part, ctx.states, tensors)
        learned = [cast(Tensor, tensor) for tensor, want in zip(tensors, wanted, strict=True) if want]
        found = iter(torch.autograd.grad((output, *state), learned, grads, allow_unused=True))
        return (None, None, None, None, *(next(found) if want else None for want in wanted))


def _run(
    run: Run, batch_sizes: Tensor, part: slice, states: int, tensors: Sequence[Any]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    rows, state, weights = tensors[0], tuple(tensors[1 : 1 + states]), tuple(tensors[1 + states :])
    return run(rows, batch_sizes, part, state, weights)
