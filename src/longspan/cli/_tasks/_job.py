"""What every task has to say to ``longspan train``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import typer

from longspan.cli._columns import Columns
from longspan.cli._options import Task
from longspan.cli._output import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

D = TypeVar("D")

_SHARE = 0.2


@dataclass(frozen=True)
class Plan:
    """What is tested on.

    Parameters
    ----------
    data : str, optional
        A file of its own.
    fraction : float, optional
        A share of the data otherwise; 0 for none.
    origins : int, optional
        To forecast from; 0 for none.
    seed : int
    """

    data: str | None = None
    fraction: float | None = None
    origins: int | None = None
    seed: int = 0

    @property
    def share(self) -> float:
        """The share that is held out."""
        return _SHARE if self.fraction is None else self.fraction


@dataclass(frozen=True)
class Tested:
    """What a test has shown.

    Parameters
    ----------
    result : dict
        For the JSON object.
    title : str
        Of the table.
    columns : tuple of str
        Heads of the table.
    rows : list of tuple
    pictures : dict of str to callable
        What draws each picture, by the name of its file.
    """

    result: Mapping[str, Any]
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    pictures: Mapping[str, "Callable[[], Figure]"] = field(default_factory=dict)


class Job(ABC, Generic[D]):
    """One task: how its data are read, held out, learned from, and tested on.

    Type parameter D is what `read` gives.
    """

    task: Task
    unit: ClassVar[tuple[str, str]] = ("sequence", "sequences")
    """What the data are counted in: one, and several."""

    without_network: ClassVar[str] = (
        "no network did better on sequences held out than a constant: the model gives that constant"
    )
    """What is said where no epoch was better than none."""

    def check(self, source: str, columns: Columns, plan: Plan) -> None:
        """Raise, before anything is read, for options that do not go together."""
        columns.check_placed(self.task)
        if plan.origins is not None:
            raise typer.BadParameter(f"belongs to --task forecast, not to {self.task}.", param_hint="--backtest")

    def fixed_parameters(self, source: str, columns: Columns) -> dict[str, Any]:
        """Return parameters of the estimator that follow from the columns."""
        return {}

    @abstractmethod
    def read(self, source: str, columns: Columns) -> D:
        """Read data to learn from."""

    @abstractmethod
    def facts(self, data: D, source: str) -> dict[str, Any]:
        """Return what a person wants to see confirmed about the data."""

    @abstractmethod
    def in_words(self, facts: Mapping[str, Any]) -> str:
        """Return the facts as a line."""

    @abstractmethod
    def count(self, data: D) -> int:
        """Return how many there are."""

    def amount(self, data: D) -> str:
        """Return how many there are, in words."""
        return counted(self.count(data), *self.unit)

    @abstractmethod
    def hold_out(self, data: D, fraction: float, seed: int) -> tuple[D, D]:
        """Return a part to learn from, and a part to test on."""

    @abstractmethod
    def read_test(self, source: str, training: D) -> D:
        """Read data of their own to test on."""

    def parts(self, data: D, plan: Plan) -> tuple[D, D | None]:
        """Return what to learn from, and what to test on, if anything."""
        if plan.data is not None:
            return data, self.read_test(plan.data, data)
        return self.hold_out(data, plan.share, plan.seed) if plan.share > 0 else (data, None)

    @abstractmethod
    def fit(self, estimator: Any, training: D) -> None:
        """Train."""

    @abstractmethod
    def notes(self, training: D) -> dict[str, Any]:
        """Return what the model file remembers."""

    @abstractmethod
    def test(self, estimator: Any, training: D, testing: D, plan: Plan) -> Tested:
        """Measure and draw."""
