from pathlib import Path
from statistics import median

import pytest

from longspan.memory import VERDICTS
from tests.cli.conftest import COLUMNS, TINY

CLASSIFY = ("--task", "classify", "--target", "answer")


def test_json_has_every_value(run_json, table):
    found = run_json(
        "compare",
        table,
        *CLASSIFY,
        *COLUMNS,
        *TINY,
        "--cells",
        "lstm,feedforward",
        "--seeds",
        "2",
        "--match-parameters",
    )
    assert [model["cell"] for model in found["models"]] == ["lstm", "feedforward"]
    for model in (*found["models"], found["constant"]):
        scores = [run["accuracy"] for run in model["runs"]]
        assert len(scores) == 2
        assert (model["lowest"], model["median"], model["highest"]) == (min(scores), median(scores), max(scores))
    sizes = [model["parameters"] for model in found["models"]]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)
    assert found["constant"]["runs"][0]["balanced_accuracy"] == 0.5
    assert all(model["verdict"] in VERDICTS for model in found["models"])
    assert all(0 <= model["used_span"] <= 8 for model in found["models"])
    assert "verdict" not in found["constant"]
    assert found["picture"] == "longspan-compare/comparison.png"
    assert Path(found["picture"]).read_bytes()[:4] == b"\x89PNG"


def test_text(run, table):
    result = run("compare", table, *CLASSIFY, *COLUMNS, *TINY, "--cells", "rnn", "--seeds", "1", "--pictures", "here")
    assert result.exit_code == 0
    assert "median and range over 1 seed" in result.stdout
    assert "needed" in result.stdout
    assert "picture: here/comparison.png" in result.stdout
    assert "1/1" in result.stderr
    assert sorted(p.name for p in Path().iterdir()) == ["here", "trials.csv"]


@pytest.mark.parametrize("group", [(), ("--group", "person")])
def test_folds_hold_out_every_sequence_once(table, group):
    from longspan.cli._data import Columns, Task, read_examples
    from longspan.cli.compare import _splits

    columns = Columns(series="trial", targets=("answer",), features=("x",), group=group[1] if group else None)
    examples = read_examples(str(table), columns, task=Task.CLASSIFY)
    held = []
    for training, testing in _splits(examples, Task.CLASSIFY, seeds=1, folds=4, fraction=0.2):
        assert not set(training.keys) & set(testing.keys)
        if group:
            assert not set(training.groups) & set(testing.groups)
        held += testing.keys.tolist()
    assert sorted(held) == list(range(1000, 1040))


def test_folds_of_a_regression(run_json, table):
    found = run_json(
        "compare", table, "--task", "regress", "--target", "first", *COLUMNS, *TINY, "--cells", "gru", "--folds", "2"
    )
    assert found["splits"] == {"folds": 2}
    assert found["score"] == "rmse"
    assert found["constant"]["median"] == pytest.approx(10, rel=0.1)


def test_too_many_folds(run, table):
    result = run("compare", table, *CLASSIFY, *COLUMNS, *TINY, "--folds", "41")
    assert result.exit_code == 1
    assert "40 sequences" in result.stderr


def test_unknown_cell(run, table):
    result = run("compare", table, *CLASSIFY, *COLUMNS, "--cells", "lstm,transformer")
    assert result.exit_code == 2
    assert "transformer" in result.stderr


def test_what_only_an_lstm_has_goes_to_the_lstm_alone(run_json, table):
    variants = ("--init", "chrono", "--max-lag", "4", "--cell-options", "peephole=true")
    found = run_json("compare", table, *CLASSIFY, *COLUMNS, *TINY, "--cells", "lstm,gru", "--seeds", "1", *variants)
    assert [model["cell"] for model in found["models"]] == ["lstm", "gru"]


def test_memory_can_be_left_out(run, run_json, table):
    arguments = ("compare", table, *CLASSIFY, *COLUMNS, *TINY, "--cells", "rnn", "--seeds", "1", "--no-memory")
    assert "verdict" not in run_json(*arguments)["models"][0]
    assert "needed" not in run(*arguments).stdout


def test_too_few_sequences_have_no_span():
    from longspan.cli._memory import cells, memory_span

    found = memory_span(None, [0] * 7, None)
    assert found["used_span"] is found["verdict"] is None
    assert cells(found) == ("-", "-", "-")
