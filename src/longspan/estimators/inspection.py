"""What other parts of the package may ask of a fitted estimator: its network, and data as that network reads them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.data import Sources
from longspan.data.windows import Windows, origins_of
from longspan.errors import DataError, ParameterError, TargetError
from longspan.estimators._base import _seeded as seeded
from longspan.estimators._inputs import read_labels, read_numbers
from longspan.sequences import Sequences
from longspan.tasks import SequenceNetwork

__all__ = [
    "read_codes",
    "read_labels",
    "read_numbers",
    "read_pairs",
    "read_sequences",
    "read_windows",
    "seeded",
    "sequence_network",
]


def sequence_network(estimator: Any) -> SequenceNetwork | None:
    """Return the network that reads the sequences of a fitted estimator, if it has one of that kind."""
    if not hasattr(estimator, "_sequence_network"):
        return None
    network: SequenceNetwork = estimator._sequence_network(estimator.network_)
    return network


def read_sequences(estimator: Any, X: Any) -> Sequences:
    """Read sequences as the network sees them, with the channels that mark what is missing."""
    sequences: Sequences = estimator._read_X(X)
    return sequences


def read_codes(classifier: Any, y: Any, sequences: Sequences, *, per_step: bool) -> NDArray[np.int64]:
    """Read labels as the numbers of their classes.

    Raises
    ------
    TargetError
        The classifier does not know one of them.
    """
    labels = read_labels(y, sequences, per_step=per_step)
    try:
        codes: NDArray[np.int64] = classifier._encode(labels).values
    except TargetError as error:
        unknown = sorted({*labels.tolist()} - {*classifier.classes_.tolist()}, key=str)
        raise TargetError(
            f"y holds labels that the classifier was not trained on: {unknown[:10]}.\n"
            f"  It knows {classifier.classes_.tolist()}; leave the sequences of other classes out."
        ) from error
    return codes


def read_windows(forecaster: Any, X: Any) -> Windows:
    """Cut every window of series that has a whole context before its origin, as the network of a forecaster sees it.

    Parameters
    ----------
    forecaster : LSTMForecaster
        Fitted.
    X : series, or a dict of them and of their times, known and static covariates
        As `fit` takes them, by name in a dict.

    Raises
    ------
    ParameterError
        The dict holds something else.
    DataError
        X cannot be read, or has no such window.
    """
    config = forecaster.network_.config
    given = {"times": None, "known": None, "static": None} | (X if isinstance(X, dict) else {"X": X})
    if given.keys() != {"X", "times", "known", "static"}:
        raise ParameterError(f"a dict must hold X, and may hold times, known and static, but it holds {[*X]}.")
    series = forecaster._read(**given, reset=False)
    block = forecaster._as_learned(series)
    origins = origins_of(block, config.context_length, config.horizon)
    if not len(origins.rows):
        raise DataError(
            f"no series has a window of {config.context_length} steps and {config.horizon} to forecast after them: the "
            f"longest has {int(block.lengths.max())} steps.\n  Pass longer series."
        )
    device = next(forecaster.network_.parameters()).device
    return Windows(
        block,
        origins,
        context=config.context_length,
        horizon=config.horizon,
        batch_size=len(origins.rows),
        device=device,
    )


def read_pairs(decoder: Any, X: Any, y: Any) -> tuple[Sources, Sequences]:
    """Read sources and targets of a decoder as its network takes them, each target with its stop."""
    pairs: tuple[Sources, Sequences] = decoder._read_again(X, y)
    return pairs
