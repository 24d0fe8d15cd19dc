"""The training loop, its optimiser and schedule, and what watches it."""

from longspan.training.loop import Trainer, TrainingSettings
from longspan.training.optimiser import SCHEDULES, Optimiser
from longspan.training.watchers import ProgressBar, Record, Watcher

__all__ = ["SCHEDULES", "Optimiser", "ProgressBar", "Record", "Trainer", "TrainingSettings", "Watcher"]
