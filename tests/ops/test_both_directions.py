"""Both directions of a layer in one call, against the step equations in each."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, library

from longspan import nn
from longspan.errors import ShapeError
from longspan.ops import _native
from longspan.ops._kernels import run_both_directions
from tests.ops.test_native import CELLS, WITHIN, assert_close, batch_sizes, draw, run

pytestmark = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")


def draw_both(
    cell: str, lengths: list[int], inputs: int, hidden: int, *, bias: bool = True, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Rows, h, c, and the weights of the two directions; c is there for every cell."""
    rows, *first = draw(cell, lengths, inputs, hidden, bias=bias, seed=1)
    _, *other = draw(cell, lengths, inputs, hidden, bias=bias, seed=2)
    states = [torch.stack(pair) for pair in zip(first[:2], other[:2], strict=True)]
    return [tensor.to(dtype) for tensor in (rows, *states, *first[2:], *other[2:])]


def at_once(cell: str, lengths: list[int], tensors: list[Tensor], *, recompute: bool = False) -> tuple[Tensor, ...]:
    """Output and final states of both directions by the kernels."""
    rows, h, c, *weights = tensors
    half = len(weights) // 2
    padded = [*weights[:half], *[None] * (4 - half), *weights[half:], *[None] * (4 - half)]
    state = (h, c) if cell == "lstm" else (h,)
    both = run_both_directions(cell, rows, batch_sizes(lengths), state, tuple(padded), recompute=recompute)
    assert both is not None
    return both[0], *both[1]


def one_by_one(cell: str, lengths: list[int], tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """The same by the step equations, one direction after the other."""
    rows, h, c, *weights = tensors
    half = len(weights) // 2
    each = [
        run(cell, lengths, [rows, h[d], c[d], *weights[d * half : (d + 1) * half]], reverse=bool(d), trace=True)
        for d in (0, 1)
    ]
    (output, *state), (output_reverse, *state_reverse) = each
    finals = [torch.stack(pair) for pair in zip(state, state_reverse, strict=True)]
    return torch.cat([output, output_reverse], dim=-1), *finals


def with_gradients(cell: str, tensors: list[Tensor], outputs: tuple[Tensor, ...]) -> list[Tensor]:
    """The outputs, and the gradients of all tensors where every output weighs differently."""
    loss = sum((torch.arange(out.numel(), dtype=out.dtype).cos().view_as(out) * out).sum() for out in outputs)
    used = tensors if cell == "lstm" else [*tensors[:2], *tensors[3:]]
    return [*(out.detach() for out in outputs), *torch.autograd.grad(loss, used)]


@pytest.mark.parametrize("dtype", list(WITHIN), ids=str)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=14),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 70),
    bias=st.booleans(),
    recompute=st.booleans(),
    threads=st.integers(1, 5),
)
def test_values_and_gradients_of_every_instruction_set(
    cell: str,
    dtype: torch.dtype,
    lengths: list[int],
    inputs: int,
    hidden: int,
    bias: bool,
    recompute: bool,
    threads: int,
) -> None:
    lengths = sorted(lengths, reverse=True)
    tensors = [tensor.requires_grad_() for tensor in draw_both(cell, lengths, inputs, hidden, bias=bias)]
    expected = with_gradients(cell, tensors, one_by_one(cell, lengths, tensors))
    torch.set_num_threads(threads)
    for name in _native.instruction_sets():
        _native.use(name)
        given_as = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]
        found = with_gradients(cell, given_as, at_once(cell, lengths, given_as, recompute=recompute))
        assert_close(found, expected, WITHIN[dtype])


@pytest.mark.parametrize(("steps", "hidden"), [(2, 260), (40, 260), (3, 700)], ids=str)
def test_gradients_of_many_weights(steps: int, hidden: int) -> None:
    # The directions of 700 units have too many weights to run side by side.
    lengths = sorted([steps, *range(1, steps), *[1] * 6], reverse=True)
    tensors = [tensor.requires_grad_() for tensor in draw_both("lstm", lengths, 90, hidden)]
    expected = with_gradients("lstm", tensors, one_by_one("lstm", lengths, tensors))
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found = with_gradients("lstm", tensors, at_once("lstm", lengths, tensors))
        assert_close(found, expected, WITHIN[torch.float64])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden", [5, 37])
def test_the_bits_are_those_of_each_direction_alone(cell: str, hidden: int) -> None:
    lengths = [9, 9, 7, 7, 5, 4, 2, 1, 1]
    tensors = draw_both(cell, lengths, 3, hidden, dtype=torch.float32)
    rows, h, c, *weights = tensors
    half = len(weights) // 2
    for name in _native.instruction_sets():
        _native.use(name)
        alone = [
            run(cell, lengths, [rows, h[d], c[d], *weights[d * half : (d + 1) * half]], reverse=bool(d), trace=False)[0]
            for d in (0, 1)
        ]
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            assert torch.equal(at_once(cell, lengths, tensors)[0], torch.cat(alone, dim=-1))


def test_only_what_is_asked_for_has_a_gradient() -> None:
    tensors = draw_both("lstm", [4, 3, 1], 2, 5)
    tensors[1].requires_grad_()
    weight = tensors[8].requires_grad_()
    output, h, _ = at_once("lstm", [4, 3, 1], tensors)
    h.sum().backward()  # nothing reaches the outputs of the steps
    expected = one_by_one("lstm", [4, 3, 1], tensors)
    wanted = torch.autograd.grad(expected[1].sum(), [tensors[1], weight])
    torch.testing.assert_close([tensors[1].grad, weight.grad], list(wanted))
    assert tensors[0].grad is None
    torch.testing.assert_close(output, expected[0])


