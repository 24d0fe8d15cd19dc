"""``longspan train``: learn from a table, a ``.ts`` file or a text, test on a part held out, write a model file."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from longspan.cli._columns import ALL_DATA_OPTIONS, Columns
from longspan.cli._models import check_can_write, facts_of, make_estimator
from longspan.cli._options import Group, Json, Task, Verbose, option, with_groups
from longspan.cli._output import INTERRUPTED, Output, counted, fail
from longspan.cli._parameters import estimator_parameters
from longspan.cli._pictures import save_pictures
from longspan.cli._tasks import JOBS, Job, Plan, Tested

HELP = (
    "Train a model on a table with one row per step, on texts, or on a .ts file, and test it.\n\n"
    "A fifth of the sequences, pairs or text is held out to test on. A forecaster learns from everything; tested is a "
    "copy of it that has not seen the last horizon of each series.\n\n"
    "Options in the panels Classify, Encode, Decode and Forecast belong to that task."
)
EXAMPLES = """For example:

  longspan train trials.csv --task classify --series trial --time ms --target answer --out answer.longspan
  longspan train 'day-*.parquet' --task regress --series machine --target life --cell gru --out life.longspan
  longspan train runs.csv --task regress --series run --target speed --per-step --out speed.longspan
  longspan train speech_TRAIN.ts --test speech_TEST.ts --task classify --out speech.longspan
  longspan train trials.csv --task encode --series trial --time ms --out trials.longspan
  longspan train words.csv --task decode --source word --target phonemes --split ' ' --out g2p.longspan
  longspan train book.txt --task decode --out book.longspan
  longspan train sales.csv --task forecast --series shop --time date --target sales --horizon 12 --out sales.longspan"""


_BACKTEST = option(
    "backtest",
    int | None,
    metavar="N",
    help="Origins to test forecasts from, each a training of its own; 0 for none.",
    min=0,
    show_default="1",
    rich_help_panel="Forecast",
)


@with_groups(
    columns=ALL_DATA_OPTIONS,
    backtest=Group((_BACKTEST,), lambda backtest: backtest),
    parameters=estimator_parameters(),
)
def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="CSV, TSV, Parquet, JSON-lines, .duckdb or .ts file, or a 'pattern*.csv'; to decode, also a text.",
        ),
    ],
    *,
    task: Annotated[Task, typer.Option(help="Labels, numbers, latent numbers, texts, or what comes next.")],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="The model file to write.", show_default=False)],
    columns: Columns,
    parameters: dict[str, Any],
    backtest: int | None,
    test: Annotated[str | None, typer.Option(metavar="DATA", help="Data to test on, in place of a part.")] = None,
    test_fraction: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share to test on; 0 for none.", max=0.99, show_default="0.2")
    ] = None,
    random_state: Annotated[int, typer.Option(help="Seed of the test part and of training.", min=0)] = 0,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where pictures go.", show_default="MODEL-pictures")
    ] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Read, hold out, train, save, test, draw."""
    output, job = Output(json, verbose), JOBS[task]
    plan = Plan(test, test_fraction, backtest, random_state)
    check_can_write(out, besides=[data] if test is None else [data, test])
    job.check(data, columns, plan)
    fixed = job.fixed_parameters(data, columns)
    estimator = make_estimator(task, parameters, **fixed, random_state=random_state, verbose=int(output.shows_progress))
    everything = job.read(data, columns)
    facts = job.facts(everything, data)
    output.say(job.in_words(facts))
    training, testing = job.parts(everything, plan)
    began = time.perf_counter()
    _fit_and_save(job, estimator, training, out, json=json)
    result: dict[str, Any] = {
        "data": facts | {"train": job.count(training), "test": 0 if testing is None else job.count(testing)},
        "task": task.value,
        **facts_of(estimator),
        "seconds": time.perf_counter() - began,
        "model": out,
    }
    _say_training(output, job, job.amount(training), result)
    draws: dict[str, Any] = {"learning-curve.png": lambda: _learning_curve(estimator)}
    if testing is not None:
        with _model_stays(out, json=json):
            tested = job.test(estimator, training, testing, plan)
        result |= tested.result
        draws |= tested.pictures
        _say_test(output, tested)
    folder = pictures or out.with_name(f"{out.stem}-pictures")
    result["pictures"] = save_pictures(folder, draws)
    output.say(f"model:    {out}")
    if result["pictures"]:
        output.say(f"pictures: {folder}")
    output.result(result)


def _fit_and_save(job: Job[Any], estimator: Any, training: Any, out: Path, *, json: bool) -> None:
    job.fit(estimator, training)
    estimator.save(out, notes={"task": job.task.value, **job.notes(training)})
    if estimator.stop_reason_ == "interrupted":
        message = f"interrupted in epoch {estimator.n_iter_ + 1}. The model so far is in {out}."
        fail(message, "KeyboardInterrupt", INTERRUPTED, json=json)


@contextmanager
def _model_stays(out: Path, *, json: bool) -> Iterator[None]:
    """Say, where Ctrl-C ends the test, that the model is there already."""
    try:
        yield
    except KeyboardInterrupt:
        message = f"interrupted while testing. The model is in {out}."
        fail(message, "KeyboardInterrupt", INTERRUPTED, json=json)


def _say_training(output: Output, job: Job[Any], learned: str, result: Mapping[str, Any]) -> None:
    reason = {"no_improvement": " (no more improvement)", "diverged": " (diverged)"}.get(result["stop_reason"], "")
    epochs = counted(result["epochs"], "epoch")
    output.say(
        f"trained on {learned}: {result['cell']}, {result['parameters']:,} parameters, "
        f"{epochs}{reason}, {result['seconds']:.1f} s"
    )
    if result["best_epoch"] == 0:
        output.say(job.without_network)


def _say_test(output: Output, tested: Tested) -> None:
    if tested.rows:
        output.table(tested.columns, tested.rows, title=tested.title)
    examples = tested.result.get("examples")
    if examples:
        output.table(("for example", "target", "predicted"), (tuple(example.values()) for example in examples))


def _learning_curve(estimator: Any) -> Any:
    from longspan.cli import _pictures as draw

    return draw.learning_curve(estimator.history_)
