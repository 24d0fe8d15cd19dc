"""The training loop: epochs over shuffled batches, validation, early stopping, the best weights kept."""

import math
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from longspan.data import BatchSource
from longspan.errors import TrainingError, TrainingWarning
from longspan.tasks import Task
from longspan.training.averaging import WeightAverage
from longspan.training.optimiser import Optimiser
from longspan.training.watchers import Record, Watcher

StopReason = Literal["max_epochs", "no_improvement", "interrupted", "diverged"]

_ADVICE = (
    "  Try a smaller lr, a smaller clip_norm, or look for extreme values in the data: what is far outside the range\n"
    "  of the training data can make a network overflow."
)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    max_epochs : int
        Passes over the training part, at most.
    lr, weight_decay, clip_norm, schedule
        See `Optimiser`.
    n_iter_no_change : int or None
        Stop after so many epochs without a better validation loss; None never stops early.
    tol : float
        What counts as better: a validation loss lower by this much.
    ema_decay : float
        Decay of the moving average of the weights that is validated and kept; 0 keeps the weights themselves.
    stop_after : int, optional
        Stop after so many epochs, in the middle of a schedule made for `max_epochs`; 0 leaves the network as it is.
    """

    max_epochs: int
    lr: float
    weight_decay: float
    clip_norm: float = 1.0
    schedule: str = "one_cycle"
    n_iter_no_change: int | None = None
    tol: float = 0.0
    ema_decay: float = 0.0
    stop_after: int | None = None


class Trainer:
    """Train the network of a task, and remember how it went.

    Parameters
    ----------
    task : Task
        What is learned.
    settings : TrainingSettings
        How.
    rng : numpy.random.Generator
        Orders the batches. Dropout draws from torch's own generator.
    watchers : sequence of Watcher
        Told about every step and epoch.

    Attributes
    ----------
    history : list of dict
        One record an epoch.
    stop_reason : str
        ``"max_epochs"``, ``"no_improvement"``, ``"interrupted"`` (Ctrl-C) or ``"diverged"``.
    best_epoch : int
        The epoch whose weights the network has; 0 is before the first.
    validation_losses : list of float
        Before the first epoch and after each, if there was something to validate on.
    """

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        *,
        rng: np.random.Generator,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.task = task
        self.settings = settings
        self.rng = rng
        self.watchers = list(watchers)
        self.optimiser = Optimiser(
            task.network,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
            schedule=settings.schedule,
        )
        self.history: list[Record] = []
        self.stop_reason: StopReason = "max_epochs"
        self.best_epoch = 0
        self._average = WeightAverage(task.network, settings.ema_decay) if settings.ema_decay else None
        self.validation_losses: list[float] = []
        self._best_loss = math.inf
        self._best_weights: dict[str, Tensor] | None = None

    def fit(self, training: BatchSource, validation: BatchSource | None = None) -> None:
        """Train until the epochs are over, nothing improves, or Ctrl-C; the network ends with the best weights.

        Best is the lowest loss on `validation`; without one, the last epoch's weights are kept.

        Raises
        ------
        TrainingError
            If what is left is of no use: no step had a finite gradient, or none had any more at the end.
        """
        epochs = self.settings.max_epochs if self.settings.stop_after is None else self.settings.stop_after
        with self._watched(epochs, len(training)) if epochs else nullcontext():
            try:
                self._epochs(training, validation)
            except KeyboardInterrupt:
                self.stop_reason = "interrupted"
                if not self.optimiser.has_moved:
                    raise
        self._finish(self.history)

    def partial_fit(self, training: BatchSource) -> None:
        """Make one pass over `training` at a level learning rate; raises `TrainingError` as `fit` does."""
        with self._watched(1, len(training)):
            record = self.epoch(training)
            for watcher in self.watchers:
                watcher.on_epoch(record)
            if self.optimiser.diverged:
                self.stop_reason = "diverged"
        self._finish([record])

    def epoch(self, training: BatchSource, *, first_progress: float = 0.0, last_progress: float = 0.0) -> Record:
        """Make one pass over `training`, and return its record."""
        began = time.perf_counter()
        self.task.network.train()
        loss_sum, counted = 0.0, 0
        for number, batch in enumerate(training.shuffled(self.rng)):
            progress = first_progress + (last_progress - first_progress) * number / len(training)
            loss = self.task.loss(batch.inputs, batch.targets, batch.weights)
            if self.optimiser.step(loss, progress):
                if self._average is not None:
                    self._average.update()
                loss_sum += float(loss.detach()) * batch.n_targets
                counted += batch.n_targets
            elif self.optimiser.diverged:
                break
            for watcher in self.watchers:
                watcher.on_step()
        return self._record(loss_sum / counted if counted else math.nan, began)

    def evaluate(self, batches: BatchSource) -> dict[str, float]:
        """Return the mean of every metric of the task over `batches`."""
        self.task.network.eval()
        totals: dict[str, float] = {}
        with torch.inference_mode():
            for batch in batches.longest_first():
                metrics = self.task.metrics(batch.inputs, batch.targets, batch.weights)
                for name, value in metrics.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        weight = totals.pop("weight")
        return {name: total / weight if weight else math.nan for name, total in totals.items()}

    @contextmanager
    def _watched(self, epochs: int, steps_per_epoch: int) -> Iterator[None]:
        self.stop_reason = "max_epochs"
        for watcher in self.watchers:
            watcher.on_start(epochs, steps_per_epoch)
        try:
            yield
        finally:
            for watcher in self.watchers:
                watcher.on_end(self.stop_reason)

    def _epochs(self, training: BatchSource, validation: BatchSource | None) -> None:
        epochs = self.settings.max_epochs
        if validation is not None:
            self._keep_if_best(0, self.evaluate(validation)["loss"])
        for number in range(epochs if self.settings.stop_after is None else self.settings.stop_after):
            record = self.epoch(training, first_progress=number / epochs, last_progress=(number + 1) / epochs)
            if validation is not None:
                self._validate(record, validation)
            for watcher in self.watchers:
                watcher.on_epoch(record)
            if self.optimiser.diverged:
                self.stop_reason = "diverged"
                return
            if self._stalled(record["epoch"]):
                self.stop_reason = "no_improvement"
                return

    def _record(self, loss: float, began: float) -> Record:
        count = self.optimiser.new_epoch()
        record: Record = {
            "epoch": len(self.history) + 1,
            "loss": loss,
            "lr": self.optimiser.current_lr,
            "gradient_norm": float(np.median(count.norms)) if count.norms else math.nan,
            "skipped_steps": count.skipped,
            "seconds": time.perf_counter() - began,
        }
        self.history.append(record)
        return record

    def _validate(self, record: Record, validation: BatchSource) -> None:
        with self._average.in_place() if self._average else nullcontext():
            record |= {f"validation_{name}": value for name, value in self.evaluate(validation).items()}
            self._keep_if_best(record["epoch"], record["validation_loss"])

    def _keep_if_best(self, epoch: int, loss: float) -> None:
        self.validation_losses.append(loss)
        if loss < self._best_loss - self.settings.tol:
            state = self.task.network.state_dict()
            self._best_weights = {name: tensor.detach().clone() for name, tensor in state.items()}
            self._best_loss = loss
            self.best_epoch = epoch

    def _stalled(self, epoch: int) -> bool:
        patience = self.settings.n_iter_no_change
        return patience is not None and self._best_weights is not None and epoch - self.best_epoch >= patience

    def _finish(self, records: Sequence[Record]) -> None:
        """Put the best weights in place, and say what was wrong in the epochs of `records`."""
        lost = self.stop_reason == "diverged" or (bool(records) and math.isnan(records[-1]["loss"]))
        if self._best_weights is not None:
            self.task.network.load_state_dict(self._best_weights)
            self._best_weights = None
            lost = False
        else:
            self.best_epoch = len(self.history)
            if self._average is not None:
                self._average.swap()
        self.task.network.eval()
        skipped = sum(record["skipped_steps"] for record in records)
        if lost or (records and not self.optimiser.has_moved):
            raise TrainingError(
                f"training came to nothing: {skipped} training steps had a gradient that was not finite, the last "
                f"ones among them.\n{_ADVICE}"
            )
        if not all(bool(tensor.isfinite().all()) for tensor in self.task.network.state_dict().values()):
            raise TrainingError(f"training left weights that are not finite.\n{_ADVICE}")
        self._warn(skipped)

    def _warn(self, skipped: int) -> None:
        if self.stop_reason == "interrupted":
            message = (
                f"training was interrupted in epoch {len(self.history) + 1} of {self.settings.max_epochs}; "
                f"the weights of epoch {self.best_epoch} are kept."
            )
        elif skipped:
            message = (
                f"{skipped} training steps had a gradient that was not finite, and were skipped; training ended for "
                f"the reason {self.stop_reason!r}, with the weights of epoch {self.best_epoch}.\n{_ADVICE}"
            )
        else:
            return
        warnings.warn(message, TrainingWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the stack level, for the function that asks, of the first line outside longspan."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "longspan":
        frame, level = frame.f_back, level + 1
    return level