@pytest.mark.parametrize("hidden", [5, 260])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_that_are_not_learned_change_no_other_gradient(cell: str, hidden: int) -> None:
    lengths = [9, 9, 7, 7, 5, 4, 2, 1, 1]
    rows, h, c, *weights = draw_both(cell, lengths, 30, hidden)
    inputs = [tensor.requires_grad_() for tensor in ((rows, h, c) if cell == "lstm" else (rows, h))]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found = [
            torch.autograd.grad(
                sum(output.sin().sum() for output in at_once(cell, lengths, [rows, h, c, *weights])), inputs
            )
            for weights in (weights, [weight.clone().requires_grad_() for weight in weights])
        ]
        assert all(map(torch.equal, *found))


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_operators_keep_torchs_rules(cell: str, recompute: bool, learned: bool) -> None:
    rows, h, c, *weights = [tensor.requires_grad_() for tensor in draw_both(cell, [3, 2], 2, 3)]
    weights = [weight.requires_grad_(learned) for weight in weights]
    arguments = (rows, batch_sizes([3, 2]), h, c if cell == "lstm" else None, *weights, False, True, recompute)
    library.opcheck(getattr(torch.ops.longspan, f"bidirectional_{cell}").default, arguments)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("bias", [False, True])
def test_a_stack_agrees_with_its_trace(kind: type[nn.LSTM], bias: bool) -> None:
    layers = kind(3, 6, num_layers=3, bidirectional=True, bias=bias, dtype=torch.float64)
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.randn(length, 3, dtype=torch.float64) for length in (4, 7, 1)], enforce_sorted=False
    )
    output, state = layers(packed)
    traced, traced_state, _ = layers(packed, trace=True)
    torch.testing.assert_close(output.data, traced.data)
    torch.testing.assert_close(state, traced_state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_weights_are_dropped_once_in_each_direction(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(2, 5, bidirectional=True, weight_drop=0.5, dtype=dtype)
    block = torch.randn(6, 3, 2, dtype=dtype)
    torch.manual_seed(1)
    found = layer(block)[0]
    drawn = torch.get_rng_state()
    torch.manual_seed(1)
    expected = layer(block, trace=True)[0]
    assert torch.equal(torch.get_rng_state(), drawn)
    torch.testing.assert_close(found, expected, atol=0.02 if dtype == torch.bfloat16 else 1e-6, rtol=0)
    assert not torch.equal(layer(block)[0], found)


def test_a_layer_is_one_node_of_the_graph() -> None:
    output = nn.GRU(3, 4, bidirectional=True)(torch.randn(5, 2, 3))[0]
    (node, _), *_ = output.grad_fn.next_functions if "View" in output.grad_fn.name() else ((output.grad_fn, 0),)
    assert node.name() == "_DirectBackward"


def test_either_direction_may_be_the_first() -> None:
    rows, h, c, *weights = draw_both("lstm", [5, 3, 2], 2, 4)
    sizes = batch_sizes([5, 3, 2])
    ahead = _native.run("lstm", rows, sizes, (h, c), tuple(weights), reverse=False)
    back = _native.run("lstm", rows, sizes, (h.flip(0), c.flip(0)), (*weights[4:], *weights[:4]), reverse=True)
    assert torch.equal(back[0], ahead[0].roll(4, dims=-1))
    assert torch.equal(back[1][1], ahead[1][1].flip(0))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_saved_tensors_may_come_back_with_other_strides(bidirectional: bool) -> None:
    layer = nn.LSTM(3, 5, bidirectional=bidirectional, dtype=torch.float64)
    block = torch.randn(6, 4, 3, dtype=torch.float64)
    expected = torch.autograd.grad(layer(block)[0].cos().sum(), list(layer.parameters()))

    def turned(tensor: Tensor) -> Tensor:
        return tensor.transpose(0, -1) if tensor.dim() > 1 else tensor

    with torch.autograd.graph.saved_tensors_hooks(lambda saved: turned(saved.detach()).contiguous(), turned):
        found = torch.autograd.grad(layer(block)[0].cos().sum(), list(layer.parameters()))
    torch.testing.assert_close(found, expected)


def test_an_output_changed_in_place_is_refused() -> None:
    output = nn.LSTM(3, 4, bidirectional=True)(torch.randn(5, 2, 3))[0]
    output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("shape", [(1, 2, 4), (2, 2, 4), (4,)], ids=str)
def test_a_state_of_another_rank_is_refused(shape: tuple[int, ...]) -> None:
    rows, _, _, *weights = draw_both("lstm", [3, 2], 2, 4)
    state = torch.zeros(shape, dtype=rows.dtype)
    with pytest.raises(ShapeError, match="initial state has shape"):
        _native.run("lstm", rows, batch_sizes([3, 2]), (state, state), tuple(weights[:4]), reverse=False)
    if len(shape) == 3 and shape[0] == 1:
        with pytest.raises(ShapeError, match=r"takes \(2, sequences, units"):
            _native.run("lstm", rows, batch_sizes([3, 2]), (state, state), tuple(weights), reverse=False)
