"""The native kernels and threads: torch's settings, its OpenMP runtime, Python's threads, fork, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from longspan.ops import LSTMState, LSTMWeights, _native, lstm

pytestmark = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")

TASKS, STATM = Path("/proc/self/task"), Path("/proc/self/statm")


def layer(inputs: int, hidden: int, *, seed: int = 0) -> LSTMWeights:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(4 * hidden, inputs), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)]
    return LSTMWeights(*(torch.randn(shape, generator=generator) / hidden**0.5 for shape in shapes))


def run(x: Tensor, weights: LSTMWeights) -> Tensor:
    zeros = x.new_zeros(x.shape[1], weights.w_hh.shape[1])
    sizes = torch.full((len(x),), x.shape[1])
    return lstm(x, sizes, LSTMState(h=zeros, c=zeros), weights=weights)[0]


def learn(x: Tensor, weights: LSTMWeights) -> list[Tensor]:
    """The output, and the gradients of the input and of all weights."""
    leaves = [x.clone().requires_grad_(), *(w.clone().requires_grad_() for w in weights if w is not None)]
    output = run(leaves[0], LSTMWeights(*leaves[1:]))
    return [output.detach(), *torch.autograd.grad(output.square().sum(), leaves)]


def run_script(code: str) -> str:
    """Run code in a process of its own, in which nothing has started threads yet; return what it prints.

    Threads that wait sleep: elsewhere they spin for a while, which tells nothing and keeps the other tests waiting.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"OMP_WAIT_POLICY": "passive"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_kernels_share_the_openmp_runtime_of_torch() -> None:
    run(torch.ones(3, 4, 2), layer(2, 5))
    runtimes = [found["filepath"] for found in ThreadpoolController().info() if found["user_api"] == "openmp"]
    beside_torch = [path for path in runtimes if "scikit_learn" not in path]
    assert len(beside_torch) <= 1, f"two runtimes would fight for the cores: {beside_torch}"


# How many threads of the process have worked, by their own clocks: those that have done a fifth of the work.
COUNT_WORKERS = """
import torch
from pathlib import Path
from threadpoolctl import threadpool_limits
from longspan import nn

layer, block = nn.LSTM(16, 64), torch.ones(400, 24, 16)

def clocks():
    stats = {task.name: (task / "stat").read_text() for task in Path("/proc/self/task").iterdir()}
    return {name: sum(map(int, stat.rsplit(")", 1)[1].split()[11:13])) for name, stat in stats.items()}

def workers():
    before = clocks()
    while True:
        with torch.no_grad():
            layer(block)
        spent = {name: ticks - before.get(name, 0) for name, ticks in clocks().items()}
        if sum(spent.values()) >= 50:
            return sum(ticks >= 0.2 * sum(spent.values()) for ticks in spent.values())

torch.set_num_threads(1)
alone = workers()
torch.set_num_threads(2)
both = workers()
with threadpool_limits(1):
    limited = workers()
print(alone, both, limited, workers())
"""


@pytest.mark.skipif(not TASKS.exists(), reason="the clocks of threads are read from /proc")
def test_torchs_number_of_threads_and_the_limits_of_threadpoolctl_are_obeyed() -> None:
    assert run_script(COUNT_WORKERS).split() == ["1", "2", "1", "2"]


def test_several_python_threads_compute_at_once_and_get_the_bits_they_get_alone() -> None:
    jobs = [(torch.randn(60, 7, 5), layer(5, hidden, seed=hidden)) for hidden in (9, 16, 33, 48) * 3]
    alone = [learn(*job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: learn(*job), jobs))
    assert all(
        torch.equal(a, b) for own, other in zip(alone, together, strict=True) for a, b in zip(own, other, strict=True)
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, float]]:
    """When each compiled function was called last, and when it came back."""
    spans: dict[str, tuple[float, float]] = {}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments)
            spans[name] = began, time.perf_counter()
            return result

        return call

    for name in dir(_native._compiled):
        if name.startswith(("forward", "backward")):
            monkeypatch.setattr(_native._compiled, name, timed(name, getattr(_native._compiled, name)))
    return spans


def test_other_python_threads_run_while_a_kernel_does(calls: dict[str, tuple[float, float]]) -> None:
    ticks: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())

    counter = threading.Thread(target=count)
    counter.start()
    try:
        learn(torch.randn(8000, 8, 2), layer(2, 64))
    finally:
        done.set()
        counter.join()
    assert {name.partition("_")[0] for name in calls} == {"forward", "backward"}
    for began, ended in calls.values():
        assert ended - began > 0.01, "too short to tell"
        # Between the first and the last hundredth no line of Python belongs to the calling thread.
        edge = (ended - began) / 100
        assert sum(began + edge < tick < ended - edge for tick in ticks) > 100


def test_a_forked_child_learns_too_and_so_does_its_parent_afterwards() -> None:
    code = """
import os, torch
from longspan import nn
torch.set_num_threads(2)
layer, block = nn.LSTM(3, 8), torch.ones(50, 16, 3)

def learn():
    return torch.autograd.grad(layer(block)[0].sum(), list(layer.parameters()))

before = learn()
child = os.fork()
if child == 0:
    torch.set_num_threads(1)  # the products of torch itself would wait for threads that were left behind
    # One thread sums the gradients of the weights in one piece, two in two: the last bits differ.
    os._exit(0 if all(map(torch.allclose, learn(), before)) else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, all(map(torch.equal, learn(), before)))
"""
    assert run_script(code) == "0 True"


@pytest.mark.skipif(not STATM.exists(), reason="the memory of a process is read from /proc")
def test_memory_does_not_grow_over_calls_of_ever_new_shapes() -> None:
    code = """
import random, torch
from pathlib import Path
from longspan import nn

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def pass_over_new_shapes(draw):
    for _ in range(60):
        steps, batch, inputs, hidden = (draw.randint(1, most) for most in (60, 40, 20, 80))
        output = nn.LSTM(inputs, hidden)(torch.ones(steps, batch, inputs))[0]
        output.sum().backward()

torch.set_num_threads(2)
draw = random.Random(0)
sizes = []
for _ in range(5):
    pass_over_new_shapes(draw)
    sizes.append(resident())
print(max(sizes[1:]) - sizes[0])
"""
    assert int(run_script(code)) < 12e6


@pytest.mark.skipif(not STATM.exists(), reason="the size of the process is read from /proc")
@pytest.mark.parametrize(
    ("layer", "batch", "steps", "apart"),
    [("LSTM(4, 64, layer_norm=True)", 40000, 1, 4096), ("LSTM(4, 1024)", 1, 60, 200)],
    ids=["threads apart", "a team"],
)
def test_memory_that_runs_out_in_a_thread_is_an_error_of_the_caller(
    layer: str, batch: int, steps: int, apart: int
) -> None:
    # With ever more room, more of the blocks of a call are found, and the last ones are those of its threads.
    output = run_script(f"""
import resource
from pathlib import Path
import torch
from longspan.nn import LSTM

torch.set_num_threads(2)
LSTM(4, 64)(torch.zeros(1, 4, 4))  # starts the threads
layer, x, refused = {layer}, torch.zeros({steps}, {batch}, 4), 0
limit = resource.getrlimit(resource.RLIMIT_AS)
with torch.no_grad():
    for room in range(0, 400 << 20, {apart} << 10):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, limit[1]))
        try:
            found = layer(x)[0]
            break
        except (MemoryError, RuntimeError):
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limit)
    print(refused > 3, bool(torch.equal(found, layer(x)[0])))
""")
    assert output.split() == ["True", "True"]
