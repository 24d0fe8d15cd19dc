"""The variants of the LSTM: beside the plain cell, and beside a loop over the steps in Python."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import longspan.ops
from benchmarks.kernels import peers
from benchmarks.kernels.eager import EagerLSTM, Masks
from benchmarks.kernels.problems import Data, Problem, draw
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, RedCheckError, check
from benchmarks.kernels.timing import contest
from longspan.nn import LSTM

CASE = "variants"
PLAIN, EAGER = "longspan, plain", "loop in Python"
SHAPES = [Problem(32, 100, 8, 64), Problem(32, 200, 32, 128), Problem(1, 500, 16, 64)]
VARIANTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "peephole": lambda hidden: {"peephole": True},
    "coupled": lambda hidden: {"coupled": True},
    "layer norm": lambda hidden: {"layer_norm": True},
    "projection": lambda hidden: {"proj_size": hidden // 2},
    "zoneout": lambda hidden: {"zoneout": 0.1},
    "recurrent dropout": lambda hidden: {"recurrent_dropout": 0.25},
    "all of them": lambda hidden: {
        "peephole": True,
        "coupled": True,
        "layer_norm": True,
        "proj_size": hidden // 2,
        "zoneout": 0.1,
        "recurrent_dropout": 0.25,
    },
}


GOALS = [name for name in VARIANTS if name != "all of them"]
_GAIN = 0.25
"""Of the normalisation, as a factor. At 1 the layer is chaotic, and float32 and float64 part within a hundred steps."""


def _layer(problem: Problem, variant: str) -> LSTM:
    module = LSTM(problem.inputs, problem.hidden, **VARIANTS[variant](problem.hidden))
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith("weight_ln"):
                weight.mul_(_GAIN)
    return module


def _eager(module: LSTM, dtype: torch.dtype) -> EagerLSTM:
    weights = {name: weight.to(dtype) for name, weight in module.named_parameters()}
    return EagerLSTM(
        weights, coupled=module.coupled, zoneout=module.zoneout[0], recurrent_dropout=module.recurrent_dropout
    )


def _check(module: LSTM, data: Data, grad: Tensor, dtype: torch.dtype) -> float:
    """Compare with the loop in float64, under the masks that the module drew."""
    module = deepcopy(module).to(dtype)
    drawn: dict[str, Any] = {}
    run = longspan.ops.lstm

    def remember(*arguments: Any, **options: Any) -> Any:
        drawn.update(options)
        return run(*arguments, **options)

    with patch.object(longspan.ops, "lstm", remember):
        found = peers.gradients(module, data.x.to(dtype, copy=True).requires_grad_(), grad.to(dtype))
    zones = drawn.get("zoneout") or (None, None)
    masks = [drawn.get("recurrent_mask"), *(z if z is None else z.view(*grad.shape[:2], -1) for z in zones)]
    if (masks[0] is None) != (not module.recurrent_dropout) or (masks[1] is None) != (module.zoneout == (0.0, 0.0)):
        raise RedCheckError(
            "the masks that the layer drew did not pass through `longspan.ops.lstm`, and cannot be compared"
        )
    loop = _eager(module, torch.float64)
    x = data.x.double().requires_grad_()
    output = loop(x, Masks(*(mask if mask is None else mask.double() for mask in masks)))[0]
    gradients = torch.autograd.grad(output, [x, *loop.parameters()], grad.double())
    expected = dict(zip(("x", *dict(loop.named_parameters())), gradients, strict=True))
    # Normalising divides by a spread that may be small, and so magnifies rounding, in any code. The check in float64
    # shows that it is nothing else.
    magnified = 10 if module.layer_norm else 1
    return check(found, {"output": output.detach(), **expected}, magnified * WITHIN[dtype])


def _measure(problem: Problem, variant: str, plan: Plan) -> dict[str, Any]:
    data = draw(problem)
    module = _layer(problem, variant)
    grad = data.grad[..., : module.output_size].contiguous()
    _check(module, data, grad, torch.float64)
    error = _check(module, data, grad, torch.float32)
    x = data.x.clone().requires_grad_()
    calls = {
        peers.LONGSPAN: partial(peers.gradients, module, x, grad),
        PLAIN: peers.trainer(peers.loaded(LSTM, data), data),
        EAGER: partial(peers.gradients, _eager(module, torch.float32), x, grad),
    }
    found = contest(calls, plan.effort)
    return {
        "time against plain": found.speedup(PLAIN, peers.LONGSPAN),
        "against the loop": found.speedup(peers.LONGSPAN, EAGER),
        "error": error,
        **found.record(),
    }


def _run(plan: Plan) -> Iterator[Record]:
    for problem in SHAPES[: 1 if plan.quick else None]:
        for variant in VARIANTS:
            what = {"variant": variant, **problem.describe()}
            yield measured(CASE, what, partial(_measure, problem, variant, plan))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: _run}
