"""Every mistake is told in words, with its exit code: 2 for bad usage, 1 for the rest."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from longspan.cli._output import as_options
from longspan.io import write_table
from tests.cli.conftest import COLUMNS, TINY, trials

TRAIN = ("--task", "classify", "--target", "answer", "--out", "m.longspan", *COLUMNS, *TINY, "--quiet")
SHARE = ("--target", "share", "--series", "trial", "--features", "x", "--out", "m.longspan")
MISTAKES = [
    (1, "there is no file trails.csv", ("train", "trails.csv", *TRAIN)),
    (1, "Similar names in .: trials.csv", ("train", "trails.csv", *TRAIN)),
    (1, "there is no column 'Answer'", ("train", "trials.csv", *TRAIN, "--target", "Answer")),
    (1, "Did you mean 'answer'?", ("train", "trials.csv", *TRAIN, "--target", "Answer")),
    (1, "'answer' is not numeric: row 1", ("train", "trials.csv", *SHARE, "--task", "regress", "--features", "answer")),
    (1, "is empty", ("train", "empty.csv", *TRAIN)),
    (1, "has no rows", ("train", "header.csv", *TRAIN)),
    (1, "--task regress", ("train", "trials.csv", *SHARE, "--task", "classify")),
    (1, "one target can be classified", ("train", "trials.csv", *TRAIN, "--target", "share")),
    (1, "answer is not numeric: it has", ("train", "trials.csv", *TRAIN, "--task", "regress")),
    (1, "there is no folder nowhere", ("train", "trials.csv", *TRAIN, "--out", "nowhere/m")),
    (1, "is a folder", ("train", "trials.csv", *TRAIN, "--out", ".")),
    (2, "the result would replace it", ("train", "trials.csv", *TRAIN, "--out", "trials.csv")),
    (2, "the result would replace it", ("train", "trials.csv", *TRAIN, "--test", "other.csv", "--out", "other.csv")),
    (2, "the result would replace it", ("train", "tri*.csv", *TRAIN, "--out", "trials.csv")),
    (2, "the result would replace it", ("train", "trials.csv", *TRAIN, "--test", "oth*.csv", "--out", "other.csv")),
    (2, "'clasify' is not one of", ("train", "trials.csv", "--task", "clasify", "--out", "m")),
    (2, "'--folds'", ("compare", "trials.csv", *COLUMNS, "--task", "classify", "--target", "answer", "--folds", "1")),
    (2, "No such option: --hiden-size", ("train", "trials.csv", *TRAIN, "--hiden-size", "3")),
    (2, "'--task'", ("train", "trials.csv", "--out", "m")),
    (2, "--series", ("train", "trials.csv", "--task", "classify", "--out", "m")),
    (2, "--target", ("train", "trials.csv", "--task", "classify", "--series", "trial", "--out", "m")),
    (2, "hidden_size must be", ("train", "trials.csv", *TRAIN, "--hidden-size", "wide")),
    (2, "hidden_size must be", ("train", "trials.csv", *TRAIN, "--hidden-size", "0")),
    (2, "cell", ("train", "trials.csv", *TRAIN, "--cell", "transformer")),
    (2, "stem is", ("train", "trials.csv", *TRAIN, "--stem", "two")),
    (2, "--cell-options", ("train", "trials.csv", *TRAIN, "--cell-options", "peephole")),
    (2, "peepholes", ("train", "trials.csv", *TRAIN, "--cell-options", "peepholes=true")),
    (2, "gpu9", ("train", "trials.csv", *TRAIN, "--device", "gpu9")),
    (2, "the classes are down, up", ("train", "trials.csv", *TRAIN, "--class-weight", "left=2")),
    (2, "--task classify", ("train", "trials.csv", *TRAIN, "--task", "regress", "--class-weight", "balanced")),
    (2, "belongs to --task encode, not to", ("train", "trials.csv", *TRAIN, "--latent-size", "3")),
    (2, "belongs to --task forecast, not to", ("train", "trials.csv", *TRAIN, "--horizon", "3")),
    (2, "belongs to --task forecast, not to", ("train", "trials.csv", *TRAIN, "--backtest", "3")),
    (2, "belongs to --task decode, not to", ("train", "trials.csv", *TRAIN, "--split", " ")),
    (2, "belongs to --task classify, regress, decode or", ("train", "trials.csv", *TRAIN, "--task", "encode")),
    (2, "'encode' is not one of", ("compare", "trials.csv", "--task", "encode", *COLUMNS)),
    (1, "there is no file encoder.longspan", ("train", "trials.csv", *TRAIN, "--pretrained", "encoder.longspan")),
    (2, "has no columns to name", ("train", "x.ts", *TRAIN)),
    (2, "--test-fraction", ("train", "trials.csv", *TRAIN, "--test-fraction", "2")),
    (1, "not a longspan model file", ("predict", "trials.csv", "trials.csv")),
    (1, "there is no file m.longspan", ("predict", "m.longspan", "trials.csv")),
    (2, "No such command 'trian'", ("trian",)),
    (2, "Missing argument", ("predict",)),
    (2, "Missing argument", ("encode", "m.longspan")),
    (1, "there is no file m.longspan", ("decode", "m.longspan")),
    (1, "there is no file m.longspan", ("forecast", "m.longspan")),
]


@pytest.fixture(autouse=True)
def _files(table: Path) -> None:
    write_table("trials.csv", trials() | {"share": np.repeat(0.25, len(trials()["x"]))})
    write_table("other.csv", trials())
    Path("empty.csv").touch()
    Path("header.csv").write_text(",".join(trials()) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("code", "words", "arguments"), MISTAKES, ids=[f"{n}-{mistake[1]}" for n, mistake in enumerate(MISTAKES)]
)
def test_mistake(run, code, words, arguments):
    result = run(*arguments)
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.exit_code == code
    again = run(*arguments, "--json")
    assert again.exit_code == code
    error = json.loads(again.stdout)["error"]
    assert words in error["message"]
    assert error["type"].isidentifier()
    assert not Path("m.longspan").exists()


def test_prediction_with_other_columns(run, model):
    columns = trials()
    del columns["noise"]
    write_table("other.csv", columns)
    result = run("predict", model, "other.csv")
    assert result.exit_code == 1
    assert "there is no column 'noise'" in result.stderr


def test_text_in_a_numeric_column(run, model):
    columns = trials()
    columns["x"] = columns["x"].astype(str)
    columns["x"][5] = "n/a"
    write_table("text.csv", columns)
    result = run("predict", model, "text.csv")
    assert result.exit_code == 1
    assert "'x' is not numeric: row 6, of series" in result.stderr
    assert "'n/a'" in result.stderr


def test_output_of_an_unknown_kind(run, model):
    result = run("predict", model, "there-is-no-file.csv", "--out", "out.xlsx")
    assert result.exit_code == 2
    assert ".parquet" in result.stderr


def test_model_is_not_replaced_by_predictions(run, model):
    copy = Path("model.csv")
    copy.write_bytes(model.read_bytes())
    result = run("predict", copy, "trials.csv", "--out", copy)
    assert result.exit_code == 2
    assert "the result would replace it" in result.stderr
    assert copy.read_bytes() == model.read_bytes()


def test_message_of_a_choice_is_one_line(run):
    result = run("train", "trials.csv", "--out", "m", "--json")
    message = json.loads(result.stdout)["error"]["message"]
    tasks = "classify, regress, encode, decode, forecast"
    assert message.splitlines()[0] == f"Missing option '--task'. Choose from: {tasks}"
    assert "\t" not in message
    result = run("train", "trials.csv", "--task", "clasify", "--out", "m", "--json")
    assert "Value error" not in result.output


@pytest.mark.parametrize("named", [True, False])
def test_a_fault_is_told_in_one_line(run, monkeypatch, named):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines" if named else "")

    monkeypatch.setattr("longspan.cli.train.make_estimator", broken)
    with pytest.raises(RuntimeError):
        run("train", "trials.csv", *TRAIN)
    monkeypatch.delenv("LONGSPAN_TRACEBACK")
    result = run("train", "trials.csv", *TRAIN, "--json")
    assert result.exit_code == 1
    what = "RuntimeError: two lines" if named else "RuntimeError"
    message = f"{what}; this looks like a fault in longspan; set LONGSPAN_TRACEBACK=1 to see where"
    assert result.stderr == f"error: {message}\n"
    assert json.loads(result.stdout) == {"error": {"type": "RuntimeError", "message": message}}


def test_arguments_are_told_as_options(run):
    result = run(
        "train", "trials.csv", "--task", "regress", "--target", "x", "--series", "trial", "--out", "m.longspan"
    )
    assert result.exit_code == 1
    assert "read it with --per-step." in result.stderr


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("with per_step=True y holds", "with --per-step y holds"),
        ("table= must name one", "--table must name one"),
        ("with features=, or with query=.", "with --features, or with --query."),
        ('choose missing="indicator" where', "choose --missing indicator where"),
        ("Fit with quantiles=(0.05, 0.95), or", "Fit with --quantiles 0.05,0.95, or"),
        ("stem=(2, 2) leaves out; Use stem=None, or", "--stem 2,2 leaves out; Use --stem none, or"),
        ("Set validation_fraction=0 to", "Set --validation-fraction 0 to"),
        ("bidirectional=False", "--no-bidirectional"),
        ('query="SELECT \\"x\\" FROM source"', '--query "SELECT \\"x\\" FROM source"'),
        ("runtime=3, x=3, --cell=gru", "runtime=3, x=3, --cell=gru"),
    ],
)
def test_translation(message, expected):
    assert as_options(message) == expected


def test_full_disk(run, monkeypatch):
    from longspan.estimators import LSTMClassifier

    def save(self, path, notes=None):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(LSTMClassifier, "save", save)
    result = run("train", "trials.csv", *TRAIN)
    assert result.exit_code == 1
    assert "error: No space left on device: m.longspan" in result.stderr


def test_damaged_model_file(run, model):
    damaged = bytearray(model.read_bytes())
    damaged[-1] ^= 1
    Path("damaged.longspan").write_bytes(damaged)
    result = run("predict", "damaged.longspan", "trials.csv")
    assert result.exit_code == 1
    assert "is damaged" in result.stderr


def test_one_sequence_cannot_be_split(run):
    result = run("train", "trials.csv", *TRAIN, "--query", "SELECT * FROM source WHERE trial = 1000")
    assert result.exit_code == 1
    assert "only one sequence" in result.stderr


@pytest.mark.parametrize("notes", [{"columns": 3}, {"columns": {"features": 3}}, {"columns": {"series": 3}}])
def test_notes_that_name_no_columns(run, notes):
    from longspan import LSTMRegressor

    X = np.random.default_rng(0).normal(size=(8, 5, 2))
    LSTMRegressor(hidden_size=3, max_epochs=1).fit(X, X[:, 0, 0]).save("odd.longspan", notes=notes)
    result = run("predict", "odd.longspan", "trials.csv")
    assert result.exit_code == 1
    assert "no names of columns" in result.stderr


def test_the_program_itself_ends_with_the_code_and_no_traceback():
    code = "from longspan.cli import main; main()"
    arguments = [sys.executable, "-c", code, "predict", "m.longspan", "trials.csv", "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: there is no file m.longspan.\n"
    assert json.loads(done.stdout)["error"]["type"] == "DataFileNotFoundError"
