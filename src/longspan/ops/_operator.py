"""A kernel as an operator of torch with its gradient, and a way to it that leaves out torch's dispatcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, library
from torch.nn import Parameter

from longspan.errors import DataError

_LIBRARY: Any = library.Library("longspan", "DEF")  # type: ignore[no-untyped-call]
_DIFFERENTIABLE = 3  # outputs: of every step, and the final h and c; those after them are for the backward pass

Run = Callable[..., tuple[Tensor, ...]]
Gradients = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Operator:
    """An operator `torch.ops.longspan.<name>` and that of its gradient, `<name>_backward`.

    Attributes
    ----------
    name : str
        What it is called.
    schema, schema_backward : str
        Inputs and outputs of the two.
    forward, backward : callable
        Compute, on a CPU.
    shapes, shapes_backward : callable
        Give empty tensors of the shapes that `forward` and `backward` give.
    keep : callable
        Takes the context, the inputs and the outputs, and keeps what the backward pass needs.
    differentiate : callable
        Takes the operator of the gradient, the context, the gradients of the outputs and which inputs want theirs;
        gives the gradients of all inputs.
    """

    name: str
    schema: str
    schema_backward: str
    forward: Run
    backward: Run
    shapes: Run
    shapes_backward: Run
    keep: Callable[[Any, tuple[Any, ...], tuple[Tensor, ...]], None]
    differentiate: Callable[[Run, Any, tuple[Tensor | None, ...], tuple[bool, ...]], Gradients]

    def __post_init__(self) -> None:
        parts = (
            (self.name, self.schema, self.forward, self.shapes),
            (f"{self.name}_backward", self.schema_backward, self.backward, self.shapes_backward),
        )
        for name, schema, run, shapes in parts:
            _LIBRARY.define(name + schema)
            _LIBRARY.impl(name, run, "CPU")
            library.register_fake(f"longspan::{name}", shapes, lib=_LIBRARY)
        library.register_autograd(
            f"longspan::{self.name}",
            lambda ctx, *grads: self.differentiate(self.registered_backward, ctx, grads, ctx.needs_input_grad),
            setup_context=lambda ctx, inputs, output: self.keep(ctx, inputs, output),
            lib=_LIBRARY,
        )
        library.register_autograd(f"longspan::{self.name}_backward", _refuse_second_derivative, lib=_LIBRARY)

    @property
    def registered_backward(self) -> Run:
        """The operator of the gradient, as torch knows it."""
        operator: Run = getattr(torch.ops.longspan, f"{self.name}_backward")
        return operator

    def __call__(self, rows: Tensor, *inputs: Any, learns: bool) -> tuple[Tensor, ...]:
        """Run it by the shortest way there is; return the output of every step, and the final h and c."""
        if is_watched(rows):
            return tuple(getattr(torch.ops.longspan, self.name)(rows, *inputs))[:_DIFFERENTIABLE]
        if not learns:
            return self.forward(rows, *inputs)[:_DIFFERENTIABLE]
        output: tuple[Tensor, ...] = _Direct.apply(self, rows, *inputs)  # type: ignore[no-untyped-call]
        return output


class _Direct(torch.autograd.Function):
    """An operator without torch's dispatcher, whose way there and back costs 0.1 to 0.3 ms a call."""

    @staticmethod
    def forward(ctx: Any, operator: Operator, *inputs: Any) -> tuple[Tensor, ...]:
        output = operator.forward(*inputs)
        ctx.operator = operator
        operator.keep(ctx, inputs, output)
        return output[:_DIFFERENTIABLE]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Gradients:
        operator: Operator = ctx.operator
        # Where a graph of the gradient is asked for, the registered operator is the one to refuse it.
        run = operator.registered_backward if torch.is_grad_enabled() else operator.backward
        return None, *operator.differentiate(run, ctx, grads, ctx.needs_input_grad[1:])


def in_transform() -> bool:
    """Whether `torch.func` is at work (vmap, grad, jacrev and their kin), which sees through no operator of ours."""
    return not torch.compiler.is_compiling() and bool(torch._C._are_functorch_transforms_active())


def is_watched(rows: Tensor) -> bool:
    """Whether something besides autograd has to see the operator: a compiler, a mode, a subclass."""
    return (
        torch.compiler.is_compiling()
        or type(rows) not in (Tensor, Parameter)
        or torch._C._len_torch_dispatch_stack() > 0
        or in_transform()
    )


def _refuse_second_derivative(*_: Any) -> Any:
    raise DataError(
        "the gradient of a gradient is not known to the native kernels.\n"
        "  Ask for a trace, `trace=True`: the layer then runs step by step through torch, which can be derived twice."
    )
