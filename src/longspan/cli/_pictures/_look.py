"""One look for all pictures, colours that everyone can tell apart, and files that appear whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli._output import Output, tell
from longspan.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, FAINT, LINE = "#2b2b2b", "#767676", "#d9d9d9"
# Okabe and Ito's colours, and a line style each, so that nothing hangs on colour alone.
COLOURS = {"lstm": "#0072B2", "rnn": "#D55E00", "gru": "#009E73", "feedforward": "#CC79A7", "constant": "#767676"}
LINES = {"lstm": "-", "rnn": "--", "gru": "-.", "feedforward": ":"}
NAMES = {"lstm": "LSTM", "rnn": "RNN", "gru": "GRU", "feedforward": "feed-forward", "constant": "constant"}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
}
# For what has no name of its own: groups, in this order. Okabe and Ito's again.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#2b2b2b", "#8a7500")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def save_pictures(folder: Path, pictures: Mapping[str, Callable[[], "Figure"]]) -> list[Path]:
    """Draw into a folder, made if need be; without matplotlib say so in one line, and return nothing."""
    try:
        _import_matplotlib()
    except MissingDependencyError as error:
        tell("no picture: " + " ".join(str(error).split()))
        return []
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    with rc_context(_STYLE):
        return [_save(draw(), folder / name) for name, draw in pictures.items()]


def give_pictures(
    output: Output, folder: Path | None, pictures: Mapping[str, Callable[[], "Figure"]]
) -> dict[str, list[Path]]:
    """Draw into a folder if there is one; say so, and return what JSON has of it."""
    if folder is None:
        return {}
    saved = save_pictures(folder, pictures)
    if saved:
        output.say(f"pictures: {folder}")
    return {"pictures": saved}


def _import_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingDependencyError("matplotlib", extra="plots", purpose="draw pictures") from error


def _save(figure: "Figure", path: Path) -> Path:
    from longspan.sequences import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, facecolor="white")
    return path


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure((width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
