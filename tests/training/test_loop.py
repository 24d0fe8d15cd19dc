"""The loop: epochs, validation, best weights, early stopping, steps that are skipped, Ctrl-C."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan import Sequences
from longspan.data import Batches, PerSequence
from longspan.errors import TrainingError, TrainingWarning
from longspan.tasks import Regression
from longspan.training import Record, Trainer, TrainingSettings


class LastStep(nn.Module):
    """A linear function of the last step of each of some univariate sequences of one length."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs: PackedSequence) -> Tensor:
        return self.linear(inputs.data[-int(inputs.batch_sizes[-1]) :])


class Diary:
    """Writes down all that a watcher is told; `at` runs before each step is noted."""

    def __init__(self, at: Callable[[int], None] = lambda steps: None) -> None:
        self.told: list[Any] = []
        self.steps = 0
        self.at = at

    def on_start(self, epochs: int, steps_per_epoch: int) -> None:
        self.told.append(("start", epochs, steps_per_epoch))

    def on_step(self) -> None:
        self.steps += 1
        self.at(self.steps)

    def on_epoch(self, record: Record) -> None:
        self.told.append(("epoch", record["epoch"], self.steps))

    def on_end(self, reason: str) -> None:
        self.told.append(("end", reason))


def batches(count: int = 20, *, slope: float = 2.0, batch_size: int = 5) -> Batches:
    values = np.linspace(-1, 1, count, dtype=np.float32)
    sequences = Sequences.from_array(np.stack([values * 0, values], axis=1))
    return Batches(sequences, PerSequence((slope * values)[:, None]), batch_size=batch_size)


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**{"max_epochs": 5, "lr": 0.05, "weight_decay": 0.0, **changes})


def trainer(settings: TrainingSettings, *watchers: Diary, network: nn.Module | None = None) -> Trainer:
    one = torch.ones(1)
    task = Regression(network or LastStep(), target_mean=0 * one, target_scale=one)
    return Trainer(task, settings, rng=np.random.default_rng(0), watchers=watchers)


def interrupt_at(step: int) -> Callable[[int], None]:
    def at(steps: int) -> None:
        if steps == step:
            raise KeyboardInterrupt

    return at


def test_a_line_is_learned_and_every_epoch_recorded() -> None:
    learner = trainer(settings(max_epochs=200, clip_norm=math.inf))
    learner.fit(batches())
    linear = learner.task.network.linear
    np.testing.assert_allclose([linear.weight.item(), linear.bias.item()], [2, 0], atol=0.01)
    assert [record["epoch"] for record in learner.history] == list(range(1, 201))
    assert learner.history[-1]["loss"] < 1e-4 < learner.history[0]["loss"]
    assert (learner.stop_reason, learner.best_epoch) == ("max_epochs", 200)
    assert set(learner.history[0]) == {"epoch", "loss", "lr", "gradient_norm", "skipped_steps", "seconds"}
    assert not learner.task.network.training


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_weights_of_the_best_epoch_are_put_back(ema_decay: float) -> None:
    """What is validated wants another slope, which is passed on the way."""
    validation = batches(slope=0.5)
    learner = trainer(settings(max_epochs=60, ema_decay=ema_decay))
    learner.fit(batches(), validation)
    losses = [record["validation_loss"] for record in learner.history]
    best = int(np.argmin(losses))
    assert 1 < learner.best_epoch == best + 1 < 50
    assert learner.evaluate(validation)["loss"] == min(losses)


def test_training_stops_where_nothing_improves() -> None:
    learner = trainer(settings(max_epochs=60, n_iter_no_change=3))
    learner.fit(batches(), batches(slope=0.5))
    assert learner.stop_reason == "no_improvement"
    assert len(learner.history) == learner.best_epoch + 3 < 60


def test_what_improves_by_less_than_tol_does_not_count() -> None:
    learner = trainer(settings(max_epochs=60, n_iter_no_change=3, tol=100.0))
    learner.fit(batches(), batches())
    assert (learner.best_epoch, len(learner.history)) == (0, 3)
    assert learner.task.network.linear.weight.item() == LastStep().linear.weight.item()


def test_evaluation_is_the_mean_over_sequences_whatever_the_batches() -> None:
    learner = trainer(settings())
    linear = learner.task.network.linear
    values = np.linspace(-1, 1, 7)
    expected = ((linear.weight.item() * values + linear.bias.item() - 2 * values) ** 2).mean()
    for batch_size in (1, 3, 7):
        loss = learner.evaluate(batches(7, batch_size=batch_size))["loss"]
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_validation_part_without_weight_has_no_loss() -> None:
    held = batches(4)
    held.weights = np.zeros(4, np.float32)
    assert math.isnan(trainer(settings()).evaluate(held)["loss"])


def test_watchers_are_told_of_every_step_and_epoch() -> None:
    diary = Diary()
    trainer(settings(max_epochs=2), diary).fit(batches())
    assert diary.told == [("start", 2, 4), ("epoch", 1, 4), ("epoch", 2, 8), ("end", "max_epochs")]


def test_a_single_pass_is_watched_too() -> None:
    diary = Diary()
    learner = trainer(settings(schedule="constant"), diary)
    learner.partial_fit(batches())
    learner.partial_fit(batches())
    assert diary.told[:3] == [("start", 1, 4), ("epoch", 1, 4), ("end", "max_epochs")]
    assert [record["lr"] for record in learner.history] == [0.05, 0.05]


