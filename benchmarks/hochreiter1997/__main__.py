"""The six experiments of Hochreiter and Schmidhuber 1997, as they were run then and as one would run them now.

Modes: ``1997`` is the paper's network, learning rule, conditions and stopping rules; ``modern`` the LSTM of today
beside other cells, within as many sequences as the paper's LSTM needed; ``lag`` how that grows with the lag; ``copy``
what chrono initialisation does; ``guessing`` the control that the paper itself names. Without ``--full`` and without a
mode a subset is run.

Every run is kept as soon as it is finished, and is not made again: what was interrupted goes on where it stopped. Run
it with ``python -m benchmarks.hochreiter1997`` (``make bench``).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.hochreiter1997.network import COMPILED
from benchmarks.hochreiter1997.runs import MODES, Run, every_run, expected_seconds, run_all
from benchmarks.hochreiter1997.store import Store
from benchmarks.hochreiter1997.tables import tables

PUBLISHED = Path(__file__).parents[1] / "results" / "hochreiter1997.json"
OWN = Path("build") / "hochreiter1997.json"

QUICK = [
    *(Run("1997", name, "lstm", seed) for name in ("3a, T=100, N=3", "6a") for seed in range(2)),
    *(Run("modern", name, "lstm", seed) for name in ("1", "2a, p=100", "6a", "6b") for seed in range(2)),
    *(Run("modern", "6a", cell, 0) for cell in ("gru", "rnn", "feedforward")),
    Run("guessing", "3a, T=1000, N=1", "random weights", 0),
]


def chosen(options: argparse.Namespace) -> list[Run]:
    """Return what was asked for."""
    narrowed = options.mode or options.only or options.cell
    runs = QUICK if not (options.full or narrowed) else []
    runs = runs or every_run(options.mode or MODES, seeds=options.seeds)
    return [
        run
        for run in runs
        if (not options.only or any(f"{run.experiment},".startswith(f"{name},") for name in options.only))
        and (not options.cell or run.contestant in options.cell)
    ]


def parsed() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hochreiter1997", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="run everything, and not a subset")
    parser.add_argument("--mode", nargs="+", choices=MODES, help="run these modes")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="experiments, by the first parts of their names: 1, 2a, '4, T=100'"
    )
    parser.add_argument("--cell", nargs="+", metavar="CELL", help="contestants: lstm, gru, rnn, feedforward, ...")
    parser.add_argument("--seeds", type=int, help="seeds of each contestant (five; in 1997 mode the paper's number)")
    parser.add_argument("--processes", type=int, default=2, help="runs at a time, one thread each (2)")
    parser.add_argument("--results", type=Path, default=OWN, help=f"the file that runs are kept in ({OWN})")
    parser.add_argument("--json", action="store_true", help="print the runs as one JSON object")
    parser.add_argument(
        "--list", action="store_true", help="only say what there is to do, and how long it takes on one core"
    )
    return parser.parse_args()


def in_words(seconds: float, unknown: int, processes: int) -> str:
    """Say how long it takes."""
    minutes = seconds / 60 / processes
    words = f"about {minutes:.0f} minutes" if minutes >= 1.5 else f"about {seconds / processes:.0f} seconds"
    return words + (f", and {unknown} runs that nobody has timed" if unknown else "")


def main() -> None:
    """Run and show."""
    options, console = parsed(), Console(stderr=True, highlight=False)
    store, published = Store(options.results), Store(PUBLISHED)
    runs = chosen(options)
    if not runs:
        sys.exit("nothing of that name: see --help")
    left = [run for run in runs if not store.has(run.key, run.settings, run.seed)]
    time = in_words(*expected_seconds(left, published), options.processes)
    console.print(f"{len(runs)} runs, {len(runs) - len(left)} of them finished in {options.results}.")
    console.print(f"The others took {time} on {options.processes} cores when they were measured.")
    if not COMPILED and any(run.mode == "1997" for run in left):
        console.print("numba is missing: the 1997 mode will be about 100 times slower. pip install 'longspan[bench]'")
    if options.list:
        listed(left, published, console)
        return
    if left:
        with_bar(left, store, published, options.processes, console)
    shown(store, {run.key for run in runs}, as_json=options.json)


def listed(left: list[Run], published: Store, console: Console) -> None:
    """Say what there is to do, a contestant a line."""
    for key in dict.fromkeys(run.key for run in left):
        runs = [run for run in left if run.key == key]
        seeds = f"{len(runs)} seeds" if len(runs) > 1 else "1 seed"
        seconds, unknown = expected_seconds(runs, published)
        console.print(f"  {key}: {seeds}, {'not timed yet' if unknown else in_words(seconds, 0, 1)}")


def with_bar(left: list[Run], store: Store, published: Store, processes: int, console: Console) -> None:
    """Run, with a bar that knows how long each run took before."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console) as bar:
        waiting = list(left)
        task = bar.add_task("hochreiter1997", total=len(left), left=remaining(waiting, published, processes))

        def told(run: Run, result: dict[str, Any]) -> None:
            waiting.remove(run)
            bar.console.print(f"  {run.key}, seed {run.seed}: {outcome(result)}")
            bar.update(task, advance=1, left=remaining(waiting, published, processes))

        try:
            run_all(left, store, processes=processes, told=told)
        except KeyboardInterrupt:
            bar.console.print(f"Interrupted. Finished runs are in {store.path}; the same command goes on from there.")
            sys.exit(130)


def remaining(runs: list[Run], published: Store, processes: int) -> str:
    """Say how much time is left."""
    return in_words(*expected_seconds(runs, published), processes) + " left"


def outcome(result: dict[str, Any]) -> str:
    """Say in a few words what came of a run."""
    end = "solved" if result["solved"] else "FAILED"
    return f"{end} after {result['sequences']:,} sequences ({result['seconds']:.0f} s)"


def shown(store: Store, keys: set[str], *, as_json: bool) -> None:
    """Print the runs, and write the tables beside them."""
    store.path.with_suffix(".md").write_text(tables(store), "utf-8")
    if as_json:
        found = [store.machines, {key: store.settings[key] for key in sorted(keys)}, [*store.among(keys)]]
        print(json.dumps(dict(zip(("machines", "settings", "runs"), found, strict=True))))
    else:
        print(tables(store, keys))


if __name__ == "__main__":
    main()
