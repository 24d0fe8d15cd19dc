"""What every test run shares."""

import os
from pathlib import Path

from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

if "PYTEST_XDIST_WORKER" in os.environ:
    # One process per core already; torch reads this when it is first imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.setdefault("MPLBACKEND", "Agg")

# Shared runners stall, so no deadline. In CI the examples are the same in every run.
settings.register_profile(
    "local",
    deadline=None,
    database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / ".hypothesis" / "examples"),
)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")
