"""The native kernels against the step equations run through torch, for every instruction set of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, library
from torch._dynamo.backends.common import aot_autograd

from longspan import nn
from longspan.errors import DataError, ShapeError
from longspan.ops import LSTMState, LSTMWeights, RNNWeights, _native, gru, lstm, rnn

pytestmark = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")

BLOCKS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
CELLS = list(BLOCKS)
WITHIN = {torch.float32: 1e-5, torch.float64: 1e-12}


def batch_sizes(lengths: list[int]) -> Tensor:
    return torch.tensor([sum(length > step for length in lengths) for step in range(max(lengths))])


def draw(cell: str, lengths: list[int], inputs: int, hidden: int, *, bias: bool = True, seed: int = 0) -> list[Tensor]:
    """Rows, h, c, and weights in torch's order; c is there for every cell."""
    generator = torch.Generator().manual_seed(seed)
    blocks, count = BLOCKS[cell] * hidden, len(lengths)
    shapes = [(sum(lengths), inputs), (count, hidden), (count, hidden), (blocks, inputs), (blocks, hidden)]
    shapes += [(blocks,), (blocks,)] if bias else []
    scale = 1 / hidden**0.5
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [*drawn[:3], *(weight * scale for weight in drawn[3:])]


def run(cell: str, lengths: list[int], tensors: list[Tensor], *, reverse: bool, trace: bool) -> tuple[Tensor, ...]:
    """Output and final state; with `trace` from the step equations."""
    rows, h, c, *weights = tensors
    options: dict[str, Any] = {"reverse": reverse, "trace": trace}
    sizes = batch_sizes(lengths)
    if cell == "lstm":
        output, state, _ = lstm(rows, sizes, LSTMState(h=h, c=c), weights=LSTMWeights(*weights), **options)
        return output, *state
    layer = RNNWeights(*weights)
    if cell == "gru":
        return gru(rows, sizes, h, weights=layer, **options)[:2]
    return rnn(rows, sizes, h, weights=layer, nonlinearity=cell.removeprefix("rnn_"), **options)[:2]


def values_and_gradients(
    cell: str, lengths: list[int], tensors: list[Tensor], *, reverse: bool, trace: bool
) -> list[Tensor]:
    """Outputs, and the gradients of all tensors where every output weighs differently."""
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    outputs = run(cell, lengths, tensors, reverse=reverse, trace=trace)
    loss = sum((torch.arange(out.numel(), dtype=out.dtype).cos().view_as(out) * out).sum() for out in outputs)
    used = tensors if cell == "lstm" else [tensors[0], tensors[1], *tensors[3:]]
    return [*(out.detach() for out in outputs), *torch.autograd.grad(loss, used)]


def assert_close(found: list[Tensor], expected: list[Tensor], within: float) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        assert float((ours.double() - theirs).abs().max()) <= within * scale


@pytest.mark.parametrize("dtype", list(WITHIN), ids=str)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=14),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 70),
    bias=st.booleans(),
    reverse=st.booleans(),
    threads=st.integers(1, 3),
)
def test_values_and_gradients_of_every_instruction_set(
    cell: str, dtype: torch.dtype, lengths: list[int], inputs: int, hidden: int, bias: bool, reverse: bool, threads: int
) -> None:
    lengths = sorted(lengths, reverse=True)
    tensors = draw(cell, lengths, inputs, hidden, bias=bias)
    expected = values_and_gradients(cell, lengths, tensors, reverse=reverse, trace=True)
    torch.set_num_threads(threads)
    for name in _native.instruction_sets():
        _native.use(name)
        given_as = [tensor.to(dtype) for tensor in tensors]
        found = values_and_gradients(cell, lengths, given_as, reverse=reverse, trace=False)
        assert_close(found, expected, WITHIN[dtype])


@pytest.mark.parametrize("hidden", [1, 2, 3, 4, 5, 8, 9, 12, 16, 17, 20, 24, 33, 36, 40, 65, 80, 96, 100])
@pytest.mark.parametrize("cell", ["lstm", "rnn_tanh"])
def test_the_last_block_of_units_may_have_any_width(cell: str, hidden: int) -> None:
    lengths = [5, 5, 4, 3, 3, 3, 2, 1]
    tensors = draw(cell, lengths, 7, hidden)
    expected = values_and_gradients(cell, lengths, tensors, reverse=False, trace=True)
    for name in _native.instruction_sets():
        _native.use(name)
        for dtype, within in WITHIN.items():
            given_as = [tensor.to(dtype) for tensor in tensors]
            assert_close(values_and_gradients(cell, lengths, given_as, reverse=False, trace=False), expected, within)


