"""The window network against a plain walk over each sequence."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from longspan import nn
from longspan.errors import ParameterError, ShapeError


def run_alone(module: nn.FeedForward, steps: Tensor) -> Tensor:
    """One sequence (T, I), step by step, newest step first in the window."""
    outputs = []
    for t in range(len(steps)):
        seen = [steps[t - lag] if t >= lag else torch.zeros_like(steps[0]) for lag in range(module.window)]
        outputs.append(module.layers(torch.cat(seen)))
    return torch.stack(outputs)


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    window=st.integers(1, 5),
    num_layers=st.integers(1, 3),
)
def test_each_sequence_sees_its_own_window(lengths: list[int], window: int, num_layers: int) -> None:
    module = nn.FeedForward(2, 3, window, num_layers, dtype=torch.float64)
    parts = [torch.randn(length, 2, dtype=torch.float64, requires_grad=True) for length in lengths]
    packed = pack_sequence(parts, enforce_sorted=False)
    expected = [run_alone(module, part) for part in parts]
    output = module(packed)
    reference = pack_sequence(expected, enforce_sorted=False).data
    torch.testing.assert_close(output.data, reference)
    leaves = [*parts, *module.parameters()]
    found = torch.autograd.grad(output.data.sin().sum(), leaves)
    for one, other in zip(found, torch.autograd.grad(reference.sin().sum(), leaves), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("batch_first", [False, True])
def test_padded_input(batch_first: bool) -> None:
    module = nn.FeedForward(2, 3, 4, batch_first=batch_first)
    x = torch.randn(2, 5, 2)
    output = module(x if batch_first else x.transpose(0, 1), lengths=[3, 5])
    output = output if batch_first else output.transpose(0, 1)
    torch.testing.assert_close(output[0, :3], run_alone(module, x[0, :3]))
    torch.testing.assert_close(output[1], run_alone(module, x[1]))
    assert not output[0, 3:].any()


def test_nothing_older_than_the_window_is_seen() -> None:
    module = nn.FeedForward(1, 64, window=3, num_layers=2)  # so many that some are alive at each step
    x = torch.randn(9, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[6].sum(), x)
    assert gradient.flatten().ne(0).nonzero().flatten().tolist() == [4, 5, 6]


def test_dropout_between_layers() -> None:
    module = nn.FeedForward(2, 50, 2, num_layers=2, dropout=0.5)
    x = torch.randn(4, 2)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))
    assert module.output_size == 50


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="window is 0"):
        nn.FeedForward(2, 3, 0)
    with pytest.raises(ShapeError, match="3 features, but the module takes 2"):
        nn.FeedForward(2, 3, 1)(torch.zeros(4, 1, 3))
