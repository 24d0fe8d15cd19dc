"""Which column of a table is what, as options name them and as model files remember them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

import typer

from longspan.cli._options import Group, Task, option, refuse_misplaced
from longspan.cli._values import split_names
from longspan.errors import ModelFileError

Source = Annotated[
    str,
    typer.Argument(metavar="DATA", help="CSV, TSV, Parquet, JSON-lines, .duckdb or .ts file, or a 'pattern*.csv'."),
]

_SUPERVISED = ("classify", "regress")
_OF_STEPS = ("classify", "regress", "encode", "decode")
_TASKS: dict[str, tuple[str, ...]] = {
    "source": ("decode",),
    "split": ("decode",),
    "source_split": ("decode",),
    "targets": ("classify", "regress", "decode", "forecast"),
    "features": _OF_STEPS,
    "group": _OF_STEPS,
    "per_step": _SUPERVISED,
    "color": ("encode",),
    "known": ("forecast",),
    "static": ("forecast",),
}
"""The tasks that a column belongs to, where it does not belong to all."""

_FLAGS = {"targets": "--target", "source_split": "--source-split", "per_step": "--per-step"}
_ALWAYS_KEPT = ("series", "time", "targets", "features")
_KEPT_IF_GIVEN = ("source", "split", "source_split", "known", "static", "color")


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what, and which rows are meant.

    Parameters
    ----------
    series, time, group, color : str, optional
    targets, features : tuple of str
        No features stand for every other numeric column.
    per_step : bool
        The target may change within a series.
    source : str, optional
        The column of texts that the targets answer.
    split, source_split : str, optional
        What separates the symbols of targets and of sources; without, symbols are characters.
    known, static : tuple of str
        What is known of the steps to come, and of each series.
    query, table : str, optional
        As in `longspan.read_table`.
    """

    series: str | None = None
    time: str | None = None
    targets: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    group: str | None = None
    per_step: bool = False
    query: str | None = None
    table: str | None = None
    source: str | None = None
    split: str | None = None
    source_split: str | None = None
    color: str | None = None
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @classmethod
    def gather(
        cls,
        *,
        target: list[str] | None = None,
        features: list[str] | None = None,
        known: list[str] | None = None,
        static: list[str] | None = None,
        **rest: Any,
    ) -> Self:
        """Take the values of the options."""
        return cls(
            targets=split_names(target),
            features=split_names(features),
            known=split_names(known),
            static=split_names(static),
            **rest,
        )

    @classmethod
    def from_notes(cls, notes: Mapping[str, Any]) -> Self:
        """Read what `notes` wrote into a model file."""
        kept = notes.get("columns", {})
        try:
            many: dict[str, Any] = {
                name: tuple(kept.get(name) or ()) for name in ("targets", "features", "known", "static")
            }
            one = {name: kept.get(name) for name in ("series", "time", "source", "split", "source_split", "color")}
        except (AttributeError, TypeError):
            raise ModelFileError(f"the notes in the model file are no names of columns: {kept!r:.60}") from None
        names = [*(name for group in many.values() for name in group), *(n for n in one.values() if n is not None)]
        if not all(isinstance(name, str) for name in names):
            raise ModelFileError(f"the notes in the model file are no names of columns: {kept!r:.60}")
        return cls(**many, **one)

    def notes(self) -> dict[str, Any]:
        """Return what a model file keeps: the parts that data to come will have too."""
        values = asdict(self)
        kept = {name: values[name] for name in _ALWAYS_KEPT}
        return {"columns": kept | {name: values[name] for name in _KEPT_IF_GIVEN if values[name]}}

    def check_placed(self, task: Task) -> None:
        """Raise for a column that is of no use to the task."""
        given = (name for name in _TASKS if getattr(self, name))
        refuse_misplaced(task, ((_FLAGS.get(name, f"--{name}"), _TASKS[name]) for name in given))


def _column(name: str, help: str, panel: str = "Data") -> Any:
    return option(name, str | None, metavar="COL", help=help, rich_help_panel=panel)


def _columns(name: str, help: str, metavar: str = "COL", panel: str = "Data") -> Any:
    return option(name, list[str] | None, metavar=metavar, help=help, rich_help_panel=panel)


_TABLE_OPTIONS = (
    _column("series", "The series that a row belongs to."),
    _column("time", "What orders the rows of a series; else their order."),
    _columns("target", "What to learn; repeat for several."),
    _columns("features", "What to learn from; else all numbers.", "COL,..."),
    _column("group", "What is never both learned from and tested on."),
    option("per_step", bool, False, "--per-step", help="The target has a value at every step.", rich_help_panel="Data"),
    option("query", str | None, metavar="SQL", help="What to read: 'SELECT ... FROM source'.", rich_help_panel="Data"),
    option("table", str | None, metavar="NAME", help="The table of a .duckdb file.", rich_help_panel="Data"),
)
_TASK_OPTIONS = (
    _column("color", "What colours the map of latents; it is not learned from.", "Encode"),
    _column("source", "The text that a target answers; without one, and without series, texts are learned.", "Decode"),
    option(
        "split",
        str | None,
        metavar="TEXT",
        help="What separates the symbols of a target, as ' '; else symbols are characters.",
        rich_help_panel="Decode",
    ),
    option(
        "source_split",
        str | None,
        metavar="TEXT",
        help="What separates the symbols of a source.",
        rich_help_panel="Decode",
    ),
    _columns("known", "What is known of steps to come too: prices, holidays.", "COL,...", "Forecast"),
    _columns("static", "What is one number a series.", "COL,...", "Forecast"),
)

DATA_OPTIONS = Group(_TABLE_OPTIONS, Columns.gather)
ALL_DATA_OPTIONS = Group((*_TABLE_OPTIONS, *_TASK_OPTIONS), Columns.gather)
