"""One GRU layer, one direction, over packed rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from longspan.ops._kernels import run_kernel
from longspan.ops._paths import note, why_stepwise
from longspan.ops._recompute import run_in_chunks
from longspan.ops._steps import run_steps
from longspan.ops.packing import axes_of, reverser
from longspan.ops.reference import gru_step
from longspan.ops.state import GRUTrace, RNNWeights


def gru(
    rows: Tensor,
    batch_sizes: Tensor,
    initial_state: Tensor,
    *,
    weights: RNNWeights,
    reset: str = "after",
    reverse: bool = False,
    trace: bool = False,
    recompute: bool = False,
) -> tuple[Tensor, Tensor, GRUTrace | None]:
    """Run one GRU layer in one direction; `longspan.ops.gru_step` has the equations.

    Parameters
    ----------
    rows : Tensor, shape (R, I) or (T, B, I)
        Packed input: time-major, sequences sorted by falling length. A dense batch may keep its three axes;
        output and trace then have them too.
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step; all equal in a dense batch.
    initial_state : Tensor, shape (B, H)
        h before the first step (when reversed, before the last), in packed order.
    weights : RNNWeights
        Weights, gate blocks in the order r, z, n.
    reset : {"after", "before"}
        Whether the reset gate acts after the recurrent product or before it.
    reverse : bool
        Run from each sequence's own last step to its first. Output rows stay in the order of the input.
    trace : bool
        Record gates and states of every step.
    recompute : bool
        Keep little but the output for the backward pass, which computes the rest again, a part at a time.

    Returns
    -------
    output : Tensor, shape (R, H) or (T, B, H)
        Hidden state of every step.
    state : Tensor, shape (B, H)
        State of each sequence at its own end.
    trace : GRUTrace or None
        Gates and states of every step, when asked for.

    Examples
    --------
    >>> weights = RNNWeights(w_ih=torch.zeros(6, 3), w_hh=torch.zeros(6, 2))
    >>> _, state, _ = gru(torch.zeros(3, 3), torch.tensor([2, 1]), torch.ones(2, 2), weights=weights)
    >>> state[:, 0]
    tensor([0.2500, 0.5000])
    """
    stepwise = why_stepwise(trace)
    if recompute and stepwise is None and reset != "after":
        run = partial(_run_chunk, reset)
        output, state = run_in_chunks(run, rows, batch_sizes, (initial_state,), weights, reverse=reverse)
        return output, state[0], None
    if reset != "after":
        stepwise = stepwise or "there is no native kernel for reset='before'."
    if stepwise is None:
        output, final = run_kernel(
            "gru", rows, batch_sizes, (initial_state,), weights, reverse=reverse, recompute=recompute
        )
        return output, final[0], None
    note("gru", "steps", stepwise)
    backwards = reverser(batch_sizes, rows.device) if reverse else None
    if backwards is not None:
        rows = backwards(rows)
    record, final = _gru_steps(rows.reshape(-1, rows.shape[-1]), batch_sizes, initial_state, weights, reset)
    record = GRUTrace(*(axes_of(rows, field) for field in record))
    if backwards is not None:
        record = GRUTrace(*map(backwards, record))
    return record.h, final[0], record if trace else None


def _run_chunk(
    reset: str, rows: Tensor, batch_sizes: Tensor, part: slice, state: tuple[Tensor, ...], weights: Any
) -> tuple[Tensor, tuple[Tensor, ...]]:
    output, final, _ = gru(rows, batch_sizes, state[0], weights=RNNWeights(*weights), reset=reset)
    return output, (final,)


def _gru_steps(
    rows: Tensor, batch_sizes: Tensor, initial_state: Tensor, weights: RNNWeights, reset: str
) -> tuple[GRUTrace, tuple[Tensor, ...]]:
    sizes = batch_sizes.tolist()
    projected = torch.split(linear(rows, weights.w_ih, weights.b_ih), sizes)

    def step(t: int, state: tuple[Tensor, ...]) -> tuple[GRUTrace, tuple[Tensor, ...]]:
        record = gru_step(projected[t], state[0], weights=weights, reset=reset)
        return record, (record.h,)

    return run_steps(step, sizes, (initial_state,))