@pytest.mark.parametrize("steps", [3, 60], ids=["rows kept", "too many rows to keep"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_of_many_weights(cell: str, steps: int) -> None:
    # Beyond 2**18 weights the gate gradients of up to 512 rows of a thread are kept, and else multiplied in parts; and
    # beyond 128 units all rows use a part of the weights before the next is read.
    lengths = sorted([steps, *range(1, steps), *[steps // 2] * 9], reverse=True)
    tensors = draw(cell, lengths, 90, 260, seed=1)
    expected = values_and_gradients(cell, lengths, tensors, reverse=False, trace=True)
    for threads, name, dtype in product((1, 2), _native.instruction_sets(), WITHIN):
        torch.set_num_threads(threads)
        _native.use(name)
        given_as = [tensor.to(dtype) for tensor in tensors]
        assert_close(values_and_gradients(cell, lengths, given_as, reverse=False, trace=False), expected, WITHIN[dtype])


def gradients(cell: str, lengths: list[int], tensors: list[Tensor], *, learned: bool) -> list[Tensor]:
    """The gradients of the rows and of h and c by the kernels, beside weights that are learned or not."""
    inputs = [tensor.clone().requires_grad_() for tensor in (tensors[:3] if cell == "lstm" else tensors[:2])]
    weights = [weight.clone().requires_grad_(learned) for weight in tensors[3:]]
    outputs = run(cell, lengths, [*inputs, *tensors[len(inputs) : 3], *weights], reverse=False, trace=False)
    sum((torch.arange(out.numel(), dtype=out.dtype).cos().view_as(out) * out).sum() for out in outputs).backward()
    assert all((weight.grad is not None) == learned for weight in weights)
    return [tensor.grad for tensor in inputs if tensor.grad is not None]


@pytest.mark.parametrize("hidden", [1, 37, 260])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_that_are_not_learned_change_no_other_gradient(cell: str, hidden: int) -> None:
    lengths = sorted([40, *range(1, 20), 1, 1], reverse=True)
    tensors = draw(cell, lengths, 30, hidden, seed=1)
    for threads, name, dtype in product((1, 2), _native.instruction_sets(), WITHIN):
        torch.set_num_threads(threads)
        _native.use(name)
        given_as = [tensor.to(dtype) for tensor in tensors]
        found = gradients(cell, lengths, given_as, learned=False)
        assert len(found) == (3 if cell == "lstm" else 2)
        assert all(map(torch.equal, found, gradients(cell, lengths, given_as, learned=True)))


def test_comparison_notices_swapped_gates() -> None:
    tensors = draw("lstm", [4, 2], 3, 5)
    expected = values_and_gradients("lstm", [4, 2], tensors, reverse=False, trace=True)
    tensors[4] = tensors[4].view(4, 5, 5)[[1, 0, 2, 3]].reshape(20, 5)
    with pytest.raises(AssertionError):
        assert_close(values_and_gradients("lstm", [4, 2], tensors, reverse=False, trace=False), expected, 1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hidden", [5, 16, 37, 230])
def test_a_sequence_has_the_same_bits_in_any_batch_and_for_any_number_of_threads(cell: str, hidden: int) -> None:
    lengths = [9, 9, 7, 7, 7, 5, 4, 4, 2, 1, 1]
    tensors = [tensor.float() for tensor in draw(cell, lengths, 3, hidden)]
    for name in _native.instruction_sets():
        _native.use(name)
        outputs = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            outputs.append(run(cell, lengths, tensors, reverse=False, trace=False)[0])
        assert torch.equal(outputs[0], outputs[1])
        assert torch.equal(outputs[0], outputs[2])
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch_sizes(lengths).cumsum(0)])
        for number, length in enumerate(lengths):
            own = offsets[:length] + number
            alone = [tensors[0][own], *(state[number : number + 1] for state in tensors[1:3]), *tensors[3:]]
            assert torch.equal(run(cell, [length], alone, reverse=False, trace=False)[0], outputs[0][own])


@pytest.mark.parametrize("lengths", [[5], [4, 2, 1]], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_threads_that_share_the_units_of_a_sequence_agree_with_one(cell: str, lengths: list[int]) -> None:
    tensors = draw(cell, lengths, 20, 290)
    expected = values_and_gradients(cell, lengths, tensors, reverse=True, trace=True)
    for name in _native.instruction_sets():
        _native.use(name)
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            given_as = [tensor.float() for tensor in tensors]
            found.append(values_and_gradients(cell, lengths, given_as, reverse=True, trace=False))
            assert_close(found[-1], expected, 1e-5)
        for others in found[1:]:
            assert torch.equal(others[0], found[0][0])
            # Whether one sequence is shared is measured, and so must not show in a gradient either.
            assert len(lengths) > 1 or all(map(torch.equal, others, found[0]))


@pytest.mark.parametrize("cell", CELLS)
def test_tensors_of_any_strides_have_the_same_gradients(cell: str) -> None:
    tensors = draw(cell, [4, 3, 3], 5, 6)
    expected = values_and_gradients(cell, [4, 3, 3], tensors, reverse=False, trace=False)
    turned = [tensor.T.contiguous().T if tensor.dim() == 2 else tensor for tensor in tensors]
    assert not turned[1].is_contiguous()
    found = values_and_gradients(cell, [4, 3, 3], turned, reverse=False, trace=False)
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_nan_stays_in_its_sequence(cell: str) -> None:
    lengths = [6, 6, 5, 5, 3, 2, 2]
    tensors = [tensor.float() for tensor in draw(cell, lengths, 2, 20)]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch_sizes(lengths).cumsum(0)])
    clean = run(cell, lengths, tensors, reverse=False, trace=False)[0]
    tensors[0][offsets[1] + 2, 0] = float("nan")
    output = run(cell, lengths, tensors, reverse=False, trace=False)[0]
    spoilt = offsets[1:5] + 2
    assert output[spoilt].isnan().all()
    others = torch.ones(len(output), dtype=torch.bool)
    others[spoilt] = False
    assert torch.equal(output[others], clean[others])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e4, 1e30])
def test_extreme_inputs_stay_finite_and_right(cell: str, scale: float) -> None:
    tensors = draw(cell, [5, 3], 2, 17)
    tensors[0] *= scale
    expected = run(cell, [5, 3], tensors, reverse=False, trace=True)
    for name in _native.instruction_sets():
        _native.use(name)
        found = run(cell, [5, 3], [tensor.float() for tensor in tensors], reverse=False, trace=False)
        assert all(bool(out.isfinite().all()) for out in found)
        assert_close(list(found), list(expected), 1e-5)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_operators_keep_torchs_rules(cell: str, recompute: bool, learned: bool) -> None:
    rows, h, c, *weights = draw(cell, [3, 2], 2, 3)
    tensors = [tensor.requires_grad_() for tensor in (rows, h, c)] + [w.requires_grad_(learned) for w in weights]
    c = tensors[2] if cell == "lstm" else None
    arguments = (tensors[0], batch_sizes([3, 2]), tensors[1], c, *tensors[3:], False, True, recompute)
    library.opcheck(getattr(torch.ops.longspan, cell).default, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, 300])
