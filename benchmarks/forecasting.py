"""How well does `LSTMForecaster` do with its defaults, from origins that roll, beside seasonal-naive and a constant?

Three series: weekly CO2 at Mauna Loa with its gaps and yearly sunspots, from the installed package ``statsmodels``
(extra ``bench``), and monthly airline passengers, which ship with longspan. Nothing is set but ``random_state``; for
the sunspots no calendar names a season, so it is found in each training part. The design was chosen on other series.
Run it with ``python -m benchmarks.forecasting`` (and ``--json``, ``--seeds 5``, ``--series airline``).
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._measure import machine, report
from longspan import LSTMForecaster, load_airline_passengers

Series = tuple[np.ndarray, np.ndarray]


def from_statsmodels(name: str) -> list[list[str]]:
    """The rows of a data file of statsmodels, without the header."""
    path = Path(find_spec("statsmodels").submodule_search_locations[0]) / "datasets" / name / f"{name}.csv"
    return [line.replace('"', "").split(",") for line in path.read_text("utf-8").split()[1:]]


def co2() -> Series:
    """Weekly means of carbon dioxide in the air, 1958 to 2001, NaN where none was measured."""
    rows = from_statsmodels("co2")
    times = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in rows], dtype="datetime64[D]")
    return np.array([float(value) if value else np.nan for _, value in rows]), times


def sunspots() -> Series:
    """Yearly numbers of sunspots, 1700 to 2008."""
    rows = from_statsmodels("sunspots")
    times = np.array([year.partition(".")[0] for year, _ in rows], dtype="datetime64[Y]")
    return np.array([float(value) for _, value in rows]), times


SERIES: dict[str, Callable[[], Series]] = {"co2": co2, "airline": load_airline_passengers, "sunspots": sunspots}


def measure(name: str, *, seeds: int, folds: int) -> dict[str, Any]:
    """Backtest one series with several seeds."""
    values, times = SERIES[name]()
    tests = [LSTMForecaster(random_state=seed).backtest([values], folds, times=[times]) for seed in range(seeds)]
    return {
        "series": name,
        "horizon": tests[0].horizon,
        "season": tests[0].season_length,
        "mase": [round(float(test.mase[0].mean()), 3) for test in tests],
        "mase_seasonal_naive": round(float(tests[0].mase[1].mean()), 3),
        "mase_last_value": round(float(tests[0].mase[2].mean()), 3),
        "pinball": [round(float(test.pinball[0].mean()), 3) for test in tests],
        "pinball_seasonal_naive": round(float(tests[0].pinball[1].mean()), 3),
        "pinball_last_value": round(float(tests[0].pinball[2].mean()), 3),
        "coverage": [round(float(test.coverage[0].mean()), 3) for test in tests],
        "coverage_seasonal_naive": round(float(tests[0].coverage[1].mean()), 3),
        "seconds": [round(float(test.seconds.sum()), 1) for test in tests],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--series", choices=SERIES, action="append")
    arguments = parser.parse_args()
    report(machine(), as_json=arguments.json)
    covered, steps = 0.0, 0
    for name in arguments.series or SERIES:
        found = measure(name, seeds=arguments.seeds, folds=arguments.folds)
        report(found, as_json=arguments.json)
        covered += float(np.mean(found["coverage"])) * found["horizon"]
        steps += found["horizon"]
    report({"pooled coverage of the 10-90% interval": round(covered / steps, 3)}, as_json=arguments.json)


if __name__ == "__main__":
    main()
