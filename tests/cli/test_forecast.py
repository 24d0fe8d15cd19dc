"""Training, testing, using and drawing a forecaster from the command line."""

import csv
import json
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import longspan
from longspan.cli import app
from longspan.cli._columns import Columns
from longspan.cli._history import read_history, short_time
from longspan.errors import LongspanWarning
from longspan.estimators import LSTMForecaster
from longspan.io import write_table
from longspan.training import Trainer
from tests.cli.conftest import trials

TINY = ("--hidden-size", "3", "--max-epochs", "1", "--horizon", "4", "--context-length", "6", "--log", "false")
COLUMNS = ("--series", "shop", "--time", "day", "--target", "sold")
FORECAST = ("--task", "forecast", *COLUMNS, *TINY)
KNOWN = ("--known", "promo", "--static", "size")
DAYS = 40


def sales(days: int = DAYS) -> dict[str, np.ndarray]:
    """Two shops, with a week in what they sell and a promotion now and then."""
    rng = np.random.default_rng(0)
    step = np.tile(np.arange(days), 2)
    shop = np.repeat(["north", "south"], days)
    promo = (rng.uniform(size=2 * days) < 0.2).astype(float)
    sold = 50 + 10 * np.sin(2 * np.pi * step / 7) + 20 * promo + rng.normal(size=2 * days)
    size = np.where(shop == "north", 1.0, 3.0)
    day = np.datetime64("2024-01-01") + step
    return {"shop": shop, "day": day, "sold": sold, "promo": promo, "size": size}


