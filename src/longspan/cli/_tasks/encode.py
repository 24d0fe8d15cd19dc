"""Sequences as a few numbers: an encoder, tested by what it gives back."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from longspan.cli._columns import Columns
from longspan.cli._data import Examples, is_ts, read_examples
from longspan.cli._options import Task
from longspan.cli._output import counted
from longspan.cli._scores import flat, mean_of_known
from longspan.cli._tasks._job import Plan, Tested
from longspan.cli._tasks._sequences import SequenceJob

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHANNELS_SHOWN = 12


class Encode(SequenceJob):
    """Learn to give sequences back from a few numbers."""

    task = Task.ENCODE

    def read(self, source: str, columns: Columns) -> Examples:
        """Read sequences, and what colours them."""
        return read_to_encode(source, columns)

    def facts(self, data: Examples, source: str) -> dict[str, Any]:
        """Return numbers of sequences, steps and features."""
        found = super().facts(data, source)
        del found["target"]
        return found | {"color": data.columns.color}

    def test(self, estimator: Any, training: Examples, testing: Examples, plan: Plan) -> Tested:
        """Measure what reconstructions leave of each channel, beside giving back the mean."""
        import numpy as np

        given = flat(estimator.reconstruct(testing.sequences))
        channels = reconstruction_errors(training.sequences.values, testing.sequences.values, given)
        names = channel_names(testing)
        by_name = {name: {"error": error, "constant": mean} for name, error, mean in zip(names, *channels, strict=True)}
        overall = [float(mean_of_known(np.array(channel), axis=0)) for channel in channels]
        rows: list[tuple[Any, ...]] = [(name, *part.values()) for name, part in by_name.items()][:_CHANNELS_SHOWN]
        rows += [(f"... all {len(names)}" if len(names) > _CHANNELS_SHOWN else "all", *overall)]
        result = {"score": {"error": overall[0]}, "constant": {"error": overall[1]}, "channels": by_name}
        held = counted(len(testing.sequences), "sequence")
        title = f"what is lost of each channel's variance, on {held} held out"
        pictures = _pictures(estimator, training, testing, given)
        return Tested(result, title, ("", "model", "mean"), rows, pictures)


def read_to_encode(source: str, columns: Columns) -> Examples:
    """Read sequences, with the column that colours them for targets."""
    if is_ts(source):
        return read_examples(source, columns)
    targets = () if columns.color is None else (columns.color,)
    examples = read_examples(source, replace(columns, targets=targets))
    return replace(examples, columns=replace(examples.columns, targets=()))


def channel_names(examples: Examples) -> tuple[str, ...]:
    """Return the names of the features, or their numbers."""
    return examples.columns.features or tuple(str(number + 1) for number in range(examples.sequences.n_features))


def reconstruction_errors(
    learned: "NDArray[Any]", truth: "NDArray[Any]", given: "NDArray[Any]"
) -> tuple[list[float], list[float]]:
    """Return the squared error of each channel over its variance in training, and that of the mean of training.

    Parameters
    ----------
    learned, truth, given : array (R, I)
        Steps of the training part, of the test part, and what was given back of those. NaN is left out.
    """
    import numpy as np

    learned, truth = learned.astype(float), truth.astype(float)
    mean = mean_of_known(learned, axis=0)
    variance = mean_of_known((learned - mean) ** 2, axis=0)
    variance[variance == 0] = np.nan  # of a constant channel nothing can be lost
    model, constant = (mean_of_known((truth - back) ** 2, axis=0) / variance for back in (given, mean))
    return model.tolist(), constant.tolist()


def _pictures(estimator: Any, training: Examples, testing: Examples, given: "NDArray[Any]") -> dict[str, Any]:
    from longspan.cli import _pictures as draw

    def latents() -> Any:
        import numpy as np

        latents = np.concatenate([estimator.transform(part.sequences) for part in (training, testing)])
        colours = None
        if training.targets is not None and testing.targets is not None:
            colours = np.concatenate([training.flat_targets, testing.flat_targets])
        return draw.latent_map(latents, colours, name=training.columns.color or "label")

    names = channel_names(testing)
    return {
        "reconstructions.png": lambda: draw.reconstructions(testing.sequences, given, names, testing.keys),
        "latents.png": latents,
    }
