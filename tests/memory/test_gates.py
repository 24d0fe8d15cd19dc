"""Time constants and saturation of gates."""

from typing import Any

import numpy as np
import pytest
import torch

from longspan.errors import ParameterError
from longspan.memory import gate_saturation, time_constants
from longspan.nn import GRU, LSTM, RNN, FeedForward
from longspan.tasks import NetworkConfig, SequenceNetwork
from tests.oracles import sigmoid


def frozen(cell: Any, biases: np.ndarray, block: int) -> Any:
    """A cell all of whose weights are zero, but for the biases of one block of gates."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        size = cell.hidden_size
        cell.bias_ih_l0[block * size : (block + 1) * size] = torch.tensor(biases)
    return cell


@pytest.mark.parametrize(
    ("cell", "block", "gate"),
    [(LSTM(1, 3, dtype=torch.float64), 1, "f"), (LSTM(1, 3, coupled=True, dtype=torch.float64), 0, "f"),
     (GRU(1, 3, dtype=torch.float64), 1, "z")],
    ids=["lstm", "coupled", "gru"],
)  # fmt: skip
def test_a_frozen_gate_f_has_the_time_constant_of_its_logarithm(cell: Any, block: int, gate: str) -> None:
    f = np.array([0.2, 0.9, 0.999])
    found = time_constants(frozen(cell, np.log(f / (1 - f)), block), np.ones((4, 9, 1)))
    np.testing.assert_allclose(found.tau, -1 / np.log(f), rtol=1e-10)
    np.testing.assert_allclose(found.from_bias, -1 / np.log(f), rtol=1e-10)
    assert found.gate == gate
    assert found.quantiles["50%"] == pytest.approx(-1 / np.log(0.9))
    assert found.share_at_least(9) == pytest.approx(2 / 3)


def test_zoneout_keeps_its_share_too() -> None:
    cell = frozen(LSTM(1, 2, zoneout=(0.0, 0.5), dtype=torch.float64), np.zeros(2), 1)
    found = time_constants(cell, np.ones((2, 5, 1)))
    np.testing.assert_allclose(found.tau, -1 / np.log(0.5 + 0.5 * 0.5), rtol=1e-10)


def test_logarithms_are_averaged_over_all_steps_of_all_sequences() -> None:
    cell = LSTM(1, 1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih_l0[1, 0] = 1.0  # the forget gate is the sigmoid of the input
    X = [np.array([[0.5], [-1.0], [2.0]], np.float32), np.array([[0.25]], np.float32)]
    mean = np.mean([np.log(sigmoid(x)) for x in (0.5, -1.0, 2.0, 0.25)])
    np.testing.assert_allclose(time_constants(cell, X).tau, -1 / mean, rtol=1e-10)


def test_units_are_named_by_layer_and_direction() -> None:
    found = time_constants(LSTM(1, 2, num_layers=2, bidirectional=True), np.ones((2, 5, 1)))
    assert found.layer.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.backward.tolist() == [False, False, True, True] * 2
    assert len(found.tau) == 8


def test_time_constants_behind_a_stem_are_in_steps_of_the_data() -> None:
    network = SequenceNetwork(NetworkConfig(1, 2, hidden_size=3, bidirectional=False, stem_strides=(2, 2)))
    for parameter in network.cell.parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_allclose(time_constants(network, np.ones((3, 16, 1))).tau, -4 / np.log(0.5), rtol=1e-5)


def test_saturation_counts_steps_below_a_tenth_and_above_nine() -> None:
    cell = LSTM(1, 1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih_l0[0, 0] = 10.0
    found = gate_saturation(cell, [np.array([[1.0], [-1.0], [-1.0], [0.0]])])
    assert found.gates == ("i", "f", "o")
    np.testing.assert_allclose(found.shut[:, 0], [0.5, 0.0, 0.0])
    np.testing.assert_allclose(found.opened[:, 0], [0.25, 0.0, 0.0])


@pytest.mark.parametrize("cell", [RNN(1, 2), FeedForward(1, 2, window=2)])
@pytest.mark.parametrize("measure", [time_constants, gate_saturation])
def test_what_has_no_gates_is_refused(cell: Any, measure: Any) -> None:
    with pytest.raises(ParameterError, match=r"has none|carries none"):
        measure(cell, np.ones((2, 5, 1)))
