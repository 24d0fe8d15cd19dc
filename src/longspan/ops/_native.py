"""The native kernels as operators of torch, `torch.ops.longspan.lstm` and its kin, with their gradients.

Each operator runs one layer in one direction over packed rows on a CPU, in float32 or float64, and agrees with the
equations in `longspan.ops.reference`; `torch.ops.longspan.bidirectional_lstm` and its kin run both directions of a
layer. An operator is one node to `torch.compile`, whatever the number of steps.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from longspan.errors import ParameterError, ShapeError
from longspan.ops._operator import Gradients, Operator, Run, is_watched

_ISA = "LONGSPAN_ISA"
"""Environment variable that forces an instruction set."""

_compiled: Any = None
_REASON = ""
try:
    _compiled = import_module("longspan.ops._kernels_native")
except ImportError as error:
    _REASON = f"the native kernels are not part of this installation: {error}."


def instruction_sets() -> list[str]:
    """Return the instruction sets that the kernels have for this machine, the fastest first; none if not built."""
    return [] if _compiled is None else list(_compiled.instruction_sets())


def instruction_set() -> str | None:
    """Return the one in use."""
    return None if _compiled is None else str(_compiled.instruction_set())


def has_bfloat16() -> bool:
    """Whether the kernels and the processor can multiply in bfloat16."""
    return _compiled is not None and bool(_compiled.has_bfloat16())


def rounds(dtype: torch.dtype) -> bool:
    """Whether products are made of numbers rounded to bfloat16: if torch was told to, and the processor can.

    `torch.set_float32_matmul_precision("medium")` asks for it.
    """
    return (
        dtype == torch.float32
        and torch.get_float32_matmul_precision() == "medium"
        and has_bfloat16()
        and _compiled.instruction_set() == "avx512"
    )


def use(name: str) -> None:
    """Compute with one of `instruction_sets` from here on, in all threads."""
    if name not in instruction_sets():
        known = ", ".join(instruction_sets()) or "none: " + _REASON
        raise ParameterError(f"the instruction set is {name!r}, but this machine and installation have {known}.")
    _compiled.use(name)


if os.environ.get(_ISA):
    use(os.environ[_ISA])


class _Cell(NamedTuple):
    """What the kernels know a cell by, its gate blocks, and the blocks kept of each row for the backward pass."""

    number: int
    gates: int
    kept: int


_CELLS = {"lstm": _Cell(0, 4, 4), "gru": _Cell(1, 3, 4), "rnn_tanh": _Cell(2, 1, 0), "rnn_relu": _Cell(3, 1, 0)}
_DTYPES = {torch.float32: "float", torch.float64: "double"}
_LARGE = 1 << 20  # numbers from which on fresh memory comes page by page from the system
PLAIN_WEIGHTS = 4  # of a direction: w_ih, w_hh, b_ih, b_hh
_FIRST_WEIGHT = 4  # of the inputs, after the rows, the batch sizes, h0 and c0
_ROWS_OF_A_SEGMENT = 512  # whose gates are computed again together: 1 MB of 128 units in float32


class _Outputs(NamedTuple):
    """What an operator gives: the last two are for the backward pass, and empty where nothing is learned."""

    output: Tensor
    h: Tensor
    c: Tensor
    cells: Tensor
    gates: Tensor


def why_not(rows: Tensor, state: tuple[Tensor, ...], weights: tuple[Tensor | None, ...]) -> str | None:
    """Return why the native kernels cannot run on these tensors, or None if they can."""
    if _compiled is None:
        return _REASON
    if rows.device.type != "cpu":
        return f"the input is on {rows.device}, and the native kernels run on a CPU."
    if rows.dtype not in _DTYPES:
        return f"the input is {rows.dtype}, and the native kernels compute in float32 or float64."
    others = [tensor for tensor in (*state, *weights) if tensor is not None]
    if any(other.dtype != rows.dtype or other.device != rows.device for other in others):
        return "not all tensors have one type and device."
    return None


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which autocast, if it is on, does not change what is computed on a CPU."""
    if device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return torch.autocast("cpu", enabled=False)
    return nullcontext()


