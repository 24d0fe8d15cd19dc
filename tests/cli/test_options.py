"""The program as a whole: its help, its version, and the table of options against the estimators."""

import inspect
import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from longspan import estimators
from longspan.cli._columns import _TASKS, Columns
from longspan.cli._models import _ESTIMATORS
from longspan.cli._options import Task
from longspan.cli._output import plain, shown
from longspan.cli._parameters import all_parameters

# Parameters that are no option of this name: they come from the data options, or have no meaning in one run.
ELSEWHERE = {"per_step", "random_state", "verbose", "warm_start", "source", "target"}


@pytest.mark.parametrize("task", list(Task))
def test_table_of_options_is_that_of_the_estimator(task):
    signature = inspect.signature(getattr(estimators, _ESTIMATORS[task])).parameters
    defaults = {name: parameter.default for name, parameter in signature.items() if name not in ELSEWHERE}
    assert {row.name: row.default_for(task) for row in all_parameters() if task in row.tasks} == defaults


def test_no_parameter_stands_in_two_tables():
    names = [row.name for row in all_parameters()]
    assert len(names) == len(set(names))


def test_tables_name_tasks_and_columns_that_there_are():
    for row in all_parameters():
        assert {*row.tasks, *row.others} <= {*Task}
    assert set(_TASKS) <= set(Columns.__dataclass_fields__)
    assert {task for tasks in _TASKS.values() for task in tasks} <= {*Task}


def test_switches_are_the_parameters_that_are_true_or_false():
    for row in all_parameters():
        assert (row.metavar == "") == isinstance(row.default, bool), row.name


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([command, "-h"] for command in ("train", "predict", "encode", "decode", "forecast", "compare"))],
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys, json\nfrom longspan.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "Usage: longspan" in done.stdout or "Usage: -c" in done.stdout
    heavy = {"torch", "numpy", "sklearn", "matplotlib", "duckdb", "pandas"}
    assert not heavy & set(json.loads(done.stderr.splitlines()[-1]))


def test_help_has_examples(run):
    for command in ("demo", "train", "predict", "encode", "decode", "forecast", "compare"):
        assert f"longspan {command} " in run(command, "--help").stdout.partition("For example:")[2]


def test_no_command_shows_the_help(run):
    result = run()
    assert result.exit_code == 0
    assert "compare" in result.stdout


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"longspan {version('longspan')}\n")


def test_plain_leaves_no_numpy_and_no_nan():
    import numpy as np

    values = {
        "a": np.array([1.0, np.nan]),
        "b": np.int64(3),
        "c": np.float32(np.inf),
        "d": np.array(["x"]),
        "e": np.datetime64("2024-05-01"),
        "f": np.array(["2024-05-01"], "datetime64[D]"),
        "g": np.bool_(True),
    }
    assert plain(values) == {
        "a": [1.0, None], "b": 3, "c": None, "d": ["x"], "e": "2024-05-01", "f": ["2024-05-01"], "g": True,
    }  # fmt: skip


def test_shown():
    assert [shown(v) for v in (0.5, 12345.6, 7, "x", float("inf"))] == ["0.500", "1.235e+04", "7", "x", "-"]
