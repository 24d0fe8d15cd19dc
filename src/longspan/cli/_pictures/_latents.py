"""A map of the numbers that stand for sequences."""

from typing import TYPE_CHECKING, Any

from longspan.cli._pictures._look import COLOURS, CYCLE, MARKERS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_MOST_DOTS = 5000
_MOST_GROUPS = 16


def latent_map(latents: "NDArray[Any]", colours: Any = None, *, name: str = "") -> "Figure":
    """Draw the first two principal components of latents.

    Parameters
    ----------
    latents : array (N, Z)
    colours : array (N,), optional
        Labels, of which up to 16 have a colour and a mark each, or numbers.
    name : str
        What the colours are.
    """
    import numpy as np

    chosen = np.sort(np.random.default_rng(0).permutation(len(latents))[:_MOST_DOTS])
    places, shares = _components(latents)
    places = places[chosen]
    figure = new_figure(6.8, 5)
    axes = figure.subplots()
    if colours is None:
        _dots(axes, places, color=COLOURS["lstm"])
    else:
        _coloured(figure, axes, places, np.asarray(colours)[chosen], name)
    axes.set(title="Map of the latents", xlabel=f"component 1 ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"component 2 ({shares[1]:.0%})" if len(shares) > 1 else "")
    if len(shares) == 1:
        axes.set_yticks([])
    axes.grid()
    return figure


def _components(latents: "NDArray[Any]") -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """Return two columns of places, and the share of the variance in each; the second may be nothing."""
    import numpy as np
    from sklearn.decomposition import PCA

    pca = PCA(min(2, *latents.shape), random_state=0)
    if latents.std() == 0 or len(latents) < 2:
        return np.zeros((len(latents), 2)), np.zeros(1)
    places = pca.fit_transform(latents)
    if places.shape[1] == 1:
        places = np.column_stack([places, np.zeros(len(places))])
    return places, pca.explained_variance_ratio_


def _coloured(figure: "Figure", axes: "Axes", places: "NDArray[Any]", colours: "NDArray[Any]", name: str) -> None:
    import numpy as np

    labels = np.unique(colours)
    if len(labels) > _MOST_GROUPS and colours.dtype.kind in "iuf":
        drawn = _dots(axes, places, c=colours.astype(float), cmap="viridis")
        figure.colorbar(drawn, ax=axes, label=name, aspect=30)
        return
    if len(labels) > _MOST_GROUPS:
        _dots(axes, places, color=COLOURS["lstm"])
        return
    for number, label in enumerate(labels):
        turn = number // len(CYCLE)
        marker = MARKERS[(number + 3 * turn) % len(MARKERS)]
        shown = {"color": CYCLE[number % len(CYCLE)], "marker": marker, "label": str(label)}
        _dots(axes, places[colours == label], **shown)
    figure.legend(title=name, loc="outside right upper", fontsize=9, handletextpad=0.2)


def _dots(axes: "Axes", places: "NDArray[Any]", **how: Any) -> Any:
    size = 26 if len(places) <= 500 else 10
    return axes.scatter(places[:, 0], places[:, 1], s=size, alpha=0.75, linewidth=0, **how)
