"""What options are made of, and those that nearly every command has."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer


class Task(StrEnum):
    """What is learned."""

    CLASSIFY = "classify"
    REGRESS = "regress"
    ENCODE = "encode"
    DECODE = "decode"
    FORECAST = "forecast"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else on standard output.")]
Verbose = Annotated[
    bool | None,
    typer.Option("--verbose/--quiet", help="Show progress on standard error.", show_default="unless --json"),
]


@dataclass(frozen=True)
class Group:
    """Some options that travel together.

    Parameters
    ----------
    options : tuple of inspect.Parameter
        What typer makes options of.
    gather : callable
        Makes one value of them, called with their values by name.
    """

    options: tuple[inspect.Parameter, ...]
    gather: Callable[..., Any]


def with_groups(**groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace each parameter named in `groups` by the options of its group."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*args: Any, **values: Any) -> None:
            for name, group in groups.items():
                of_group = {option.name: values.pop(option.name) for option in group.options}
                values[name] = group.gather(**of_group)
            command(*args, **values)

        own = inspect.signature(command, eval_str=True)
        kept = [parameter for name, parameter in own.parameters.items() if name not in groups]
        added = [option for group in groups.values() for option in group.options]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        together = sorted([*kept, *added], key=lambda parameter: kinds.index(parameter.kind))
        run.__signature__ = own.replace(parameters=together)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in together}
        return run

    return decorate


def option(name: str, annotation: Any, default: Any = None, *flags: str, **about: Any) -> inspect.Parameter:
    """Return what typer makes an option of; `flags` and `about` are passed to `typer.Option`."""
    annotated = Annotated[annotation, typer.Option(*flags, **about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated)


def refuse_misplaced(task: Task, given: Iterable[tuple[str, Collection[str]]]) -> None:
    """Raise for the first option, named beside the tasks that have it, of another task than this."""
    for flag, tasks in given:
        if task not in tasks:
            *most, last = tasks
            owners = f"{', '.join(most)} or {last}" if most else last
            raise typer.BadParameter(f"belongs to --task {owners}, not to {task}.", param_hint=flag)
