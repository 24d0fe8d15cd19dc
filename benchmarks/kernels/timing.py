"""Calls timed in turn, until a budget of seconds is used up."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks._measure import interleave, quartiles, ratios

PRODUCT = "matrix product"
_SIDE = {torch.float32: 1536, torch.float64: 1024}
_SHORTEST = 2e-3
"""A measurement is of as many calls as take this many seconds."""
_HOPELESS = 4.0
"""An optional contestant so much slower than the others is called once."""


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds for a contest, and rounds at least and at most."""

    seconds: float
    fewest: int
    most: int


FULL, QUICK = Effort(6.0, 7, 41), Effort(0.8, 3, 11)


@dataclass
class Contest:
    """Seconds a call of each contestant, round by round; `once` has those that were called only once."""

    seconds: dict[str, list[float]]
    once: dict[str, float] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return seconds a call."""
        return self.once[name] if name in self.once else quartiles(self.seconds[name])[1]

    def fastest(self, names: Iterable[str]) -> str:
        """Return the fastest of those that took part."""
        return min((n for n in names if n in self.seconds or n in self.once), key=self.median)

    def speedup(self, name: str, peer: str) -> list[float]:
        """Return how many times faster `name` is than `peer`, as quartiles over the rounds."""
        if peer in self.once:
            return sorted(self.once[peer] / seconds for seconds in quartiles(self.seconds[name]))
        return quartiles(ratios(self.seconds, peer, name))

    def record(self) -> dict[str, Any]:
        """Return quartiles of the seconds of each, and what was called once."""
        record: dict[str, Any] = {"seconds": {name: quartiles(values) for name, values in self.seconds.items()}}
        return record | ({"called once": self.once} if self.once else {})


def contest(
    contestants: dict[str, Callable[[], Any]], effort: Effort, *, optional: Iterable[str] = (), warm: bool = True
) -> Contest:
    """Time all contestants in turn; `warm` has each called once, untimed, before every measurement."""
    estimates = {name: _estimate(call, warm=warm) for name, call in contestants.items()}
    needed = [seconds for name, seconds in estimates.items() if name not in optional]
    once = {name: estimates[name] for name in optional if estimates.get(name, 0) > _HOPELESS * max(needed)}
    timed = {
        name: _measurement(call, max(1, round(_SHORTEST / estimates[name])), warm=warm)
        for name, call in contestants.items()
        if name not in once
    }
    a_round = sum((2 if warm else 1) * max(estimates[name], _SHORTEST) for name in timed)
    rounds = max(effort.fewest, min(effort.most, round(effort.seconds / a_round)))
    return Contest(interleave(timed, rounds=rounds), once)


def _estimate(call: Callable[[], Any], *, warm: bool) -> float:
    if warm:
        call()  # compiles, loads and fills caches
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _measurement(call: Callable[[], Any], calls: int, *, warm: bool) -> Callable[[], float]:
    def measure() -> float:
        if warm:
            call()
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - began) / calls

    return measure


def matrix_product(dtype: torch.dtype) -> tuple[Callable[[], Any], float]:
    """Return a large matrix product to call, and its operations."""
    side = _SIDE[dtype]
    a, b, c = torch.randn(3, side, side, dtype=dtype)
    return lambda: torch.mm(a, b, out=c), 2.0 * side**3
