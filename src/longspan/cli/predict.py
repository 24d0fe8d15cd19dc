"""``longspan predict``: put a model file to work on new data."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._columns import Columns, Source
from longspan.cli._data import Examples, is_ts, read_examples
from longspan.cli._models import load_model, task_of
from longspan.cli._options import Json, Task
from longspan.cli._output import Output
from longspan.cli._rows import OutFile, check_out, give, step_names
from longspan.cli._scores import NAMES, flat, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from longspan.cli._models import Estimator
    from longspan.cli._rows import Rows

HELP = "Predict with a model file; it knows which columns it needs."
EXAMPLES = """For example:

  longspan predict answer.longspan new.csv
  longspan predict answer.longspan new.parquet --proba --out answers.parquet
  longspan predict answer.longspan old.csv --score --json"""


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that longspan train wrote.")],
    data: Source,
    *,
    series: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to read: 'SELECT ... FROM source'.")] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="The table of a .duckdb file.")] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of each class.")] = False,
    scored: Annotated[bool, typer.Option("--score", help="Compare with the targets in the data.")] = False,
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Load, read, predict, write."""
    output = Output(json)
    check_out(out, besides=[data, model])
    estimator = load_model(model, Task.CLASSIFY, Task.REGRESS)
    task = task_of(estimator)
    if proba and task is Task.REGRESS:
        raise typer.BadParameter("the model gives numbers, and has no probabilities.", param_hint="--proba")
    columns = _columns(estimator, data, scored=scored, series=series, time=time, query=query, table=table)
    examples = read_examples(data, columns, task=task if scored else None)
    predicted, probabilities = _predict(estimator, examples, proba=proba)
    rows = _names_of_rows(estimator, examples) | _predictions(estimator, predicted, probabilities)
    result: dict[str, Any] = {"model": model, "data": data, "sequences": len(examples.sequences), "out": out}
    # Who asks for scores wants no thousands of predictions around them.
    result |= give(output, rows, out, as_name="predictions", listed=not scored)
    if scored:
        result["score"] = score(task, examples.flat_targets, predicted)
        output.table(("", "score"), [(NAMES[name], value) for name, value in result["score"].items()])
    output.result(result)


def _columns(estimator: "Estimator", data: str, *, scored: bool, **given: str | None) -> Columns:
    """Return the columns that the model remembers, or those given in their place."""
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if is_ts(data):
        return replace(Columns(), **named)
    kept = Columns.from_notes(estimator.notes_)
    return replace(
        kept, targets=kept.targets if scored else (), group=None, per_step=estimator.per_step and scored, **named
    )


def _predict(
    estimator: "Estimator", examples: Examples, *, proba: bool
) -> tuple["NDArray[Any]", "NDArray[Any] | None"]:
    """Return one prediction a row, and with `proba` the probabilities of the classes."""
    if not proba:
        return flat(estimator.predict(examples.sequences)), None
    probabilities = flat(estimator.predict_proba(examples.sequences))
    return estimator.classes_[probabilities.argmax(axis=1)], probabilities


def _names_of_rows(estimator: "Estimator", examples: Examples) -> "Rows":
    """Return the columns that say which series, and which step of it, a prediction is for."""
    import numpy as np

    series, time = examples.columns.series or "sequence", examples.columns.time or "step"
    if not estimator.per_step:
        return {series: examples.keys}
    lengths = examples.sequences.lengths
    return {series: np.repeat(examples.keys, lengths), time: step_names(lengths, examples.times)}


def _predictions(estimator: "Estimator", predicted: "NDArray[Any]", probabilities: "NDArray[Any] | None") -> "Rows":
    targets = Columns.from_notes(estimator.notes_).targets
    columns = predicted.reshape(len(predicted), -1).T
    if len(targets) != len(columns):
        targets = tuple(str(number) for number in range(1, len(columns) + 1)) if len(columns) > 1 else ()
    names = [f"predicted_{target}" for target in targets] or ["predicted"]
    rows = dict(zip(names, columns, strict=True))
    if probabilities is not None:
        for label, column in zip(estimator.classes_, probabilities.T, strict=True):
            rows[f"probability_{label}"] = column
    return rows
