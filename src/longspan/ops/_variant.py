"""The native kernel of the LSTM's variants as an operator of torch, `torch.ops.longspan.lstm_variant`.

Peepholes, coupled gates, projection, layer normalisation, zoneout and a mask on h', in any combination; the equations
are those of `longspan.ops.lstm_step`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor

from longspan.ops._native import address, contiguous, full_precision, kernel_of, pooled, with_walk
from longspan.ops._operator import Gradients, Operator, Run
from longspan.ops.state import LSTMState, LSTMWeights, Zoneout


class _Given(NamedTuple):
    """What the operator takes, in its order."""

    rows: Tensor  # (R, I) or (T, B, I)
    batch_sizes: Tensor
    h0: Tensor
    c0: Tensor
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_hr: Tensor | None
    w_ch: Tensor | None
    ln_ih: Tensor | None
    ln_hh: Tensor | None
    ln_c: Tensor | None
    bias_ln_c: Tensor | None
    mask: Tensor | None
    zone_h: Tensor | None
    zone_c: Tensor | None
    share_h: float
    share_c: float
    coupled: bool
    reverse: bool
    keep: bool

    @property
    def gates(self) -> int:
        return 3 if self.coupled else 4

    @property
    def hidden(self) -> int:
        return self.c0.shape[1]

    @property
    def parts(self) -> list[Any]:
        """What makes it a variant, in the order of the kernel."""
        return list(self[_FIRST_PART:_TENSORS])


_PARTS = ("w_hr", "w_ch", "ln_ih", "ln_hh", "ln_c", "bias_ln_c", "mask", "zone_h", "zone_c")
_LEARNED_PARTS = _PARTS.index("mask")
_GIVEN = len(_Given._fields)
_FIRST_WEIGHT = _Given._fields.index("w_ih")
_FIRST_PART = _Given._fields.index(_PARTS[0])
_TENSORS = _FIRST_PART + len(_PARTS)
_SCHEMA = (
    "Tensor rows, Tensor batch_sizes, Tensor h0, Tensor c0, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh,"
    + "".join(f" Tensor? {name}," for name in _PARTS)
    + " float share_h, float share_c, bool coupled, bool reverse, bool keep"
)


class _Outputs(NamedTuple):
    """What the operator gives; from `cells` on it is for the backward pass, and empty where nothing is learned."""

    output: Tensor
    h: Tensor
    c: Tensor
    cells: Tensor
    gates: Tensor
    normal: Tensor
    norms: Tensor


class _Gradients(NamedTuple):
    rows: Tensor
    h0: Tensor
    c0: Tensor
    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor
    w_hr: Tensor
    w_ch: Tensor
    ln_ih: Tensor
    ln_hh: Tensor
    ln_c: Tensor
    bias_ln_c: Tensor


_OF_W_HR = _Gradients._fields.index("w_hr")  # which torch computes and not the kernel
_KEPT = _Outputs._fields.index("cells")


def run_variant(
    rows: Tensor,
    batch_sizes: Tensor,
    state: LSTMState,
    *,
    weights: LSTMWeights,
    coupled: bool,
    recurrent_mask: Tensor | None,
    zoneout: Zoneout | None,
    reverse: bool,
) -> tuple[Tensor, LSTMState]:
    """Run a variant over packed rows, (R, I) or (T, B, I)."""
    zone_h, zone_c = zoneout or (0.0, 0.0)
    learned = (rows, *state, *weights)
    given = _Given(
        rows=rows.contiguous(),
        batch_sizes=batch_sizes,
        h0=state.h,
        c0=state.c,
        w_ih=weights.w_ih,
        w_hh=weights.w_hh,
        b_ih=weights.b_ih,
        b_hh=weights.b_hh,
        w_hr=weights.w_hr,
        w_ch=weights.w_ch,
        ln_ih=weights.w_ln_ih,
        ln_hh=weights.w_ln_hh,
        ln_c=weights.w_ln_c,
        bias_ln_c=weights.b_ln_c,
        mask=recurrent_mask,
        zone_h=zone_h if isinstance(zone_h, Tensor) else None,
        zone_c=zone_c if isinstance(zone_c, Tensor) else None,
        share_h=0.0 if isinstance(zone_h, Tensor) else float(zone_h),
        share_c=0.0 if isinstance(zone_c, Tensor) else float(zone_c),
        coupled=coupled,
        reverse=reverse,
        keep=torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in learned),
    )
    output, h, c = _OPERATOR(*given, learns=given.keep)
    return output, LSTMState(h=h, c=c)


def _room(given: _Given, *, large: Callable[..., Tensor] = Tensor.new_empty) -> _Outputs:
    """Return room for the outputs; `large` makes that of what no user sees."""
    new, count = given.rows.new_empty, math.prod(given.rows.shape[:-1])
    kept = given.gates * given.hidden if given.keep else 0
    normalised = given.keep and given.ln_hh is not None
    # The largest and shortest-lived first: asked for after the output, they would leave a hole in memory at each call.
    gates = large(given.rows, count, kept) if given.keep else new(0)
    normal = large(given.rows, count, 2 * kept) if normalised else new(0)
    return _Outputs(
        output=new(*given.rows.shape[:-1], given.h0.shape[1]),
        h=new(*given.h0.shape),
        c=new(*given.c0.shape),
        cells=large(given.rows, count, given.hidden) if given.keep else new(0),
        gates=gates,
        normal=normal,
        norms=new((count, 4) if (given.keep and given.ln_c is not None) or normalised else (0,)),
    )


def _problem(given: _Given) -> tuple[tuple[Any, ...], list[Any]]:
    """Return the arguments that say what variant and walk it is, and what must live while the kernel runs."""
    alive = [*contiguous(*given.parts), given.batch_sizes.contiguous()]
    walk = len(given.batch_sizes), len(given.h0), address(alive[-1]), given.reverse
    parts = [*map(address, alive[:-1])]
    return (given.gates, given.h0.shape[1], parts, given.share_h, given.share_c, *walk), alive


def _forward(*arguments: Any) -> tuple[Tensor, ...]:
    given = _Given(*arguments)
    room = _room(given, large=pooled)
    problem, _alive = _problem(given)
    tensors = contiguous(given.rows, given.h0, given.c0, given.w_ih, given.w_hh, given.b_ih, given.b_hh)
    sizes = given.rows.shape[-1], given.hidden
    kernel = kernel_of("forward_variant", given.rows.dtype)
    with_walk(kernel, *problem, *sizes, [*map(address, tensors)], [*map(address, room)], torch.get_num_threads())
    return tuple(room)


def _backward(
    grad_output: Tensor | None, grad_h: Tensor | None, grad_c: Tensor | None, *rest: Any
) -> tuple[Tensor, ...]:
    given, (output, cells, *kept, of_rows, of_weights) = _Given(*rest[:_GIVEN]), rest[_GIVEN:]
    problem, _alive = _problem(given)
    count, hidden = cells.shape if given.w_hr is not None else (0, given.hidden)
    of_output, unprojected = given.rows.new_empty(count, given.h0.shape[1]), given.rows.new_empty(count, hidden)
    found = _room_of_gradients(given, of_rows, of_weights)
    tensors = contiguous(
        given.rows, given.h0, given.c0, given.w_ih, given.w_hh, output, cells, *kept, grad_output, grad_h, grad_c
    )
    room = (*found[:_OF_W_HR], *found[_OF_W_HR + 1 :], of_output, unprojected)
    kernel = kernel_of("backward_variant", given.rows.dtype)
    sizes = given.rows.shape[-1], hidden
    kernel(*problem, *sizes, [*map(address, tensors)], [*map(address, room)], torch.get_num_threads())
    if given.w_hr is not None and of_weights:
        with full_precision(given.rows.device):
            torch.mm(of_output.T, unprojected, out=found.w_hr)
    return found


def _shapes(*arguments: Any) -> tuple[Tensor, ...]:
    return tuple(_room(_Given(*arguments)))


def _shapes_backward(*arguments: Any) -> tuple[Tensor, ...]:
    return _room_of_gradients(_Given(*arguments[3 : 3 + _GIVEN]), *arguments[-2:])


def _room_of_gradients(given: _Given, of_rows: bool, of_weights: bool) -> _Gradients:
    """Return room for the gradients; what is not asked for is empty."""
    new = given.rows.new_empty
    weights = (given.w_ih, given.w_hh, given.b_ih, *given.parts[:_LEARNED_PARTS])
    wanted = (given.rows if of_rows else None, given.h0, given.c0, *(one if of_weights else None for one in weights))
    return _Gradients(*(new(0) if tensor is None else new(*tensor.shape) for tensor in wanted))


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    kept = _Outputs(*output)
    ctx.save_for_backward(*inputs[:_TENSORS], kept.output, *kept[_KEPT:])
    ctx.rest = inputs[_TENSORS:]
    ctx.set_materialize_grads(False)


def _differentiate(backward: Run, ctx: Any, grads: tuple[Tensor | None, ...], wanted: tuple[bool, ...]) -> Gradients:
    saved = ctx.saved_tensors
    given = (*saved[:_TENSORS], *ctx.rest)
    asked = wanted[0], any(wanted[_FIRST_WEIGHT:_TENSORS])
    rows, h0, c0, w_ih, w_hh, bias, *of_parts = backward(*grads[:3], *given, *saved[_TENSORS:], *asked)
    found = (rows, None, h0, c0, w_ih, w_hh, bias, bias.clone(), *of_parts)
    return tuple(grad if want else None for grad, want in zip_longest(found, wanted))


def _operator() -> Operator:
    """Return the variants' operator of torch."""
    outputs = ", ".join(f"Tensor {name}" for name in _Outputs._fields)
    kept = ", ".join(f"Tensor kept_{name}" for name in ("output", *_Outputs._fields[_KEPT:]))
    gradients = ", ".join("Tensor" for _ in _Gradients._fields)
    return Operator(
        name="lstm_variant",
        schema=f"({_SCHEMA}) -> ({outputs})",
        schema_backward=f"(Tensor? grad_output, Tensor? grad_h, Tensor? grad_c, {_SCHEMA}, {kept}, bool of_rows,"
        f" bool of_weights) -> ({gradients})",
        forward=_forward,
        backward=_backward,
        shapes=_shapes,
        shapes_backward=_shapes_backward,
        keep=_keep_for_backward,
        differentiate=_differentiate,
    )


_OPERATOR = _operator()
