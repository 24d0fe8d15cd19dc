import json
from pathlib import Path

import pytest

import longspan
from longspan.memory import VERDICTS
from tests.cli.conftest import COLUMNS, TINY


def test_words_come_first(run, model, table):
    result = run("memory", model, table)
    assert result.exit_code == 0
    assert "memory span" in result.stdout
    assert "needed" in result.stdout
    assert "100%" in result.stderr


def test_json_is_the_report(run_json, model, table):
    found = run_json("memory", model, table, "--lag", "7")
    assert {"gradient_span", "gradient_span_at_init", "gate_span", "used_span", "needed_span"} <= set(found)
    assert found["needed_span"] == 7
    assert found["verdict"] in VERDICTS
    assert found["facts"]["n_sequences"] == 40
    assert found["curves"]["ablation"]["context"][0] == 0
    assert found["html"] is None
    data = longspan.read_table(table, series="trial", time="ms", features=["x", "noise"], target="answer")
    report = longspan.memory_report(longspan.load(model), data.sequences, data.targets, lag=7)
    wanted = json.loads(json.dumps(report.to_dict()))
    assert found["curves"] == wanted["curves"]


def test_data_without_targets(run_json, model, table):
    found = run_json("memory", model, table, "--no-targets")
    assert found["needed_span"] is None
    assert found["verdict"] == "need_unknown"


def test_numbers_at_every_step(run, run_json, table):
    arguments = ("--task", "regress", "--target", "double", "--per-step", "--out", "m.longspan", *COLUMNS, *TINY)
    assert run("train", table, *arguments, "--quiet").exit_code == 0
    assert run_json("memory", "m.longspan", table, "--training-window", "2", "--lag", "6")["verdict"] == (
        "training_window_too_short"
    )


def test_a_page_is_written(run_json, model, table):
    found = run_json("memory", model, table, "--lag", "3", "--html", "memory.html")
    assert found["html"] == "memory.html"
    assert Path("memory.html").read_text("utf-8").lstrip().lower().startswith("<!doctype html")


@pytest.mark.parametrize("options", [("--lag", "0"), ("--html", "no/where.html"), ("--seed", "-1")])
def test_bad_options_end_before_the_work(run, model, table, options):
    assert run("memory", model, table, *options).exit_code in (1, 2)


def test_a_forecaster_is_measured_on_windows_of_its_series(run, run_json, tmp_path):
    rows = [f"2024-01-{1 + t:02d},{t % 5},{t % 2}" for t in range(31)]
    Path("series.csv").write_text("day,x,open\n" + "\n".join(rows) + "\n")
    options = ("--task", "forecast", "--time", "day", "--target", "x", "--known", "open", "--horizon", "2")
    small = ("--context-length", "6", "--max-epochs", "1", "--backtest", "0")
    assert run("train", "series.csv", *options, *small, "--out", "f.longspan", "--quiet").exit_code == 0
    found = run_json("memory", "f.longspan", "series.csv")
    assert found["facts"]["task"] == "forecast"
    assert found["facts"]["longest"] == 6
    assert found["facts"]["n_sequences"] == 31 - 6 - 2 + 1


def test_a_decoder_is_measured_while_it_writes(run, run_json, tmp_path):
    words = ["ab", "ba", "abb", "bab", "aab", "bba"] * 3
    Path("words.csv").write_text("word,answer\n" + "".join(f"{word},{word[::-1]}\n" for word in words))
    options = ("--task", "decode", "--source", "word", "--target", "answer", "--hidden-size", "6", "--max-epochs", "1")
    assert run("train", "words.csv", *options, "--out", "d.longspan", "--quiet").exit_code == 0
    found = run_json("memory", "d.longspan", "words.csv")
    assert found["facts"]["task"] == "decode"
    assert found["facts"]["longest"] == 3 + 3 + 1
    assert run("memory", "d.longspan", "words.csv", "--no-targets").exit_code == 1
