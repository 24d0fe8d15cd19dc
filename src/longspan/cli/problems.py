"""``longspan problems``: the generated long-lag problems, and cells that learn them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._options import Json, Verbose
from longspan.cli._output import INTERRUPTED, Output, fail, shown
from longspan.cli._values import read_assignments

if TYPE_CHECKING:
    from longspan.problems import Problem
    from longspan.trials import TrialSettings

NAME = "problems"
HELP = "List problems with long time lags, and see which cells solve them."
EXAMPLES = """For example:

  longspan problems
  longspan problems run copy --length 50
  longspan problems run adding --length 200 --cell lstm,rnn,gru,feedforward --seeds 5 --picture adding.png"""

RUN_HELP = "Let cells learn a problem until they solve it, from fresh sequences, over several seeds."
RUN_EXAMPLES = """For example:

  longspan problems run temporal-order --seeds 3
  longspan problems run copy --length 500 --hidden-size 128 --init forget_bias --limit 200000
  longspan problems run distractors --length 100 --options symbols=20 --cell lstm,gru --json"""

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def problems(context: typer.Context, *, json: Json = False) -> None:
    """List the problems."""
    if context.invoked_subcommand is not None:
        return
    from longspan.problems import PROBLEMS

    output = Output(json)
    facts = [facts_of(problem()) for problem in PROBLEMS.values()]
    output.table(
        ("problem", "what is to be done", "lag", "constant", "no memory", "solved when"),
        (
            (
                each["name"],
                each["title"],
                each["lag"],
                each["constant_loss"],
                each["memoryless_loss"],
                each["criterion"],
            )
            for each in facts
        ),
        left=("what is to be done", "solved when"),
    )
    output.say("Lags and losses are those of the default length: mean squared error, or cross-entropy in nats.")
    output.say("Try one:  longspan problems run adding --length 200 --cell lstm,rnn")
    output.result({"problems": facts})


@app.command(help=RUN_HELP, epilog=RUN_EXAMPLES)
def run(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="Its name.", show_default=False)],
    *,
    length: Annotated[
        int | None, typer.Option(help="Length, T, of its sequences.", show_default="that of the problem")
    ] = None,
    options: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="Other parameters of the problem.", show_default=False),
    ] = None,
    cell: Annotated[
        str, typer.Option("--cell", "--cells", metavar="CELL,...", help="Of lstm, rnn, gru and feedforward.")
    ] = "lstm",
    seeds: Annotated[int, typer.Option(help="Times to start anew, with new weights and sequences.", min=1)] = 1,
    limit: Annotated[int, typer.Option(help="Sequences to learn from at most.", min=1)] = 100_000,
    hidden_size: Annotated[int, typer.Option(help="Hidden units.", min=1)] = 64,
    num_layers: Annotated[int, typer.Option(help="Layers.", min=1)] = 1,
    batch_size: Annotated[int, typer.Option(help="Sequences in a minibatch.", min=1)] = 16,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, the same throughout.")] = 0.01,
    init: Annotated[
        str, typer.Option(help="Of an LSTM: auto (chrono for the lag of the problem), chrono, forget_bias or torch.")
    ] = "auto",
    max_lag: Annotated[
        int | None, typer.Option(help="Steps for which chrono is made.", min=2, show_default="the lag of the problem")
    ] = None,
    cell_options: Annotated[
        str | None,
        typer.Option(metavar="NAME=VALUE,...", help="Variants of the LSTM: layer_norm=true.", show_default=False),
    ] = None,
    window: Annotated[int, typer.Option(help="Steps that a feed-forward network sees.", min=1)] = 16,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the outcome, a PNG.")] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Run every cell with every seed, and put them side by side."""
    from longspan.cli._trials import Bench, draw_bench, say_bench
    from longspan.problems import make_problem
    from longspan.trials import TrialSettings

    if not learning_rate > 0:
        raise typer.BadParameter(f"must be above 0, but it was {learning_rate}.", param_hint="--learning-rate")
    output = Output(json, verbose)
    chosen = make_problem(problem, length=length, **_read_pairs(options, "--options"))
    variants = _read_pairs(cell_options, "--cell-options") or None
    only_lstm: dict[str, Any] = {"init": init, "max_lag": max_lag, "cell_options": variants}
    settings = [
        TrialSettings(
            cell=name,
            hidden_size=hidden_size,
            num_layers=num_layers,
            **(only_lstm if name == "lstm" else {}),
            window=window,
            batch_size=batch_size,
            lr=learning_rate,
            limit=limit,
        )
        for name in _read_cells(cell)
    ]
    facts = facts_of(chosen)
    _say_problem(output, facts, chosen, settings[0])
    bench = Bench(chosen, settings, seeds=seeds)
    bench.run(shown=output.shows_progress)
    result = {
        "problem": facts,
        "settings": bench.settings_as_json(),
        "cells": bench.summaries(),
        "guessing": bench.guesses(),
    }
    say_bench(output, result)
    saved = draw_bench(output, picture, result) if picture is not None else None
    if bench.interrupted:
        fail("interrupted.", "KeyboardInterrupt", INTERRUPTED, json=json)
    output.result(result | {"picture": saved})


def facts_of(problem: "Problem") -> dict[str, Any]:
    """Return what is known of a problem, in plain values."""
    from dataclasses import asdict

    return {
        "name": problem.name,
        "title": problem.title,
        "source": problem.source,
        "parameters": asdict(problem),  # type: ignore[call-overload]  # all are dataclasses
        "input_size": problem.input_size,
        "output_size": problem.output_size,
        "lag": problem.lag,
        "loss": "cross-entropy in nats" if problem.classes else "mean squared error",
        "constant_loss": problem.constant_loss,
        "memoryless_loss": problem.memoryless_loss,
        "best_loss": problem.best_loss,
        "criterion": str(problem.criterion),
        "guessable": problem.guessable,
    }


def _say_problem(output: Output, facts: dict[str, Any], problem: "Problem", settings: "TrialSettings") -> None:
    output.say(f"{facts['name']}: {facts['title']} ({facts['source']}), with a lag of up to {facts['lag']:,} steps")
    output.say(f"solved when: {facts['criterion']}; tried every {settings.check_every} sequences")
    losses = f"{facts['loss']}: {shown(facts['constant_loss'])} is that of a constant"
    if facts["memoryless_loss"] < facts["constant_loss"]:
        losses += f", {shown(facts['memoryless_loss'])} that of knowing the rules without a memory"
    if facts["best_loss"]:
        losses += f", {shown(facts['best_loss'])} the best there is"
    output.say(losses)
    if facts["guessable"]:
        output.say("Guessing weights at random solves this problem, too, so that solving it says little.")


def _read_pairs(text: str | None, option: str) -> dict[str, Any]:
    try:
        return {} if text is None else read_assignments(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _read_cells(text: str) -> list[str]:
    cells = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not cells:
        raise typer.BadParameter("names no cell.", param_hint="--cell")
    return cells
