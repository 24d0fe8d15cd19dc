"""``longspan train``: learn from a table or a ``.ts`` file, test on a part held out, write a model file."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._data import (
    DATA_OPTIONS,
    Columns,
    Examples,
    Source,
    Task,
    TaskOption,
    facts_in_words,
    hold_out,
    is_ts,
    read_examples,
    warn_of_unseen_labels,
)
from longspan.cli._models import check_can_write, facts_of, fit, make_estimator
from longspan.cli._options import Json, Verbose, estimator_parameters, with_groups
from longspan.cli._output import INTERRUPTED, Output, counted, fail
from longspan.cli._pictures import save_pictures
from longspan.cli._scores import NAMES, constant, flat, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from longspan.cli._models import Estimator

HELP = "Train a model on a table with one row per step, or on a .ts file, and test it."
EXAMPLES = """For example:

  longspan train trials.csv --task classify --series trial --time ms --target answer --out answer.longspan
  longspan train 'day-*.parquet' --task regress --series machine --target life --cell gru --out life.longspan
  longspan train runs.csv --task regress --series run --target speed --per-step --out speed.longspan
  longspan train speech_TRAIN.ts --test speech_TEST.ts --task classify --out speech.longspan"""


@with_groups(columns=DATA_OPTIONS, parameters=estimator_parameters())
def train(
    data: Source,
    *,
    task: TaskOption,
    out: Annotated[Path, typer.Option(metavar="MODEL", help="The model file to write.", show_default=False)],
    columns: Columns,
    parameters: dict[str, Any],
    test: Annotated[str | None, typer.Option(metavar="DATA", help="Data to test on, in place of a part.")] = None,
    test_fraction: Annotated[float, typer.Option(help="Share of sequences to test on; 0 for none.", max=0.99)] = 0.2,
    random_state: Annotated[int, typer.Option(help="Seed of the test part and of training.", min=0)] = 0,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where pictures go.", show_default="MODEL-pictures")
    ] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Read, hold out, train, save, test, draw."""
    output = Output(json, verbose)
    check_can_write(out, besides=[data] if test is None else [data, test])
    estimator = make_estimator(
        task,
        parameters,
        per_step=columns.per_step,
        random_state=random_state,
        verbose=int(output.shows_progress),
    )
    examples = read_examples(data, columns, task=task)
    facts = examples.facts(data, task)
    output.say(facts_in_words(facts))
    training, testing = _parts(examples, test, test_fraction, task, random_state)
    began = time.perf_counter()
    _fit_and_save(estimator, training, task, out, json=json)
    result: dict[str, Any] = {
        "data": facts | {"train": len(training.sequences), "test": len(testing.sequences) if testing else 0},
        "task": task.value,
        **facts_of(estimator),
        "seconds": time.perf_counter() - began,
        "model": out,
    }
    _say_training(output, result)
    predicted = None
    if testing is not None:
        predicted = flat(estimator.predict(testing.sequences))
        result |= _scores(task, training, testing, predicted)
        _say_scores(output, result, len(testing.sequences))
    folder = pictures or out.with_name(f"{out.stem}-pictures")
    result["pictures"] = save_pictures(folder, _pictures(estimator, task, testing, predicted))
    output.say(f"model:    {out}")
    if result["pictures"]:
        output.say(f"pictures: {folder}")
    output.result(result)


def _parts(
    examples: Examples, test: str | None, fraction: float, task: Task, seed: int
) -> tuple[Examples, Examples | None]:
    """Return what to learn from, and what to test on."""
    if test is not None:
        testing = read_examples(test, Columns() if is_ts(test) else examples.columns, task=task)
        warn_of_unseen_labels(examples, testing, task)
        return examples, testing
    if fraction <= 0:
        return examples, None
    return hold_out(examples, fraction, task, seed)


def _fit_and_save(estimator: "Estimator", training: Examples, task: Task, out: Path, *, json: bool) -> None:
    fit(estimator, training)
    estimator.save(out, notes={"task": task.value, **training.columns.notes()})
    if estimator.stop_reason_ == "interrupted":
        message = f"interrupted in epoch {estimator.n_iter_ + 1}. The model so far is in {out}."
        fail(message, "KeyboardInterrupt", INTERRUPTED, json=json)


def _say_training(output: Output, result: Mapping[str, Any]) -> None:
    reason = {"no_improvement": " (no more improvement)", "diverged": " (diverged)"}.get(result["stop_reason"], "")
    sequences, epochs = counted(result["data"]["train"], "sequence"), counted(result["epochs"], "epoch")
    output.say(
        f"trained on {sequences}: {result['cell']}, {result['parameters']:,} parameters, "
        f"{epochs}{reason}, {result['seconds']:.1f} s"
    )
    if result["best_epoch"] == 0:
        output.say("no network did better on sequences held out than a constant: the model gives that constant")


def _scores(task: Task, training: Examples, testing: Examples, predicted: "NDArray[Any]") -> dict[str, Any]:
    """Return the scores of the model and of a constant, of all targets and of each of several."""
    truth = testing.flat_targets
    always = constant(task, training, truth)
    found: dict[str, Any] = {"score": score(task, truth, predicted), "constant": score(task, truth, always)}
    if truth.ndim > 1:
        found["targets"] = {
            name: {"score": score(task, *pair), "constant": score(task, truth[:, column], always[:, column])}
            for column, name in enumerate(testing.columns.targets)
            for pair in [(truth[:, column], predicted[:, column])]
        }
    return found


def _say_scores(output: Output, result: Mapping[str, Any], tested: int) -> None:
    parts: dict[str, Any] = result.get("targets") or {"": result}
    rows = [
        (f"{target} {NAMES[name]}".strip(), value, part["constant"][name])
        for target, part in parts.items()
        for name, value in part["score"].items()
    ]
    output.table(("", "model", "constant"), rows, title=f"on {counted(tested, 'sequence')} held out")


def _pictures(
    estimator: "Estimator", task: Task, testing: Examples | None, predicted: "NDArray[Any] | None"
) -> dict[str, Any]:
    """Return what draws each picture, by the name of its file."""
    from longspan.cli import _pictures as draw

    pictures: dict[str, Any] = {"learning-curve.png": lambda: draw.learning_curve(estimator.history_)}
    if testing is None or predicted is None:
        return pictures
    truth = testing.flat_targets
    if task is Task.classify:
        pictures["confusion.png"] = lambda: draw.confusion(truth, predicted)
    else:
        names = testing.columns.targets
        pictures["predicted.png"] = lambda: draw.predicted_against_true(truth, predicted, names)
    return pictures
