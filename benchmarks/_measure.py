"""What every benchmark shares: interleaved timing, medians with their spread, and a record of the machine."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def interleave(contestants: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """Time each contestant once a round, in turn, so that a machine that slows down slows all of them.

    A contestant that returns a number of seconds has timed itself.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in names:
            began = time.perf_counter()
            own = contestants[name]()
            seconds[name].append(own if isinstance(own, float) else time.perf_counter() - began)
    return seconds


def ratios(seconds: dict[str, list[float]], name: str, peer: str) -> list[float]:
    """Return time of `name` over time of `peer`, round by round."""
    return [a / b for a, b in zip(seconds[name], seconds[peer], strict=True)]


def quartiles(values: list[float]) -> list[float]:
    """Return the first quartile, the median and the third quartile."""
    return statistics.quantiles(values, n=4)


def spread(values: list[float]) -> str:
    """Return the median and the range from the first to the third quartile."""
    low, median, high = quartiles(values)
    return f"{median:.3g} ({low:.3g} to {high:.3g})"


def machine() -> dict[str, Any]:
    """Return when, where and with what a number was measured."""
    import torch

    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "longspan": version("longspan"),
    }


def report(result: dict[str, Any], *, as_json: bool) -> None:
    """Print a result for a person, or for a program."""
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:>24}  {value}", flush=True)


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
