import csv
from pathlib import Path

import duckdb
import numpy as np
import pytest

from longspan import LSTMRegressor
from longspan.io import write_table
from tests.cli.conftest import COLUMNS, TINY, trials


def test_first_rows_as_a_table(run, model, table):
    result = run("predict", model, table)
    assert result.exit_code == 0
    assert result.stdout.split()[:2] == ["trial", "predicted_answer"]
    assert "1000" in result.stdout
    assert "30 more rows" in result.stdout
    assert [p.name for p in Path().iterdir()] == ["trials.csv"]


def test_data_without_targets_and_in_another_order(run_json, model):
    """The model takes its features by name, and needs no more."""
    columns = trials()
    kept = {name: columns[name][::-1].copy() for name in ("noise", "ms", "trial", "x")}
    write_table("new.parquet", kept)
    write_table("old.csv", columns)
    found = run_json("predict", model, "new.parquet", "--proba")
    assert found["sequences"] == len(found["predictions"]) == 40
    assert found == {**run_json("predict", model, "old.csv", "--proba"), "data": "new.parquet"}
    first = found["predictions"][0]
    assert list(first) == ["trial", "predicted_answer", "probability_down", "probability_up"]
    assert first["trial"] == 1000
    assert first["probability_down"] + first["probability_up"] == pytest.approx(1)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.jsonl"])
def test_all_rows_in_a_file(run, model, table, name):
    result = run("predict", model, table, "--out", name, "--proba")
    assert result.stdout == f"40 rows: {name}\n"
    rows = duckdb.sql(f"SELECT trial, predicted_answer, probability_up FROM '{name}'").fetchall()
    assert [row[0] for row in rows] == list(range(1000, 1040))
    assert all((answer == "up") == (up > 0.5) for _, answer, up in rows)


def test_score(run_json, model, table):
    predictions = run_json("predict", model, table)["predictions"]
    found = run_json("predict", model, table, "--score")
    assert "predictions" not in found
    answers = dict(zip(trials()["trial"].tolist(), trials()["answer"].tolist(), strict=True))
    right = [row["predicted_answer"] == answers[row["trial"]] for row in predictions]
    assert found["score"]["accuracy"] == pytest.approx(np.mean(right))


def test_columns_of_another_name(run_json, model):
    columns = trials()
    renamed = {"run": columns["trial"], "t": columns["ms"], "x": columns["x"], "noise": columns["noise"]}
    write_table("new.csv", renamed)
    found = run_json("predict", model, "new.csv", "--series", "run", "--time", "t")
    assert list(found["predictions"][0]) == ["run", "predicted_answer"]


def test_one_row_a_step(run, run_json, table):
    arguments = ("--task", "regress", "--target", "double", "--per-step", "--out", "m.longspan", *COLUMNS, *TINY)
    assert run("train", table, *arguments, "--quiet").exit_code == 0
    found = run_json("predict", "m.longspan", table, "--score", "--out", "steps.csv")
    assert "predictions" not in found
    assert set(found["score"]) == {"rmse", "mae", "r2"}
    with Path("steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["trial", "ms", "predicted_double"]
    assert [int(row["ms"]) for row in rows] == trials()["ms"].tolist()


def test_several_numbers(run, run_json, table):
    targets = ("--target", "first", "--target", "person")
    assert run("train", table, "--task", "regress", *targets, "--out", "m", *COLUMNS, *TINY, "--quiet").exit_code == 0
    found = run_json("predict", "m", table)
    assert list(found["predictions"][0]) == ["trial", "predicted_first", "predicted_person"]


def test_model_that_was_saved_without_notes(run, run_json, table):
    """The columns are then named by hand."""
    X = np.random.default_rng(0).normal(size=(8, 5, 2))
    LSTMRegressor(hidden_size=3, max_epochs=1, random_state=0).fit(X, X[:, 0, 0]).save("m.longspan")
    query = "SELECT trial, x, noise FROM source"
    found = run_json("predict", "m.longspan", table, "--series", "trial", "--query", query)
    assert list(found["predictions"][0]) == ["trial", "predicted"]
    result = run("predict", "m.longspan", table)
    assert result.exit_code == 2
    assert "--series" in result.stderr


def test_no_probabilities_of_numbers(run, table):
    X = np.random.default_rng(0).normal(size=(8, 5, 2))
    LSTMRegressor(hidden_size=3, max_epochs=1, random_state=0).fit(X, X[:, 0, 0]).save("m.longspan")
    result = run("predict", "m.longspan", table, "--proba")
    assert result.exit_code == 2
    assert "--proba" in result.stderr
