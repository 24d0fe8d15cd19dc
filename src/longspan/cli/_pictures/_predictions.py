"""Labels and numbers beside what was predicted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, FAINT, INK, NAMES, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_CLASSES_NAMED = 30
_MOST_LETTERS = 40
_MOST_DOTS = 5000


def draw_confusion(axes: "Axes", truth: "NDArray[Any]", predicted: "NDArray[Any]", *, size: float = 9) -> None:
    """Draw how often each class was taken for which; shades are shares of the true class."""
    import numpy as np

    if truth.dtype.kind != predicted.dtype.kind:
        truth, predicted = truth.astype(str), predicted.astype(str)
    labels = np.union1d(truth, predicted)
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (np.searchsorted(labels, truth), np.searchsorted(labels, predicted)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(labels) > _MOST_CLASSES_NAMED:
        return
    names = [str(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=90 if len("".join(names)) > _MOST_LETTERS else 0)
    axes.set_yticks(range(len(labels)), names)
    for row, column in np.argwhere(counts):
        right = row == column
        colour = "white" if right and shares[row, column] > 0.5 else INK if right else COLOURS["rnn"]
        weight = "normal" if right else "bold"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=colour, weight=weight, size=size)


def confusion(truth: "NDArray[Any]", predicted: "NDArray[Any]") -> "Figure":
    """Draw the confusion matrix of the test part."""
    classes = len(set(truth.tolist()) | set(predicted.tolist()))
    side = min(4 + 0.25 * classes, 10)
    figure = new_figure(side + 0.4, side)
    axes = figure.subplots()
    draw_confusion(axes, truth, predicted)
    axes.set_title(f"{(truth.astype(str) == predicted.astype(str)).mean():.1%} right of {len(truth):,} held out")
    return figure


def predicted_against_true(truth: "NDArray[Any]", predicted: "NDArray[Any]", names: tuple[str, ...]) -> "Figure":
    """Draw predictions of the test part over what was to be predicted, one panel a target."""
    import numpy as np

    truth, predicted = (values.reshape(len(values), -1) for values in (truth, predicted))
    panels = truth.shape[1]
    chosen = np.random.default_rng(0).permutation(len(truth))[:_MOST_DOTS]
    figure = new_figure(4.4 * panels, 4.2)
    for column, axes in enumerate(figure.subplots(1, panels, squeeze=False)[0]):
        x, y = truth[chosen, column], predicted[chosen, column]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1, linestyle="--")
        axes.scatter(x, y, s=14, color=COLOURS["lstm"], alpha=0.5, linewidth=0)
        axes.set(xlabel="true", ylabel="predicted", title=names[column] if column < len(names) else "")
        axes.grid()
    return figure


def comparison(result: Mapping[str, Any]) -> "Figure":
    """Draw the score of every run of every cell, their median, and those of the constant."""
    from longspan.cli._scores import HIGHER_IS_BETTER
    from longspan.cli._scores import NAMES as MEASURES

    models = [*result["models"], result["constant"]]
    figure = new_figure(6.8, 1.4 + 0.55 * len(models))
    axes = figure.subplots()
    for row, model in enumerate(models):
        scores = [run[result["score"]] for run in model["runs"]]
        colour = COLOURS[model["cell"]]
        axes.plot([model["lowest"], model["highest"]], [row, row], color=colour, linewidth=2, alpha=0.35)
        axes.scatter(scores, [row] * len(scores), s=26, color=colour, alpha=0.6, linewidth=0)
        axes.scatter(model["median"], row, marker="|", s=300, color=colour, linewidth=2.5)
    axes.set_yticks(range(len(models)), [NAMES[model["cell"]] for model in models])
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    better = "higher" if result["score"] in HIGHER_IS_BETTER else "lower"
    axes.set_xlabel(f"{MEASURES[result['score']]} on sequences held out ({better} is better)")
    axes.set_title("Every run, and the median")
    axes.grid(axis="x")
    return figure
