"""One HTML file with everything in it: text, data, charting library, script, style and font."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

from longspan.memory.page._payload import describe
from longspan.memory.report import MemoryReport
from longspan.sequences import replacing

SCRIPTS = (
    "arrays",
    "network",
    "format",
    "theme",
    "charts",
    "overview",
    "model",
    "heatmap",
    "cell",
    "explorer",
    "gates",
    "whatif",
    "main",
)
"""Parts of the script, in the order in which they are joined."""


def write(report: MemoryReport, path: str | PathLike[str]) -> Path:
    """Write a memory report as one page that opens anywhere, without a server and without a network.

    Parameters
    ----------
    report : MemoryReport
        What was measured; its examples are what the page walks through.
    path : str or path
        The file, by convention ``.html``; an existing one is replaced when the new one is complete.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    DataFileNotFoundError
        If there is no such folder.
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    text = render(describe(report))
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return target


def render(payload: dict[str, Any]) -> str:
    """Return the page that shows a payload of `describe`.

    The page may load nothing and send nothing: its policy names the one script that runs in it, by hash, so that no
    text that came with the data can become one.
    """
    script = "\n".join([_asset("app/before.js"), _asset("uplot/uPlot.iife.min.js"), _program()])
    return Template(_asset("page.html")).substitute(
        title=html.escape(f"Memory report: {payload['facts'].get('estimator', 'network')}"),
        headline=html.escape(payload["headline"]),
        advice=html.escape(payload["advice"]),
        script_hash=b64encode(sha256(script.encode()).digest()).decode("ascii"),
        style=_asset("uplot/uPlot.min.css") + _font() + _asset("style.css"),
        data=as_script_data(payload),
        script=script,
        licences=_licences(),
        generator=html.escape(f"longspan {payload['version']}"),
    )


def as_script_data(payload: Any) -> str:
    r"""Return JSON that can stand inside a script element: no text in it can end the element or begin a comment.

    Examples
    --------
    >>> as_script_data({"label": "</script><!--"})
    '{"label":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _program() -> str:
    parts = "\n".join(_asset(f"app/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def _font() -> str:
    """Return the rule that brings the font along."""
    data = b64encode((files(__package__) / "assets" / "inter" / "inter-latin-wght-normal.woff2").read_bytes())
    return (
        '@font-face{font-family:"Inter";font-style:normal;font-weight:100 900;font-display:block;'
        f'src:url(data:font/woff2;base64,{data.decode("ascii")}) format("woff2")}}\n'
    )


def _licences() -> str:
    """Return the licences of what is bundled; they ask to go wherever it goes."""
    texts = [_asset(f"{name}/LICENSE") for name in ("uplot", "inter")]
    return "\n\n".join(texts).replace("--", "- -")


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
