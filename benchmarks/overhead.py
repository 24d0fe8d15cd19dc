"""What does an epoch of `LSTMClassifier` cost beyond a bare torch loop over the same network and data?

Both train one LSTM layer with H=32 on sequences of T=50 steps and I=4 features in batches of 32, with the fused AdamW
and clipping of the gradient's norm. The bare loop is what a careful person would write by hand around `torch.nn.LSTM`;
it knows that all sequences are equally long, does no bookkeeping, and slices shuffled tensors. Run it with
``python -m benchmarks.overhead`` (and ``--json``).
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks._measure import interleave, machine, ratios, report, spread
from longspan import LSTMClassifier

N, T, FEATURES, H, CLASSES, BATCH = 3200, 50, 4, 32, 4, 32
EPOCHS_A_ROUND = 2


class BareNetwork(nn.Module):
    """An LSTM read out at its last step, from torch's own parts."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, H, batch_first=True)
        self.head = nn.Linear(H, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def make_data() -> tuple[np.ndarray, np.ndarray]:
    """Noise around a level that tells the class, learnable so that the check below means something."""
    rng = np.random.default_rng(0)
    y = rng.integers(CLASSES, size=N)
    X = rng.normal(size=(N, T, FEATURES)).astype(np.float32)
    X += 0.5 * np.eye(CLASSES, FEATURES, dtype=np.float32)[y][:, None]
    return X, y


def bare_loop(X: np.ndarray, y: np.ndarray) -> tuple[Callable[[], None], BareNetwork]:
    """Return a function that trains for some epochs, and what it trains."""
    torch.manual_seed(0)
    network = BareNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)

    def train() -> None:
        network.train()
        for _ in range(EPOCHS_A_ROUND):
            order = torch.randperm(N)
            for part in order.split(BATCH):
                loss = nn.functional.cross_entropy(network(inputs[part]), targets[part])
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()

    return train, network


def estimator_epochs(X: np.ndarray, y: np.ndarray) -> tuple[Callable[[], float], LSTMClassifier]:
    """Return a function that trains for as many epochs through the estimator and gives their time, and the estimator.

    The time of the epochs is all of training; checking and scaling the data, once a fit, is beside it.
    """
    classifier = LSTMClassifier(
        hidden_size=H,
        bidirectional=False,
        pooling="last",
        views=("level",),
        input_noise=0,
        amplitude_noise=0,
        stem=None,
        dropout=0.0,
        batch_size=BATCH,
        max_epochs=EPOCHS_A_ROUND,
        validation_fraction=0,
        lr=3e-3,
        label_smoothing=0,
        schedule="constant",
        warm_start=True,
        random_state=0,
    )

    def train() -> float:
        classifier.fit(X, y)
        return sum(record["seconds"] for record in classifier.history_)

    return train, classifier


def main() -> None:
    """Check that both learn, then time them in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    X, y = make_data()
    bare, network = bare_loop(X, y)
    estimated, classifier = estimator_epochs(X, y)
    for _ in range(4):
        bare()
        estimated()
    with torch.no_grad():
        accuracies = {
            "bare": float((network.eval()(torch.from_numpy(X)).argmax(1).numpy() == y).mean()),
            "estimator": classifier.score(X, y),
        }
    assert min(accuracies.values()) > 0.9, f"not worth timing, one of them does not learn: {accuracies}"
    seconds = interleave({"bare": bare, "estimator": estimated}, rounds=options.rounds)
    steps = EPOCHS_A_ROUND * -(-N // BATCH)
    report(
        {
            "estimator / bare loop": spread(ratios(seconds, "estimator", "bare")),
            "bare loop, ms a step": spread([1e3 * s / steps for s in seconds["bare"]]),
            "estimator, ms a step": spread([1e3 * s / steps for s in seconds["estimator"]]),
            "accuracy": accuracies,
            **machine(),
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
