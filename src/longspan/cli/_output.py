"""What a command prints: text and tables for people, one JSON object for programs, errors in words."""

import json
import math
import os
import re
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, NoReturn, TextIO

import typer

from longspan.cli._parameters import all_parameters
from longspan.errors import LongspanError, ParameterError, TrainingWarning

_WIDEST = 1000

_TRACEBACK = "LONGSPAN_TRACEBACK"
_SWITCHES = {"per_step", *(row.name for row in all_parameters() if not row.metavar)}
_NAMES = {*("series", "time", "target", "features", "group", "query", "table"), *_SWITCHES}
_NAMES |= {row.name for row in all_parameters()}
_ARGUMENT = re.compile(
    rf"(?<![\w.-])(?P<name>{'|'.join(sorted(_NAMES))})="
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|\([\w., '"]*\)|-?\d+(?:\.\d+)?|\w+)?"""
)

BAD_USAGE, FAILURE, INTERRUPTED = 2, 1, 130

# The module that this class lives in differs between versions of typer; that it is the base does not.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@dataclass(frozen=True)
class Output:
    """Where the words of one command go.

    Parameters
    ----------
    json : bool
        Print one JSON object at the end, and nothing else on standard output.
    verbose : bool, optional
        Show progress on standard error; by default unless `json`.
    """

    json: bool = False
    verbose: bool | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether progress is shown on standard error."""
        return not self.json if self.verbose is None else self.verbose

    def say(self, text: str) -> None:
        """Print a line for people."""
        if not self.json:
            typer.echo(text)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        title: str = "",
        left: Collection[str] = (),
    ) -> None:
        """Print a table for people; every column but the first and those of words, `left`, stands right."""
        if self.json:
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number and column not in left else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(shown, row))
        # Into a file or a pipe a table goes as wide as it is, for there is no edge to keep to.
        width = None if sys.stdout.isatty() else _WIDEST
        # Names of columns and classes are people's own, so that nothing in them is markup.
        console = Console(markup=False, emoji=False, highlight=False, width=width)
        if title:
            console.print(title, style="bold")
        console.print(table)

    def result(self, content: Mapping[str, Any]) -> None:
        """Print the JSON object, if it was asked for."""
        if self.json:
            print_json(content)


def shown(value: object) -> str:
    """Return a value as a table shows it.

    Examples
    --------
    >>> shown(0.98765), shown(43401), shown(float("nan")), shown("gru")
    ('0.988', '43,401', '-', 'gru')
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return "-"
        return f"{value:.4g}" if abs(value) >= 1000 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number of things.

    Examples
    --------
    >>> counted(1, "step"), counted(1234, "step"), counted(2, "class", "classes")
    ('1 step', '1,234 steps', '2 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def tell(text: str) -> None:
    """Print a line beside the result, on standard error."""
    typer.echo(text, err=True)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output; what is not finite becomes null."""
    typer.echo(json.dumps(plain(content), allow_nan=False))
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NumPy numbers, arrays, times and paths in their plain form, NaN as None.

    Examples
    --------
    >>> plain({"score": float("nan"), "classes": ("up", "down")})
    {'score': None, 'classes': ['up', 'down']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PathLike):
        return fspath(value)
    if hasattr(value, "dtype"):
        return str(value) if value.dtype.kind in "mM" and not value.ndim else _plain_array(value)
    return str(value)


def _plain_array(array: Any) -> Any:
    times = array.dtype.kind in "mM"
    return plain(array.astype(str).tolist() if times else array.tolist())


# Errors --------------------------------------------------------------------------------------------


@contextmanager
def failures_in_words(*, json: bool) -> Iterator[None]:
    """End the process with ``error: ...`` and an exit code where a person, a file or the machine is at fault."""
    try:
        with _warnings_in_words():
            yield
    except typer.Abort:
        raise
    except UsageError as error:
        context = getattr(error, "ctx", None)
        hint = f"\n  See:  {context.command_path} --help" if context is not None else ""
        fail(_tidy(error.format_message()) + hint, type(error).__name__, BAD_USAGE, json=json)  # type: ignore[attr-defined]
    except ParameterError as error:
        fail(as_options(str(error)), type(error).__name__, BAD_USAGE, json=json)
    except (LongspanError, MemoryError) as error:
        fail(as_options(str(error)) or "there is not enough memory.", type(error).__name__, FAILURE, json=json)
    except OSError as error:
        fail(_said_by_system(error), type(error).__name__, FAILURE, json=json)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        fail(_unforeseen(error), type(error).__name__, FAILURE, json=json)


def fail(message: str, kind: str, code: int, *, json: bool) -> NoReturn:
    """Print an error, as JSON too if that was asked for, and end the process."""
    tell(message if code == INTERRUPTED else f"error: {message}")
    if json:
        print_json({"error": {"type": kind, "message": message}})
    sys.exit(code)


def _tidy(message: str) -> str:
    """Return the message of typer in one line, without what its parts say of themselves."""
    return " ".join(message.split()).replace("Value error, ", "")


def _unforeseen(error: Exception) -> str:
    said = " ".join(str(error).split())
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return f"{what}; this looks like a fault in longspan; set {_TRACEBACK}=1 to see where"


def as_options(message: str) -> str:
    """Return a message in which arguments, as they are named in Python, are the options of the command line.

    Examples
    --------
    >>> as_options('choose missing="indicator", or read it with per_step=True')
    'choose --missing indicator, or read it with --per-step'
    >>> as_options("Use stem=None. Name the features with features=, not x=3.")
    'Use --stem none. Name the features with --features, not x=3.'
    """
    return _ARGUMENT.sub(_as_option, message)


def _as_option(argument: re.Match[str]) -> str:
    name, value = argument["name"].replace("_", "-"), argument["value"] or ""
    if argument["name"] in _SWITCHES and value in ("True", "False"):
        return f"--{name}" if value == "True" else f"--no-{name}"
    word = value.strip("\"'")
    if value.startswith("("):
        word = ",".join(part.strip() for part in value.strip("()").split(",") if part.strip())
    elif value in ("None", "True", "False"):
        word = value.lower()
    elif not word.replace("_", "").isalnum() and value[:1] in "\"'":
        word = value
    return f"--{name} {word}".rstrip()


def _said_by_system(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return error.strerror + (f": {error.filename}" if error.filename is not None else "")


@contextmanager
def _warnings_in_words() -> Iterator[None]:
    with warnings.catch_warnings():
        # A command says itself what became of an interruption.
        warnings.filterwarnings("ignore", "training was interrupted", TrainingWarning)
        warnings.showwarning = _show_warning
        yield


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"warning: {as_options(str(message))}")
