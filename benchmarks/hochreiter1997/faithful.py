"""Training as in 1997: one sequence at a time, until the paper's rule says stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.hochreiter1997 import network
from benchmarks.hochreiter1997.network import Sequences, Shape
from longspan.problems import EmbeddedReber, Problem, Sample

RECENT = 2000


def as_sequences(problem: Problem, sample: Sample) -> Sequences:
    """Return a sample with a target at each step that has one, classes as one unit that is 1."""
    targets = sample.targets[:, None] if not problem.classes else np.eye(problem.output_size)[sample.targets]
    steps = sample.offsets[-1]
    if problem.per_step:
        return Sequences(sample.inputs.values, sample.offsets, targets.astype(np.float64), np.ones(steps, bool))
    at_each, scored = np.zeros((steps, problem.output_size)), np.zeros(steps, bool)
    last = sample.offsets[1:] - 1
    at_each[last], scored[last] = targets, True
    return Sequences(sample.inputs.values, sample.offsets, at_each, scored)


class Rule(Protocol):
    """Says when training stops."""

    def met(self, trial: "Trial") -> bool:
        """Whether it does now."""


@dataclass(frozen=True)
class Recent:
    """So many of the last 2,000 training sequences are wrong at most, and their mean absolute error is small."""

    within: float
    wrong: int = 0
    mean_error: float = np.inf

    def met(self, trial: "Trial") -> bool:
        """Whether it does now."""
        largest, mean = trial.recent.T
        enough = len(largest) == RECENT and np.count_nonzero(largest >= self.within) <= self.wrong
        return bool(enough and mean.mean() < self.mean_error)


@dataclass(frozen=True)
class HeldOut:
    """So many of 256 test sequences are wrong at most, and their mean absolute error is small."""

    within: float
    wrong: int = 0
    mean_error: float = np.inf

    def met(self, trial: "Trial") -> bool:
        """Whether it does now."""
        errors = trial.errors(trial.test)
        return bool(np.count_nonzero(errors >= self.within) <= self.wrong and errors.mean() < self.mean_error)


@dataclass(frozen=True)
class Always:
    """No error over 10,000 fresh sequences is as large as this."""

    within: float
    over: int = 10_000

    def met(self, trial: "Trial") -> bool:
        """Whether it does now; looks on only as long as it does."""
        for _ in range(0, self.over, trial.chunk):
            if (trial.errors(trial.problem.generate(trial.chunk, trial.rng)) >= self.within).any():
                return False
        return True


@dataclass(frozen=True)
class AllLegal:
    """Every legal next symbol is ahead of all others, in the training and in the test strings."""

    def met(self, trial: "Trial") -> bool:
        """Whether it does now."""
        assert trial.strings is not None
        sets = (trial.strings, trial.test)
        return all(trial.problem.scores(part, trial.outputs(part)).correct.all() for part in sets)


@dataclass(frozen=True)
class Experiment:
    """One line of the paper's tables, with the conditions of its table 10."""

    name: str
    problem: Problem
    shape: Shape
    rate: float
    rules: dict[str, Rule]  # training goes on until the last is met; when the others were is told too
    paper: dict[str, float]  # sequences until each rule was met
    trials: int
    success: float = 1.0  # share of the paper's trials
    spread: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    each_step: bool = False  # weights change after each step, and not once a sequence
    truncated: bool = True  # the gradient is the paper's, and not the whole one
    grown: bool = False  # the cell joins once the network without it stops improving
    every: int = 100  # sequences from one look at the rules to the next
    limit: int = 1_000_000
    tested: int = 2560  # sequences by which the trained network is judged
    note: str = ""

    def settings(self) -> dict[str, Any]:
        """What the outcome depends on, in plain values."""
        settings = {
            "problem": repr(self.problem),
            "shape": list(self.shape),
            "rate": self.rate,
            "rules": {name: repr(rule) for name, rule in self.rules.items()},
            "spread": self.spread,
            "biases": [self.input_gate_bias, self.output_gate_bias],
            "each_step": self.each_step,
            "grown": self.grown,
            "every": self.every,
        }
        return settings if self.truncated else settings | {"truncated": False}


