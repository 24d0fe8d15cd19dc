"""Ragged batches, lengths uniform in [T/4, T]: the cost of a real step beside that of a dense batch, and torch's."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.kernels import peers
from benchmarks.kernels.problems import Problem, draw, ragged
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, check, lstm
from benchmarks.kernels.timing import contest

CASE = "ragged training"
SHAPES = [(32, 30, 8, 64), (32, 200, 8, 64), (32, 1000, 8, 64), (64, 200, 32, 128), (3, 500, 16, 64), (256, 50, 16, 96)]


def _measure(shape: tuple[int, int, int, int], plan: Plan) -> dict[str, Any]:
    data, dense = draw(ragged(*shape)), draw(Problem(*shape))
    calls = peers.trainers(data)
    expected = lstm(data)
    error = check(calls[peers.LONGSPAN](), expected, WITHIN[data.x.dtype])
    check(calls[peers.PACKED](), expected, 1e-3)
    of_dense = peers.trainers(dense)
    check(of_dense[peers.LONGSPAN](), lstm(dense), WITHIN[data.x.dtype])
    padded = {f"{name}, dense": of_dense[name] for name in (peers.LONGSPAN, peers.TORCH)}
    found = contest(calls | padded, plan.effort)
    share = data.problem.rows / dense.problem.rows
    return {
        "mean length": data.problem.rows / data.problem.batch,
        "real step against dense": [r / share for r in found.speedup(f"{peers.LONGSPAN}, dense", peers.LONGSPAN)],
        "against torch packed": found.speedup(peers.LONGSPAN, peers.PACKED),
        "against torch on the padded batch": found.speedup(peers.LONGSPAN, f"{peers.TORCH}, dense"),
        "error": error,
        **found.record(),
    }


def _run(plan: Plan) -> Iterator[Record]:
    for shape in SHAPES[: 3 if plan.quick else None]:
        yield measured(CASE, Problem(*shape).describe(), partial(_measure, shape, plan))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: _run}
