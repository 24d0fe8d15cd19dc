"""One simple recurrent layer, one direction, over packed rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from longspan.ops._kernels import run_kernel
from longspan.ops._paths import note, why_stepwise
from longspan.ops._steps import run_steps
from longspan.ops.packing import axes_of, reverser
from longspan.ops.reference import rnn_step
from longspan.ops.state import RNNTrace, RNNWeights


def rnn(
    rows: Tensor,
    batch_sizes: Tensor,
    initial_state: Tensor,
    *,
    weights: RNNWeights,
    nonlinearity: str = "tanh",
    reverse: bool = False,
    trace: bool = False,
    recompute: bool = False,
) -> tuple[Tensor, Tensor, RNNTrace | None]:
    """Run one simple recurrent layer in one direction, ``h = tanh(W x + U h' + b)``.

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
        Weights of the layer.
    nonlinearity : {"tanh", "relu"}
        The function of the step.
    reverse : bool
        Run from each sequence's own last step to its first. Output rows stay in the order of the input.
    trace : bool
        Run the reference equations and give the states of every step as a record too.
    recompute : bool
        Keep little but the output for the backward pass, which computes the rest again, a part at a time.

    Returns
    -------
    output : Tensor, shape (R, H) or (T, B, H)
        Hidden state of every step.
    state : Tensor, shape (B, H)
        State of each sequence at its own end.
    trace : RNNTrace or None
        States of every step, when asked for.

    Examples
    --------
    >>> weights = RNNWeights(w_ih=torch.eye(2), w_hh=torch.eye(2))
    >>> rows, sizes = torch.ones(3, 2), torch.tensor([2, 1])
    >>> rnn(rows, sizes, torch.zeros(2, 2), weights=weights, nonlinearity="relu")[0]
    tensor([[1., 1.],
            [1., 1.],
            [2., 2.]])
    """
    stepwise = why_stepwise(trace)
    if stepwise is None:
        cell = f"rnn_{nonlinearity}"
        output, final = run_kernel(
            cell, rows, batch_sizes, (initial_state,), weights, reverse=reverse, recompute=recompute
        )
        return output, final[0], None
    note(f"rnn_{nonlinearity}", "steps", stepwise)
    backwards = reverser(batch_sizes, rows.device) if reverse else None
    if backwards is not None:
        rows = backwards(rows)
    record, final = _rnn_steps(rows.reshape(-1, rows.shape[-1]), batch_sizes, initial_state, weights, nonlinearity)
    record = RNNTrace(h=axes_of(rows, record.h))
    if backwards is not None:
        record = RNNTrace(h=backwards(record.h))
    return record.h, final[0], record


def _rnn_steps(
    rows: Tensor, batch_sizes: Tensor, initial_state: Tensor, weights: RNNWeights, nonlinearity: str
) -> tuple[RNNTrace, tuple[Tensor, ...]]:
    sizes = batch_sizes.tolist()
    projected = linear(rows, weights.w_ih, weights.b_ih)
    if weights.b_hh is not None:
        projected = projected + weights.b_hh
    projected_by_step = torch.split(projected, sizes)

    def step(t: int, state: tuple[Tensor, ...]) -> tuple[RNNTrace, tuple[Tensor, ...]]:
        record = rnn_step(projected_by_step[t], state[0], w_hh=weights.w_hh, nonlinearity=nonlinearity)
        return record, (record.h,)

    return run_steps(step, sizes, (initial_state,))