@pytest.fixture
def table() -> Path:
    write_table("sales.csv", sales())
    return Path("sales.csv")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plain.longspan, and known.longspan that asks for promotions."""
    folder = tmp_path_factory.mktemp("forecasters")
    write_table(folder / "sales.csv", sales())
    for name, options in (("plain", ()), ("known", KNOWN)):
        out = folder / f"{name}.longspan"
        arguments = ("train", folder / "sales.csv", "--out", out, *FORECAST, *options, "--backtest", "0", "--quiet")
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return folder


def as_float32() -> list[np.ndarray]:
    """What a table gives: values go through float32."""
    return list(sales()["sold"].astype(np.float32).astype(float).reshape(2, -1))


def test_training_tests_a_copy_and_learns_from_everything(run_json, table):
    found = run_json("train", table, "--out", "m.longspan", *FORECAST)
    assert (found["data"]["series"], found["data"]["first"]) == (2, "2024-01-01T00:00:00.000000")
    assert set(found["score"]) == set(found["seasonal_naive"]) == set(found["last_value"])
    assert set(found["score"]) == {"mase", "pinball", "coverage"}
    assert found["backtest"]["horizon"] == 4
    assert np.shape(found["backtest"]["mase"]) == (3, 1)
    names = ("learning-curve", "backtest", "forecast")
    assert found["pictures"] == [f"m-pictures/{name}.png" for name in names]
    estimator = longspan.load("m.longspan")
    assert str(estimator.predict_times()[0, 0])[:10] == "2024-02-10"  # the day after the last one
    assert estimator.notes_["series"] == ["north", "south"]
    days = [sales()["day"][:DAYS]] * 2
    copy = LSTMForecaster(4, hidden_size=3, max_epochs=1, context_length=6, log=False, random_state=0)
    assert found["backtest"]["mase"] == copy.backtest(as_float32(), 1, times=days).mase.tolist()


def test_text_of_training(run, table):
    result = run("train", table, "--out", "m.longspan", *FORECAST, "--quiet", "--backtest", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "2 series, 40 steps, 2024-01-01 to 2024-02-09" in result.stdout
    assert "on the last 8 steps, from 2 origins of 4 steps" in result.stdout
    assert "seasonal naive" in result.stdout


def read_rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_forecasts_from_the_end_of_training_are_those_of_the_estimator(run, run_json, models):
    model = models / "plain.longspan"
    assert run("forecast", model, "--horizon", "6", "--out", "f.csv").stdout == "12 rows: f.csv\n"
    rows = read_rows("f.csv")
    assert list(rows[0]) == ["shop", "day", "q10", "q50", "q90"]
    assert [row["shop"] for row in rows] == ["north"] * 6 + ["south"] * 6
    assert [row["day"] for row in rows[:2]] == ["2024-02-10", "2024-02-11"]
    quantiles = longspan.load(model).predict_quantiles(horizon=6).reshape(12, 3)
    np.testing.assert_array_equal([[float(row[f"q{q}"]) for q in (10, 50, 90)] for row in rows], quantiles)
    listed = run_json("forecast", model)["forecast"]
    assert len(listed) == 8
    assert listed[0] == {
        "shop": "north",
        "day": "2024-02-10",
        **dict(zip(("q10", "q50", "q90"), quantiles[0], strict=True)),
    }


def test_forecasts_of_other_series(run_json, models, table):
    history = {name: column[20:DAYS] for name, column in sales().items()}
    write_table("history.parquet", history)
    found = run_json("forecast", models / "plain.longspan", "history.parquet", "--quantiles", "0.5", "--pictures", "p")
    past = as_float32()[0][20:]
    said = longspan.load(models / "plain.longspan").predict([past], times=[history["day"]])
    assert [row["q50"] for row in found["forecast"]] == said[0].tolist()
    assert found["pictures"] == ["p/forecast.png"]


def future(rows: int) -> dict[str, np.ndarray]:
    """The same sales, and promotions of days to come, in which nothing is sold yet."""
    columns = sales(DAYS + rows)
    columns["sold"] = columns["sold"].copy()
    columns["sold"].reshape(2, -1)[:, DAYS:] = np.nan
    return columns


def test_what_is_known_of_days_to_come(run_json, models):
    columns = future(5)
    write_table("future.csv", columns)
    found = run_json("forecast", models / "known.longspan", "future.csv", "--pictures", "drawn")
    said = longspan.load(models / "known.longspan").predict(
        [part[:DAYS].astype(np.float32).astype(float) for part in columns["sold"].reshape(2, -1)],
        times=[part[:DAYS] for part in columns["day"].reshape(2, -1)],
        known=[part[: DAYS + 4, None] for part in columns["promo"].reshape(2, -1)],
        static=[[1.0], [3.0]],
    )
    assert [row["q50"] for row in found["forecast"]] == said.ravel().tolist()
    assert found["forecast"][0]["day"] == "2024-02-10"


def test_training_leaves_out_rows_of_days_to_come(run_json):
    write_table("future.csv", future(3))
    found = run_json("train", "future.csv", "--out", "m", *FORECAST, *KNOWN, "--backtest", "0")
    assert found["data"]["longest"] == DAYS
    assert str(longspan.load("m").predict_times()[0, 0])[:10] == "2024-02-10"


def test_a_backtest_of_a_model(run_json, run, models, table):
    found = run_json("forecast", models / "plain.longspan", table, "--backtest", "2", "--pictures", "drawn")
    assert np.shape(found["backtest"]["mase"]) == (3, 2)
    assert found["score"]["mase"] == pytest.approx(np.mean(found["backtest"]["mase"][0]))
    assert found["pictures"] == ["drawn/backtest.png", "drawn/forecast.png"]
    shown = run("forecast", models / "plain.longspan", table, "--backtest", "1", "--quiet")
    assert "last value" in shown.stdout


def test_one_series_without_a_column_of_series(run, run_json):
    north = {name: column[:DAYS] for name, column in sales().items() if name != "shop"}
    write_table("north.csv", north)
    run_json("train", "north.csv", "--task", "forecast", "--target", "sold", "--time", "day", "--out", "m", *TINY)
    assert list(run_json("forecast", "m")["forecast"][0]) == ["day", "q10", "q50", "q90"]
    options = ("--query", "SELECT sold FROM source ORDER BY day;", "--backtest", "0")
    run_json("train", "north.csv", "--task", "forecast", "--target", "sold", "--out", "n", *options, *TINY)
    rows = run_json("forecast", "n")["forecast"]
    assert list(rows[0]) == ["step", "q10", "q50", "q90"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


def test_months_as_text(run_json):
    passengers = longspan.load_airline_passengers()
    months = passengers.times.astype("datetime64[M]").astype(str)
    lines = (f"{month},{count}\n" for month, count in zip(months, passengers.values, strict=True))
    Path("air.csv").write_text("month,passengers\n" + "".join(lines), "utf-8")
    options = ("--task", "forecast", "--time", "month", "--target", "passengers", "--backtest", "0", "--out", "m")
    found = run_json("train", "air.csv", *options, "--hidden-size", "3", "--max-epochs", "1", "--horizon", "2")
    assert found["data"]["longest"] == 144
    assert [row["month"] for row in run_json("forecast", "m")["forecast"]] == ["1961-01-01", "1961-02-01"]


def test_several_targets(run_json, table):
    run_json("train", table, "--out", "m", *FORECAST, "--target", "promo", "--backtest", "0")
    row = run_json("forecast", "m", "--horizon", "1")["forecast"][0]
    assert list(row) == ["shop", "day", *(f"{name}_q{q}" for name in ("sold", "promo") for q in (10, 50, 90))]


MISTAKES = [
    (2, "the column to learn is needed", ("train", "sales.csv", "--task", "forecast", "--out", "m")),
    (2, "horizon must be", ("train", "sales.csv", *FORECAST, "--horizon", "0", "--out", "m")),
    (2, "horizon is", ("forecast", "plain.longspan", "--horizon", "0")),
    (2, "quantiles", ("train", "sales.csv", *FORECAST, "--quantiles", "0.9,0.1", "--out", "m")),
    (2, "belongs to the other tasks", ("train", "sales.csv", *FORECAST, "--test-fraction", "0.1", "--out", "m")),
    (2, "belongs to the other tasks", ("train", "sales.csv", *FORECAST, "--test", "sales.csv", "--out", "m")),
    (2, "not to forecast", ("train", "sales.csv", *FORECAST, "--group", "size", "--out", "m")),
    (2, "not to forecast", ("train", "sales.csv", *FORECAST, "--bidirectional", "--out", "m")),
    (2, "is the target too", ("train", "sales.csv", *FORECAST, "--known", "sold", "--out", "m")),
    (1, "'promo' must be one value", ("train", "sales.csv", *FORECAST, "--static", "promo", "--out", "m")),
    (1, "more than one row for 'day'", ("train", "twice.csv", *FORECAST, "--out", "m")),
    (1, "series south holds no value of sold", ("train", "nothing.csv", *FORECAST, "--out", "m")),
    (1, "there is no column 'day'", ("forecast", "plain.longspan", "timeless.csv")),
    (2, "asks for promo of the steps to come", ("forecast", "known.longspan")),
    (1, "has 0 rows after its last sold, but 4 are needed", ("forecast", "known.longspan", "sales.csv")),
    (1, "has 2 rows after its last sold, but 4 are needed", ("forecast", "known.longspan", "two.csv")),
    (1, "2024-02-12, but the step that is forecast is 2024-02-11", ("forecast", "known.longspan", "skip.csv")),
    (2, "there is nothing to test on", ("forecast", "plain.longspan", "--backtest", "2")),
    (2, "gives scores and no rows", ("forecast", "plain.longspan", "sales.csv", "--backtest", "2", "--out", "b.csv")),
    (1, "too few for a backtest", ("forecast", "plain.longspan", "sales.csv", "--backtest", "50")),
    (1, "longspan predict", ("forecast", "classifier.longspan")),
    (2, "would replace it", ("forecast", "plain.longspan", "sales.csv", "--out", "sales.csv")),
    (2, ".parquet", ("forecast", "plain.longspan", "--out", "f.xlsx")),
    (1, "there is no folder nowhere", ("forecast", "plain.longspan", "--out", "nowhere/f.csv")),
]


@pytest.mark.parametrize(
    ("code", "words", "arguments"), MISTAKES, ids=[f"{n}-{mistake[1]}" for n, mistake in enumerate(MISTAKES)]
)
def test_mistake(run, models, model, table, code, words, arguments):
    for name in ("plain", "known"):
        Path(f"{name}.longspan").write_bytes((models / f"{name}.longspan").read_bytes())
    Path("classifier.longspan").write_bytes(model.read_bytes())
    write_table("twice.csv", {name: np.repeat(column, 2) for name, column in sales().items()})
    write_table("nothing.csv", sales() | {"sold": np.where(sales()["shop"] == "south", np.nan, sales()["sold"])})
    write_table("timeless.csv", {name: column for name, column in sales().items() if name != "day"})
    write_table("two.csv", future(2))
    left = np.flatnonzero(future(6)["day"] != np.datetime64("2024-02-11"))
    write_table("skip.csv", {name: column[left] for name, column in future(6).items()})
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    assert words in json.loads(result.stdout)["error"]["message"]
    assert result.stderr.startswith("error: ")
    assert not Path("m").exists()


def test_series_too_short_to_be_tested_are_learned_from_all_the_same(run):
    write_table("short.csv", sales(11))
    arguments = ("train", "short.csv", "--out", "m", *FORECAST, "--json")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", category=LongspanWarning, message="(?!the forecasts)")
        result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "warning: the forecasts were not tested: " in result.stderr
    assert "score" not in json.loads(result.stdout)
    assert longspan.load("m").horizon_ == 4


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Unix has it")
def test_interruption_of_a_backtest_ends_it(run, table, monkeypatch):
    run("train", table, "--out", "m.longspan", *FORECAST, "--backtest", "0", "--quiet")
    epoch, begun = Trainer.epoch, []

    def interrupted(self, *args, **values):
        begun.append(self)
        signal.raise_signal(signal.SIGINT)
        return epoch(self, *args, **values)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    result = run("forecast", "m.longspan", table, "--backtest", "3", "--json")
    assert result.exit_code == 130
    assert len(begun) == 1
    assert json.loads(result.stdout)["error"]["type"] == "KeyboardInterrupt"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal as Unix has it")
def test_interruption_of_the_test_keeps_the_model(run, table, monkeypatch):
    monkeypatch.setattr(LSTMForecaster, "backtest", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    result = run("train", table, "--out", "m.longspan", *FORECAST, "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "interrupted while testing. The model is in m.longspan.\n"
    assert longspan.load("m.longspan").horizon_ == 4


def test_notes_that_do_not_name_the_series(run):
    X = [np.arange(30.0), np.arange(30.0)]
    notes = {"columns": {"series": "shop"}, "series": "north"}
    LSTMForecaster(2, hidden_size=2, max_epochs=1, random_state=0).fit(X).save("odd.longspan", notes=notes)
    result = run("forecast", "odd.longspan")
    assert result.exit_code == 1
    assert "do not name the series" in result.stderr


def test_reading_of_gaps(table):
    columns = sales()
    columns["sold"][[0, 5, DAYS - 1]] = np.nan
    write_table("gaps.csv", columns)
    history = read_history("gaps.csv", Columns(series="shop", time="day", targets=("sold",), known=("promo",)))
    assert [len(part) for part in history.values] == [DAYS - 1, DAYS]
    assert np.isnan(history.values[0][[0, 5]]).all()
    assert [len(part) for part in history.known] == [DAYS, DAYS]


def test_short_times():
    assert short_time(np.datetime64("2024-05-01T06:30:00.000")) == "2024-05-01 06:30:00"


def test_trials_are_no_series_of_one_target(run, tmp_path):
    write_table("trials.csv", trials())
    result = run("train", "trials.csv", "--task", "forecast", "--series", "trial", "--target", "answer", "--out", "m")
    assert result.exit_code == 1
    assert "'answer' is not numeric" in result.stderr
