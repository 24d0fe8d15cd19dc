import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import longspan
from longspan.errors import LongspanWarning
from longspan.io import write_table, write_ts
from longspan.sequences import Sequences
from longspan.training import Trainer
from tests.cli.conftest import COLUMNS, TINY, trials

CLASSIFY = ("--task", "classify", "--target", "answer", "--out", "m.longspan")


def test_text_names_data_scores_and_files(run, table):
    result = run("train", table, *CLASSIFY, *COLUMNS, *TINY, "--quiet", "--group", "person")
    assert result.exit_code == 0
    assert "40 sequences, 4 to 8 steps, 2 features, 2 classes, 8 groups" in result.stdout
    assert "balanced accuracy" in result.stdout
    assert "pictures: m-pictures" in result.stdout
    assert result.stderr == ""
    assert sorted(p.name for p in Path().iterdir()) == ["m-pictures", "m.longspan", "trials.csv"]
    assert sorted(p.name for p in Path("m-pictures").iterdir()) == ["confusion.png", "learning-curve.png"]


def test_json_of_a_classifier(run_json, table):
    found = run_json("train", table, *CLASSIFY, *COLUMNS, *TINY, "--pictures", "drawn", "--cell", "gru")
    assert found["data"]["features"] == ["x", "noise"]
    assert sum(found["data"]["classes"].values()) == 40
    assert (found["data"]["train"], found["data"]["test"]) == (32, 8)
    assert found["cell"] == "gru"
    assert found["constant"]["balanced_accuracy"] == 0.5
    assert 0 <= found["score"]["accuracy"] <= 1
    assert found["pictures"] == ["drawn/learning-curve.png", "drawn/confusion.png"]
    assert Path("drawn/confusion.png").read_bytes()[:4] == b"\x89PNG"


def test_model_learns_and_remembers_its_columns(run_json, table):
    found = run_json("train", table, *CLASSIFY, *COLUMNS, "--max-epochs", "40", "--test", table)
    assert found["score"]["accuracy"] > 0.9 > found["constant"]["accuracy"]
    notes = longspan.load("m.longspan").notes_
    assert notes["columns"] == {"series": "trial", "time": "ms", "targets": ["answer"], "features": ["x", "noise"]}


def test_two_numbers_at_once(run_json, table):
    found = run_json(
        "train", table, "--task", "regress", "--target", "first", "--target", "person", "--out", "m", *COLUMNS, *TINY
    )
    assert set(found["targets"]) == {"first", "person"}
    each = [target["score"]["rmse"] for target in found["targets"].values()]
    assert found["score"]["rmse"] == pytest.approx(np.mean(each))
    assert found["pictures"][1] == "m-pictures/predicted.png"


def test_number_at_every_step(run_json, table):
    found = run_json(
        "train", table, "--task", "regress", "--target", "double", "--per-step", "--out", "m", *COLUMNS, *TINY
    )
    assert set(found["score"]) == set(found["constant"]) == {"rmse", "mae", "r2"}


def test_parameters_reach_the_estimator(run_json, table):
    run_json(
        *("train", table, *CLASSIFY, *COLUMNS, *TINY, "--no-bidirectional", "--stem", "none", "--missing", "indicator"),
        *("--cell-options", "peephole=true,zoneout=0.1", "--lr", "1e-3", "--class-weight", "up=1,down=2"),
        *("--n-iter-no-change", "none", "--views", "level,shape", "--random-state", "7"),
    )
    parameters = longspan.load("m.longspan").get_params()
    assert parameters["cell_options"] == {"peephole": True, "zoneout": 0.1}
    assert parameters["class_weight"] == {"up": 1, "down": 2}
    expected = {"bidirectional": False, "stem": None, "missing": "indicator", "lr": 1e-3, "hidden_size": 3}
    expected |= {"n_iter_no_change": None, "views": ("level", "shape"), "random_state": 7}
    assert {name: parameters[name] for name in expected} == expected


def test_a_calibrated_model_says_its_temperature(run, run_json, table):
    found = run_json("train", table, *CLASSIFY, *COLUMNS, *TINY, "--calibrate")
    assert found["temperature"] == longspan.load("m.longspan").temperature_ != 1.0
    refused = run("train", table, "--task", "regress", "--target", "double", "--out", "r", *COLUMNS, "--calibrate")
    assert refused.exit_code == 2