def test_a_model_compiles_into_one_graph(steps: int) -> None:
    torch._dynamo.reset()
    layer = nn.LSTM(3, 4, bidirectional=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    block = torch.randn(steps, 2, 3)
    torch.testing.assert_close(compiled(block)[0], layer(block)[0])


@pytest.mark.parametrize("options", [{}, {"peephole": True}], ids=str)
def test_one_graph_serves_all_sizes(options: dict[str, Any]) -> None:
    graphs: list[Any] = []

    def count(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    layer = nn.LSTM(3, 5, **options)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=aot_autograd(fw_compiler=count))
    found = []
    for steps, batch in ((70, 4), (30, 3), (90, 5), (41, 9)):
        block = torch.randn(steps, batch, 3, requires_grad=True)
        torch.testing.assert_close(compiled(block)[0], layer(block)[0])
        found.append(len(graphs))
    assert found == [2, 2, 2, 2]  # there and back


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("recompute", [False, True])
def test_a_walk_that_does_not_fit_its_state_is_refused(cell: str, recompute: bool) -> None:
    rows, _, _, *weights = draw(cell, [3, 2], 2, 4)
    for count, sizes, message in (
        (3, [2, 2, 1], "begins with 2 .* has 3"),
        (2, [], "no steps"),
        (0, [], "no sequences"),
    ):
        state = (torch.ones(count, 4, dtype=rows.dtype),) * (2 if cell == "lstm" else 1)
        walk = torch.tensor(sizes, dtype=torch.int64)
        with pytest.raises(ShapeError, match=message):
            _native.run(cell, rows[: sum(sizes)], walk, state, tuple(weights), reverse=False, recompute=recompute)


@pytest.mark.parametrize("missing", ["b_ih", "b_hh"])
@pytest.mark.parametrize("peephole", [False, True])
def test_one_bias_is_enough(missing: str, peephole: bool) -> None:
    sizes, state = torch.tensor([2, 2, 1]), LSTMState(h=torch.ones(2, 5), c=torch.ones(2, 5))
    biases = {name: torch.randn(20) for name in ("b_ih", "b_hh")} | {missing: None}
    weights = LSTMWeights(torch.randn(20, 3), torch.randn(20, 5), **biases, w_ch=torch.randn(15) if peephole else None)
    rows = torch.randn(5, 3)
    found, expected = (lstm(rows, sizes, state, weights=weights, trace=trace)[0] for trace in (False, True))
    torch.testing.assert_close(found, expected)


def test_a_second_derivative_is_refused_in_words() -> None:
    layer = nn.LSTM(2, 3)
    block = torch.randn(4, 1, 2, requires_grad=True)
    (first,) = torch.autograd.grad(layer(block)[0].sum(), block, create_graph=True)
    with pytest.raises(DataError, match="gradient of a gradient"):
        first.sum().backward()


def test_environment_forces_an_instruction_set() -> None:
    code = "from longspan.ops import _native; print(_native.instruction_set())"
    for name in _native.instruction_sets():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"LONGSPAN_ISA": name},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == name
    wrong = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"LONGSPAN_ISA": "mmx"}, capture_output=True, text=True
    )
    assert wrong.returncode
    assert "ParameterError: the instruction set is 'mmx', but this machine and installation have" in wrong.stderr


