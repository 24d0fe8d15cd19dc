"""Where a Chromium is, for the tests that open pages."""

import os
import shutil
from pathlib import Path
from typing import Any

FETCHED = Path(__file__).parents[3] / "build" / "browser"
"""Where ``make browser`` puts one."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_browser() -> str | None:
    """The browser named by LONGSPAN_BROWSER, else one that is installed, else the one that was fetched."""
    named = os.environ.get("LONGSPAN_BROWSER")
    if named:
        return named
    installed = next(filter(None, map(shutil.which, _NAMES)), None)
    fetched = FETCHED / "chromium"
    return installed or (str(fetched) if fetched.exists() else None)


def how_to_launch(executable: str) -> dict[str, Any]:
    """Arguments for playwright; the fetched browser brings libraries and fonts of its own."""
    options: dict[str, Any] = {"executable_path": executable, "args": ["--no-sandbox", "--disable-gpu"]}
    if Path(executable).parent == FETCHED:
        environment = {"LD_LIBRARY_PATH": str(FETCHED / "lib"), "FONTCONFIG_PATH": str(FETCHED)}
        options["env"] = {**os.environ, **environment}
    return options
