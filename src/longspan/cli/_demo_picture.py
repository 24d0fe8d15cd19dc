"""The picture of ``longspan demo``: how the cells did, how they learned, what the LSTM mistook, and what it heard."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures import COLOURS, FAINT, INK, LINE, NAMES, draw_confusion, draw_losses, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    from longspan.data import SpeakerData

_MILLISECONDS_A_STEP = 6.4


def demo_figure(
    speakers: "SpeakerData",
    models: Sequence[Mapping[str, Any]],
    histories: Mapping[str, list[dict[str, Any]]],
    predicted: "NDArray[Any]",
) -> "Figure":
    """Draw the whole picture.

    Parameters
    ----------
    speakers : SpeakerData
    models : list of dict
        Of each cell: ``cell``, ``accuracy``, ``interval``, ``parameters``.
    histories : dict of str to list of dict
        The records of training, by cell.
    predicted : array (N,)
        What the LSTM said of the test part.
    """
    figure = new_figure(13, 6.5)
    rows: Any = figure.subfigures(2, 1, height_ratios=(0.16, 1))
    top, below = rows
    _draw_title(top, speakers, parameters=[model["parameters"] for model in models])
    left, middle, right = below.subfigures(1, 3, width_ratios=(1, 1.22, 1.05))
    accuracy, losses = left.subplots(2, 1, height_ratios=(1.1, 1))
    _draw_accuracy(accuracy, models)
    draw_losses(losses, histories)
    losses.set_title("Training loss")
    losses.legend(ncols=2, loc="upper right", fontsize=9, handlelength=2.4)
    axes = middle.subplots()
    axes.set_anchor("N")
    draw_confusion(axes, speakers.y_test, predicted)
    wrong = int((speakers.y_test != predicted).sum())
    axes.set_title(f"The LSTM on {len(predicted)} new utterances: {wrong} wrong")
    axes.set(xlabel="speaker it heard", ylabel="speaker who spoke")
    _draw_utterances(right, speakers)
    return figure


def _draw_title(place: "SubFigure", speakers: "SpeakerData", *, parameters: list[int]) -> None:
    lengths = [*speakers.X_train.lengths, *speakers.X_test.lengths]
    facts = (
        f"Nine men say two Japanese vowels. {len(speakers.X_train)} utterances to learn from, "
        f"{len(speakers.X_test)} to be tested on: {min(lengths)} to {max(lengths)} steps of "
        f"{speakers.X_train.n_features} cepstrum coefficients.",
        "An LSTM, a plain recurrent network, a GRU and a feed-forward network, "
        f"each with about {round(sum(parameters) / len(parameters), -3):,.0f} parameters.",
    )
    place.text(0.012, 0.76, "Who is speaking?", size=20, weight="bold", va="center")
    place.text(0.012, 0.22, "\n".join(facts), size=10.5, color=FAINT, va="center", linespacing=1.5)


def _draw_accuracy(axes: "Axes", models: Sequence[Mapping[str, Any]]) -> None:
    for row, model in enumerate(models):
        colour = COLOURS[model["cell"]]
        low, high = (100 * bound for bound in model["interval"])
        axes.plot([low, high], [row, row], color=colour, linewidth=5, alpha=0.3, solid_capstyle="round")
        axes.scatter(100 * model["accuracy"], row, s=90, color=colour, zorder=3)
        axes.annotate(
            f"{100 * model['accuracy']:.1f}%",
            (100 * model["accuracy"], row),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            weight="bold",
            color=colour,
        )
    axes.set_yticks(range(len(models)), [NAMES[model["cell"]] for model in models])
    axes.set_ylim(len(models) - 0.5, -0.8)
    axes.set_xlim(right=100.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("% right, and its 95% interval")
    axes.set_title("Right on new utterances")
    axes.grid(axis="x")


def _draw_utterances(place: "SubFigure", speakers: "SpeakerData") -> None:
    """Draw one utterance of each speaker, to one scale, so that their lengths show."""
    import numpy as np

    names = np.unique(speakers.y_test)
    values = speakers.X_test.values
    standard = (values.mean(axis=0), values.std(axis=0))
    longest = int(speakers.X_test.lengths.max())
    grid = place.subplots(3, 3, sharex=True, sharey=True)
    for axes, name in zip(grid.flat, names, strict=True):
        own = np.flatnonzero(speakers.y_test == name)
        # The one of middle length stands for the speaker.
        chosen = own[np.argsort(speakers.X_test.lengths[own], kind="stable")[len(own) // 2]]
        steps = (speakers.X_test[int(chosen)] - standard[0]) / standard[1]
        _draw_utterance(axes, steps, longest)
        axes.set_title(f"speaker {name}", size=9, weight="normal", pad=4, color=INK)
    grid[1, 0].set_ylabel("cepstrum coefficient")
    grid[2, 1].set_xlabel("milliseconds")
    place.suptitle("One utterance of each", size=11, weight="bold", x=0.06, ha="left")


def _draw_utterance(axes: "Axes", steps: "NDArray[Any]", longest: int) -> None:
    width, features = _MILLISECONDS_A_STEP, steps.shape[1]
    extent = (0, len(steps) * width, 0.5, features + 0.5)
    axes.imshow(steps.T, cmap="PuOr_r", vmin=-2.5, vmax=2.5, aspect="auto", origin="lower", extent=extent)
    axes.set_xlim(0, longest * width)
    axes.set_yticks([1, features])
    axes.set_facecolor("#f4f4f4")
    axes.spines[:].set_color(LINE)
    axes.tick_params(length=2)
