"""What ``longspan train`` does for each task: one file for each way to read, test and draw."""

from typing import Any

from longspan.cli._options import Task
from longspan.cli._tasks._job import Job, Plan, Tested
from longspan.cli._tasks.decode import Decode
from longspan.cli._tasks.encode import Encode
from longspan.cli._tasks.forecast import Forecast
from longspan.cli._tasks.supervised import Supervised

__all__ = ["JOBS", "Job", "Plan", "Tested"]

JOBS: dict[Task, Job[Any]] = {
    Task.CLASSIFY: Supervised(Task.CLASSIFY),
    Task.REGRESS: Supervised(Task.REGRESS),
    Task.ENCODE: Encode(),
    Task.DECODE: Decode(),
    Task.FORECAST: Forecast(),
}
