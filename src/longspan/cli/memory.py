"""``longspan memory``: how far back a trained network remembers, and whether that is far enough."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from longspan.cli._columns import Columns, Source
from longspan.cli._data import is_ts, read_examples
from longspan.cli._history import read_history
from longspan.cli._models import check_can_write, load_model, task_of
from longspan.cli._options import Json, Task, Verbose
from longspan.cli._output import Output
from longspan.cli._pairs import read_pairs

HELP = (
    "Measure how far back a trained network remembers, and whether that is far enough.\n\n"
    "Best on data that the model was not trained on: what it learned by heart counts as used."
)
EXAMPLES = """For example:

  longspan memory answer.longspan new.csv
  longspan memory answer.longspan new.csv --html memory.html
  longspan memory answer.longspan new.csv --lag 200 --json"""


def memory(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that longspan train wrote.")],
    data: Source,
    *,
    lag: Annotated[
        int | None, typer.Option(help="How many steps back inputs matter, if you know it; else it is estimated.", min=1)
    ] = None,
    training_window: Annotated[
        int | None, typer.Option(help="Steps that training saw together, if sequences were cut for it.", min=1)
    ] = None,
    targets: Annotated[
        bool, typer.Option("--targets/--no-targets", help="Whether the data have the column that was learned.")
    ] = True,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample that is measured.", min=0)] = 0,
    series: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to read: 'SELECT ... FROM source'.")] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="The table of a .duckdb file.")] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Load, read, measure, show."""
    output = Output(json, verbose)
    if html is not None:
        check_can_write(html, besides=[data, model])
    estimator = load_model(model, *Task)
    named = {"series": series, "time": time, "query": query, "table": table}
    X, y = _read(estimator, data, with_targets=targets, **named)
    from longspan.memory import memory_report

    report = memory_report(
        estimator,
        X,
        y,
        lag=lag,
        training_window=training_window,
        random_state=seed,
        verbose=int(output.shows_progress),
    )
    if not json:
        report.show()
    written = None if html is None else report.to_html(html)
    if written is not None:
        output.say(f"page: {written}")
    output.result({"model": model, "data": data, **report.to_dict(), "html": written})


def _read(estimator: Any, data: str, *, with_targets: bool, **given: str | None) -> tuple[Any, Any]:
    """Read what is measured on: from the columns that the model remembers, or those given in their place."""
    task = task_of(estimator)
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    kept = Columns() if is_ts(data) else Columns.from_notes(estimator.notes_)
    if task is Task.FORECAST:
        return read_history(data, replace(kept, **named)).past(), None
    if task is Task.DECODE:
        pairs = read_pairs(data, replace(kept, group=None, **named), answers=with_targets)
        return pairs.sources, pairs.targets
    learned = with_targets and task is not Task.ENCODE
    if not is_ts(data):
        per_step = learned and estimator.per_step
        kept = replace(kept, targets=kept.targets if learned else (), group=None, per_step=per_step)
    examples = read_examples(data, replace(kept, **named), task=task if learned else None)
    return examples.sequences, examples.targets if learned else None
