"""What does an epoch of each estimator cost beyond a bare torch loop over the same network, loss and data?

The bare loop has every batch ready in memory, shuffles them, and does what nobody can leave out: the loss, its
gradient, the clipping of its norm and a fused AdamW step. The estimator also gathers the batches, schedules the
learning rate, averages the weights and keeps records. `benchmarks.overhead` compares a classifier with a network of
torch's own parts. Run it with ``python -m benchmarks.epochs`` (and ``--json``).
"""

import argparse
import copy
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks._measure import interleave, machine, ratios, report, spread
from longspan import LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor
from longspan.training import Trainer

EPOCHS_A_ROUND = 2
COMMON: dict[str, Any] = {"max_epochs": EPOCHS_A_ROUND, "validation_fraction": 0.0, "random_state": 0}


def make_fits() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return an estimator with its defaults, and what it is fitted on, for each."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 4)) for length in rng.integers(20, 60, size=1500)]
    labels, numbers = np.array([x[:, 0].sum() > 0 for x in X]), np.array([x[0, 0] + x[-1, 0] for x in X])
    words = ["".join(rng.choice(list("abcdefghij"), size=length)) for length in rng.integers(3, 15, size=1500)]
    series = list(rng.normal(size=(60, 300)).cumsum(axis=1))
    return {
        "classifier": (LSTMClassifier(**COMMON), (X, labels)),
        "regressor": (LSTMRegressor(validation_folds=0, **COMMON), (X, numbers)),
        "encoder": (LSTMEncoder(**COMMON), (X,)),
        "decoder": (LSTMDecoder(**COMMON), (words, [word[::-1] for word in words])),
        "forecaster": (LSTMForecaster(**COMMON), (series,)),
    }


def contestants(estimator: Any, data: tuple[Any, ...]) -> dict[str, Callable[[], Any]]:
    """Return the training of an estimator, timed by its own epochs, and a bare loop over what it trained."""
    trainers: list[Any] = []

    class Remembered(Trainer):
        def fit(self, training: Any, validation: Any = None) -> None:
            trainers.append((self, training))
            super().fit(training, validation)

    def estimated() -> float:
        estimator.fit(*data)
        return sum(record["seconds"] for record in trainers[-1][0].history)

    with patch("longspan.estimators._base.Trainer", Remembered):
        estimated()
    trainer, training = trainers[-1]
    task = copy.copy(trainer.task)
    task.network = copy.deepcopy(task.network)
    batches = list(training.shuffled(np.random.default_rng(0)))
    optimiser = torch.optim.AdamW(task.network.parameters(), lr=1e-3, fused=True)

    def bare() -> None:
        task.network.train()
        for _ in range(len(trainer.history)):
            for number in torch.randperm(len(batches)).tolist():
                batch = batches[number]
                loss = task.loss(batch.inputs, batch.targets, batch.weights)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(task.network.parameters(), 1.0)
                optimiser.step()

    def own() -> float:
        with patch("longspan.estimators._base.Trainer", Remembered):
            return estimated()

    return {"estimator": own, "bare": bare}


def main() -> None:
    """Time each estimator and its bare loop in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for name, (estimator, data) in make_fits().items():
        both = contestants(estimator, data)
        both["bare"]()
        seconds = interleave(both, rounds=options.rounds)
        result[f"{name} / bare loop"] = spread(ratios(seconds, "estimator", "bare"))
    report(result | machine(), as_json=options.json)


if __name__ == "__main__":
    main()
