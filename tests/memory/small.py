"""Networks whose memory is known, shared by the tests of this folder."""

import numpy as np
import torch

from longspan.nn import RNN
from longspan.tasks import NetworkConfig, SequenceNetwork


def shift_register(length: int, *, dtype: torch.dtype = torch.float64) -> RNN:
    """A relu RNN whose unit k holds the input of k steps ago, and which forgets what is older."""
    cell = RNN(1, length, nonlinearity="relu", dtype=dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih_l0[0, 0] = 1.0
        cell.weight_hh_l0.copy_(torch.diag(torch.ones(length - 1, dtype=dtype), -1))
    return cell


def sums_the_last(steps: int, *, outputs: int = 1) -> SequenceNetwork:
    """A network whose output is the sum of the last steps, of inputs from 0: it provably uses those and no others."""
    config = NetworkConfig(1, outputs, cell="rnn", hidden_size=steps, pooling="last", bidirectional=False)
    network = SequenceNetwork(config)
    network.cell = shift_register(steps, dtype=torch.float32)
    with torch.no_grad():
        network.head.weight.fill_(1.0)
        network.head.bias.zero_()
    return network


def positive(count: int = 40, *, steps: int = 30, seed: int = 0) -> np.ndarray:
    """Sequences of numbers from 0 to 1."""
    return np.random.default_rng(seed).uniform(size=(count, steps, 1)).astype(np.float32)
