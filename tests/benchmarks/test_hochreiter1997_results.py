"""Results: kept run by run, summed up with failures counted, and shown as they are in the file."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.hochreiter1997 import runs
from benchmarks.hochreiter1997.__main__ import PUBLISHED, QUICK, listed
from benchmarks.hochreiter1997.runs import MODES, Run, all_runs, every_run, expected_seconds, run_all
from benchmarks.hochreiter1997.store import Store
from benchmarks.hochreiter1997.tables import share, summed_up, tables


def test_a_run_is_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "results" / "x.json"
    Store(path).add("modern: 1: lstm", 3, {"lr": 0.1, "biases": (1, 2)}, {"solved": True, "sequences": 7})
    again = Store(path)
    assert again.has("modern: 1: lstm", {"lr": 0.1, "biases": (1, 2)}, 3)
    assert not again.has("modern: 1: lstm", {"lr": 0.1, "biases": (1, 2)}, 4)
    (run,) = again.of("modern: 1: lstm")
    assert (run["seed"], run["sequences"], run["machine"], len(run["date"])) == (3, 7, 0, 10)
    assert again.machines[0]["torch"]
    assert not [*path.parent.glob("*.new")]
    assert json.loads(path.read_text("utf-8"))["runs"] == [run]


def test_other_settings_make_old_runs_void(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.json")
    store.add("a", 0, {"lr": 0.1}, {"sequences": 1})
    store.add("a", 1, {"lr": 0.1}, {"sequences": 2})
    assert not store.has("a", {"lr": 0.2})
    store.add("a", 1, {"lr": 0.2}, {"sequences": 3})
    assert [run["sequences"] for run in store.of("a")] == [3]


def test_a_failure_takes_longer_than_any_success() -> None:
    assert summed_up([10, math.inf, 30], 4000) == "30 (10 to –)"
    assert summed_up([math.inf, math.inf, 30], 4000) == "– (30 to –)"
    assert summed_up([math.inf, math.inf], 4000) == "failed within 4,000"
    assert share([10, math.inf, 30]) == "2 of 3"


def test_names_of_runs_are_distinct_and_every_one_can_be_described() -> None:
    for mode in MODES:
        every = [*all_runs(mode)]
        assert len(every) == len(set(every))
        assert all(json.dumps(run.settings) and run.limit > 0 for run in every)
    assert {*QUICK} <= {*every_run(MODES)}
    assert {*all_runs("lag")} & {*all_runs("modern")} == {run for run in all_runs("modern") if run.experiment == "6a"}


@dataclass(frozen=True)
class Echo:
    """A run whose outcome is its seed."""

    seed: int
    key: str = "echo"

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    def make(self) -> dict[str, Any]:
        return {"solved": True, "sequences": self.seed}


def test_each_outcome_is_kept_with_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "ProcessPoolExecutor", lambda count, mp_context: ThreadPoolExecutor(count))
    store, told = Store(tmp_path / "x.json"), []
    store.add("echo", 2, {}, {"solved": True, "sequences": 2})
    run_all([Echo(seed) for seed in range(6)], store, processes=2, told=lambda run, result: told.append(run.seed))
    assert [(run["seed"], run["sequences"]) for run in store.runs] == [(seed, seed) for seed in range(6)]
    assert sorted(told) == [0, 1, 3, 4, 5]


def test_expected_time_is_that_of_runs_like_these(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.json")
    store.add("modern: 1: lstm", 0, {}, {"seconds": 4.0})
    store.add("modern: 1: lstm", 1, {}, {"seconds": 8.0})
    wanted = [Run("modern", "1", "lstm", seed) for seed in range(3)] + [Run("modern", "1", "rnn", 0)]
    assert expected_seconds(wanted, store) == (18.0, 1)


def test_what_is_for_the_lstm_alone_is_kept_from_the_other_cells() -> None:
    lstm, gru = (Run("modern", "2a, p=100", cell, 0).settings for cell in ("lstm", "gru"))
    assert lstm["cell_options"] == {"layer_norm": True}
    assert lstm.keys() - gru.keys() == {"cell_options", "max_lag"}
    assert "max_lag" not in Run("modern", "6a", "lstm", 0).settings  # the lag of the problem
    assert lstm["hidden_size"] == gru["hidden_size"]


def test_the_list_tells_what_each_contestant_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "x.json")
    store.add("modern: 1: lstm", 0, {}, {"seconds": 200.0})
    runs = [*(Run("modern", "1", "lstm", seed) for seed in range(3)), Run("modern", "1", "rnn", 0)]
    listed(runs, store, Console())
    assert capsys.readouterr().out.splitlines() == [
        "  modern: 1: lstm: 3 seeds, about 10 minutes",
        "  modern: 1: rnn: 1 seed, not timed yet",
    ]


def test_published_tables_are_those_of_the_published_runs() -> None:
    assert PUBLISHED.with_suffix(".md").read_text("utf-8") == tables(Store(PUBLISHED))


def test_published_runs_were_made_with_todays_settings() -> None:
    store = Store(PUBLISHED)
    known = {run.key: run.settings for run in every_run(MODES)}
    assert {run["key"] for run in store.runs} <= known.keys()
    assert all(store.has(key, known[key]) for key in {run["key"] for run in store.runs})
