"""One LSTM layer, one direction, over packed rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from longspan.ops import _native
from longspan.ops._kernels import run_kernel
from longspan.ops._paths import note, why_stepwise
from longspan.ops._recompute import run_in_chunks
from longspan.ops._steps import run_steps
from longspan.ops._variant import run_variant
from longspan.ops.packing import axes_of, reverser
from longspan.ops.reference import lstm_step, normalised
from longspan.ops.state import LSTMState, LSTMTrace, LSTMWeights, Zoneout

#: The weights that torch's kernel takes, in its order: the first five fields of `LSTMWeights`.
_TORCH_WEIGHTS = 5


def lstm(
    rows: Tensor,
    batch_sizes: Tensor,
    initial_state: LSTMState,
    *,
    weights: LSTMWeights,
    coupled: bool = False,
    recurrent_mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
    ablate: frozenset[str] = frozenset(),
    reverse: bool = False,
    trace: bool = False,
    recompute: bool = False,
) -> tuple[Tensor, LSTMState, LSTMTrace | None]:
    """Run one LSTM layer in one direction; `longspan.ops.lstm_step` has the equations.

    Parameters
    ----------
    rows : Tensor, shape (R, I) or (T, B, I)
        Packed input: time-major, sequences sorted by falling length. A dense batch may keep its three axes;
        output and trace then have them too.
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step; all equal in a dense batch.
    initial_state : LSTMState
        h (B, P) and c (B, H) before the first step (when reversed, before the last), in packed order.
    weights : LSTMWeights
        Weights; those that are there decide on peepholes, projection, normalisation and gate recurrence.
    coupled : bool
        The input gate is one minus the forget gate; `weights` then have three gate blocks, f, g, o.
    recurrent_mask : Tensor, shape (B, P), optional
        Variational dropout: a mask on h', one row a sequence, already scaled.
    zoneout : Zoneout, optional
        What to keep of the old state: masks (R, P) and (R, H), rows in the order of the walk, or numbers.
    ablate : frozenset of str
        Parts to take away, of `longspan.ops.ABLATIONS`.
    reverse : bool
        Run from each sequence's own last step to its first. Output rows stay in the order of the input.
    trace : bool
        Record gates and states of every step.
    recompute : bool
        Keep little but the output for the backward pass, which computes the rest again, a part at a time. Has no
        effect on a trace or with full gate recurrence.

    Returns
    -------
    output : Tensor, shape (R, P) or (T, B, P)
        Hidden state of every step.
    state : LSTMState
        State of each sequence at its own end.
    trace : LSTMTrace or None
        Gates and states of every step, each (R, features), when asked for.

    Examples
    --------
    >>> weights = LSTMWeights(w_ih=torch.zeros(8, 3), w_hh=torch.zeros(8, 2))
    >>> start = LSTMState(h=torch.zeros(2, 2), c=torch.ones(2, 2))
    >>> output, state, _ = lstm(torch.zeros(3, 3), torch.tensor([2, 1]), start, weights=weights)
    >>> output.shape, state.c[:, 0]
    (torch.Size([3, 2]), tensor([0.2500, 0.5000]))
    """
    stepwise = why_stepwise(trace)
    variant = coupled or recurrent_mask is not None or zoneout is not None or bool(ablate)
    variant = variant or any(weight is not None for weight in weights[_TORCH_WEIGHTS:])
    if weights.w_hr is None and not (variant or stepwise):
        return _plain(rows, batch_sizes, initial_state, weights, reverse=reverse, recompute=recompute)
    if recompute and stepwise is None and weights.w_gg is None:
        run = partial(_run_chunk, recurrent_mask, zoneout, coupled=coupled, ablate=ablate)
        output, state = run_in_chunks(run, rows, batch_sizes, initial_state, weights, reverse=reverse)
        return output, LSTMState(*state), None
    rows, *state_parts = _native.without_autocast(weights.w_ih, rows, *initial_state)
    initial_state = LSTMState(*state_parts)
    reason = stepwise or _why_not_native(rows, initial_state, weights, recurrent_mask, zoneout, ablate)
    if reason is None:
        note("lstm", "native")
        output, final = run_variant(
            rows,
            batch_sizes,
            initial_state,
            weights=weights,
            coupled=coupled,
            recurrent_mask=recurrent_mask,
            zoneout=zoneout,
            reverse=reverse,
        )
        return output, final, None
    if not (variant or stepwise):
        return _plain(rows, batch_sizes, initial_state, weights, reverse=reverse)
    note("lstm", "steps", reason)
    backwards = reverser(batch_sizes, rows.device) if reverse else None
    if backwards is not None:
        rows = backwards(rows)
    flat = rows.reshape(-1, rows.shape[-1])
    record, state = _lstm_steps(flat, batch_sizes, initial_state, weights, coupled, recurrent_mask, zoneout, ablate)
    record = LSTMTrace(*(axes_of(rows, field) for field in record))
    if backwards is not None:
        record = LSTMTrace(*map(backwards, record))
    return record.h, LSTMState(*state), record if trace else None


def _plain(
    rows: Tensor,
    batch_sizes: Tensor,
    initial_state: LSTMState,
    weights: LSTMWeights,
    *,
    reverse: bool,
    recompute: bool = False,
) -> tuple[Tensor, LSTMState, None]:
    """Run what torch has a kernel for, too."""
    kernel_weights = weights[:_TORCH_WEIGHTS]
    output, state = run_kernel(
        "lstm", rows, batch_sizes, initial_state, kernel_weights, reverse=reverse, recompute=recompute
    )
    return output, LSTMState(*state), None


def _run_chunk(
    recurrent_mask: Tensor | None,
    zoneout: Zoneout | None,
    rows: Tensor,
    batch_sizes: Tensor,
    part: slice,
    state: tuple[Tensor, ...],
    weights: Sequence[Any],
    **cell: Any,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a part of the walk; the masks are those of the whole."""
    if recurrent_mask is not None:
        recurrent_mask = recurrent_mask[: int(batch_sizes[0])]
    if zoneout is not None:
        zoneout = Zoneout(*(share[part] if isinstance(share, Tensor) else share for share in zoneout))
    start = LSTMState(*state)
    output, final, _ = lstm(
        rows,
        batch_sizes,
        start,
        weights=LSTMWeights(*weights),
        recurrent_mask=recurrent_mask,
        zoneout=zoneout,
        **cell,
    )
    return output, tuple(final)


