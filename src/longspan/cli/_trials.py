"""Trials of several cells and seeds on one problem: run with a bar, summed up, shown."""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from longspan.cli._output import Output, counted
from longspan.cli._pictures import NAMES, save_pictures
from longspan.problems import Problem
from longspan.tasks import SequenceNetwork
from longspan.trials import Guess, Outcome, Progress, TrialSettings, guess_weights, make_network, run_trial

_MEASURED_ON = 64
"""Sequences on which the gradient is measured."""

Run = dict[str, Any]


class Bench:
    """Every cell, with every seed, on one problem.

    Parameters
    ----------
    problem : Problem
        What is learned.
    settings : list of TrialSettings
        One for each cell.
    seeds : int
        Each cell begins anew so many times.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended it before its time.
    """

    def __init__(self, problem: Problem, settings: list[TrialSettings], *, seeds: int) -> None:
        self.problem = problem
        self.settings = settings
        self.seeds = seeds
        self.interrupted = False
        self._outcomes: dict[str, list[Outcome]] = {}
        self._gradients: dict[str, dict[str, Any]] = {}
        self._guesses: list[Guess] = []

    def run(self, *, shown: bool) -> None:
        """Run all trials; on Ctrl-C keep what there is."""
        total = sum(settings.limit * self.seeds for settings in self.settings)
        with trial_bar(self.problem.name, total, shown=shown) as bar:
            if self.problem.guessable:
                bar.begin("guessed weights", 0)
                self._guesses = [guess_weights(self.problem, seed=seed) for seed in range(self.seeds)]
            for settings in self.settings:
                self._gradients[settings.cell] = _gradient_at_init(self.problem, settings, self.seeds)
                for seed in range(self.seeds):
                    if self.interrupted:
                        return
                    self._run_one(settings, seed, bar)

    def settings_as_json(self) -> dict[str, Any]:
        """Return what all cells have in common, and the number of seeds."""
        common = asdict(self.settings[0])
        return {name: value for name, value in common.items() if name != "cell"} | {"seeds": self.seeds}

    def summaries(self) -> list[dict[str, Any]]:
        """Return one summary for each cell that has run."""
        return [
            summary(settings, self._outcomes[settings.cell], self._gradients[settings.cell])
            for settings in self.settings
            if settings.cell in self._outcomes
        ]

    def guesses(self) -> dict[str, Any] | None:
        """Return what guessing weights at random came to, where that is a control."""
        if not self._guesses:
            return None
        seen = [float(guess.sequences) if guess.solved else math.inf for guess in self._guesses]
        return {
            "solved": sum(guess.solved for guess in self._guesses),
            "seeds": len(self._guesses),
            "sequences": _median_and_range(seen),
            "shown": max(guess.sequences for guess in self._guesses),
            "networks": median(guess.networks for guess in self._guesses),
            "seconds": median(guess.seconds for guess in self._guesses),
        }

    def _run_one(self, settings: TrialSettings, seed: int, bar: "TrialBar") -> None:
        bar.begin(f"{NAMES[settings.cell]}, seed {seed}", settings.limit)
        outcome = run_trial(self.problem, settings, seed=seed, on_progress=bar.move)
        bar.end()
        self._outcomes.setdefault(settings.cell, []).append(outcome)
        self.interrupted = outcome.end == "interrupted"


