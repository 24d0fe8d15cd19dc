"""How well do the defaults do on real data sets, official split, five seeds?

Nothing is set but ``random_state``. The sets were not used to choose the defaults beyond their training parts. Japanese
Vowels ships with longspan and the digits with scikit-learn; the others are files of the package ``aeon``, of which no
code is run: ``pip install --no-deps aeon==1.6.0`` is enough, and its other requirements do not go with the versions in
``constraints.txt``. Run it with ``python -m benchmarks.accuracy`` (and ``--json``).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import RidgeCV

from benchmarks._measure import machine, report
from longspan import LSTMClassifier, LSTMRegressor, Sequences, load_japanese_vowels, read_ts

CLASSIFICATION = (
    "ItalyPowerDemand",
    "BasicMotions",
    "GunPoint",
    "ArrowHead",
    "OSULeaf",
    "ACSF1",
    "PickupGestureWiimoteZ",
)
REGRESSION = ("Covid3Month",)


class Split(NamedTuple):
    """A data set with its official split."""

    X_train: Sequences
    y_train: np.ndarray
    X_test: Sequences
    y_test: np.ndarray


def digits() -> Split:
    """Scikit-learn's digits as sequences of 8 rows of 8 pixels, a third of each digit held out by chance."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, y = load_digits().images, load_digits().target
    train, test = train_test_split(np.arange(len(y)), test_size=1 / 3, stratify=y, random_state=0)
    X = Sequences.from_array(images)
    return Split(X[train], y[train], X[test], y[test])


def from_aeon(name: str) -> Split:
    """A data set that lies in the package aeon."""
    folder = Path(find_spec("aeon").submodule_search_locations[0]) / "datasets" / "data" / name
    train, test = (read_ts(folder / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
    return Split(train.sequences, train.targets, test.sequences, test.targets)


def data_sets() -> Iterator[tuple[str, Callable[[], Split]]]:
    """Yield names, and functions that load them."""
    yield "JapaneseVowels", lambda: Split(*load_japanese_vowels())
    yield "digits", digits
    if find_spec("aeon") is None:
        print("only two of the data sets: for the others  pip install --no-deps aeon==1.6.0", file=sys.stderr)
        return
    for name in CLASSIFICATION + REGRESSION:
        yield name, lambda name=name: from_aeon(name)


def classify(split: Split, seed: int) -> float:
    """Accuracy on the test part."""
    return LSTMClassifier(random_state=seed).fit(split.X_train, split.y_train).score(split.X_test, split.y_test)


def regress(split: Split, seed: int) -> float:
    """Root mean squared error on the test part."""
    predicted = LSTMRegressor(random_state=seed).fit(split.X_train, split.y_train).predict(split.X_test)
    return rmse(predicted, split.y_test)


def rmse(predicted: Any, truth: np.ndarray) -> float:
    """Root mean squared error."""
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def baselines(split: Split) -> dict[str, float]:
    """Root mean squared error of the mean, and of ridge regression on the flattened series."""
    flat_train, flat_test = (X.to_array().reshape(len(X), -1) for X in (split.X_train, split.X_test))
    ridge = RidgeCV(np.logspace(-3, 4, 15)).fit(flat_train, split.y_train)
    return {
        "constant": rmse(split.y_train.mean(), split.y_test),
        "ridge": rmse(ridge.predict(flat_test), split.y_test),
    }


def measure(name: str, split: Split, seeds: int) -> dict[str, Any]:
    """Fit with every seed."""
    score = regress if name in REGRESSION else classify
    scores, seconds = [], []
    for seed in range(seeds):
        began = time.perf_counter()
        scores.append(score(split, seed))
        seconds.append(time.perf_counter() - began)
    lengths = split.X_train.lengths
    return {
        "train": len(split.X_train),
        "steps": f"{lengths.min()}-{lengths.max()}",
        "features": split.X_train.n_features,
        "measure": "rmse" if name in REGRESSION else "accuracy",
        "median": statistics.median(scores),
        "range": [min(scores), max(scores)],
        "seconds a fit": statistics.median(seconds),
        **(baselines(split) if name in REGRESSION else {}),
    }


def main() -> None:
    """Fit and print, one data set after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("names", nargs="*", help="only these data sets")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    for name, load in data_sets():
        if not options.names or name in options.names:
            result[name] = measure(name, load(), options.seeds)
            if not options.json:
                report({name: result[name]}, as_json=False)
    report(result if options.json else {"machine": result["machine"]}, as_json=options.json)


if __name__ == "__main__":
    main()
