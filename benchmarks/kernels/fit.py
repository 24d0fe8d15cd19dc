"""A whole `LSTMClassifier.fit` on Japanese Vowels, beside the same network, batches and epochs on `torch.nn.LSTM`."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

import longspan.nn
from benchmarks.kernels import peers
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.reference import RedCheckError
from benchmarks.kernels.timing import Effort, contest
from longspan import LSTMClassifier, load_japanese_vowels

CASE = "JapaneseVowels fit"
_LOSSES_WITHIN = 1e-3
"""Rounding grows with every step of training, so that only the first epoch's loss can be compared closely."""


class PackedLSTM(nn.LSTM):
    """`torch.nn.LSTM`, which takes packed sequences, with the arguments and the initial weights of longspan's."""

    def __init__(self, input_size: int, hidden_size: int, *, init: str, max_lag: int | None, **options: Any) -> None:
        first = _LSTM(input_size, hidden_size, init=init, max_lag=max_lag, **options)
        state = torch.get_rng_state()
        super().__init__(input_size, hidden_size, **options)
        torch.set_rng_state(state)
        with torch.no_grad():
            for name, weight in first.named_parameters():
                getattr(self, name).copy_(weight)


_LSTM = longspan.nn.LSTM


def _fit(kind: type[Any], epochs: int | None) -> LSTMClassifier:
    X, y, *_ = load_japanese_vowels()
    options: dict[str, Any] = {} if epochs is None else {"max_epochs": epochs}
    with patch.object(longspan.nn, "LSTM", kind):
        return LSTMClassifier(random_state=0, **options).fit(X, y)


def _measure(plan: Plan) -> dict[str, Any]:
    epochs = 4 if plan.quick else None
    ours, theirs = _fit(_LSTM, 2), _fit(PackedLSTM, 2)
    losses = [model.history_[0]["loss"] for model in (ours, theirs)]
    error = abs(losses[0] - losses[1]) / losses[1]
    if not isinstance(theirs.network_.cell, PackedLSTM) or isinstance(ours.network_.cell, PackedLSTM):
        raise RedCheckError("the networks do not have the cells that are to be compared")
    if not error <= _LOSSES_WITHIN:
        raise RedCheckError(f"after one epoch the losses are {losses[0]:.6g} and {losses[1]:.6g}")
    fitted: dict[str, LSTMClassifier] = {}

    def fit(name: str, kind: type[Any]) -> None:
        fitted[name] = _fit(kind, epochs)

    kinds = {peers.LONGSPAN: _LSTM, peers.PACKED: PackedLSTM}
    calls = {name: partial(fit, name, kind) for name, kind in kinds.items()}
    effort = Effort(plan.effort.seconds, plan.effort.fewest, plan.effort.fewest)
    found = contest(calls, effort, warm=False)
    X, y = load_japanese_vowels()[2:]
    return {
        "epochs": epochs or "the default",
        "against torch packed": found.speedup(peers.LONGSPAN, peers.PACKED),
        "accuracy": {name: model.score(X, y) for name, model in fitted.items()},
        "error": error,
        **found.record(),
    }


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {CASE: lambda plan: iter([measured(CASE, {}, partial(_measure, plan))])}
