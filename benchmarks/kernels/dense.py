"""Dense batches: training and inference, in float32 and float64, on the table's shapes and beyond them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.kernels import peers
from benchmarks.kernels.problems import GRID, TABLE, Problem, draw
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, check, lstm
from benchmarks.kernels.timing import PRODUCT, contest, matrix_product

TRAINING, INFERENCE, DOUBLE = "dense training", "dense inference", "float64 training"
OTHER_TRAINING, OTHER_INFERENCE = "training, other shapes", "inference, other shapes"
_PEERS_WITHIN = 1e-3
"""Peers have to compute the same problem; how exactly they do is their own affair."""


def _measure(problem: Problem, plan: Plan, *, training: bool, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    data = draw(problem, dtype)
    calls = (peers.trainers if training else peers.runners)(data)
    expected = lstm(data, gradients=training)
    error = check(calls[peers.LONGSPAN](), expected, WITHIN[dtype])
    for name in set(calls) - {peers.LONGSPAN}:
        check(calls[name](), expected, _PEERS_WITHIN)
    product, flops_of_product = matrix_product(dtype)
    found = contest({**calls, PRODUCT: product}, plan.effort, optional=(peers.PACKED, peers.JAX))
    fastest_torch = found.fastest([peers.TORCH, peers.PACKED])
    rate = problem.flops(training=training) / found.median(peers.LONGSPAN)
    of_product = [
        problem.flops(training=training) / flops_of_product / r for r in found.speedup(PRODUCT, peers.LONGSPAN)
    ]
    record = {
        "GF/s": rate / 1e9,
        "GF/s of torch": problem.flops(training=training) / found.median(fastest_torch) / 1e9,
        "GF/s of the product": flops_of_product / found.median(PRODUCT) / 1e9,
        "share of the product": sorted(of_product),
        "against torch": found.speedup(peers.LONGSPAN, fastest_torch),
        "error": error,
        **found.record(),
    }
    if peers.ONNX in calls:
        best = found.fastest([peers.TORCH, peers.PACKED, peers.ONNX])
        record["against torch and onnxruntime"] = found.speedup(peers.LONGSPAN, best)
    return record


def _over(problems: list[Problem], plan: Plan, *, case: str, **options: Any) -> Iterator[Record]:
    for problem in problems[:: 3 if plan.quick and problems is GRID else 1]:
        yield measured(case, problem.describe(), partial(_measure, problem, plan, **options))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    small = [problem for problem in TABLE if problem.flops(training=True) < 1e11]
    whole = {
        TRAINING: (TABLE, True),
        INFERENCE: (TABLE, False),
        OTHER_TRAINING: (GRID, True),
        OTHER_INFERENCE: (GRID, False),
    }
    found = {
        name: partial(_over, problems, case=name, training=training) for name, (problems, training) in whole.items()
    }
    return found | {DOUBLE: partial(_over, small, case=DOUBLE, training=True, dtype=torch.float64)}
