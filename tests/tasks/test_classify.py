"""Classification against the formulas in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan.tasks import Classification

LOGITS = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0], [0.2, 0.1, 0.3], [-1.0, 1.0, 0.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 2, 1, 1])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.5], dtype=torch.float64)
CLASS_WEIGHT = torch.tensor([1.0, 3.0, 0.25], dtype=torch.float64)
NOTHING = PackedSequence(torch.zeros(4, 1), torch.tensor([4]))


class Answers(nn.Module):
    """Gives the same answers whatever it is asked."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, inputs: PackedSequence) -> Tensor:
        return self.answers


def cross_entropy(smoothing: float) -> np.ndarray:
    logits = LOGITS.numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = (1 - smoothing) * np.eye(3)[TARGETS.numpy()] + smoothing / 3
    return -(wanted * log_p).sum(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("class_weight", [None, CLASS_WEIGHT])
def test_loss_is_the_mean_of_weight_times_cross_entropy(
    smoothing: float, weights: Tensor | None, class_weight: Tensor | None
) -> None:
    task = Classification(Answers(LOGITS), class_weight=class_weight, label_smoothing=smoothing)
    total = np.ones(4)
    if weights is not None:
        total = total * weights.numpy()
    if class_weight is not None:
        total = total * class_weight.numpy()[TARGETS.numpy()]
    expected = (cross_entropy(smoothing) * total).mean()
    np.testing.assert_allclose(float(task.loss(NOTHING, TARGETS, weights)), expected, rtol=1e-12)


def test_metrics_are_weighted_sums_free_of_smoothing() -> None:
    task = Classification(Answers(LOGITS), class_weight=CLASS_WEIGHT, label_smoothing=0.3)
    sums = {name: float(value) for name, value in task.metrics(NOTHING, TARGETS, WEIGHTS).items()}
    total = WEIGHTS.numpy() * CLASS_WEIGHT.numpy()[TARGETS.numpy()]
    right = np.array([True, False, False, True])
    assert sums == pytest.approx(
        {"weight": total.sum(), "loss": (total * cross_entropy(0.0)).sum(), "accuracy": total[right].sum()}
    )


def test_reading_gives_probabilities_in_float64() -> None:
    read = Classification(Answers(LOGITS)).read(LOGITS.float())
    assert read.dtype == torch.float64
    exp = np.exp(LOGITS.numpy())
    np.testing.assert_allclose(read, exp / exp.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(read.sum(dim=1), 1, rtol=1e-15)


def test_a_temperature_divides_the_logits_that_are_read_and_nothing_else() -> None:
    task, plain = Classification(Answers(LOGITS), temperature=2.5), Classification(Answers(LOGITS))
    exp = np.exp(LOGITS.numpy() / 2.5)
    np.testing.assert_allclose(task.read(LOGITS), exp / exp.sum(axis=1, keepdims=True), rtol=1e-12)
    assert task.loss(NOTHING, TARGETS, None) == plain.loss(NOTHING, TARGETS, None)
    assert task.metrics(NOTHING, TARGETS, None) == plain.metrics(NOTHING, TARGETS, None)
