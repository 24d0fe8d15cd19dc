"""Measure the native kernels: ``python -m benchmarks.kernels``. The package's docstring says how."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks import kernels
from benchmarks._measure import machine
from benchmarks.kernels import (
    dense,
    fit,
    memory,
    peers,
    picture,
    published,
    ragged,
    roofs,
    scaling,
    stacks,
    streaming,
    variants,
)
from benchmarks.kernels.goals import goals
from benchmarks.kernels.records import Plan, Record
from benchmarks.kernels.report import case_table, goal_table

CASES: dict[str, Callable[[Plan], Iterator[Record]]] = {
    name: run
    for module in (roofs, dense, ragged, variants, stacks, streaming, memory, scaling, fit)
    for name, run in module.cases().items()
}


def about_run(arguments: list[str]) -> dict[str, Any]:
    """Return with what, on what and how the numbers are measured."""
    from longspan.ops import _native

    versions = {}
    for package in ("numpy", "onnxruntime", "jax"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    options = "".join(f" {argument!r}" if " " in argument else f" {argument}" for argument in arguments)
    return {
        "command": f"python -m benchmarks.kernels{options}",
        "machine": {**machine(), "instruction set": _native.instruction_set(), **versions},
        "load before": round(os.getloadavg()[0], 2),
        "not installed": peers.missing(),
    }


def measure(names: list[str], plan: Plan, *, silent: bool) -> list[Record]:
    """Run cases, and print each as it is done."""
    records: list[Record] = []
    for name in names:
        found = []
        for record in CASES[name](plan):
            found.append(record)
            if sys.stderr.isatty():
                print(f"\r{name}: {len(found)} measured", end="\r", file=sys.stderr, flush=True)
        if not silent:
            print(f"\n{name}\n", *case_table(found), sep="\n", flush=True)
        records += found
    return records


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=kernels.__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME", help=f"one of: {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds")
    parser.add_argument("--threads", type=int, help="threads of torch, longspan and ONNX Runtime; default torch's own")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the roofline into a file")
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="show the results in a JSON file, and measure nothing"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write them into benchmarks/results/kernels, for the docs"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, print, and exit with 1 if a check was red."""
    options = read_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.read is None:
        arguments = [argument for argument in sys.argv[1:] if argument not in ("--json", "--publish")]
        result = about_run(arguments)
        result["records"] = measure(options.case or list(CASES), Plan(options.quick), silent=options.json)
    else:
        result = json.loads(options.read.read_text("utf-8"))
    result["goals"] = [goal._asdict() for goal in goals(result["records"])]
    if options.json:
        print(json.dumps(result))
    else:
        print("\nGoals\n", *goal_table(goals(result["records"])), sep="\n")
    if options.publish:
        published.write(result)
    if options.picture is not None:
        picture.draw(result).savefig(options.picture)
    red = [record for record in result["records"] if "red" in record]
    for record in red:
        what = {k: v for k, v in record.items() if k not in ("case", "red")}
        print(f"red, and not timed: {record['case']} {what}: {record['red']}", file=sys.stderr)
    sys.exit(1 if red else 0)


if __name__ == "__main__":
    main()
