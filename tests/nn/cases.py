"""Pairs of modules, torch's and ours, with the same weights, and their comparison with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan import nn

LENGTHS = [3, 6, 1, 6, 2]  # unsorted, and with a tie
INPUT, HIDDEN = 3, 4
KINDS = {
    "LSTM": {},
    "GRU": {},
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
}


def pair(kind: str, dtype: torch.dtype = torch.float64, **arguments: Any) -> tuple[Any, Any]:
    """torch's module and ours, with the weights of torch's."""
    name = kind.split()[0]
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(INPUT, HIDDEN, dtype=dtype, **KINDS[kind], **arguments)
    ours = getattr(nn, name)(INPUT, HIDDEN, dtype=dtype, **KINDS[kind], **arguments)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def states(module: Any, batch: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Initial states that differ from zero and from each other."""
    slots = module.num_layers * (2 if module.bidirectional else 1)
    sizes = [module.proj_size or HIDDEN, HIDDEN] if isinstance(module, (nn.LSTM, torch.nn.LSTM)) else [HIDDEN]
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(slots, batch, size, dtype=dtype, generator=generator, requires_grad=True) for size in sizes]


def as_hx(state: list[Tensor]) -> Any:
    return tuple(state) if len(state) > 1 else state[0]


def flat_results(result: Any) -> list[Tensor]:
    """Output and states of a call, as tensors."""
    output, state = result[:2]
    output = output.data if isinstance(output, PackedSequence) else output
    return [output, *(state if isinstance(state, tuple) else (state,))]


def results_and_gradients(module: Any, call: Callable[[Any], Any], leaves: list[Tensor]) -> list[Tensor]:
    """Everything a call gives, and the gradients of leaves and weights, each output weighed differently."""
    values = flat_results(call(module))
    loss = sum(
        (value * torch.linspace(-1, 1, value.numel(), dtype=value.dtype).view(value.shape)).sum() for value in values
    )
    gradients = torch.autograd.grad(loss, [*leaves, *module.parameters()])
    return [*values, *gradients]


def assert_same(found: list[Tensor], expected: list[Tensor], *, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)
