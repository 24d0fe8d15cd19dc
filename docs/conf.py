"""Settings of the documentation: Sphinx, with pages in Markdown and the reference from docstrings."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # command_line.py
sys.path.insert(1, str(Path(__file__).parents[1]))  # benchmarks, whose results some figures show

project = "longspan"
author = "the longspan authors"
copyright = f"2026, {author}"
release = metadata.version("longspan")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "matplotlib.sphinxext.plot_directive",
    "command_line",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Single backticks in docstrings are code.
default_role = "code"
napoleon_google_docstring = False
napoleon_use_rtype = False
# Attributes are listed once; as fields they do not repeat the members of a NamedTuple.
napoleon_use_ivar = True
autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# scikit-learn adds these methods to each estimator; they link to pages of its own site.
autodoc_default_options = {
    "members": True,
    "exclude-members": ", ".join(
        f"set_{method}_request"
        for method in ("fit", "partial_fit", "predict", "predict_proba", "score", "transform", "inverse_transform")
    ),
}

# Figures are drawn by the scripts beside the pages.
plot_basedir = str(Path(__file__).parent)
plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False

html_theme = "furo"
html_title = "longspan"
