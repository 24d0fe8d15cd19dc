"""Forgetting curve and memory capacity."""

from typing import Any

import numpy as np
import pytest
import torch

from longspan.errors import DataError, ParameterError
from longspan.memory import forgetting_curve, memory_capacity
from longspan.nn import LSTM, RNN, FeedForward
from longspan.tasks import NetworkConfig, SequenceNetwork
from tests.memory.small import positive, shift_register


@pytest.mark.parametrize("length", [1, 5, 12])
def test_a_shift_register_remembers_as_many_steps_as_it_is_long(length: int) -> None:
    found = memory_capacity(shift_register(length), low=0.0, random_state=0)
    assert found.total == pytest.approx(length, abs=0.01)
    np.testing.assert_allclose(found.r2[:length], 1.0, atol=1e-3)
    np.testing.assert_allclose(found.r2[length:], 0.0, atol=0.01)
    assert found.lags[0] == 0


def test_lag_0_is_the_input_that_the_state_has_just_seen() -> None:
    found = memory_capacity(shift_register(3), low=0.0, max_lag=5, random_state=0)
    assert found.r2.round(2).tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_probe_is_in_deviations_of_the_channels() -> None:
    network = SequenceNetwork(NetworkConfig(2, 1, hidden_size=6, bidirectional=False))
    network.views.scale_channels([1e6, -3.0], [1e4, 1e-3])
    assert 1 < memory_capacity(network, n_steps=2000, random_state=0).total <= 12


def test_two_pasts_grow_together_as_a_gate_forgets() -> None:
    cell = LSTM(1, 3, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih_l0[3:6] = np.log(0.8 / 0.2)  # f = 0.8
        cell.weight_ih_l0[6:9] = 1e-4  # so small that tanh is the identity
    curve = forgetting_curve(cell, positive(), random_state=0)
    np.testing.assert_allclose(curve.median, 0.8**curve.steps, rtol=1e-6)
    assert curve.steps.tolist() == list(range(16))


def test_two_pasts_stay_apart_in_a_latch() -> None:
    cell = RNN(1, 1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih_l0.fill_(10.0)
        cell.weight_hh_l0.fill_(5.0)
    X = np.zeros((2, 20, 1))
    X[0, 0], X[1, 0] = 1.0, -1.0
    np.testing.assert_allclose(forgetting_curve(cell, X, random_state=0).median, 1.0, atol=1e-6)


def test_ragged_sequences_and_stems_are_followed() -> None:
    network = SequenceNetwork(NetworkConfig(1, 1, hidden_size=3, num_layers=2, stem_strides=(2,)))
    rng = np.random.default_rng(0)
    curve = forgetting_curve(network, [rng.normal(size=(n, 1)) for n in (40, 31, 22, 10)], random_state=0)
    assert curve.median[0] == 1.0
    assert (np.diff(curve.steps) == 2).all()


def test_equal_pasts_have_no_curve() -> None:
    assert len(forgetting_curve(LSTM(1, 2), np.ones((3, 8, 1))).steps) == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: forgetting_curve(FeedForward(1, 2, window=2), positive()), ParameterError, "carries none"),
        (lambda: forgetting_curve(LSTM(1, 2), positive(1)), DataError, "one sequence"),
        (lambda: memory_capacity(FeedForward(1, 2, window=2)), ParameterError, "memory_capacity is a measure"),
        (lambda: memory_capacity(LSTM(1, 2), n_steps=10, max_lag=5), ParameterError, "must be 20 or more"),
        (lambda: memory_capacity(LSTM(1, 2), max_lag=0), ParameterError, "max_lag is 0"),
        (lambda: memory_capacity(SequenceNetwork(NetworkConfig(1, 1, stem_strides=(2,)))), ParameterError, "stem"),
    ],
)
def test_bad_input_is_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