def test_a_forked_child_computes_too() -> None:
    code = """
import os, torch
from longspan import nn
torch.set_num_threads(2)
layer = nn.LSTM(3, 8)
block = torch.ones(50, 16, 3)
with torch.no_grad():
    before = layer(block)[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(layer(block)[0], before) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "0"


@pytest.fixture
def rounded() -> Iterator[None]:
    if not _native.has_bfloat16():
        pytest.skip("the processor has no products in bfloat16")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("rounded")
@pytest.mark.parametrize("cell", CELLS)
def test_products_in_bfloat16_are_those_of_rounded_numbers(cell: str) -> None:
    # One step from given states: all that is rounded are x, h' and the weights, which the oracle can round too.
    lengths = [1] * 9
    tensors = [tensor.float() for tensor in draw(cell, lengths, 5, 37)]
    places = (0, 1, 3, 4)
    seen = [tensor.bfloat16().double() if n in places else tensor.double() for n, tensor in enumerate(tensors)]
    if cell == "gru":  # whose h' is also used as it is, beside the products
        tensors[1] = seen[1].float()
    expected = list(run(cell, lengths, seen, reverse=False, trace=True))
    assert_close(list(run(cell, lengths, tensors, reverse=False, trace=False)), expected, 1e-5)


@pytest.mark.usefixtures("rounded")
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_changes_little_and_keeps_a_sequence_apart(cell: str) -> None:
    lengths = [9, 9, 7, 5, 4, 1, 1]
    tensors = [tensor.float() for tensor in draw(cell, lengths, 3, 40)]
    output = run(cell, lengths, tensors, reverse=False, trace=False)[0]
    torch.set_float32_matmul_precision("highest")
    exact = run(cell, lengths, tensors, reverse=False, trace=False)[0]
    torch.set_float32_matmul_precision("medium")
    assert not torch.equal(output, exact)
    # bfloat16 keeps 8 bits; of a hundred products with errors of 2^-9 each, most cancel.
    assert float((output - exact).abs().max()) < 0.05 * float(exact.abs().max())
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch_sizes(lengths).cumsum(0)])
    for number, length in enumerate(lengths):
        own = offsets[:length] + number
        alone = [tensors[0][own], *(state[number : number + 1] for state in tensors[1:3]), *tensors[3:]]
        assert torch.equal(run(cell, [length], alone, reverse=False, trace=False)[0], output[own])


@pytest.mark.usefixtures("rounded")
def test_bfloat16_leaves_float64_alone() -> None:
    tensors = draw("lstm", [4, 2], 3, 5)
    expected = values_and_gradients("lstm", [4, 2], tensors, reverse=False, trace=True)
    assert_close(values_and_gradients("lstm", [4, 2], tensors, reverse=False, trace=False), expected, 1e-12)
