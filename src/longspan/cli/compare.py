"""``longspan compare``: every cell on a person's own data, over several seeds, beside a constant."""

import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._columns import DATA_OPTIONS, Columns, Source
from longspan.cli._data import Examples, facts_in_words, hold_out, read_examples
from longspan.cli._memory import COLUMNS, cells, memory_span
from longspan.cli._models import facts_of, fit, make_estimator
from longspan.cli._options import Json, Task, Verbose, with_groups
from longspan.cli._output import Output, counted, shown
from longspan.cli._parameters import estimator_parameters
from longspan.cli._pictures import save_pictures
from longspan.cli._progress import progress_bar
from longspan.cli._scores import MAIN, NAMES, constant, flat, score
from longspan.errors import DataError

if TYPE_CHECKING:
    from longspan.cli._models import Estimator

HELP = "Compare LSTM, RNN, GRU and feed-forward network on your data, over several seeds, beside a constant."
EXAMPLES = """For example:

  longspan compare trials.csv --task classify --series trial --time ms --target answer --group person
  longspan compare speech.ts --task classify --cells lstm,gru --seeds 10 --match-parameters
  longspan compare life.parquet --task regress --series machine --target life --folds 5 --max-epochs 20 --json"""

_CELLS = "lstm,rnn,gru,feedforward"
_CONSTANT = "constant"

Run = dict[str, Any]


class Compared(StrEnum):
    """The tasks in which there is something to compare."""

    CLASSIFY = Task.CLASSIFY.value
    REGRESS = Task.REGRESS.value


