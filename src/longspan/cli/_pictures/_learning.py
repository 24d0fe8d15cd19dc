"""How the loss fell."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, LINES, NAMES, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_losses(axes: "Axes", histories: Mapping[str, list[dict[str, Any]]]) -> None:
    """Draw the training loss by epoch, one line for each cell."""
    for cell, history in histories.items():
        axes.plot(
            [record["epoch"] for record in history],
            [record["loss"] for record in history],
            color=COLOURS[cell],
            linestyle=LINES[cell],
            linewidth=1.8,
            label=NAMES[cell],
        )
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
    axes.margins(x=0.02)


def learning_curve(history: list[dict[str, Any]]) -> "Figure":
    """Draw the loss by epoch, and the loss on the part held out for validation if there is one."""
    figure = new_figure(6.4, 4)
    axes = figure.subplots()
    epochs = [record["epoch"] for record in history]
    axes.plot(epochs, [record["loss"] for record in history], color=COLOURS["lstm"], linewidth=1.8, label="training")
    if any("validation_loss" in record for record in history):
        losses = [record["validation_loss"] for record in history]
        axes.plot(epochs, losses, color=COLOURS["rnn"], linestyle="--", linewidth=1.8, label="validation")
        axes.legend()
    axes.set(title="Loss while training", xlabel="epoch")
    axes.grid(axis="y")
    return figure
