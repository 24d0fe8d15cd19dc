"""Watchers: what is told how training goes. The loop calls them; they never steer it."""

import sys
from typing import Any, Protocol

Record = dict[str, Any]
"""One epoch: its number, losses, metrics, learning rate, gradient norm, skipped steps and seconds."""


class Watcher(Protocol):
    """What the loop tells while it runs."""

    def on_start(self, epochs: int, steps_per_epoch: int) -> None:
        """Training begins, and takes at most so many epochs."""

    def on_step(self) -> None:
        """One batch is done."""

    def on_epoch(self, record: Record) -> None:
        """One epoch is done."""

    def on_end(self, reason: str) -> None:
        """Training is over."""


class ProgressBar:
    """One live bar on standard error, with the time left and the figures of the last epoch."""

    def __init__(self, title: str) -> None:
        self.title = title

    def on_start(self, epochs: int, steps_per_epoch: int) -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(file=sys.stderr),
        )
        self._epochs = epochs
        self._bar = self._progress.add_task(self.title, total=epochs * steps_per_epoch, figures="")
        self._progress.start()

    def on_step(self) -> None:
        """Move the bar by one batch."""
        self._progress.advance(self._bar)

    def on_epoch(self, record: Record) -> None:
        """Show the figures of the epoch."""
        figures = [f"epoch {record['epoch']}/{self._epochs}", f"loss {record['loss']:.4g}"]
        if "validation_loss" in record:
            figures.append(f"validation {record['validation_loss']:.4g}")
        if "validation_accuracy" in record:
            figures.append(f"accuracy {record['validation_accuracy']:.3f}")
        self._progress.update(self._bar, figures="  ".join(figures))

    def on_end(self, reason: str) -> None:
        """Leave the bar as it is, and say why training ended if it was not for the number of epochs."""
        if reason != "max_epochs":
            self._progress.update(self._bar, description=f"{self.title} ({reason.replace('_', ' ')})")
        self._progress.stop()
        del self._progress  # holds a lock, which could not be pickled or copied
