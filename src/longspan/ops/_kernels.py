"""The fastest kernel for a plain cell over packed rows, one layer at a time: the native one, or torch's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from longspan.ops import _native
from longspan.ops._operator import in_transform
from longspan.ops._paths import note
from longspan.ops._recompute import run_in_chunks
from longspan.ops.packing import axes_of, carry_state, reverser, runs_of_equal_size

#: torch's packed kernel on a CPU takes time that grows with the square of the number of steps: its backward
#: pass fills a block as long as the batch at each step. Its dense kernel, called for each run of steps with
#: the same batch size, does not, but pays about 0.3 ms a run. Measured with B=32, H=64, lengths uniform in
#: [T/4, T], forward and backward: T=30, 1.7 steps a run, 7.2 against 6.3 ms packed; T=200, 6.7 steps a run,
#: 19 against 75 ms; T=1000, 33 steps a run, 64 against 1640 ms.
_MIN_STEPS_PER_RUN = 2.0


def run_kernel(
    cell: str,
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    *,
    reverse: bool,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over packed rows, natively where that can be, else with torch's kernel.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn_tanh", "rnn_relu"}
        Which.
    rows : Tensor, shape (R, I) or (T, B, I)
        Packed input; a dense batch may keep its three axes, which saves a view in the graph.
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step.
    state : tuple of Tensor, each (B, features)
        h, or h and c.
    weights : tuple of Tensor
        In torch's order; biases may be None.
    reverse : bool
        Run from each sequence's own last step to its first.
    recompute : bool
        Keep little but the output for the backward pass, which computes the rest again.

    Returns
    -------
    output : Tensor, shape (R, P) or (T, B, P)
    state : tuple of Tensor
        State of each sequence at its own end.
    """
    rows, *state_parts = _native.without_autocast(cast(Tensor, weights[0]), rows, *state)
    state = tuple(state_parts)
    reason = _native.why_not(rows, state, weights)
    rounds = reason is None and not torch.compiler.is_compiling() and _native.rounds(rows.dtype)
    if recompute and (reason or rounds):
        # The native backward pass computes gates again as they were, but not as they were rounded.
        run = partial(_run_chunk, cell)
        return run_in_chunks(run, rows, batch_sizes, state, weights, reverse=reverse)
    note(cell, "torch" if reason else "bfloat16" if rounds else "native", reason)
    if reason is None:
        plain = weights[: _native.PLAIN_WEIGHTS]
        return _native.run(cell, rows, batch_sizes, state, plain, reverse=reverse, recompute=recompute)
    if not reverse:
        return _run_torch(getattr(torch._VF, cell), rows, batch_sizes, state, weights)
    backwards = reverser(batch_sizes, rows.device)
    output, state = _run_torch(getattr(torch._VF, cell), backwards(rows), batch_sizes, state, weights)
    return backwards(output), state


def run_both_directions(
    cell: str,
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    *,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """Run a cell in both directions at once, where there is a native kernel for it; None where there is not.

    Parameters
    ----------
    cell, rows, batch_sizes, recompute
        As `run_kernel` takes them.
    state : tuple of Tensor, each (2, B, features)
        h, or h and c, before the first step and before the last.
    weights : tuple of Tensor
        w_ih, w_hh, b_ih, b_hh of the first direction, then of the other; biases may be None.

    Returns
    -------
    output : Tensor, shape (R, 2 H) or (T, B, 2 H)
        The directions side by side.
    state : tuple of Tensor, each (2, B, features)
        State of each sequence at its end, and at its beginning.
    """
    rows, *state_parts = _native.without_autocast(cast(Tensor, weights[0]), rows, *state)
    state = tuple(state_parts)
    if in_transform() or _native.why_not(rows, state, weights):
        return None
    rounds = not torch.compiler.is_compiling() and _native.rounds(rows.dtype)
    if recompute and rounds:
        return None
    for _ in range(2):
        note(cell, "bfloat16" if rounds else "native")
    return _native.run(cell, rows, batch_sizes, state, weights, reverse=False, recompute=recompute)


def _run_chunk(
    cell: str, rows: Tensor, batch_sizes: Tensor, part: slice, state: tuple[Tensor, ...], weights: Any
) -> tuple[Tensor, tuple[Tensor, ...]]:
    return run_kernel(cell, rows, batch_sizes, state, weights, reverse=False)


def _run_torch(
    kernel: Callable[..., Any],
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    flat = [weight for weight in weights if weight is not None]
    state = tuple(part.unsqueeze(0) for part in state)
    has_bias = weights[2] is not None
    batch, on_cpu = state[0].shape[1], rows.device.type == "cpu"
    projected = state[0].shape[-1] != state[-1].shape[-1]
    with _without_idle_warnings() if projected or not on_cpu else nullcontext():
        if rows.dim() == 3:
            output, state = _dense(kernel, rows, state, flat, has_bias)
        elif rows.shape[0] == batch * batch_sizes.shape[0]:
            block = rows.view(-1, batch, rows.shape[1])
            output, state = _dense(kernel, block, state, flat, has_bias)
            output = axes_of(rows, output)
        elif on_cpu and _worth_splitting(batch_sizes):
            output, state = _by_runs(kernel, rows, batch_sizes, state, flat, has_bias)
        else:
            output, state = _packed(kernel, rows, batch_sizes, state, flat, has_bias)
    return output, tuple(part.squeeze(0) for part in state)


def _worth_splitting(batch_sizes: Tensor) -> bool:
    # Where nothing is learned the way must not depend on the neighbours, or the last bits of a result would.
    return not torch.is_grad_enabled() or batch_sizes.numel() >= _MIN_STEPS_PER_RUN * len(
        runs_of_equal_size(batch_sizes)
    )


def _hx(state: tuple[Tensor, ...]) -> Any:
    return state[0] if len(state) == 1 else state


@contextmanager
def _without_idle_warnings() -> Iterator[None]:
    """Keep torch from saying at each call what no caller can change.

    On a CPU, that oneDNN has no projections; with cuDNN, that the weights of a layer are not one block of
    memory and are copied together, which costs little beside the walk.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
        yield


def _dense(
    kernel: Callable[..., Any],
    block: Tensor,
    state: tuple[Tensor, ...],
    flat: list[Tensor],
    has_bias: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    result = kernel(block, _hx(state), flat, has_bias, 1, 0.0, torch.is_grad_enabled(), False, False)
    return result[0], result[1:]


def _packed(
    kernel: Callable[..., Any],
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    flat: list[Tensor],
    has_bias: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    # A gradient can be asked for in evaluation too, so grad mode, not training, decides what is kept.
    keep = torch.is_grad_enabled()
    result = kernel(rows, batch_sizes, _hx(state), flat, has_bias, 1, 0.0, keep, False)
    return result[0], result[1:]


def _by_runs(
    kernel: Callable[..., Any],
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    flat: list[Tensor],
    has_bias: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Call the dense kernel for each run of steps with the same batch size."""
    runs = runs_of_equal_size(batch_sizes)
    parts = torch.split(rows, [size * steps for size, steps in runs])
    outputs: list[Tensor] = []

    def advance(run: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        block = parts[run].view(-1, runs[run][0], rows.shape[1])
        output, state = _dense(kernel, block, state, flat, has_bias)
        outputs.append(axes_of(parts[run], output))
        return state

    state = carry_state([size for size, _ in runs], state, advance)
    return torch.cat(outputs), state
