"""The results that the documentation shows, a file of numbers and one of tables for each processor."""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.kernels.report import page

FOLDER = Path(__file__).parents[1] / "results" / "kernels"


def name_of(processor: str) -> str:
    """Return a processor's name as files have it.

    >>> name_of("Intel(R) Xeon(R) Processor")
    'intel-xeon'
    """
    bare = re.sub(r"\((r|tm)\)|\b(processor|cpu)\b", " ", processor.lower())
    return "-".join(re.findall(r"[a-z0-9]+", bare))


def write(result: dict[str, Any]) -> None:
    """Publish results in the place of those of the same processor."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name_of(result['machine']['processor'])}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    path.with_suffix(".md").write_text(page(result), "utf-8")


def read() -> dict[str, dict[str, Any]]:
    """Return what is published, by the name of the processor."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
