"""What the machine can do at most: products of large matrices, and memory read and written."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks._measure import quartiles
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.timing import contest, matrix_product

CASE = "the machine"
_NUMBERS = 1 << 24
"""Of each array that is read or written: 64 MiB, more than caches hold."""


def _measure(plan: Plan) -> dict[str, Any]:
    a, b, c = torch.randn(3, _NUMBERS)
    products = {f"{dtype}".removeprefix("torch."): matrix_product(dtype) for dtype in (torch.float32, torch.float64)}
    calls = {f"product, {name}": call for name, (call, _) in products.items()}
    found = contest({**calls, "sum": lambda: torch.add(a, b, out=c)}, plan.effort)
    record: dict[str, Any] = {
        f"GF/s, {name}": quartiles([flops / seconds / 1e9 for seconds in found.seconds[f"product, {name}"]])
        for name, (_, flops) in products.items()
    }
    moved = 3 * 4 * _NUMBERS
    return record | {"GB/s": quartiles([moved / seconds / 1e9 for seconds in found.seconds["sum"]])}


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: lambda plan: iter([measured(CASE, {}, partial(_measure, plan))])}