@with_groups(
    columns=DATA_OPTIONS,
    parameters=estimator_parameters(
        without={"cell", "pretrained"}, tasks=[*Compared], panels=("Classify", "Network", "Training")
    ),
)
def compare(
    data: Source,
    *,
    task: Annotated[Compared, typer.Option(help="Learn labels, or numbers.")],
    columns: Columns,
    parameters: dict[str, Any],
    cells: Annotated[str, typer.Option(metavar="CELL,...", help="What to compare.")] = _CELLS,
    seeds: Annotated[int, typer.Option(help="Times to start anew, with a new part held out.", min=1)] = 5,
    folds: Annotated[
        int | None, typer.Option(help="Hold out every sequence once instead, in so many parts.", min=2)
    ] = None,
    test_fraction: Annotated[float, typer.Option(help="Share of sequences held out.", min=0.01, max=0.99)] = 0.2,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="Measure how far back the first network of each cell looks.")
    ] = True,
    pictures: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the picture goes.")] = Path(
        "longspan-compare"
    ),
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Read, then train and test every cell on every split."""
    output, kind = Output(json, verbose), Task(task)
    names = _read_cells(cells)
    estimators = {cell: make_estimator(kind, _for_cell(parameters, cell), per_step=columns.per_step) for cell in names}
    examples = read_examples(data, columns, task=kind)
    facts = examples.facts(data, kind)
    output.say(facts_in_words(facts))
    splits = list(_splits(examples, kind, seeds=seeds, folds=folds, fraction=test_fraction))
    runs: dict[str, list[Run]] = {name: [] for name in (*names, _CONSTANT)}
    spans: dict[str, dict[str, Any]] = {}
    with progress_bar("comparing", len(names) * len(splits), shown=output.shows_progress) as advance:
        for seed, (training, testing) in enumerate(splits):
            runs[_CONSTANT].append(_run_constant(kind, training, testing))
            for cell, estimator in estimators.items():
                runs[cell].append(_run(kind, estimator.set_params(random_state=seed), training, testing))
                if memory and not seed:
                    spans[cell] = memory_span(estimator, testing.sequences, testing.targets)
                advance()
    result = {
        "data": facts,
        "task": task.value,
        "splits": {"seeds": seeds} if folds is None else {"folds": folds},
        "score": MAIN[kind],
        "models": [_summary(name, runs[name], MAIN[kind]) | spans.get(name, {}) for name in names],
        "constant": _summary(_CONSTANT, runs[_CONSTANT], MAIN[kind]),
    }
    _say_result(output, result)
    saved = save_pictures(pictures, {"comparison.png": lambda: _draw(result)})
    if saved:
        output.say(f"picture: {saved[0]}")
    output.result(result | {"picture": saved[0] if saved else None})


def _for_cell(parameters: Mapping[str, Any], cell: str) -> dict[str, Any]:
    """Return the parameters for one cell: what only an LSTM has goes to the LSTM alone."""
    only_lstm = {"init", "max_lag"} | (set() if parameters.get("match_parameters") else {"cell_options"})
    shared = {name: value for name, value in parameters.items() if cell == "lstm" or name not in only_lstm}
    return {**shared, "cell": cell}


def _read_cells(text: str) -> list[str]:
    cells = list(dict.fromkeys(cell.strip() for cell in text.split(",") if cell.strip()))
    if not cells:
        raise typer.BadParameter("names no cell.", param_hint="--cells")
    return cells


def _splits(
    examples: Examples, task: Task, *, seeds: int, folds: int | None, fraction: float
) -> Iterator[tuple[Examples, Examples]]:
    """Yield parts to learn from and to test on."""
    if folds is None:
        yield from (hold_out(examples, fraction, task, seed) for seed in range(seeds))
        return
    for kept, held in _folds(examples, task, folds):
        yield examples.take(kept), examples.take(held)


def _folds(examples: Examples, task: Task, folds: int) -> Iterator[Any]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    units = len(examples.sequences) if examples.groups is None else len(set(examples.groups.tolist()))
    if folds > units:
        raise DataError(f"{units} sequences or groups cannot be dealt into {folds} folds.")
    by_class = task is Task.CLASSIFY and not isinstance(examples.targets, list)
    dealer: Any = KFold(folds, shuffle=True, random_state=0)
    if examples.groups is not None:
        dealer = GroupKFold(folds)
    elif by_class and folds <= min(examples.facts("", task)["classes"].values()):
        dealer = StratifiedKFold(folds, shuffle=True, random_state=0)
    yield from dealer.split(examples.keys, examples.targets if by_class else None, examples.groups)


def _run(task: Task, estimator: "Estimator", training: Examples, testing: Examples) -> Run:
    began = time.perf_counter()
    fit(estimator, training)
    seconds = time.perf_counter() - began
    if estimator.stop_reason_ == "interrupted":
        raise KeyboardInterrupt
    scores = score(task, testing.flat_targets, flat(estimator.predict(testing.sequences)))
    return {**scores, "seconds": seconds, **facts_of(estimator)}


def _run_constant(task: Task, training: Examples, testing: Examples) -> Run:
    truth = testing.flat_targets
    return {**score(task, truth, constant(task, training, truth)), "seconds": 0.0, "parameters": 0}


def _summary(name: str, runs: list[Run], measure: str) -> dict[str, Any]:
    scores = [run[measure] for run in runs]
    return {
        "cell": name,
        "median": median(scores),
        "lowest": min(scores),
        "highest": max(scores),
        "parameters": runs[0]["parameters"],
        "seconds": median(run["seconds"] for run in runs),
        "runs": runs,
    }


def _say_result(output: Output, result: Mapping[str, Any]) -> None:
    name = NAMES[result["score"]]
    spans = any("used_span" in model for model in result["models"])
    rows = [
        (
            model["cell"],
            model["median"],
            f"{shown(model['lowest'])} to {shown(model['highest'])}",
            model["parameters"],
            f"{model['seconds']:.1f}",
            *(cells(model) if "used_span" in model else () if not spans else ("-",) * len(COLUMNS)),
        )
        for model in (*result["models"], result["constant"])
    ]
    count = len(result["constant"]["runs"])
    kind = "seed" if "seeds" in result["splits"] else "fold"
    columns = ("cell", name, "range", "parameters", "seconds", *(COLUMNS if spans else ()))
    output.table(columns, rows, title=f"median and range over {counted(count, kind)}")
    if spans:
        output.say("Gradient, used and needed: steps back that a network can learn over, looks at, and should look at.")


def _draw(result: Mapping[str, Any]) -> Any:
    from longspan.cli._pictures import comparison

    return comparison(result)
