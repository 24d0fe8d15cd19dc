"""Regression against the formulas in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan.tasks import Regression

OUTPUTS = torch.tensor([[1.0, 2.0], [0.0, -1.0], [0.5, 0.5]], dtype=torch.float64)
TARGETS = torch.tensor([[0.0, 2.0], [1.0, 1.0], [0.5, 3.5]], dtype=torch.float64)
ERRORS = np.array([0.5, 2.5, 4.5])  # means over the two columns of 1, 0; 1, 4; 0, 9
WEIGHTS = torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)
NOTHING = PackedSequence(torch.zeros(3, 1), torch.tensor([3]))


class Answers(nn.Module):
    def forward(self, inputs: PackedSequence) -> Tensor:
        return OUTPUTS


@pytest.fixture
def task() -> Regression:
    return Regression(Answers(), target_mean=torch.tensor([10.0, -1.0]), target_scale=torch.tensor([2.0, 4.0]))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_loss_is_the_mean_of_weight_times_squared_error(task: Regression, weights: Tensor | None) -> None:
    expected = (ERRORS * (1 if weights is None else weights.numpy())).mean()
    np.testing.assert_allclose(float(task.loss(NOTHING, TARGETS, weights)), expected, rtol=1e-12)


def test_metrics_are_weighted_sums(task: Regression) -> None:
    sums = {name: float(value) for name, value in task.metrics(NOTHING, TARGETS, WEIGHTS).items()}
    assert sums == pytest.approx({"weight": 3.5, "loss": (ERRORS * WEIGHTS.numpy()).sum()})
    alone = {name: float(value) for name, value in task.metrics(NOTHING, TARGETS, None).items()}
    assert alone == pytest.approx({"weight": 3.0, "loss": ERRORS.sum()})


def test_reading_returns_to_the_units_of_the_targets(task: Regression) -> None:
    expected = [[12.0, 7.0], [10.0, -5.0], [11.0, 1.0]]
    np.testing.assert_allclose(task.read(OUTPUTS.float()), expected, rtol=1e-7)
