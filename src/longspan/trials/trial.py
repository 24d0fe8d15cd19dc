"""A trial: one network learns one problem until it solves it, or has seen enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from longspan.problems import Problem
from longspan.tasks import SequenceNetwork
from longspan.training import Trainer, TrainingSettings
from longspan.trials.batches import FreshBatches, Scaling, make_task
from longspan.trials.examination import Examination, Examiner
from longspan.trials.settings import TrialSettings

_EXAMINED = 1000
"""Sequences by which a network is measured at the end."""

TrialEnd = Literal["solved", "limit", "diverged", "interrupted"]


@dataclass(frozen=True)
class Progress:
    """How far a trial is.

    Attributes
    ----------
    sequences : int
        Learned from.
    loss : float
        Of the last of them, while they were learned from: mean squared error, or cross-entropy in nats.
    """

    sequences: int
    loss: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a trial.

    Attributes
    ----------
    problem : Problem
        What was learned.
    settings : TrialSettings
        How.
    seed : int
        Of the weights and of all sequences.
    end : {"solved", "limit", "diverged", "interrupted"}
        Why it ended.
    sequences : int
        Sequences learned from until the problem was solved, or in all.
    history : list of Progress
        One entry every `check_every` sequences.
    examination : Examination
        Of the network at the end, on sequences it has not learned from.
    skipped_steps : int
        Minibatches whose gradient was not finite; nothing was learned from them.
    seconds : float
        How long it took, in all.
    network : SequenceNetwork
        As it was at the end.
    """

    problem: Problem
    settings: TrialSettings
    seed: int
    end: TrialEnd
    sequences: int
    history: list[Progress]
    examination: Examination
    skipped_steps: int
    seconds: float
    network: SequenceNetwork = field(repr=False)

    @property
    def solved(self) -> bool:
        """Whether the network solved the problem."""
        return self.end == "solved"

    @property
    def parameters(self) -> int:
        """Numbers that the network learned."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON has of it: plain values, without the network."""
        return {
            "seed": self.seed,
            "solved": self.solved,
            "end": self.end,
            "sequences": self.sequences,
            "seconds": self.seconds,
            "skipped_steps": self.skipped_steps,
            "parameters": self.parameters,
            **self.examination._asdict(),
            "history": [[each.sequences, each.loss] for each in self.history],
        }


def make_network(problem: Problem, settings: TrialSettings, *, seed: int = 0) -> SequenceNetwork:
    """Make the network with which a trial begins.

    Parameters
    ----------
    problem : Problem
        What it is to learn.
    settings : TrialSettings
        What it is made of.
    seed : int
        Of its weights.

    Examples
    --------
    >>> from longspan.problems import Adding
    >>> network = make_network(Adding(length=50), TrialSettings(hidden_size=8))
    >>> network.cell.init, network.cell.max_lag
    ('chrono', 49)
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return SequenceNetwork(settings.network_config(problem))


def run_trial(
    problem: Problem,
    settings: TrialSettings | None = None,
    *,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Train a network on fresh sequences of a problem until it solves the problem, or has seen enough of them.

    Every `check_every` sequences the network is tried on others, drawn for this, by the criterion of the problem. On
    Ctrl-C what there is is given back, with ``end="interrupted"``.

    Parameters
    ----------
    problem : Problem
        What to learn.
    settings : TrialSettings, optional
        How; the defaults by default.
    seed : int
        Of the weights and of all sequences: equal seeds give equal outcomes on one machine.
    on_progress : callable, optional
        Called with a `Progress` every `check_every` sequences.

    Examples
    --------
    >>> from longspan.problems import Adding
    >>> outcome = run_trial(Adding(length=4), TrialSettings(hidden_size=8, limit=640))
    >>> outcome.end, outcome.sequences, len(outcome.history)
    ('limit', 640, 2)
    """
    return _Trial(problem, settings or TrialSettings(), seed, on_progress).run()


class _Trial:
    def __init__(
        self, problem: Problem, settings: TrialSettings, seed: int, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.seed = seed
        self.on_progress = on_progress
        # What is learned and what is tried are drawn apart, so that the one does not hang on how often the other is.
        learned, tried = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
        self.network = make_network(problem, settings, seed=seed)
        self.scaling = Scaling.of(problem, learned)
        task = make_task(problem, self.network, self.scaling)
        self.examiner = Examiner(problem, task, self.scaling, tried)
        how = TrainingSettings(
            max_epochs=1, lr=settings.lr, weight_decay=0.0, clip_norm=settings.clip_norm, schedule="constant"
        )
        self.trainer = Trainer(task, how, rng=learned)
        self.history: list[Progress] = []
        self.sequences = 0

    def run(self) -> Outcome:
        began = time.perf_counter()
        try:
            end = self._learn()
        except KeyboardInterrupt:
            end = "interrupted"
        return Outcome(
            problem=self.problem,
            settings=self.settings,
            seed=self.seed,
            end=end,
            sequences=self.sequences,
            history=self.history,
            examination=self.examiner.examine(_EXAMINED),
            skipped_steps=sum(record["skipped_steps"] for record in self.trainer.history),
            seconds=time.perf_counter() - began,
            network=self.network.eval(),
        )

    def _learn(self) -> TrialEnd:
        while self.sequences < self.settings.limit:
            self._learn_some()
            if self.trainer.optimiser.diverged:
                return "diverged"
            if self.examiner.has_solved():
                return "solved"
        return "limit"

    def _learn_some(self) -> None:
        """Learn until the next look at how good the network is, from no more than the limit."""
        size = min(self.settings.batch_size, self.settings.limit - self.sequences)
        wanted = min(self.settings.check_every, self.settings.limit - self.sequences)
        batches = FreshBatches(self.problem, self.scaling, batch_size=size, count=max(1, wanted // size))
        record = self.trainer.epoch(batches)
        self.sequences += size * len(batches)
        self.history.append(Progress(self.sequences, record["loss"] * self.scaling.scale**2))
        if self.on_progress is not None:
            self.on_progress(self.history[-1])