def test_training_can_end_in_the_middle_of_a_schedule() -> None:
    whole, part = trainer(settings(max_epochs=4)), trainer(settings(max_epochs=4, stop_after=2))
    whole.fit(batches())
    part.fit(batches())
    assert [r["loss"] for r in part.history] == [r["loss"] for r in whole.history[:2]]


def test_watchers_are_told_how_many_epochs_there_will_be() -> None:
    told = {}
    for stop in (None, 2, 0):
        diary = Diary()
        trainer(settings(max_epochs=4, stop_after=stop), diary).fit(batches())
        told[stop] = diary.told
    assert told[None][0] == ("start", 4, 4)
    assert told[2][0] == ("start", 2, 4)
    assert len(told[2]) == 4
    assert told[0] == []


class Overflowing(LastStep):
    """Gives NaN at the calls that `bad` names, counted from 0."""

    def __init__(self, bad: Callable[[int], bool]) -> None:
        super().__init__()
        self.bad = bad
        self.calls = -1

    def forward(self, inputs: PackedSequence) -> Tensor:
        self.calls += self.training
        return super().forward(inputs) * (math.nan if self.training and self.bad(self.calls) else 1.0)


def test_steps_that_are_not_finite_are_skipped_counted_and_told() -> None:
    learner = trainer(settings(max_epochs=3), network=Overflowing(lambda call: call % 4 == 1))
    with pytest.warns(TrainingWarning, match="3 training steps had a gradient that was not finite"):
        learner.fit(batches())
    assert [record["skipped_steps"] for record in learner.history] == [1, 1, 1]
    assert all(math.isfinite(record["loss"]) for record in learner.history)


def test_training_that_never_takes_a_step_is_an_error() -> None:
    learner = trainer(settings(), network=Overflowing(lambda call: True))
    with pytest.raises(TrainingError, match="smaller lr"):
        learner.fit(batches(), batches())


def test_divergence_without_validation_is_an_error() -> None:
    learner = trainer(settings(max_epochs=50), network=Overflowing(lambda call: call >= 6))
    with pytest.raises(TrainingError, match="25 training steps"):
        learner.fit(batches())
    assert learner.stop_reason == "diverged"
    assert len(learner.history) == 8  # 6 good steps and 25 bad ones, 4 an epoch


def test_divergence_with_validation_keeps_the_best_epoch() -> None:
    learner = trainer(settings(max_epochs=50), network=Overflowing(lambda call: call >= 6))
    with pytest.warns(TrainingWarning, match="'diverged'"):
        learner.fit(batches(), batches())
    assert learner.best_epoch > 0


def test_a_learning_rate_beyond_all_measure_is_an_error() -> None:
    with pytest.raises(TrainingError):
        trainer(settings(lr=1e38, max_epochs=3)).fit(batches())


def test_a_pass_that_diverges_says_so() -> None:
    learner = trainer(settings(), network=Overflowing(lambda call: call >= 4))
    learner.partial_fit(batches())
    with pytest.raises(TrainingError):
        learner.partial_fit(batches(40, batch_size=1))
    assert learner.stop_reason == "diverged"


def test_passes_do_not_tell_of_skipped_steps_twice() -> None:
    learner = trainer(settings(), network=Overflowing(lambda call: call == 1))
    with pytest.warns(TrainingWarning, match="1 training steps"):
        learner.partial_fit(batches())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner.partial_fit(batches())


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_ctrl_c_keeps_the_best_so_far(ema_decay: float) -> None:
    diary = Diary(interrupt_at(10))
    learner = trainer(settings(ema_decay=ema_decay), diary)
    validation = batches()
    with pytest.warns(TrainingWarning, match="interrupted in epoch 3 of 5"):
        learner.fit(batches(), validation)
    assert learner.stop_reason == "interrupted"
    assert diary.told[-1] == ("end", "interrupted")
    losses = [record["validation_loss"] for record in learner.history]
    assert len(losses) == 2
    assert learner.evaluate(validation)["loss"] == min(losses)
    assert not learner.task.network.training


def test_ctrl_c_in_the_first_epoch_keeps_what_was_learned() -> None:
    learner = trainer(settings(), Diary(interrupt_at(2)))
    with pytest.warns(TrainingWarning, match="interrupted in epoch 1"):
        learner.fit(batches())
    assert learner.task.network.linear.weight.item() != LastStep().linear.weight.item()


def test_ctrl_c_before_the_first_step_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    diary = Diary()
    learner = trainer(settings(), diary)
    monkeypatch.setattr(learner, "epoch", lambda *args, **kwargs: interrupt_at(0)(0))
    with pytest.raises(KeyboardInterrupt):
        learner.fit(batches())
    assert diary.told[-1] == ("end", "interrupted")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda learner: pickle.loads(pickle.dumps(learner))])
def test_a_copy_goes_on_to_the_same_bits(copied: Callable[[Trainer], Trainer]) -> None:
    learner = trainer(settings(schedule="constant"))
    learner.partial_fit(batches())
    twin = copied(learner)
    learner.partial_fit(batches())
    twin.partial_fit(batches())
    assert learner.task.network.linear.weight.item() == twin.task.network.linear.weight.item()
