"""Training, using and drawing an encoder from the command line."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import longspan
from longspan.cli import app
from longspan.cli._tasks.encode import reconstruction_errors
from longspan.io import write_table, write_ts
from longspan.sequences import Sequences
from tests.cli.conftest import COLUMNS, TINY, trials

ENCODE = ("--task", "encode", "--latent-size", "2", *COLUMNS, *TINY)


def sequences() -> Sequences:
    columns = trials()
    starts = np.flatnonzero(columns["ms"] == 0)
    values = np.column_stack([columns["x"], columns["noise"]]).astype(np.float32)
    return Sequences(values, np.append(starts, len(values)), ("x", "noise"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    write_table(folder / "trials.csv", trials())
    out = folder / "trials.longspan"
    arguments = ("train", folder / "trials.csv", "--out", out, *ENCODE, "--test-fraction", "0", "--quiet")
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out


def read_rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_training_says_what_is_lost_beside_the_mean(run_json, table):
    found = run_json("train", table, "--out", "m.longspan", *ENCODE, "--color", "answer")
    assert (found["data"]["train"], found["data"]["test"]) == (32, 8)
    assert set(found["channels"]) == {"x", "noise"}
    assert found["score"]["error"] == pytest.approx(np.mean([c["error"] for c in found["channels"].values()]))
    assert found["constant"]["error"] == pytest.approx(1, abs=0.5)
    assert found["pictures"] == [f"m-pictures/{name}.png" for name in ("learning-curve", "reconstructions", "latents")]
    assert all(Path(picture).read_bytes()[:4] == b"\x89PNG" for picture in found["pictures"])
    assert longspan.load("m.longspan").notes_["columns"]["color"] == "answer"


def test_text_of_training(run, table):
    result = run("train", table, "--out", "m.longspan", *ENCODE, "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "40 sequences, 4 to 8 steps, 2 features" in result.stdout
    assert "what is lost of each channel's variance, on 8 sequences held out" in result.stdout


def test_errors_are_shares_of_the_variance_in_training():
    learned = np.array([[0.0, 5.0, 1.0], [4.0, 5.0, 3.0]])  # variances 4, 0 and 1
    truth = np.array([[2.0, 5.0, np.nan], [6.0, 5.0, 2.0]])
    model, constant = reconstruction_errors(learned, truth, np.array([[1.0, 5.0, 0.0], [3.0, 5.0, 4.0]]))
    np.testing.assert_allclose(model, [(1 + 9) / 2 / 4, np.nan, 4.0])
    np.testing.assert_allclose(constant, [(0 + 16) / 2 / 4, np.nan, 0.0])


def test_latents_and_scores_are_those_of_the_estimator(run, encoder, table):
    assert run("encode", encoder, table, "--out", "z.csv").stdout == "40 rows: z.csv\n"
    rows = read_rows("z.csv")
    assert list(rows[0]) == ["trial", "z_1", "z_2", "score"]
    assert [int(row["trial"]) for row in rows] == list(range(1000, 1040))
    estimator, X = longspan.load(encoder), sequences()
    np.testing.assert_array_equal([[float(r["z_1"]), float(r["z_2"])] for r in rows], estimator.transform(X))
    np.testing.assert_array_equal([float(row["score"]) for row in rows], estimator.score_samples(X))


def test_reconstructions_are_those_of_the_estimator(run_json, encoder, table):
    found = run_json("encode", encoder, table, "--reconstruct")
    estimator, X = longspan.load(encoder), sequences()
    assert list(found["steps"][0]) == ["trial", "ms", "x", "noise", "error"]
    assert [row["ms"] for row in found["steps"]] == trials()["ms"].tolist()
    given = np.array([[row["x"], row["noise"]] for row in found["steps"]])
    np.testing.assert_array_equal(given, np.concatenate(estimator.reconstruct(X)))
    errors = [row["error"] for row in found["steps"]]
    np.testing.assert_array_equal(errors, np.concatenate(estimator.reconstruction_error(X)))


@pytest.mark.parametrize("color", ["answer", "person", "first", None])
def test_pictures(run_json, encoder, table, color):
    colored = () if color is None else ("--color", color)
    found = run_json("encode", encoder, table, "--pictures", "drawn", *colored)
    assert found["pictures"] == ["drawn/latents.png", "drawn/reconstructions.png"]
    assert Path("drawn/latents.png").read_bytes()[:4] == b"\x89PNG"


def test_rows_as_a_table(run, encoder, table):
    result = run("encode", encoder, table)
    assert result.stdout.split()[:4] == ["trial", "z_1", "z_2", "score"]
    assert "30 more rows" in result.stdout


def test_ts_file(run_json):
    write_ts("waves.ts", sequences(), np.array(["heads", "tails"] * 20))
    found = run_json("train", "waves.ts", "--task", "encode", "--latent-size", "2", "--out", "m", *TINY)
    assert set(found["channels"]) == {"1", "2"}
    assert len(run_json("encode", "m", "waves.ts")["latents"]) == 40


def test_missing_values(run_json):
    columns = trials()
    columns["noise"][columns["trial"] < 1008] = np.nan
    columns["x"][[0, 40, 41]] = np.nan
    write_table("gaps.csv", columns)
    found = run_json("train", "gaps.csv", "--out", "m", *ENCODE, "--missing", "indicator")
    assert np.isfinite(found["channels"]["noise"]["error"])
    rows = run_json("encode", "m", "gaps.csv", "--reconstruct", "--pictures", "drawn")
    assert rows["steps"][0]["error"] is None  # of a step of which nothing is known


def test_a_classifier_starts_from_an_encoder(run_json, run, encoder, table):
    arguments = ("train", table, "--task", "classify", "--target", "answer", *COLUMNS, "--max-epochs", "1")
    found = run_json(*arguments, "--pretrained", encoder, "--hidden-size", "3", "--out", "m")
    assert found["score"].keys() == {"accuracy", "balanced_accuracy"}
    result = run(*arguments, "--pretrained", "m", "--out", "n")
    assert result.exit_code == 1
    assert "m holds an LSTMClassifier, and no LSTMEncoder.\n  Use it with:  longspan predict m" in result.stderr


def test_a_model_of_another_kind_says_its_command(run, encoder, model, table):
    for command, wrong, right in (("predict", encoder, "encode"), ("encode", model, "predict")):
        result = run(command, wrong, table, "--json")
        assert result.exit_code == 1
        assert f"longspan {right} {wrong}" in json.loads(result.stdout)["error"]["message"]


def test_data_and_model_are_not_replaced(run, encoder, table):
    result = run("encode", encoder, table, "--out", table)
    assert result.exit_code == 2
    assert "the result would replace it" in result.stderr


def test_folder_without_permission_is_told_before_the_work(run, encoder, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode, **_: mode != os.W_OK)
    result = run("encode", encoder, "there-is-no-file.csv", "--out", "z.csv")
    assert result.exit_code == 1
    assert "may not be written to" in result.stderr
