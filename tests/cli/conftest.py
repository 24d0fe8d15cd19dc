"""Small data, and a way to run a command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from longspan.cli import app
from longspan.io import write_table

TINY = ("--hidden-size", "3", "--max-epochs", "1", "--batch-size", "8")
COLUMNS = ("--series", "trial", "--time", "ms", "--features", "x,noise")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command in this process; an error that is not told in words is raised."""
    monkeypatch.setenv("LONGSPAN_TRACEBACK", "1")

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return invoke


@pytest.fixture
def run_json(run: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Run a command with --json, and return the one object that it prints."""

    def invoke(*arguments: object) -> dict[str, Any]:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout, parse_constant=pytest.fail)

    return invoke


def trials() -> dict[str, np.ndarray]:
    """40 trials of 4 to 8 steps: the answer is the sign of the first x."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, size=40)
    number = np.repeat(np.arange(40), lengths)
    first = np.repeat(rng.choice([-1.0, 1.0], size=40), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    x = np.where(step == 0, first, rng.normal(size=len(step)))
    return {
        "trial": 1000 + number,
        "ms": 4 * step,
        "x": x,
        "noise": rng.normal(size=len(step)),
        "answer": np.where(first > 0, "up", "down"),
        "first": 10 * first,
        "double": 2 * x,
        "person": number % 8,
    }


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "trials.csv"
    write_table(path, trials())
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the trials, without pictures."""
    folder = tmp_path_factory.mktemp("model")
    write_table(folder / "trials.csv", trials())
    out = folder / "answer.longspan"
    arguments = ["train", folder / "trials.csv", "--task", "classify", "--target", "answer", "--out", out]
    result = CliRunner().invoke(app, [str(a) for a in (*arguments, *COLUMNS, *TINY, "--quiet")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out
