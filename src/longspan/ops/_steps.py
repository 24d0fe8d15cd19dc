"""The time loop of the reference equations over packed rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from longspan.ops.packing import carry_state

Trace = TypeVar("Trace", bound=tuple[Tensor, ...])
Step = Callable[[int, tuple[Tensor, ...]], tuple[Trace, tuple[Tensor, ...]]]


def run_steps(step: Step[Trace], sizes: Sequence[int], state: tuple[Tensor, ...]) -> tuple[Trace, tuple[Tensor, ...]]:
    """Call `step` for each step and join what it records.

    Parameters
    ----------
    step : callable
        Takes the number of the step and the state of the sequences that reach it; gives what is recorded
        of the step (a NamedTuple of tensors) and the new state.
    sizes : sequence of int
        Number of sequences that reach each step.
    state : tuple of Tensor, each (B, features)
        State before the first step.

    Returns
    -------
    trace : NamedTuple of Tensor, each (R, features)
        The records of all steps, in packed order.
    state : tuple of Tensor
        State of each sequence at its own end.
    """
    records: list[Trace] = []

    def advance(t: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        record, state = step(t, state)
        records.append(record)
        return state

    state = carry_state(sizes, state, advance)
    return type(records[0])(*map(torch.cat, zip(*records, strict=True))), state
