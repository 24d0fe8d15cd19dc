"""One bar on standard error, with the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType


class Progress:
    """Give a function that moves a bar by one; nothing is shown unless asked for.

    Parameters
    ----------
    title : str
        What is done.
    total : int
        About how many calls there will be.
    shown : bool
        Whether there is a bar at all.
    """

    def __init__(self, title: str, total: int, *, shown: bool) -> None:
        self.title, self.total, self.shown = title, total, shown

    def __enter__(self) -> Callable[[], None]:
        if not self.shown:
            return lambda: None
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(file=sys.stderr),
        )
        self._task = self._bar.add_task(self.title, total=self.total)
        self._bar.start()
        return lambda: self._bar.advance(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.shown:
            return
        if kind is None:
            self._bar.update(self._task, completed=self.total)
        self._bar.stop()
