"""Run tests on kernels that were compiled to find bad memory accesses and undefined behaviour.

``python -m tests.sanitized FOLDER [pytest arguments]``: FOLDER holds an installation built with LONGSPAN_SANITIZE, and
its library takes the place of the usual one. The runtime of the sanitizer has to be the first library of a process, so
the tests run in a second process. Tests that start processes of their own run on the usual library there.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = "longspan.ops._kernels_native"


def runtimes() -> list[str]:
    """Return the libraries to be loaded first: GCC's sanitizer, and what throws exceptions, which it watches."""
    compiler = os.environ.get("CXX", "g++")
    names = ("libasan.so", "libstdc++.so")
    asked = [[compiler, f"-print-file-name={name}"] for name in names]
    found = [subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() for command in asked]
    return found if all(Path(path).is_absolute() for path in found) else []


def run_tests(library: Path, arguments: list[str]) -> int:
    """Put a library in the place of the usual one, before anything asks for it, and run tests."""
    spec = importlib.util.spec_from_file_location(MODULE, library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is no extension module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[MODULE] = module
    return int(pytest.main(["--capture=sys", *arguments]))  # a report of the sanitizer is not kept from the terminal


def main() -> int:
    """Find the library and the runtime, and run the tests."""
    folder, *arguments = sys.argv[1:]
    libraries = list(Path(folder).glob("longspan/ops/_kernels_native*.so"))
    if len(libraries) != 1:
        raise SystemExit(f"expected one library of kernels in {folder}, found {len(libraries)}: did it not compile?")
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        return run_tests(libraries[0], arguments)
    preload = runtimes()
    if not preload:
        sys.stderr.write("left out: the run under the sanitizers needs g++ and its libasan, which are not here\n")
        return 0
    environment = os.environ | {
        "LD_PRELOAD": " ".join(preload),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python and torch leave memory behind when they end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",
    }
    command = [sys.executable, "-m", "tests.sanitized", folder, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