class Trial:
    """One network, from fresh weights until it is trained."""

    def __init__(self, experiment: Experiment, seed: int) -> None:
        self.experiment, self.problem, self.shape = experiment, experiment.problem, experiment.shape
        data_seed = seed // 10 if isinstance(self.problem, EmbeddedReber) else seed  # 10 trials on each set of strings
        self.rng = np.random.default_rng([data_seed, 0])
        self.strings: Sample | None = None
        self.test = self._draw_sets()
        self.rng = np.random.default_rng([seed, 1])
        self.weights = network.initial_weights(
            self.shape,
            self.rng,
            spread=experiment.spread,
            input_gate_bias=experiment.input_gate_bias,
            output_gate_bias=experiment.output_gate_bias,
        )
        self.there = network.connections(self.shape)
        self.recent = np.empty((0, 2))
        self.chunk = min(experiment.every, max(1, 20_000 // self.problem.lag))
        self.sequences = 0

    def _draw_sets(self) -> Sample:
        if not isinstance(self.problem, EmbeddedReber):
            return self.problem.generate(256, self.rng)
        self.strings = self.problem.generate(256, self.rng)
        known = set(_strings(self.strings))
        more = self.problem.generate(4096, self.rng)
        return more[[n for n, string in enumerate(_strings(more)) if string not in known][:256]]

    def run(self, limit: int, tell: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """Train until the last rule is met or `limit` sequences were seen; return what came of it."""
        began, met = time.perf_counter(), {}
        if self.experiment.grown:
            self._train_without_cells(limit)
        while self.sequences < limit and len(met) < len(self.experiment.rules):
            self._train(self.experiment.every)
            tell(self.sequences)
            for name, rule in self.experiment.rules.items():
                if name not in met and rule.met(self):
                    met[name] = self.sequences
                elif name not in met:
                    break
        return {
            "solved": len(met) == len(self.experiment.rules),
            "sequences": self.sequences,
            "met": met,
            "wrong": self._share_wrong(),
            "seconds": round(time.perf_counter() - began, 1),
        }

    def outputs(self, sample: Sample) -> np.ndarray:
        """Return the outputs that are compared with the targets of a sample."""
        outputs = network.predict(self.shape, self.weights, as_sequences(self.problem, sample))
        return outputs if self.problem.per_step else outputs[sample.offsets[1:] - 1]

    def errors(self, sample: Sample) -> np.ndarray:
        """Return the largest absolute error of each sequence, as the problem judges it."""
        return self.problem.scores(sample, self.outputs(sample)).errors

    def _share_wrong(self) -> float:
        sample = self.problem.generate(self.experiment.tested, self.rng)
        scores = [self.problem.scores(part, self.outputs(part)).correct for part in _parts(sample, self.chunk)]
        return float(1 - np.concatenate(scores).mean())

    def _train(self, count: int) -> np.ndarray:
        errors = []
        for size in _sizes(count, self.chunk):
            sample = self.problem.generate(size, self.rng) if self.strings is None else self._pick(size)
            sequences = as_sequences(self.problem, sample)
            how = {"each_step": self.experiment.each_step, "truncated": self.experiment.truncated, "there": self.there}
            errors.append(network.train(self.shape, self.weights, sequences, self.experiment.rate, **how))
        self.sequences += count
        self.recent = np.concatenate([self.recent, *errors])[-RECENT:]
        return np.concatenate(errors)

    def _pick(self, size: int) -> Sample:
        assert self.strings is not None
        return self.strings[self.rng.integers(0, len(self.strings), size)]

    def _train_without_cells(self, limit: int, window: int = 100, improvement: float = 0.01) -> None:
        """Train the connections from inputs to outputs until their error has stopped decreasing."""
        from_cells = self.weights.output[:, self.shape.inputs : -1]
        kept, from_cells[:] = from_cells.copy(), 0.0  # nothing flows back to the cells either
        self.there.output[:, self.shape.inputs : -1] = 0.0
        last = np.inf
        while self.sequences < limit:
            error = self._train(window)[:, 1].mean()
            if error > (1 - improvement) * last:
                break
            last = error
        from_cells[:] = kept
        self.there = network.connections(self.shape)


def _strings(sample: Sample) -> list[tuple[int, ...]]:
    assert sample.symbols is not None
    return [tuple(part) for part in np.split(sample.symbols, sample.offsets[1:-1])]


def _sizes(count: int, chunk: int) -> list[int]:
    return [min(chunk, count - done) for done in range(0, count, chunk)]


def _parts(sample: Sample, chunk: int) -> list[Sample]:
    return [sample[first : first + chunk] for first in range(0, len(sample), chunk)]
