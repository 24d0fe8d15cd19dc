"""Sphinx directive `command-line`: the arguments and options of every command, read from the program itself."""

import inspect
import re
from enum import Enum
from typing import Any, get_args

from docutils import nodes
from rich.text import Text
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer import Context
from typer.models import ArgumentInfo

from longspan.cli import app

SWITCH_TYPES = (bool, bool | None)


class CommandLine(SphinxDirective):
    """One section for each command, with a table for each panel of its options."""

    def run(self) -> list[nodes.Node]:
        lines = [line for command in app.registered_commands for line in describe(command)]
        for group in app.registered_groups:
            lines += describe(group.typer_instance.registered_callback, group)
            for command in group.typer_instance.registered_commands:
                lines += describe(command, within=group.name)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def describe(command: Any, named: Any = None, *, within: str | None = None) -> list[str]:
    """Return the Markdown of one command; `named` has its name and help, if it is not the command itself."""
    named = named or command
    every = inspect.signature(command.callback, eval_str=True).parameters.values()
    parameters = [p for p in every if p.annotation is not Context]
    arguments = [p for p in parameters if isinstance(about(p), ArgumentInfo)]
    options = [p for p in parameters if not isinstance(about(p), ArgumentInfo)]
    name = " ".join(filter(None, (within, named.name or command.callback.__name__)))
    usage = " ".join(["longspan", name, *map(usage_of, arguments), "[OPTIONS]"])
    lines = [f"## {name}", "", plain(named.help), "", "```text", usage, "```", ""]
    if arguments:
        lines += table("Argument", [(f"`{about(p).metavar}`", plain(about(p).help)) for p in arguments])
    for panel in dict.fromkeys(about(p).rich_help_panel for p in options):
        rows = [option_row(p) for p in options if about(p).rich_help_panel == panel]
        lines += table(panel or "Option", rows)
    return lines


def usage_of(argument: inspect.Parameter) -> str:
    """Return an argument as it stands in a usage line: in brackets if it may be left out."""
    needed = argument.default is inspect.Parameter.empty
    return str(about(argument).metavar) if needed else f"[{about(argument).metavar}]"


def about(parameter: inspect.Parameter) -> Any:
    """Return what typer was told of a parameter."""
    return get_args(parameter.annotation)[1]


def option_row(parameter: inspect.Parameter) -> tuple[str, str]:
    info, kind = about(parameter), get_args(parameter.annotation)[0]
    declared = [info.default, *(info.param_decls or ())]
    flags = [flag for flag in declared if isinstance(flag, str) and flag.startswith("-")]
    names = " ".join(flags or [f"--{parameter.name.replace('_', '-')}"])
    if kind not in SWITCH_TYPES:
        names += f" {metavar(info, kind)}"
    text = re.sub(r" \\\[(.+)\]$", r" Default: \1.", plain(info.help))  # some name it in the text, as [auto]
    if parameter.default is inspect.Parameter.empty:
        text += " **Required.**"
    elif isinstance(info.show_default, str):
        text += f" Default: {plain(info.show_default)}."
    elif parameter.default is not None and parameter.default is not False:
        text += f" Default: {plain(str(parameter.default))}."
    return f"`{names}`", text


def metavar(info: Any, kind: Any) -> str:
    if info.metavar:
        return str(info.metavar)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(str(member.value) for member in kind)
    return "N" if int in (kind, *get_args(kind)) else "X" if kind is float else kind.__name__.upper()


def plain(text: str | None) -> str:
    """Return a help text without rich's markup, as Markdown that shows it as it is."""
    shown = Text.from_markup(text or "").plain
    escaped = "".join(f"\\{character}" if character in "*_<[`|" else character for character in shown)
    return re.sub(r"(--[a-z][a-z-]*)", r"`\1`", escaped)  # as code, so that two hyphens do not become a dash


def table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    cells = [f"| {left.replace('|', chr(92) + '|')} | {right} |" for left, right in rows]
    return [f"| {title} | |", "|---|---|", *cells, ""]


def setup(sphinx: Sphinx) -> dict[str, Any]:
    sphinx.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
