"""How much faster the threads together are than one."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.kernels import peers
from benchmarks.kernels.problems import TABLE, Problem, draw
from benchmarks.kernels.records import NotThereError, Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, check, lstm
from benchmarks.kernels.timing import contest

CASE = "thread scaling"
SHAPES = [*TABLE[:4], TABLE[6], Problem(2, 500, 16, 64), Problem(1, 200, 64, 512)]


def _with_threads(threads: int, call: Callable[[], Any]) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return call()
    finally:
        torch.set_num_threads(before)


def _measure(problem: Problem, plan: Plan) -> dict[str, Any]:
    most = torch.get_num_threads()
    if most == 1:
        raise NotThereError("torch has one thread only")
    data = draw(problem)
    trainers = peers.trainers(data)
    expected = lstm(data)
    names = (peers.LONGSPAN, peers.TORCH)
    calls = {f"{name}, {n}": partial(_with_threads, n, trainers[name]) for name in names for n in (1, most)}
    errors = [check(calls[f"{peers.LONGSPAN}, {n}"](), expected, WITHIN[torch.float32]) for n in (1, most)]
    found = contest(calls, plan.effort)
    faster = {name: found.speedup(f"{name}, {most}", f"{name}, 1") for name in names}
    return {"threads": most, "faster with threads": faster, "error": max(errors), **found.record()}


def _run(plan: Plan) -> Iterator[Record]:
    for problem in SHAPES[: 3 if plan.quick else None]:
        yield measured(CASE, problem.describe(), partial(_measure, problem, plan))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: _run}
