"""What a layer keeps for the backward pass, and the peak of memory while it trains."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from benchmarks.kernels import peers
from benchmarks.kernels.problems import Data, Problem, draw, ragged
from benchmarks.kernels.records import NotThereError, Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, check, lstm
from benchmarks.kernels.timing import contest
from longspan.nn import LSTM

KEPT, PEAK, LONG = "memory kept", "peak memory", "a million steps"
RECOMPUTE = "longspan, recompute"
MODULES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    peers.LONGSPAN: (LSTM, {}),
    RECOMPUTE: (LSTM, {"recompute": True}),
    peers.TORCH: (nn.LSTM, {}),
}
"""Kind of module, and its options. Left to itself, longspan's recomputes what would take too much memory."""


def kept_floats(module: Any, data: Data) -> float:
    """Return how many numbers are kept a row and hidden unit, the output among them, beside input and weights."""
    leaves = {tensor.untyped_storage().data_ptr() for tensor in (data.x, *module.parameters())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in leaves:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(data.input)[0]
    keep(output.data if isinstance(output, PackedSequence) else output)
    return sum(kept.values()) / data.x.element_size() / data.problem.rows / data.problem.hidden


def _kept(problem: Problem, name: str, plan: Plan) -> dict[str, Any]:
    (kind, options), data = MODULES[name], draw(problem)
    module, plain = peers.loaded(kind, data, **options), peers.loaded(LSTM, data, recompute=False)
    learn = peers.trainer(module, data)
    error = check(learn(), lstm(data), WITHIN[torch.float32])
    record: dict[str, Any] = {"floats a row and unit": kept_floats(module, data), "error": error}
    if name == RECOMPUTE:
        found = contest({name: learn, peers.LONGSPAN: peers.trainer(plain, data)}, plan.effort)
        record |= {"time against plain": found.speedup(peers.LONGSPAN, name), **found.record()}
    return record


def _peak(problem: Problem, name: str, *, checked_with: Problem) -> dict[str, Any]:
    (kind, options), data = MODULES[name], draw(checked_with)
    error = check(peers.trainer(peers.loaded(kind, data, **options), data)(), lstm(data), WITHIN[torch.float32])
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", "benchmarks.kernels.peak", name, threads, *map(str, problem[:4])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotThereError(done.stderr.strip().splitlines()[-1])
    return {**json.loads(done.stdout), "error": error}


def _run_kept(plan: Plan) -> Iterator[Record]:
    for problem in (Problem(32, 200, 32, 128), Problem(64, 100, 64, 256), ragged(32, 200, 8, 64)):
        for name in MODULES:
            what = {"path": name, **problem.describe()}
            yield measured(KEPT, what, partial(_kept, problem, name, plan))


def _run_peak(plan: Plan) -> Iterator[Record]:
    small = Problem(32, 50, 32, 128)
    for problem in (Problem(32, 400, 32, 128), Problem(128, 784, 1, 128))[: 1 if plan.quick else None]:
        for name in MODULES:
            what = {"path": name, **problem.describe()}
            yield measured(PEAK, what, partial(_peak, problem, name, checked_with=small))


def _run_long(plan: Plan) -> Iterator[Record]:
    steps = 100_000 if plan.quick else 1_000_000
    problem, shorter = Problem(1, steps, 16, 64), Problem(1, 20_000, 16, 64)
    for name in MODULES:
        what = {"path": name, **problem.describe()}
        yield measured(LONG, what, partial(_peak, problem, name, checked_with=shorter))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {KEPT: _run_kept, PEAK: _run_peak, LONG: _run_long}
