"""The command line: one file for each command.

Nothing heavy is imported here, so that ``longspan --help`` is quick; a command imports what it needs when it runs.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from longspan.cli import compare, decode, demo, encode, forecast, memory, predict, problems, train
from longspan.cli._output import INTERRUPTED, fail, failures_in_words

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """The commands, with one way out for errors."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run a command and end the process: 0 is fine, 1 a failure, 2 bad usage, 130 an interruption."""
        arguments = sys.argv[1:] if args is None else list(args)
        json = "--json" in arguments
        try:
            with failures_in_words(json=json):
                code = super().main(arguments, *rest, **{**extra, "standalone_mode": False})
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        if code == INTERRUPTED:
            fail("interrupted.", "KeyboardInterrupt", INTERRUPTED, json=json)
        sys.exit(code)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"longspan {version('longspan')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def longspan(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train LSTMs on long sequences and time series, and put them to use."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_COMMANDS = (
    demo.demo,
    train.train,
    predict.predict,
    encode.encode,
    decode.decode,
    forecast.forecast,
    memory.memory,
    compare.compare,
)
for command in _COMMANDS:
    module = sys.modules[command.__module__]
    app.command(help=module.HELP, epilog=module.EXAMPLES)(command)
app.add_typer(problems.app, name=problems.NAME, help=problems.HELP, epilog=problems.EXAMPLES)


def main() -> None:
    """Run the program ``longspan``."""
    app()
