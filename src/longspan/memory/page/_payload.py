"""A memory report as plain JSON for its page: words, spans, and curves thinned to what a screen can show."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from longspan.memory.page._explorer import explore
from longspan.memory.page._siblings import CELLS, untrained_siblings
from longspan.memory.report import MemoryReport
from longspan.memory.verdict import VERDICTS

_POINTS = 400
"""Points of a curve that are drawn."""

_SPANS = {
    "needed_span": ("The data need", "how far back targets depend on inputs"),
    "gradient_span": ("The gradient reaches", "how far back it can learn now"),
    "gradient_span_at_init": ("Before training it reached", "how far back it could learn at first"),
    "used_span": ("The network uses", "less context, and it does worse"),
    "gate_span": ("Its units hold on for", "median time constant of the gates"),
}


def describe(report: MemoryReport) -> dict[str, Any]:
    """Return all that the page shows."""
    headline, advice = split_advice(report.advice)
    rule = VERDICTS.get(report.verdict, report.verdict)
    return {
        "version": version("longspan"),
        "verdict": report.verdict,
        "verdictName": None if headline.lower().startswith(rule) else rule,
        "headline": headline,
        "advice": advice,
        "facts": {name: plain_fact(fact) for name, fact in report.facts.items()},
        "spans": [_span(report, name) for name in _SPANS],
        "needed": _finite(report.needed_span),
        "trainingWindow": report.training_window,
        "curves": {
            each.name: thin(getattr(report.curves, each.name))
            for each in fields(report.curves)
            if getattr(report.curves, each.name) is not None
        },
        "siblings": [
            {"cell": cell, "name": f"untrained {CELLS[cell]}"} | thin(curve)
            for cell, curve in untrained_siblings(report)
        ],
        "explorer": explore(report),
    }


def split_advice(advice: str) -> tuple[str, str]:
    """Return the first sentence, which is the verdict in words, and the rest.

    Examples
    --------
    >>> split_advice("The memory suffices. Inputs 3.5 steps back count.")
    ('The memory suffices.', 'Inputs 3.5 steps back count.')
    """
    text = " ".join(advice.split())
    for place, letter in enumerate(text):
        if letter in ".!?" and text[place + 1 : place + 2] == " " and text[place + 2 : place + 3].isupper():
            return text[: place + 1], text[place + 2 :]
    return text, ""


def plain_fact(fact: Any) -> Any:
    """Return a fact as JSON has it; what JSON has no word for becomes text."""
    if isinstance(fact, np.generic):
        fact = fact.item()
    if isinstance(fact, float):
        return fact if math.isfinite(fact) else None
    return fact if fact is None or isinstance(fact, bool | int | str) else str(fact)


def _span(report: MemoryReport, name: str) -> dict[str, Any]:
    label, meaning = _SPANS[name]
    low, high = report.intervals.get(name, (None, None))
    steps = getattr(report, name)
    return {
        "name": name,
        "label": label,
        "meaning": meaning,
        "steps": _finite(steps),
        "low": _finite(low),
        "high": _finite(high),
        "atLeast": name in report.at_least,
        "endless": steps == math.inf,
    }


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)


def thin(curve: Any) -> dict[str, Any]:
    """Return a curve as lists, with points left out evenly on a scale that is fine at short lags."""
    if not is_dataclass(curve):
        raise TypeError(f"a curve is a record of arrays, but this is {type(curve).__name__}")
    found = {each.name: getattr(curve, each.name) for each in fields(curve)}
    axis = next((name for name in ("lags", "context", "steps", "windows") if name in found), None)
    count = len(found[axis]) if axis else 0
    kept = spaced(count)
    return {
        name: _numbers(value[kept] if isinstance(value, np.ndarray) and len(value) == count else value)
        for name, value in found.items()
    }


def spaced(count: int) -> Any:
    """Return places of at most about `_POINTS` of so many points: all of the first ones, fewer and fewer after."""
    if count <= _POINTS:
        return np.arange(count)
    far = np.geomspace(_POINTS // 2, count - 1, _POINTS // 2)
    return np.unique(np.concatenate([np.arange(_POINTS // 2), far.round().astype(int)]))


def _numbers(value: Any) -> Any:
    """Return numbers with six digits, which no screen can tell from more."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_numbers(part) for part in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, dict):
        return {str(name): _numbers(part) for name, part in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