def _why_not_native(
    rows: Tensor,
    state: LSTMState,
    weights: LSTMWeights,
    recurrent_mask: Tensor | None,
    zoneout: Zoneout | None,
    ablate: frozenset[str],
) -> str | None:
    if ablate:
        return f"there is no native kernel for a cell without its {min(ablate).replace('_', ' ')}."
    if weights.w_gg is not None:
        return "there is no native kernel for full gate recurrence."
    if (weights.w_ln_ih is None) != (weights.w_ln_hh is None):
        return "there is no native kernel for a cell that normalises only one of its two products."
    zones = [share for share in zoneout or () if isinstance(share, Tensor)]
    for zone in zones:
        if zone.dtype != torch.bool or zone.device != rows.device:
            return f"a mask of zoneout is {zone.dtype} on {zone.device}, and native kernels take torch.bool on a CPU."
    if recurrent_mask is None:
        return _native.why_not(rows, state, weights)
    if recurrent_mask.requires_grad:
        return "the recurrent mask asks for a gradient."
    return _native.why_not(rows, (*state, recurrent_mask), weights)


def _lstm_steps(
    rows: Tensor,
    batch_sizes: Tensor,
    initial_state: LSTMState,
    weights: LSTMWeights,
    coupled: bool,
    recurrent_mask: Tensor | None,
    zoneout: Zoneout | None,
    ablate: frozenset[str],
) -> tuple[LSTMTrace, tuple[Tensor, ...]]:
    sizes = batch_sizes.tolist()
    projected = torch.split(_project(rows, weights), sizes)
    zones = None if zoneout is None else [_by_step(share, sizes) for share in zoneout]

    def step(t: int, state: tuple[Tensor, ...]) -> tuple[LSTMTrace, tuple[Tensor, ...]]:
        h, c, *gates = state
        record = lstm_step(
            projected[t],
            LSTMState(h=h, c=c),
            weights=weights,
            coupled=coupled,
            recurrent_mask=None if recurrent_mask is None else recurrent_mask[: sizes[t]],
            zoneout=None if zones is None else Zoneout(h=zones[0][t], c=zones[1][t]),
            gates=gates[0] if gates else None,
            ablate=ablate,
        )
        return record, (record.h, record.c, *_gates_to_carry(record, weights, coupled))

    state: tuple[Tensor, ...] = initial_state
    if weights.w_gg is not None:
        state = (*initial_state, rows.new_zeros(sizes[0], weights.w_gg.shape[1]))
    record, state = run_steps(step, sizes, state)
    return record, state[:2]


def _project(rows: Tensor, weights: LSTMWeights) -> Tensor:
    """``W x + b`` of all rows, with ``W x`` normalised if the cell is."""
    bias = weights.b_ih if weights.b_hh is None else weights.b_hh
    if weights.b_ih is not None and weights.b_hh is not None:
        bias = weights.b_ih + weights.b_hh
    with _native.full_precision(rows.device):
        if weights.w_ln_ih is not None:
            return normalised(rows @ weights.w_ih.T, weights.w_ln_ih, bias)
        return linear(rows, weights.w_ih, bias)


def _by_step(share: Tensor | float, sizes: list[int]) -> list[Tensor] | list[float]:
    return list(torch.split(share, sizes)) if isinstance(share, Tensor) else [share] * len(sizes)


def _gates_to_carry(record: LSTMTrace, weights: LSTMWeights, coupled: bool) -> tuple[Tensor, ...]:
    if weights.w_gg is None:
        return ()
    gates = (record.f, record.o) if coupled else (record.i, record.f, record.o)
    return (torch.cat(gates, dim=-1),)
