"""What there is to run: each contestant in each experiment, with each seed."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any

from benchmarks.hochreiter1997 import copying, experiments, faithful, modern
from benchmarks.hochreiter1997.store import Store
from longspan.trials import guess_weights

MODES = ("modern", "1997", "lag", "copy", "guessing")
GUESSED = ("3a, T=1000, N=1",)


@dataclass(frozen=True)
class Run:
    """One contestant in one experiment with one seed."""

    mode: str
    experiment: str
    contestant: str
    seed: int

    @property
    def key(self) -> str:
        """What it is known by, but for the seed."""
        return f"{self.mode}: {self.experiment}: {self.contestant}"

    @property
    def settings(self) -> dict[str, Any]:
        """What the outcome depends on, in plain values."""
        if self.mode == "1997":
            return experiments.EXPERIMENTS[self.experiment].settings()
        if self.mode == "guessing":
            return {"problem": repr(modern.EXPERIMENTS[self.experiment].problem)}
        if self.mode == "copy":
            return {"length": copying.LENGTH, **modern.described(copying.settings(self.contestant))}
        return self._modern.described(self.contestant)

    @property
    def limit(self) -> int:
        """Sequences that it may learn from; 1 where that is not how it ends."""
        if self.mode == "1997":
            return experiments.EXPERIMENTS[self.experiment].limit
        if self.mode == "guessing":
            return 1
        return copying.LIMIT if self.mode == "copy" else self._modern.limit(self.contestant)

    def make(self, tell: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """Run it."""
        if self.mode == "1997":
            return faithful.Trial(experiments.EXPERIMENTS[self.experiment], self.seed).run(self.limit, tell)
        if self.mode == "guessing":
            return asdict(guess_weights(modern.EXPERIMENTS[self.experiment].problem, seed=self.seed))
        if self.mode == "copy":
            return copying.run(self.contestant, self.seed, tell)
        return modern.run(self._modern, self.contestant, self.seed, tell)

    @property
    def _modern(self) -> modern.Experiment:
        return {**modern.EXPERIMENTS, **modern.OVER_LAG}[self.experiment]


def all_runs(mode: str, *, seeds: int | None = None) -> Iterator[Run]:
    """Yield the runs of a mode, seed after seed: as many as the paper made in 1997 mode, five in the others."""
    if mode == "1997":
        most = max(experiment.trials for experiment in experiments.EXPERIMENTS.values())
        for seed in range(min(most, seeds or most)):
            yield from (
                Run(mode, name, "lstm", seed)
                for name, experiment in experiments.EXPERIMENTS.items()
                if seed < experiment.trials
            )
        return
    named = {"modern": modern.EXPERIMENTS, "lag": modern.OVER_LAG, "guessing": GUESSED, "copy": (copying.NAME,)}[mode]
    contestants = {"guessing": ("random weights",), "copy": copying.INITS}.get(mode, modern.CELLS)
    for seed in range(seeds or 5):
        yield from (Run(_mode(mode), name, contestant, seed) for contestant in contestants for name in named)


def _mode(mode: str) -> str:
    """Return what a run of a mode is known by: one over lag is a modern one."""
    return "modern" if mode == "lag" else mode


def every_run(modes: Iterable[str], *, seeds: int | None = None) -> list[Run]:
    """Return the runs of several modes, each once."""
    return [*dict.fromkeys(run for mode in modes for run in all_runs(mode, seeds=seeds))]


def expected_seconds(runs: list[Run], measured: Store) -> tuple[float, int]:
    """Return the processor time that runs like these took, and how many of them nobody has measured."""
    seconds: dict[str, list[float]] = {}
    for run in measured.runs:
        seconds.setdefault(run["key"], []).append(run["seconds"])
    known = [statistics.mean(seconds[run.key]) for run in runs if run.key in seconds]
    return sum(known), len(runs) - len(known)


def run_all(runs: list[Run], store: Store, *, processes: int, told: Callable[[Run, dict[str, Any]], None]) -> None:
    """Run what the store does not have yet, each on one thread; keep each as soon as it is there."""
    left = [run for run in runs if not store.has(run.key, run.settings, run.seed)]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running: dict[Future[dict[str, Any]], Run] = {}
        try:
            while left or running:
                while left and len(running) < processes:
                    run = left.pop(0)
                    running[pool.submit(_made, run)] = run
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    run = running.pop(future)
                    result = future.result()
                    store.add(run.key, run.seed, run.settings, result)
                    told(run, result)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _made(run: Run) -> dict[str, Any]:
    """Run it; its seconds are those of the processor."""
    began = time.process_time()
    result = run.make()
    return result | {"seconds": round(time.process_time() - began, 1)}
