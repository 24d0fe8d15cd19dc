"""The paper's tables beside ours, in Markdown."""

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.hochreiter1997 import copying, experiments, modern
from benchmarks.hochreiter1997.network import number_of_weights
from benchmarks.hochreiter1997.runs import GUESSED, Run
from benchmarks.hochreiter1997.store import Store

NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "feedforward": "feed-forward"}

Row = list[str]


def tables(store: Store, keys: set[str] | None = None) -> str:
    """Return a table for each mode of which there are runs, narrowed to `keys`."""
    parts = [
        titled("The conditions of 1997", _faithful(store, keys)),
        _notes(store, keys),
        titled("With today's means", _modern(store, keys, modern.EXPERIMENTS)),
        titled("Temporal order (6a) over lag", _modern(store, keys, modern.OVER_LAG)),
        titled("Copy memory", _copy(store, keys)),
        titled("Guessing", _guessing(store, keys)),
    ]
    return "\n".join(filter(None, [*parts, _measured(store)]))


def titled(title: str, rows: list[Row]) -> str:
    """Return a table under its title; nothing, if it has no rows below the header."""
    if len(rows) < 2:
        return ""
    header, *body = rows
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join([f"## {title}", "", *("| " + " | ".join(row) + " |" for row in (header, rule, *body)), ""])


def found(store: Store, run: Run, keys: set[str] | None) -> list[dict[str, Any]]:
    """Return the runs that are like this one but for the seed, unless they are left out or were set otherwise."""
    return [*store.of(run.key)] if (keys is None or run.key in keys) and store.has(run.key, run.settings) else []


def sequences_to(runs: Iterable[dict[str, Any]], rule: str | None = None) -> list[float]:
    """Return the sequences until success of each run, without end for a failure."""
    if rule is not None:
        return [run["met"].get(rule, math.inf) for run in runs]
    return [run["sequences"] if run["solved"] else math.inf for run in runs]


def summed_up(sequences: list[float], limit: int) -> str:
    """Return the median and the range of sequences to success."""
    if min(sequences) == math.inf:
        return f"failed within {number(limit)}"
    return f"{number(statistics.median(sequences))} ({number(min(sequences))} to {number(max(sequences))})"


def number(value: float) -> str:
    """Return a number of sequences; a failure is a dash."""
    return "–" if value == math.inf else f"{value:,.0f}"


def share(sequences: list[float]) -> str:
    """Return how many succeeded."""
    return f"{sum(each < math.inf for each in sequences)} of {len(sequences)}"


def _faithful(store: Store, keys: set[str] | None) -> list[Row]:
    rows = [
        ["experiment", "weights", "paper: solved", "sequences, mean", "here: solved", "median (range)", "wrong after"]
    ]
    for name, experiment in experiments.EXPERIMENTS.items():
        runs = found(store, Run("1997", name, "lstm", 0), keys)
        for rule in experiment.rules if runs else ():
            seen = sequences_to(runs, rule)
            label = name if len(experiment.rules) == 1 else f"{name}: {rule}"
            told = rule in experiment.paper
            paper = [f"{experiment.success:.0%}", number(experiment.paper[rule])] if told else ["", ""]
            wrong = f"{statistics.mean(run['wrong'] for run in runs):.2%}" if rule == [*experiment.rules][-1] else ""
            ours = [share(seen), summed_up(seen, experiment.limit), wrong]
            rows.append([label, str(number_of_weights(experiment.shape)), *paper, *ours])
    return rows


def _notes(store: Store, keys: set[str] | None) -> str:
    told: dict[str, list[str]] = {}
    for name, experiment in experiments.EXPERIMENTS.items():
        if experiment.note and found(store, Run("1997", name, "lstm", 0), keys):
            told.setdefault(experiment.note, []).append(name)
    return "\n".join(f"- {'; '.join(names)}: {note}." for note, names in told.items()) + "\n" if told else ""


def _modern(store: Store, keys: set[str] | None, named: dict[str, modern.Experiment]) -> list[Row]:
    rows = [["experiment", "paper's LSTM", *(NAMES[cell] for cell in modern.CELLS)]]
    for name, experiment in named.items():
        each = {cell: sequences_to(found(store, Run("modern", name, cell, 0), keys)) for cell in modern.CELLS}
        if any(each.values()):
            cells = (
                f"{share(seen)}: {summed_up(seen, experiment.limit(cell))}" if seen else "not run"
                for cell, seen in each.items()
            )
            label = "6a, T=100" if name == "6a" and named is modern.OVER_LAG else name
            rows.append([label, number(experiment.paper), *cells])
    return rows


def _copy(store: Store, keys: set[str] | None) -> list[Row]:
    rows = [["initialiser", "below the memoryless loss", "sequences seen", "loss, median (range)", "memoryless"]]
    for init in copying.INITS:
        runs = found(store, Run("copy", copying.NAME, init, 0), keys)
        if runs:
            losses = [run["loss"] for run in runs]
            middle = f"{statistics.median(losses):.4f} ({min(losses):.4f} to {max(losses):.4f})"
            seen = number(statistics.median(run["sequences"] for run in runs))
            solved = f"{sum(run['solved'] for run in runs)} of {len(runs)}"
            rows.append([init, solved, seen, middle, f"{runs[0]['memoryless']:.4f}"])
    return rows


def _guessing(store: Store, keys: set[str] | None) -> list[Row]:
    rows = [["experiment", "solved", "sequences, median (range)", "networks, median"]]
    for name in GUESSED:
        runs = found(store, Run("guessing", name, "random weights", 0), keys)
        if runs:
            seen = sequences_to(runs)
            networks = number(statistics.median(run["networks"] for run in runs))
            rows.append([name, share(seen), summed_up(seen, 0), networks])
    return rows


def _measured(store: Store) -> str:
    return "\n".join(_on_machine(store))


def _on_machine(store: Store) -> Iterator[str]:
    for index, machine in enumerate(store.machines):
        runs = [run for run in store.runs if run["machine"] == index]
        if runs:
            dates = sorted({run["date"] for run in runs})
            hours = sum(run["seconds"] for run in runs) / 3600
            days = " to ".join(dict.fromkeys((dates[0], dates[-1])))
            made_with = f"{machine['processor']}, Python {machine['python']}, torch {machine['torch']}"
            yield f"{len(runs)} runs, {hours:.1f} hours on one core of {made_with}, {days}.\n"
