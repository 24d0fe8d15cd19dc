"""The moving average of weights, written out."""

import numpy as np
import torch
from torch import nn

from longspan.training.averaging import WeightAverage


def test_average_is_the_exponential_one_with_a_quick_start() -> None:
    network = nn.Linear(1, 1).double()
    average = WeightAverage(network, decay=0.5)
    expected = network.weight.item()
    for step, value in enumerate([3.0, -1.0, 2.0, 7.0, 4.0, 0.5, 1.5, 2.5, 9.0, 1.0, 2.0]):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    with average.in_place():
        np.testing.assert_allclose(network.weight.item(), expected, rtol=1e-12)
    assert network.weight.item() == 2.0


def test_what_is_counted_is_not_averaged() -> None:
    network = nn.BatchNorm1d(1)
    average = WeightAverage(network, decay=0.9)
    network.num_batches_tracked.fill_(7)
    average.update()
    average.swap()
    assert network.num_batches_tracked.item() == 7
