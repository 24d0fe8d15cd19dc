"""The memory span of a fitted network, as the commands that compare networks show it."""

from collections.abc import Mapping
from typing import Any

from longspan.cli._output import shown

COLUMNS = ("gradient", "used", "needed")
"""Heads of the columns of a table, in steps; see `cells`."""

_SPANS = ("gradient_span", "used_span", "needed_span")

_FEWEST = 8
"""Sequences below which nothing is measured."""


def memory_span(estimator: Any, sequences: Any, targets: Any, *, seed: int = 0) -> dict[str, Any]:
    """Measure on sequences that were held out; with very few of them every span is None."""
    unknown: dict[str, Any] = dict.fromkeys((*_SPANS, "verdict"))
    if len(sequences) < _FEWEST:
        return unknown | {"at_least": []}
    from longspan.memory import memory_report

    report = memory_report(estimator, sequences, targets, random_state=seed).to_dict()
    lower_bounds = [name for name in report["at_least"] if name in _SPANS]
    return {name: report[name] for name in unknown} | {"at_least": lower_bounds}


def cells(memory: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the spans as a table shows them; what is a lower bound says so.

    Examples
    --------
    >>> cells({"gradient_span": 29.0, "used_span": 12.0, "needed_span": None, "at_least": ["gradient_span"]})
    ('≥ 29', '12', '-')
    """
    return tuple(_cell(memory[name], name in memory["at_least"]) for name in _SPANS)


def _cell(span: float | None, at_least: bool) -> str:
    if span is None:
        return "-"
    return ("≥ " if at_least else "") + shown(round(span))
