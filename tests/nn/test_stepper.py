"""Layers fed one step at a time give the bits of the whole sequence."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from longspan.errors import ParameterError, ShapeError
from longspan.nn import GRU, LSTM, RNN
from longspan.ops import _native

pytestmark = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")

MODULES = {
    "LSTM": lambda **options: LSTM(3, 17, **options),
    "GRU": lambda **options: GRU(3, 17, **options),
    "RNN": lambda **options: RNN(3, 17, nonlinearity="relu", **options),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bias": False}], ids=str)
@pytest.mark.parametrize("name", list(MODULES))
def test_steps_have_the_bits_of_the_sequence(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    module = MODULES[name](**options).to(dtype)
    block = torch.randn(9, 5, 3, dtype=dtype)
    stepper = module.stepper(streams=5)
    with torch.no_grad():
        whole = module(block)[0]
    assert torch.equal(torch.stack([stepper(x) for x in block]), whole)
    alone = module.stepper()
    assert torch.equal(torch.stack([alone(x) for x in block[:, 2]]), whole[:, 2])


def test_state_goes_on_where_it_was_put() -> None:
    layer = LSTM(2, 4, num_layers=2)
    steps = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    stepper, other = layer.stepper(), layer.stepper()
    for x in steps[:3]:
        stepper(x)
    other.state = stepper.state
    for x in steps[3:]:
        np.testing.assert_array_equal(stepper(x), other(x))
    _, state = layer(torch.from_numpy(steps))
    for ours, theirs in zip(stepper.state, state, strict=True):
        np.testing.assert_array_equal(ours[:, 0], theirs.detach().numpy())
    stepper.reset()
    np.testing.assert_array_equal(stepper(steps[0]), layer.stepper()(steps[0]))


def test_weights_are_those_of_the_moment() -> None:
    layer = LSTM(2, 4)
    before = copy.deepcopy(layer)
    stepper = layer.stepper()
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    x = torch.ones(2)
    assert torch.equal(stepper(x), before(x[None])[0][0])


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((2, 2)), np.zeros((1, 1, 2)), 1.0], ids=["3", "2x2", "1x1x2", "0"])
def test_a_step_of_another_shape_is_refused(x: Any) -> None:
    with pytest.raises(ShapeError, match=r"expected \(2,\)"):
        LSTM(2, 4).stepper()(x)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (LSTM(2, 4, bidirectional=True), "backward direction begins at the end"),
        (LSTM(2, 4, peephole=True), "no native kernel for peephole"),
        (LSTM(2, 4, proj_size=3), "no native kernel for proj_size"),
        (GRU(2, 4, reset="before"), "no native kernel for reset='before'"),
    ],
    ids=["bidirectional", "peephole", "projection", "reset"],
)
def test_what_cannot_be_stepped_is_refused(module: Any, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        module.stepper()
    with pytest.raises(ParameterError, match="streams"):
        module.stepper(streams=0)