def summary(settings: TrialSettings, outcomes: list[Outcome], gradient: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of the trials of one cell, in plain values.

    Sequences to success count as infinitely many where there was none: the median is None if that is half of the seeds
    or more.
    """
    finished = [outcome for outcome in outcomes if outcome.end != "interrupted"]
    seen = [float(outcome.sequences) if outcome.solved else math.inf for outcome in finished]
    return {
        "cell": settings.cell,
        "init": settings.network_config(outcomes[0].problem).init if settings.cell == "lstm" else None,
        "seeds": len(finished),
        "solved": sum(outcome.solved for outcome in finished),
        "sequences": _median_and_range(seen),
        "loss": median(outcome.examination.loss for outcome in outcomes),
        "parameters": outcomes[0].parameters,
        "seconds": median(outcome.seconds for outcome in outcomes),
        **gradient,
        "runs": [outcome.to_dict() for outcome in outcomes],
    }


def _median_and_range(seen: list[float]) -> dict[str, int | None]:
    lowest, highest = min(seen, default=math.inf), max(seen, default=math.inf)
    return {
        "median": _whole(median(seen)) if seen else None,
        "lowest": _whole(lowest),
        "highest": _whole(highest),
    }


def _whole(number: float) -> int | None:
    return int(number) if math.isfinite(number) else None


def _gradient_at_init(problem: Problem, settings: TrialSettings, seeds: int) -> dict[str, Any]:
    """Return how far the gradient reaches back in networks that have learned nothing, median over seeds.

    A feed-forward network has no state; what it sees is its window.
    """
    if settings.cell == "feedforward":
        return {"gradient_span": float(settings.window), "gradient_span_is_at_least": False, "gradient_by_lag": None}
    from longspan.memory.gradients import first_below, gradient_by_lag

    sequences = problem.generate(_MEASURED_ON, np.random.default_rng(0)).inputs
    networks = [_answering_at_the_end(make_network(problem, settings, seed=seed)) for seed in range(seeds)]
    curves = [gradient_by_lag(network, sequences, random_state=0) for network in networks]
    middle = replace(curves[0], median=np.median([curve.median for curve in curves], axis=0))
    span = first_below(middle, middle.median)
    reached = math.isfinite(span)
    return {
        "gradient_span": span if reached else float(middle.lags[-1]),
        "gradient_span_is_at_least": not reached,
        "gradient_by_lag": [middle.lags.tolist(), middle.median.tolist()],
    }


def _answering_at_the_end(network: SequenceNetwork) -> SequenceNetwork:
    """Return the same network with one output a sequence, so that the gradient is followed back from every end."""
    pooled = SequenceNetwork(replace(network.config, pooling="last"))
    pooled.load_state_dict(network.state_dict())
    return pooled


# Shown ------------------------------------------------------------------------------------------------------------


class TrialBar:
    """A bar that counts sequences over all trials."""

    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task
        self._before = self._limit = self._seen = 0

    def begin(self, title: str, limit: int) -> None:
        """Say which trial runs."""
        self._limit, self._seen = limit, 0
        self._progress.update(self._task, trial=title, figures="")

    def move(self, progress: Progress) -> None:
        """Show how far the trial is."""
        self._seen = progress.sequences
        figures = f"{progress.sequences:,} sequences, loss {progress.loss:.4g}"
        self._progress.update(self._task, completed=self._before + self._seen, figures=figures)

    def end(self) -> None:
        """Take what the trial did not need off the total, so that the time left is told from what it takes."""
        self._before += self._seen
        unused = self._limit - self._seen
        self._progress.update(self._task, total=self._progress.tasks[self._task].total - unused)


@contextmanager
def trial_bar(title: str, total: int, *, shown: bool) -> Iterator[TrialBar]:
    """Give a bar on standard error; the time left is what is left if no more trials end early."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}: {task.fields[trial]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TextColumn("at most"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), disable=not shown) as progress:
        yield TrialBar(progress, progress.add_task(title, total=total, trial="", figures=""))


def say_bench(output: Output, result: Mapping[str, Any]) -> None:
    """Print the table."""
    problem, settings = result["problem"], result["settings"]
    rows = [
        (
            NAMES[cell["cell"]] + (f", {cell['init']}" if cell["init"] else ""),
            _solved(cell),
            sequences_in_words(cell, settings["limit"]),
            _loss(cell["loss"]),
            f"{'at least ' if cell['gradient_span_is_at_least'] else ''}{cell['gradient_span']:,.0f}",
            cell["parameters"],
            f"{cell['seconds']:.0f}",
        )
        for cell in result["cells"]
    ]
    if result["guessing"]:
        guess = result["guessing"]
        told = sequences_in_words(guess, guess["shown"])
        rows.append(("guessed weights", _solved(guess), told, "-", "-", "-", f"{guess['seconds']:.0f}"))
    rows.append(("constant", "-", "-", _loss(problem["constant_loss"]), "-", 0, "-"))
    if problem["memoryless_loss"] < problem["constant_loss"]:
        rows.append(("no memory", "-", "-", _loss(problem["memoryless_loss"]), "-", "-", "-"))
    columns = ("cell", "solved", "sequences until then", "loss", "gradient span", "parameters", "seconds")
    output.table(columns, rows, title=f"{problem['name']}, median and range over {counted(settings['seeds'], 'seed')}")
    output.say("Gradient span: steps over which a hundredth of the gradient is left, before anything is learned.")


def sequences_in_words(cell: Mapping[str, Any], limit: int) -> str:
    """Return median and range of the sequences until success.

    Examples
    --------
    >>> sequences_in_words(
    ...     {"solved": 2, "seeds": 3, "sequences": {"median": 1280, "lowest": 960, "highest": None}}, 5000
    ... )
    '1,280 (960 to more than 5,000)'
    """
    if not cell["seeds"]:
        return "-"
    if not cell["solved"]:
        return f"more than {limit:,}"
    low, middle, high = (cell["sequences"][name] for name in ("lowest", "median", "highest"))
    told = [f"more than {limit:,}" if number is None else f"{number:,}" for number in (middle, low, high)]
    return told[0] if cell["seeds"] == 1 else f"{told[0]} ({told[1]} to {told[2]})"


def _solved(cell: Mapping[str, Any]) -> str:
    return f"{cell['solved']} of {cell['seeds']}"


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if loss >= 0.001 else f"{loss:.1e}"


def draw_bench(output: Output, picture: Path, result: Mapping[str, Any]) -> Path | None:
    """Draw the outcome into a file, and say so."""
    saved = save_pictures(picture.parent, {picture.name: lambda: _draw(result)})
    if not saved:
        return None
    output.say(f"picture: {saved[0]}")
    return saved[0]


def _draw(result: Mapping[str, Any]) -> Any:
    from longspan.cli._pictures import trials

    return trials(result)
