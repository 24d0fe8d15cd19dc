"""Tables of what was measured, in Markdown, which a terminal shows as well as a page does."""

from collections.abc import Iterable
from typing import Any

from benchmarks.kernels.goals import Goal
from benchmarks.kernels.records import Record

_HIDDEN = {"case", "red", "not measured", "seconds", "called once", "error", "GF/s of torch", "GF/s of the product"}
_SHARES = {"share of the product"}
_MARKS = {True: "reached", False: "**not reached**", None: "not measured"}


def page(result: dict[str, Any]) -> str:
    """Return everything as one page: how it was measured, the goals, and a table for each case."""
    if not result["records"]:
        return "Nothing has been measured yet.\n"
    about = {**result["machine"], "load before": result["load before"]}
    lines = [f"Measured with `{result['command']}`.", "", *_table(["", ""], [[k, str(v)] for k, v in about.items()])]
    if result["not installed"]:
        lines += ["", f"Not installed, and so not compared: {', '.join(result['not installed'])}."]
    lines += ["", "## Goals", "", *goal_table(Goal(**goal) for goal in result["goals"])]
    records: list[Record] = result["records"]
    for case in dict.fromkeys(record["case"] for record in records):
        lines += ["", f"## {case[0].upper()}{case[1:]}", "", *case_table([r for r in records if r["case"] == case])]
    return "\n".join(lines) + "\n"


def goal_table(goals: Iterable[Goal]) -> list[str]:
    """Return the goals, what was measured, and whether they are reached."""
    rows = [[goal.work, goal.goal, goal.measured, _MARKS[goal.reached]] for goal in goals]
    return _table(["Work", "Goal", "Measured", ""], rows)


def case_table(records: list[Record]) -> list[str]:
    """Return what a case measured, a row for each record; numbers with a range are median and quartiles."""
    shown = [key for key in dict.fromkeys(key for record in records for key in record) if key not in _HIDDEN]
    timed = dict.fromkeys(name for record in records for name in {**record.get("seconds", {}), **_once(record)})
    rows = []
    for record in records:
        cells = [_text(key, record[key]) if key in record else "" for key in shown]
        trouble = f"not timed, its check is red: {record['red']}" if "red" in record else record.get("not measured")
        times = [_time(record, name) for name in timed]
        rows.append([*cells, *times, *([trouble or ""] if _troubled(records) else [])])
    return _table([*shown, *timed, *([""] if _troubled(records) else [])], rows)


def _troubled(records: list[Record]) -> bool:
    return any("red" in record or "not measured" in record for record in records)


def _once(record: Record) -> dict[str, float]:
    return record.get("called once", {})


def _time(record: Record, name: str) -> str:
    if name in _once(record):
        return f"{_seconds(_once(record)[name])}, once"
    return _seconds(record["seconds"][name][1]) if name in record.get("seconds", {}) else ""


def _seconds(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _text(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(key, part)}" for name, part in value.items())
    if isinstance(value, list):
        low, median, high = value
        if key in _SHARES:
            return f"{median:.0%} ({low:.0%} to {high:.0%})"
        return f"{median:.3g} ({low:.3g} to {high:.3g})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [header, ["-" * max(3, width) for width in widths], *rows]
    padded = ([cell.ljust(max(3, width)) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return [f"| {' | '.join(line)} |" for line in padded]
