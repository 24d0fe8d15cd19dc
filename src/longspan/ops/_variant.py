"""The native kernel of the LSTM's variants as an operator of torch, `torch.ops.longspan.lstm_variant`.

Peepholes, coupled gates, projection, layer normalisation, zoneout and a mask on h', in any combination; the equations
are those of `longspan.ops.lstm_step`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, library

from longspan.ops._native import (
    LIBRARY,
    address,
    contiguous,
    full_precision,
    kernel_of,
    refuse_second_derivative,
)
from longspan.ops.state import LSTMState, LSTMWeights, Zoneout

_NAME = "lstm_variant"


class _Given(NamedTuple):
    """What the operator takes, in its order."""

    rows: Tensor  # (R, I); with layer normalisation the sums W x + b of the gates, (R, nH)
    batch_sizes: Tensor
    h0: Tensor
    c0: Tensor
    w_ih: Tensor | None
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_hr: Tensor | None
    w_ch: Tensor | None
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
        return [self.w_hr, self.w_ch, self.ln_hh, self.ln_c, self.bias_ln_c, self.mask, self.zone_h, self.zone_c]


_SCHEMA = (
    "Tensor rows, Tensor batch_sizes, Tensor h0, Tensor c0, Tensor? w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh,"
    " Tensor? w_hr, Tensor? w_ch, Tensor? ln_hh, Tensor? ln_c, Tensor? bias_ln_c, Tensor? mask, Tensor? zone_h,"
    " Tensor? zone_c, float share_h, float share_c, bool coupled, bool reverse, bool keep"
)


class _Outputs(NamedTuple):
    """What the operator gives; from `cells` on it is for the backward pass, and empty where nothing is learned."""

    output: Tensor
    h: Tensor
    c: Tensor
    cells: Tensor
    gates: Tensor
    normal: Tensor
    scale: Tensor


class _Gradients(NamedTuple):
    rows: Tensor
    h0: Tensor
    c0: Tensor
    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor
    w_hr: Tensor
    w_ch: Tensor
    ln_hh: Tensor
    ln_c: Tensor
    bias_ln_c: Tensor


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
    """Run a variant over packed rows, (R, I) or (T, B, I).

    With layer normalisation `rows` are those of ``LN(W x) + b`` and not of x.
    """
    zone_h, zone_c = zoneout or (0.0, 0.0)
    normalised = weights.w_ln_hh is not None
    learned = (rows, *state, *weights)
    given = _Given(
        rows=rows.reshape(-1, rows.shape[-1]),
        batch_sizes=batch_sizes,
        h0=state.h,
        c0=state.c,
        w_ih=None if normalised else weights.w_ih,
        w_hh=weights.w_hh,
        b_ih=None if normalised else weights.b_ih,
        b_hh=None if normalised else weights.b_hh,
        w_hr=weights.w_hr,
        w_ch=weights.w_ch,
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
    found = _Outputs(*torch.ops.longspan.lstm_variant(*given))
    return found.output.view(*rows.shape[:-1], -1), LSTMState(h=found.h, c=found.c)


def _room(given: _Given) -> _Outputs:
    """Return room for the outputs."""
    new, count = given.rows.new_empty, given.rows.shape[0]
    kept = given.gates * given.hidden if given.keep else 0
    normalised = given.keep and given.ln_hh is not None
    # The largest and shortest-lived first: asked for after the output, they would leave a hole in memory at each call.
    gates, normal = new((count, kept) if given.keep else (0,)), new((count, kept) if normalised else (0,))
    return _Outputs(
        output=new(count, given.h0.shape[1]),
        h=new(given.h0.shape),
        c=new(given.c0.shape),
        cells=new((count, given.hidden) if given.keep else (0,)),
        gates=gates,
        normal=normal,
        scale=new(count if normalised else 0),
    )


def _problem(given: _Given) -> tuple[tuple[Any, ...], list[Any]]:
    """Return the arguments that say what variant and walk it is, and what must live while the kernel runs."""
    alive = [*contiguous(*given.parts), given.batch_sizes.contiguous()]
    walk = len(given.batch_sizes), len(given.h0), address(alive[-1]), given.reverse
    parts = [address(part) for part in alive[:-1]]
    return (given.gates, given.h0.shape[1], parts, given.share_h, given.share_c, *walk), alive


def _forward(*arguments: Any) -> tuple[Tensor, ...]:
    given, room = _Given(*arguments), _room(_Given(*arguments))
    problem, _alive = _problem(given)
    tensors = contiguous(given.rows, given.h0, given.c0, given.w_ih, given.w_hh, given.b_ih, given.b_hh)
    places = [address(tensor) for tensor in (room.output, *room[1:])]
    sizes = given.rows.shape[1], given.hidden
    kernel = kernel_of("forward_variant", given.rows.dtype)
    kernel(*problem, *sizes, [address(tensor) for tensor in tensors], places, torch.get_num_threads())
    return tuple(room)


def _backward(
    grad_output: Tensor | None, grad_h: Tensor | None, grad_c: Tensor | None, *rest: Any
) -> tuple[Tensor, ...]:
    given, kept, of_rows = _Given(*rest[: len(_Given._fields)]), _Outputs(*rest[len(_Given._fields) : -1]), rest[-1]
    problem, _alive = _problem(given)
    new, (count, hidden), threads = given.rows.new_empty, kept.cells.shape, torch.get_num_threads()
    fed_sums, projected = given.w_ih is None, given.w_hr is not None
    peepholes, blocks = (given.gates - 1) * hidden, given.gates * hidden
    small = new(threads, peepholes + blocks + 2 * hidden).zero_()
    of_output, unprojected = (new((count, size) if projected else (0,)) for size in (given.h0.shape[1], hidden))
    found = _room_of_gradients(given, of_rows)
    tensors = contiguous(
        given.rows, given.h0, given.c0, given.w_ih, given.w_hh, *kept[:1], *kept[3:], grad_output, grad_h, grad_c
    )
    places = (found.rows, None) if not fed_sums else (None, found.rows)
    room = (places[0], *found[1:6], places[1], of_output, unprojected, small)
    kernel = kernel_of("backward_variant", given.rows.dtype)
    sizes = given.rows.shape[1], hidden
    kernel(*problem, *sizes, [address(tensor) for tensor in tensors], [address(part) for part in room], threads)
    of_w_ch, of_ln_hh, of_ln_c, of_bias = torch.split(small.sum(0), [peepholes, blocks, hidden, hidden])
    with full_precision(given.rows.device):
        of_w_hr = of_output.T @ unprojected if projected else found.w_hr
    return found._replace(
        w_hr=of_w_hr,
        w_ch=of_w_ch.clone(),
        ln_hh=of_ln_hh.clone(),
        ln_c=of_ln_c.clone(),
        bias_ln_c=of_bias.clone(),
    )


def _forward_of_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    return tuple(_room(_Given(*arguments)))


def _backward_of_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    return _room_of_gradients(_Given(*arguments[3 : 3 + len(_Given._fields)]), arguments[-1])


def _room_of_gradients(given: _Given, of_rows: bool) -> _Gradients:
    """Return room for the gradients; what is not asked for is empty."""
    new, blocks, hidden = given.rows.new_empty, given.gates * given.hidden, given.hidden
    return _Gradients(
        rows=new(given.rows.shape if given.w_ih is None or of_rows else (0,)),
        h0=new(given.h0.shape),
        c0=new(given.c0.shape),
        w_ih=new((0,) if given.w_ih is None else given.w_ih.shape),
        w_hh=new(given.w_hh.shape),
        bias=new((0,) if given.b_ih is None else (blocks,)),
        w_hr=new((0,) if given.w_hr is None else given.w_hr.shape),
        w_ch=new(blocks - hidden),
        ln_hh=new(blocks),
        ln_c=new(hidden),
        bias_ln_c=new(hidden),
    )


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    given = _Given(*inputs)
    ctx.tensors = [name for name, value in given._asdict().items() if isinstance(value, Tensor)]
    ctx.rest = {name: value for name, value in given._asdict().items() if not isinstance(value, Tensor)}
    ctx.save_for_backward(*(getattr(given, name) for name in ctx.tensors), *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    count, saved = len(ctx.tensors), ctx.saved_tensors
    given = _Given(**dict(zip(ctx.tensors, saved[:count], strict=True)), **ctx.rest)
    kept, wanted = _Outputs(*saved[count:]), ctx.needs_input_grad
    operator = torch.ops.longspan.lstm_variant_backward
    found = _Gradients(*operator(*grads[:3], *given, *kept, wanted[0]))
    by_name = found._asdict() | {"b_ih": found.bias, "b_hh": found.bias.clone()}
    return tuple(by_name.get(name) if want else None for name, want in zip(_Given._fields, wanted, strict=True))


def _register() -> None:
    outputs = ", ".join(f"Tensor {name}" for name in _Outputs._fields)
    kept = ", ".join(f"Tensor kept_{name}" for name in _Outputs._fields)
    gradients = ", ".join("Tensor" for _ in _Gradients._fields)
    LIBRARY.define(f"{_NAME}({_SCHEMA}) -> ({outputs})")
    LIBRARY.define(
        f"{_NAME}_backward(Tensor? grad_output, Tensor? grad_h, Tensor? grad_c, {_SCHEMA}, {kept}, bool of_rows)"
        f" -> ({gradients})"
    )
    LIBRARY.impl(_NAME, _forward, "CPU")
    LIBRARY.impl(f"{_NAME}_backward", _backward, "CPU")
    name = f"longspan::{_NAME}"
    library.register_fake(name, _forward_of_shapes, lib=LIBRARY)
    library.register_fake(f"{name}_backward", _backward_of_shapes, lib=LIBRARY)
    library.register_autograd(name, _differentiate, setup_context=_keep_for_backward, lib=LIBRARY)
    library.register_autograd(f"{name}_backward", refuse_second_derivative, lib=LIBRARY)


def _multiply(rows: Tensor, weight: Tensor) -> Tensor:
    given, result = contiguous(rows, weight), rows.new_empty(rows.shape[0], weight.shape[0])
    places = [address(tensor) for tensor in (*given, result)]
    kernel_of("product", rows.dtype)(*rows.shape, len(weight), *places, torch.get_num_threads())
    return result


def _keep_factors(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate_product(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    rows, weight = ctx.saved_tensors
    of_rows, of_weight = ctx.needs_input_grad
    with full_precision(grad.device):
        # The other way round, `grad.T @ rows`, takes torch six times as long where rows are short.
        by_weight = (rows.T @ grad).T.contiguous() if of_weight else None
        return grad @ weight if of_rows else None, by_weight


def project(rows: Tensor, weight: Tensor) -> Tensor:
    """Multiply rows, (R, I), by a weight, (O, I).

    Torch's product sums a row in an order that depends on the number of rows; this one gives a row the same bits in
    any company.
    """
    product: Tensor = torch.ops.longspan.project(rows, weight)
    return product


def _register_product() -> None:
    LIBRARY.define("project(Tensor rows, Tensor weight) -> Tensor")
    LIBRARY.impl("project", _multiply, "CPU")
    name = "longspan::project"
    library.register_fake(name, lambda rows, weight: rows.new_empty(rows.shape[0], weight.shape[0]), lib=LIBRARY)
    library.register_autograd(name, _differentiate_product, setup_context=_keep_factors, lib=LIBRARY)


_register()
_register_product()