def test_groups_are_not_split(table):
    from longspan.cli._data import Columns, Task, hold_out, read_examples

    columns = Columns(series="trial", targets=("answer",), features=("x",), group="person")
    kept, held = hold_out(read_examples(str(table), columns, task=Task.CLASSIFY), 0.2, Task.CLASSIFY, seed=3)
    assert not set(kept.groups) & set(held.groups)
    assert len(kept.sequences) + len(held.sequences) == 40


def test_data_of_its_own_to_test_on(run_json, table):
    few = {name: column[trials()["trial"] < 1004] for name, column in trials().items()}
    write_table("few.parquet", few)
    found = run_json("train", table, *CLASSIFY, *COLUMNS, *TINY, "--test", "few.parquet")
    assert (found["data"]["train"], found["data"]["test"]) == (40, 4)


def test_nothing_held_out(run_json, table):
    found = run_json("train", table, *CLASSIFY, *COLUMNS, *TINY, "--test-fraction", "0")
    assert found["data"]["test"] == 0
    assert "score" not in found


def test_ts_file(run_json):
    rng = np.random.default_rng(0)
    sequences = Sequences.from_list([rng.normal(size=(length, 2)) for length in rng.integers(4, 9, size=20)])
    write_ts("coin.ts", sequences, np.array(["heads", "tails"] * 10))
    found = run_json("train", "coin.ts", "--task", "classify", "--out", "coin", *TINY)
    assert found["data"]["features"] == 2
    assert found["data"]["classes"] == {"heads": 10, "tails": 10}


def test_progress_goes_to_standard_error(run, table):
    result = run("train", table, *CLASSIFY, *COLUMNS, *TINY, "--json", "--verbose")
    assert json.loads(result.stdout)["epochs"] == 1
    assert "epoch 1/1" in result.stderr


def test_same_seed_same_scores(run_json, table):
    first, again = (run_json("train", table, *CLASSIFY, *COLUMNS, *TINY)["score"] for _ in range(2))
    assert first == again


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Unix has it")
def test_interruption_keeps_the_model_so_far(run, table, monkeypatch):
    epoch = Trainer.epoch

    def interrupted(self, *args, **values):
        if len(self.history) == 2:
            signal.raise_signal(signal.SIGINT)
        return epoch(self, *args, **values)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    result = run("train", table, *CLASSIFY, *COLUMNS, *TINY, "--max-epochs", "9", "--validation-folds", "0", "--json")
    assert result.exit_code == 130
    assert result.stderr == "interrupted in epoch 3. The model so far is in m.longspan.\n"
    assert json.loads(result.stdout)["error"]["type"] == "KeyboardInterrupt"
    assert longspan.load("m.longspan").stop_reason_ == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Unix has it")
def test_interruption_while_reading(run, table, monkeypatch):
    monkeypatch.setattr("longspan.io.read_table", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    result = run("train", table, *CLASSIFY, *COLUMNS)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted.\n")


@pytest.mark.parametrize("group", ["answer", None])
def test_labels_that_are_never_learned_are_named(table, group):
    from longspan.cli._data import Columns, Task, hold_out, read_examples

    examples = read_examples(
        str(table), Columns(series="trial", targets=("answer",), features=("x",), group=group), task=Task.CLASSIFY
    )
    if group is None:
        hold_out(examples, 0.2, Task.CLASSIFY, 0)
        return
    with pytest.warns(LongspanWarning, match="1 label of the test part never .*: (up|down).\n.*does the group decide"):
        hold_out(examples, 0.2, Task.CLASSIFY, 0)


def test_labels_of_another_file_that_are_never_learned(run, table):
    columns = trials()
    columns["answer"] = np.where(columns["answer"] == "up", "left", "down")
    write_table("other.csv", columns)
    with pytest.raises(LongspanWarning, match="never occur in training, and cannot be predicted: left"):
        run("train", table, *CLASSIFY, *COLUMNS, *TINY, "--test", "other.csv")