def without_autocast(weight: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Give tensors the type of the weights where autocast on a CPU has given them another.

    State and sums of a recurrent layer stay in the type of its weights: a sum over many steps loses too much in
    bfloat16, and the native kernels are no slower than torch's are in it.
    """
    if weight.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return tuple(tensor.to(weight.dtype) for tensor in tensors)
    return tensors


def run(
    cell: str,
    rows: Tensor,
    batch_sizes: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor | None, ...],
    *,
    reverse: bool,
    recompute: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over packed rows, shape (R, I) or (T, B, I); return output and final state as `run_kernel` does.

    Where the parts of the state have shape (2, B, H), the cell runs in both directions, first the given one; `weights`
    are then those of the two, and the output (R, 2 H).
    """
    h0, c0 = state[0], state[1] if len(state) > 1 else None
    _check_state(h0, directions=len(weights) // PLAIN_WEIGHTS)
    keep = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in (rows, *state, *weights)
    )
    # Made contiguous here and not in the operator, a transposed batch is copied once and not once more on the way back.
    inputs = (batch_sizes, h0, c0, *weights, reverse, keep, recompute)
    output, h, c = _OPERATORS[cell, _directions(h0)](rows.contiguous(), *inputs, learns=keep)
    return output, (h,) if c0 is None else (h, c)


def _check_state(h0: Tensor, *, directions: int) -> None:
    if h0.dim() != directions + 1 or (directions == 2 and h0.shape[0] != 2):
        expected = "(sequences, units)" if directions == 1 else "(2, sequences, units)"
        raise ShapeError(f"the initial state has shape {tuple(h0.shape)}, but a layer takes {expected}.")


def draw_mask(like: Tensor, shape: tuple[int, ...], share: float) -> Tensor:
    """Draw booleans, each true with probability `share`, on the device of a tensor.

    They come from torch's default generator: on a CPU by one seed from it, from which the kernels draw 20 times as fast
    as `Tensor.bernoulli_`, which would take a third of a step of training.
    """
    if _compiled is None or like.device.type != "cpu" or is_watched(like) or not 0 < share < 1:
        return torch.empty(shape, device=like.device).bernoulli_(share).bool()
    mask = torch.empty(shape, dtype=torch.bool)
    seed = int(torch.empty((), dtype=torch.int64).random_())
    _compiled.draw(seed, round(share * 2**32) - 1, mask.data_ptr(), mask.numel(), torch.get_num_threads())
    return mask


def why_not_built() -> str:
    """Return why there are no native kernels."""
    return _REASON


def layer_of(w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> tuple[int, ...]:
    """Return the sizes and the places of the weights of a layer, as `make_stepper` takes them."""
    return w_ih.shape[1], w_hh.shape[1], *map(address, (w_ih, w_hh, b_ih, b_hh))


def make_stepper(cell: str, layers: list[tuple[int, ...]], streams: int, *, dtype: torch.dtype) -> Any:
    """Pack the weights of a stack, which are not needed afterwards, for steps that come one at a time."""
    kind = _compiled.StepperDouble if dtype == torch.float64 else _compiled.StepperFloat
    return kind(_CELLS[cell].number, layers, streams)


def kernel_of(name: str, dtype: torch.dtype) -> Any:
    """Return the compiled function of a name for a type of numbers."""
    return getattr(_compiled, f"{name}_{_DTYPES[dtype]}")


def with_walk(kernel: Any, *arguments: Any) -> None:
    """Call a compiled function, which refuses a walk that does not fit the state."""
    try:
        kernel(*arguments)
    except ValueError as error:
        raise ShapeError(str(error)) from None


def address(tensor: Tensor | None) -> int:
    """Return where the numbers of a tensor begin; 0 where there are none."""
    return 0 if tensor is None else tensor.data_ptr()


def contiguous(*tensors: Tensor | None) -> list[Any]:
    """Return the tensors with the strides that the kernels read."""
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]


def _directions(h0: Tensor) -> int:
    """Return how many directions a state is of: (B, H) of one, (2, B, H) of two."""
    return 1 if h0.dim() == 2 else 2


def _places(direction: int, count: int, *tensors: Tensor | None) -> list[int]:
    """Return where the part of a direction begins in tensors that have those of all `count` one after the other."""
    if count == 1:
        return [*map(address, tensors)]
    return [
        0 if tensor is None else tensor.data_ptr() + direction * (tensor.numel() // count) * tensor.element_size()
        for tensor in tensors
    ]


def _place_beside(direction: int, hidden: int, rows: Tensor | None) -> int:
    """Return where a direction begins in rows that have the units of all side by side."""
    return 0 if rows is None else rows.data_ptr() + direction * hidden * rows.element_size()


def pooled(like: Tensor, *shape: int) -> Tensor:
    """Return an empty tensor that no user sees; a large one in memory that the kernels keep, and so without faults."""
    if shape[0] * shape[-1] < _LARGE:
        return like.new_empty(shape)
    return cast(Tensor, getattr(_compiled, f"room_{_DTYPES[like.dtype]}")(*shape))


def _segment(batch: int) -> int:
    """Return the steps whose gates are computed again together, before which the cell state is kept."""
    most: Any = torch.sym_max  # in a graph sizes are symbols
    return cast(int, most(1, _ROWS_OF_A_SEGMENT // most(1, batch)))


def _empty(
    cell: str,
    rows: Tensor,
    h0: Tensor,
    keep: bool,
    recompute: bool,
    *,
    kept: Callable[..., Tensor] = Tensor.new_empty,
) -> _Outputs:
    """Return room for the outputs; of two directions, one after the other, but side by side in the output."""
    count, (batch, hidden) = math.prod(rows.shape[:-1]), h0.shape[-2:]  # the method of a shape would fix it in a graph
    directions, of_lstm = _directions(h0), cell == "lstm"
    # The largest and shortest-lived first: asked for after the output, it would leave a hole in memory at each call.
    gates = rows.new_empty(0)
    if keep and not recompute:
        gates = kept(rows, directions * count, _CELLS[cell].kept * hidden)
    # Batch sizes fall, so that of the rows of all steps at most so many are those of steps that begin a segment.
    states = count // _segment(batch) if recompute else count
    return _Outputs(
        output=rows.new_empty(*rows.shape[:-1], directions * hidden),
        h=rows.new_empty(*h0.shape),
        c=rows.new_empty(*h0.shape) if of_lstm else rows.new_empty(0),
        cells=kept(rows, directions * states, hidden) if of_lstm and keep else rows.new_empty(0),
        gates=gates,
    )


def _forward(
    cell: str,
    rows: Tensor,
    batch_sizes: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    *rest: Any,
) -> tuple[Tensor, ...]:
    *weights, reverse, keep, recompute = rest
    rows, h0, c0, *weights = contiguous(rows, h0, c0, *weights)
    sizes = batch_sizes.contiguous()
    room = _empty(cell, rows, h0, keep, recompute, kept=pooled)
    count, (batch, hidden) = _directions(h0), h0.shape[-2:]
    cells, starts = (None, room.cells) if recompute else (room.cells, None)
    directions = [
        (
            address(rows),
            *_places(d, count, h0, c0),
            *map(address, weights[PLAIN_WEIGHTS * d : PLAIN_WEIGHTS * (d + 1)]),
            _place_beside(d, hidden, room.output),
            *_places(d, count, cells, room.gates, room.h, room.c, starts),
        )
        for d in range(count)
    ]
    walk = (len(sizes), batch, address(sizes), reverse, _segment(batch) if recompute else 0)
    rounded = rounds(rows.dtype) and not recompute  # gates are not computed again as they were rounded
    layer = (_CELLS[cell].number, *walk, rows.shape[-1], hidden, directions)
    with_walk(kernel_of("forward", rows.dtype), *layer, rounded, torch.get_num_threads())
    return tuple(room)


def _room_of_gradients(
    rows: Tensor, h0: Tensor, c0: Tensor | None, weights: Sequence[Tensor], of_rows: bool, of_weights: bool
) -> tuple[Tensor, ...]:
    """Return room for gradients; not like the tensors, for a state may be transposed, and a bias missing."""
    new = rows.new_empty  # new(2, 3) takes half the time of new((2, 3))
    found = [new(*rows.shape) if of_rows else new(0), new(*h0.shape), new(0) if c0 is None else new(*c0.shape)]
    if not of_weights:
        return (*found, *(new(0) for _ in weights))
    for w_ih, w_hh in zip(weights[::PLAIN_WEIGHTS], weights[1::PLAIN_WEIGHTS], strict=True):
        biases = w_ih.shape[0]
        found += [new(*w_ih.shape), new(*w_hh.shape), new(biases), new(biases)]
    return tuple(found)


def _backward(
    cell: str,
    grad_output: Tensor | None,
    grad_h: Tensor | None,
    grad_c: Tensor | None,
    rows: Tensor,
    batch_sizes: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    *rest: Any,
) -> tuple[Tensor, ...]:
    *weights, output, cells, gates, reverse, of_rows, of_weights = rest
    rows, h0, c0, grad_output, grad_h, grad_c, output, cells, gates, *weights = contiguous(
        rows, h0, c0, grad_output, grad_h, grad_c, output, cells, gates, *weights
    )
    sizes = batch_sizes.contiguous()
    found = _room_of_gradients(rows, h0, c0, weights, of_rows, of_weights)
    grad_rows, grad_h0, grad_c0, *grad_weights = found
    count, (batch, hidden) = _directions(h0), h0.shape[-2:]
    each_of_rows = [grad_rows, *(torch.empty_like(grad_rows) for _ in range(1, count))]
    again = _CELLS[cell].kept > 0 and gates.numel() == 0
    states = (None, cells) if again else (cells, None)
    directions = [
        (
            address(rows),
            *_places(d, count, h0, c0),
            *map(address, weights[PLAIN_WEIGHTS * d : PLAIN_WEIGHTS * (d + 1)]),
            _place_beside(d, hidden, output),
            *_places(d, count, *states, gates),
            _place_beside(d, hidden, grad_output),
            *_places(d, count, grad_h, grad_c),
            address(each_of_rows[d]),
            *_places(d, count, grad_h0, grad_c0),
            *map(address, grad_weights[PLAIN_WEIGHTS * d : PLAIN_WEIGHTS * (d + 1)]),
        )
        for d in range(count)
    ]
    walk = (len(sizes), batch, address(sizes), reverse, _segment(batch) if again else 0)
    layer = (_CELLS[cell].number, *walk, rows.shape[-1], hidden, directions)
    kernel_of("backward", rows.dtype)(*layer, torch.get_num_threads())
    for other in each_of_rows[1:]:
        grad_rows += other
    return found


def _keep_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, reverse, _, _ = inputs
    kept = _Outputs(*output)
    ctx.save_for_backward(*tensors, kept.output, kept.cells, kept.gates)
    ctx.reverse = reverse
    ctx.set_materialize_grads(False)


def _differentiate(backward: Run, ctx: Any, grads: tuple[Tensor | None, ...], wanted: tuple[bool, ...]) -> Gradients:
    asked = wanted[0], any(wanted[_FIRST_WEIGHT:])
    of_rows, of_h0, of_c0, *of_weights = backward(*grads[:3], *ctx.saved_tensors, ctx.reverse, *asked)
    found = (of_rows, None, of_h0, of_c0, *of_weights)
    return (*(grad if want else None for grad, want in zip(found, wanted, strict=False)), None, None, None)


def _shapes(cell: str, rows: Tensor, batch_sizes: Tensor, h0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return tuple(_empty(cell, rows, h0, *rest[-2:]))


def _shapes_backward(*arguments: Any) -> tuple[Tensor, ...]:
    rows, _, h0, c0, *weights, _, _, _, _, of_rows, of_weights = arguments[3:]
    return _room_of_gradients(rows, h0, c0, weights, of_rows, of_weights)


def _operator(cell: str, directions: int) -> Operator:
    """Return a cell's operator of torch, for one direction or both."""
    weights = "Tensor w_ih{0}, Tensor w_hh{0}, Tensor? b_ih{0}, Tensor? b_hh{0}"
    of_all = ", ".join(map(weights.format, ("", "_reverse")[:directions]))
    packed = f"Tensor rows, Tensor batch_sizes, Tensor h0, Tensor? c0, {of_all}"
    gradients = ", ".join(["Tensor"] * (3 + directions * PLAIN_WEIGHTS))
    return Operator(
        name=cell if directions == 1 else f"bidirectional_{cell}",
        schema=f"({packed}, bool reverse, bool keep, bool recompute)"
        " -> (Tensor output, Tensor h, Tensor c, Tensor cells, Tensor gates)",
        schema_backward=f"(Tensor? grad_output, Tensor? grad_h, Tensor? grad_c, {packed}, Tensor output, Tensor cells,"
        f" Tensor gates, bool reverse, bool of_rows, bool of_weights) -> ({gradients})",
        forward=partial(_forward, cell),
        backward=partial(_backward, cell),
        shapes=partial(_shapes, cell),
        shapes_backward=_shapes_backward,
        keep=_keep_for_backward,
        differentiate=_differentiate,
    )


_OPERATORS = {(cell, directions): _operator(cell, directions) for cell in _CELLS for directions in (1, 2)}
