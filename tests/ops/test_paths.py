"""Which kernel runs, what torch's transforms and autocast make of it, and gradients that are computed again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

from longspan import nn, ops
from longspan.errors import ParameterError
from longspan.ops import _native, _recompute

native = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")
LENGTHS = [40, 40, 31, 31, 8, 3, 1]


def kernels(module: torch.nn.Module, *inputs: Any, **options: Any) -> list[str]:
    return [path.kernel for path in ops.explain(module, *inputs, **options)]


@native
def test_explain_names_the_kernel_of_every_layer_and_direction() -> None:
    model = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    assert kernels(model, torch.zeros(5, 1, 3)) == ["native"] * 4
    text = repr(ops.explain(model, torch.zeros(5, 1, 3)))
    assert text.startswith(f"lstm: native kernel, {_native.instruction_set()}")
    assert text.endswith("(4 times)")


def test_explain_says_why_another_kernel_ran() -> None:
    traced = ops.explain(nn.GRU(2, 3), torch.zeros(5, 1, 2), trace=True)
    assert traced[0].kernel == "steps"
    assert traced[0].reason == "a trace is recorded step by step."
    before = ops.explain(nn.GRU(2, 3, reset="before"), torch.zeros(5, 1, 2))
    assert "reset='before'" in before[0].reason
    halves = ops.explain(nn.RNN(2, 3).bfloat16(), torch.zeros(5, 1, 2).bfloat16())
    assert halves[0].kernel == "torch"
    assert "bfloat16" in halves[0].reason


def test_explain_of_other_modules_and_of_random_numbers() -> None:
    assert repr(ops.explain(torch.nn.Linear(2, 2), torch.zeros(1, 2))) == "no recurrent layer of longspan ran."
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    ops.explain(nn.LSTM(2, 3, recurrent_dropout=0.5), torch.zeros(5, 1, 2))
    layer_draws = torch.rand(1)
    torch.manual_seed(3)
    nn.LSTM(2, 3)
    assert layer_draws.shape == expected.shape
    assert torch.equal(torch.rand(1), layer_draws)


@pytest.mark.parametrize("variant", [{}, {"peephole": True, "layer_norm": True}], ids=str)
def test_vmap_and_grad_of_torch_func_agree_with_a_loop(variant: dict[str, Any]) -> None:
    models = [nn.LSTM(2, 3, dtype=torch.float64, **variant) for _ in range(3)]
    parameters, _ = stack_module_state(models)
    block = torch.randn(5, 4, 2, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor], block: Tensor) -> Tensor:
        output: Tensor = functional_call(models[0], parameters, (block,))[0]
        return output.square().sum()

    gradients = vmap(grad(loss), in_dims=(0, None))(parameters, block)
    for number, model in enumerate(models):
        model(block)[0].square().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name][number], parameter.grad)


def test_second_derivatives_come_from_torch_func() -> None:
    layer = nn.RNN(1, 2, dtype=torch.float64)

    def loss(block: Tensor) -> Tensor:
        output: Tensor = layer(block)[0]
        return output.square().sum()

    block = torch.randn(3, 1, 1, dtype=torch.float64)
    second = jacrev(grad(loss))(block).view(3, 3)
    torch.testing.assert_close(second, torch.autograd.functional.hessian(_traced(layer), block).view(3, 3))


def _traced(layer: nn.RNN) -> Any:
    return lambda block: layer(block, trace=True)[0].square().sum()


@native
@pytest.mark.parametrize("variant", [{}, {"layer_norm": True, "proj_size": 2}], ids=str)
def test_autocast_leaves_a_layer_in_the_type_of_its_weights(variant: dict[str, Any]) -> None:
    layer, block = nn.LSTM(3, 4, **variant), torch.randn(6, 2, 3).bfloat16()
    expected = layer(block.float())[0]
    expected.sum().backward()
    gradient = layer.weight_hh_l0.grad.clone()
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(block)[0]
        output.sum().backward()
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(layer.weight_hh_l0.grad, gradient)


def gradients(layer: Any, block: Tensor, seed: int, hx: Any = None) -> list[Tensor]:
    torch.manual_seed(seed)
    block = block.clone().requires_grad_()
    output, state = layer(block, hx, lengths=LENGTHS)
    outputs = (output, *(state if isinstance(state, tuple) else (state,)))
    loss = sum((torch.arange(out.numel(), dtype=out.dtype).cos().view_as(out) * out).sum() for out in outputs)
    start = [part for part in (hx if isinstance(hx, tuple) else (hx,)) if part is not None]
    return [*(out.detach() for out in outputs), *torch.autograd.grad(loss, [block, *start, *layer.parameters()])]


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        (nn.LSTM, {}),
        (nn.GRU, {}),
        (nn.GRU, {"reset": "before"}),
        (nn.RNN, {"nonlinearity": "relu"}),
        (nn.LSTM, {"coupled": True, "zoneout": (0.1, 0.3), "bidirectional": True, "num_layers": 2}),
        (nn.LSTM, {"layer_norm": True, "peephole": True, "recurrent_dropout": 0.3, "weight_drop": 0.2, "proj_size": 5}),
    ],
    ids=str,
)
def test_recomputing_changes_no_value_and_no_gradient(
    kind: Any, variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recompute, "_UNITS_OF_A_CHUNK", 200)
    monkeypatch.setattr(_native, "_ROWS_OF_A_SEGMENT", 23)
    block = torch.randn(40, 7, 3, dtype=torch.float64)
    kept = kind(3, 9, dtype=torch.float64, recompute=False, **variant)
    again = kind(3, 9, dtype=torch.float64, recompute=True, **variant)
    again.load_state_dict(kept.state_dict())
    assert len(_recompute._chunks(torch.tensor([7] * 40), units=9)) > 5
    for ours, theirs in zip(gradients(again, block, 1), gradients(kept, block, 1), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@native
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("rows", [1, 23, 70, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gates_computed_again_have_the_same_bits(
    kind: Any, rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "_ROWS_OF_A_SEGMENT", rows)
    block = torch.randn(40, 7, 5, dtype=dtype)
    kept = kind(5, 21, dtype=dtype, recompute=False, bidirectional=True)
    again = kind(5, 21, dtype=dtype, recompute=True, bidirectional=True)
    again.load_state_dict(kept.state_dict())
    h0, c0 = (torch.randn(2, 7, 21, dtype=dtype, requires_grad=True) for _ in range(2))
    hx = (h0, c0) if kind is nn.LSTM else h0
    for name, count in itertools.product(_native.instruction_sets(), (1, 2)):
        _native.use(name)
        torch.set_num_threads(count)
        for ours, theirs in zip(gradients(again, block, 1, hx), gradients(kept, block, 1, hx), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("sizes", [[1] * 1000, [7] * 30, [9, 9, 5, 5, 5, 1], [600], [3, 1, 1]])
def test_chunks_cover_every_step_once(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recompute, "_UNITS_OF_A_CHUNK", 100)
    chunks = _recompute._chunks(torch.tensor(sizes), units=4)
    assert [step for first, last in chunks for step in range(first, last)] == list(range(len(sizes)))
    assert all(first < last for first, last in chunks)


@native
def test_recomputing_keeps_the_output_and_little_else() -> None:
    kept: list[int] = []

    def bytes_kept(recompute: bool) -> int:
        kept.clear()
        layer, block = nn.LSTM(2, 16, recompute=recompute), torch.randn(50_000, 1, 2)
        seen: set[int] = set()

        def remember(tensor: Tensor) -> Tensor:
            place = tensor.untyped_storage().data_ptr()
            if place not in seen and place != block.untyped_storage().data_ptr():
                seen.add(place)
                kept.append(tensor.untyped_storage().nbytes())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            layer(block)
        return sum(kept)

    floats = 4 * 50_000 * 16
    assert floats <= bytes_kept(recompute=True) < 1.2 * floats
    assert 5 * floats <= bytes_kept(recompute=False) <= 6.2 * floats


def test_recompute_is_a_flag() -> None:
    with pytest.raises(ParameterError, match="recompute is 'yes'"):
        nn.LSTM(2, 3, recompute="yes")  # type: ignore[arg-type]
