"""Which way a layer ran, and why: what `longspan.ops.explain` tells."""

from __future__ import annotations

from contextvars import ContextVar
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from longspan.ops import _native
from longspan.ops._operator import in_transform

_NO_TRACE = "a trace is recorded step by step."
_NO_TRANSFORM = "torch.func sees through the equations of a cell, and through no kernel."


class KernelPath(NamedTuple):
    """How one layer ran in one direction.

    Attributes
    ----------
    cell : str
        The cell, as the operators name it.
    kernel : {"native", "bfloat16", "torch", "steps"}
        longspan's compiled kernel, the same with products in bfloat16, torch's own, or the equations of the cell, step
        by step through torch.
    reason : str
        Why it was not the native kernel; empty where it was.
    """

    cell: str
    kernel: str
    reason: str


class Explanation(tuple[KernelPath, ...]):
    """The paths of the layers that ran, in their order; printed, one line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self:
            return "no recurrent layer of longspan ran."
        here = {"instruction_set": _native.instruction_set(), "threads": torch.get_num_threads()}
        lines = []
        for path, same in groupby(self):
            count = len(list(same))
            times = f" ({count} times)" if count > 1 else ""
            reason = f": {path.reason}" if path.reason else ""
            lines.append(f"{path.cell}: {_KERNELS[path.kernel].format(**here)}{times}{reason}")
        return "\n".join(lines)


_KERNELS = {
    "native": "native kernel, {instruction_set}, {threads} threads",
    "bfloat16": "native kernel, {instruction_set}, products in bfloat16, {threads} threads",
    "torch": "torch's kernel",
    "steps": "step by step through torch",
}
_seen: ContextVar[list[KernelPath] | None] = ContextVar("paths of layers", default=None)


def note(cell: str, kernel: str, reason: str | None = None) -> None:
    """Record how a layer runs, if someone asked."""
    if torch.compiler.is_compiling():
        return
    seen = _seen.get()
    if seen is not None:
        seen.append(KernelPath(cell, kernel, reason or ""))


def why_stepwise(trace: bool) -> str | None:
    """Return why a cell has to be run by its equations, if it has to."""
    if trace:
        return _NO_TRACE
    return _NO_TRANSFORM if in_transform() else None


def explain(module: nn.Module, *inputs: Any, **options: Any) -> Explanation:
    """Run a module once and say which kernel each recurrent layer took, and why.

    It runs as the module would run now: with gradients where they are on, in training where it is in training.
    Torch's default random numbers are put back afterwards; statistics that a module gathers in training are not.

    Parameters
    ----------
    module : torch.nn.Module
        A layer of `longspan.nn`, or anything with such layers in it.
    *inputs, **options
        What it takes.

    Returns
    -------
    Explanation
        A tuple of `KernelPath`, printed as sentences.

    Examples
    --------
    >>> from longspan.nn import LSTM
    >>> explain(LSTM(2, 3), torch.zeros(5, 1, 2), lengths=[5])[0].cell
    'lstm'
    >>> explain(LSTM(2, 3), torch.zeros(5, 1, 2), trace=True)
    lstm: step by step through torch: a trace is recorded step by step.
    """
    devices = {value.device for value in (*inputs, *options.values()) if isinstance(value, Tensor)}
    seen: list[KernelPath] = []
    token = _seen.set(seen)
    try:
        with torch.random.fork_rng([device for device in devices if device.type == "cuda"]):
            module(*inputs, **options)
    finally:
        _seen.reset(token)
    return Explanation(seen)
