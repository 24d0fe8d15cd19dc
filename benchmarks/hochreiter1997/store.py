"""Finished runs, kept in one JSON file that is written anew after each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._measure import machine


class Store:
    """The runs of a file, each known by its mode, experiment, contestant and seed.

    A run that was made with other settings than today's does not count, and is replaced when it is made again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read()

    def _read(self) -> None:
        read = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        self.machines: list[dict[str, Any]] = read.get("machines", [])
        self.settings: dict[str, Any] = read.get("settings", {})
        self.runs: list[dict[str, Any]] = read.get("runs", [])

    def has(self, key: str, settings: dict[str, Any], seed: int | None = None) -> bool:
        """Whether this run was made with these settings; without a seed, whether any like it was."""
        return self.settings.get(key) == _plain(settings) and any(seed in (None, run["seed"]) for run in self.of(key))

    def among(self, keys: set[str]) -> Iterator[dict[str, Any]]:
        """Yield the runs of several contestants."""
        return (run for run in self.runs if run["key"] in keys)

    def of(self, key: str) -> Iterator[dict[str, Any]]:
        """Yield the runs of one contestant in one experiment."""
        return (run for run in self.runs if run["key"] == key)

    def add(self, key: str, seed: int, settings: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep a run, and write the file; what others have written to it since stays."""
        self._read()
        if self.settings.get(key) != _plain(settings):
            self.runs = [run for run in self.runs if run["key"] != key]
            self.settings[key] = _plain(settings)
        date, here = self._here()
        self.runs = [run for run in self.runs if (run["key"], run["seed"]) != (key, seed)]
        self.runs.append({"key": key, "seed": seed, "date": date, "machine": here, **_plain(result)})
        self.runs.sort(key=lambda run: (run["key"], run["seed"]))
        self.write()

    def write(self) -> None:
        """Write the file in one move, so that an interruption leaves the old one or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        runs = ",\n".join("  " + json.dumps(run) for run in self.runs)
        settings = ",\n".join(f"  {json.dumps(key)}: {json.dumps(self.settings[key])}" for key in sorted(self.settings))
        text = (
            f'{{\n"machines": {json.dumps(self.machines)},\n"settings": {{\n{settings}\n}},\n"runs": [\n{runs}\n]\n}}\n'
        )
        new = self.path.with_suffix(".new")
        new.write_text(text, "utf-8")
        new.replace(self.path)

    def _here(self) -> tuple[str, int]:
        """Return the day, and the number of this machine in the list of machines."""
        found = machine()
        date = str(found.pop("date"))
        if found not in self.machines:
            self.machines.append(found)
        return date, self.machines.index(found)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is left of it in JSON: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(value))
    return plain
