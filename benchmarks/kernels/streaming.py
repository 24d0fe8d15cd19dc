"""One step at a time, as a stream arrives: the whole cost of a call from Python."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.kernels import peers
from benchmarks.kernels.problems import Data, Problem, draw
from benchmarks.kernels.records import NotThereError, Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, RedCheckError, check, lstm
from benchmarks.kernels.timing import contest
from longspan.errors import ParameterError
from longspan.nn import LSTM

CASE = "streaming"
CELL = "torch.nn.LSTMCell"
STREAMS = [(1, 16, 64), (1, 1, 8), (1, 64, 256), (16, 16, 64), (256, 16, 64)]


def _stepper(data: Data) -> Any:
    try:
        return peers.loaded(LSTM, data).stepper(streams=data.problem.batch)
    except ParameterError as error:
        raise NotThereError(str(error)) from error


def _torch_step(data: Data) -> Callable[[], Any]:
    module, x = peers.loaded(nn.LSTM, data).eval(), data.x[:1]
    state: Any = None

    def step() -> Any:
        nonlocal state
        with torch.inference_mode():
            output, state = module(x, state)
        return output

    return step


def _cell_step(data: Data) -> Callable[[], Any]:
    cell, x = nn.LSTMCell(data.problem.inputs, data.problem.hidden), data.x[0]
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in data.weights.items()})
    state: Any = None

    def step() -> Any:
        nonlocal state
        with torch.inference_mode():
            state = cell(x, state)
        return state[0]

    return step


def _onnx_step(data: Data) -> Callable[[], Any]:
    session, x = peers.onnx_session(data), data.x[:1].numpy()
    h = c = np.zeros((1, data.problem.batch, data.problem.hidden), np.float32)

    def step() -> Any:
        nonlocal h, c
        output, h, c = session.run(None, {"X": x, "h0": h, "c0": c})
        return output

    return step


def _measure(problem: Problem, plan: Plan) -> dict[str, Any]:
    data = draw(problem)
    stepper, rows = _stepper(data), data.x.numpy()
    found = np.stack([stepper(x) for x in rows])
    error = check({"output": found}, lstm(data, gradients=False), WITHIN[torch.float32])
    with torch.no_grad():
        whole = peers.loaded(LSTM, data)(data.x)[0].numpy()
    if not np.array_equal(found, whole):
        raise RedCheckError("the steps have other bits than the whole sequence")
    x = rows[0] if problem.batch > 1 else rows[0, 0]
    calls = {peers.LONGSPAN: lambda: stepper(x), peers.TORCH: _torch_step(data), CELL: _cell_step(data)}
    if peers.ONNX not in peers.missing():
        calls[peers.ONNX] = _onnx_step(data)
    contested = contest(calls, plan.effort)
    return {
        "us a step": [1e6 * seconds for seconds in contested.record()["seconds"][peers.LONGSPAN]],
        **{f"against {peer}": contested.speedup(peers.LONGSPAN, peer) for peer in calls if peer != peers.LONGSPAN},
        "bits of the whole sequence": True,
        "error": error,
        **contested.record(),
    }


def _run(plan: Plan) -> Iterator[Record]:
    for streams, inputs, hidden in STREAMS:
        problem = Problem(streams, 50, inputs, hidden)
        what = {"streams": streams, "I": inputs, "H": hidden}
        yield measured(CASE, what, partial(_measure, problem, plan))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: _run}
