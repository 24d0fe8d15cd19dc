"""Run one forward and backward pass in a process of its own, and print how far memory rose above the data.

``python -m benchmarks.kernels.peak PATH THREADS B T I H``; Linux, where the peak can be read and set back.
"""

import json
import re
import sys
import time
from pathlib import Path

import torch

from benchmarks.kernels import peers
from benchmarks.kernels.memory import MODULES
from benchmarks.kernels.problems import Data, Problem, draw

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _bytes(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text("ascii"), re.MULTILINE)
    if found is None:
        raise OSError(f"there is no {field} in {_STATUS}")
    return 1024 * int(found[1])


def learn(name: str, data: Data) -> float:
    """Run the gradient of a loss on the last step, by the input and by all weights; return its seconds."""
    kind, options = MODULES[name]
    module, x = peers.loaded(kind, data, **options), data.x.requires_grad_()
    began = time.perf_counter()
    output = module(x)[0]
    torch.autograd.grad(output[-1].sum(), [x, *module.parameters()])
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    name, threads, *sizes = sys.argv[1:]
    torch.set_num_threads(int(threads))
    problem = Problem(*map(int, sizes))
    learn(name, draw(problem._replace(steps=10)))  # what is loaded at first use is not the problem's
    data = draw(problem)
    _RESET.write_text("5", "ascii")  # the peak from here on
    before = _bytes("VmRSS")
    seconds = learn(name, data)
    above = _bytes("VmHWM") - before
    print(json.dumps({"MB above the data": above / 1e6, "seconds of one pass": seconds}))


if __name__ == "__main__":
    main()
