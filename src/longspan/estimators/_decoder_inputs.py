"""Reading what people pass to a decoder: sources and targets of every kind. Checked here once, trusted below."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from longspan.errors import DataError, NonFiniteError, ParameterError, ShapeError, TargetError
from longspan.estimators._inputs import read_sequences
from longspan.estimators._symbols import holds_symbols, read_symbols
from longspan.sequences import Sequences, as_sequences

FORMS = ("single", "flat", "rows")
"""Targets of numbers: one number each, (T_i,) arrays, or (T_i, K) arrays."""


def kind_of_source(X: Any, source: str) -> str:
    """Return what the sources are, from what a person says, or from whether there is text in them."""
    if source == "auto":
        return "nothing" if X is None else "symbols" if holds_symbols(X) else "numbers"
    if (X is None) != (source == "nothing"):
        raise ParameterError(
            f"source is {source!r}, but X is {'None' if X is None else type(X).__name__}.\n"
            f"  Pass None as X for a model without sources, and only then."
        )
    return source


def kind_of_target(y: Any, target: str) -> str:
    """Return what the targets are, from what a person says, or from whether there is text in them."""
    if y is None:
        raise TargetError("requires y to be passed, but the target y is None.")
    if target == "auto":
        return "symbols" if holds_symbols(y) else "numbers"
    return target


def read_source(estimator: BaseEstimator, X: Any, kind: str, *, reset: bool) -> Any:
    """Read X as sources of one kind; symbols are still lists, to be numbered later."""
    if kind == "nothing":
        if X is not None:
            raise DataError(f"the model was fitted without sources, but X is a {type(X).__name__}.\n  Pass None.")
        return None
    if X is None:
        raise DataError(f"X is None, but the model was fitted on sources, {kind}.\n  Pass one source for each target.")
    if kind == "symbols":
        return read_symbols(X, "source")
    if holds_symbols(X):
        raise DataError(f"X holds text, but sources of {kind} were expected.\n  Set source='symbols', and fit again.")
    if kind == "vector":
        return read_vectors(estimator, X, reset=reset)
    return read_sequences(estimator, X, reset=reset, allow_missing=False)


def read_vectors(estimator: BaseEstimator, X: Any, *, reset: bool) -> NDArray[np.float32]:
    """Read X of shape (N, I), one vector a source, and compare it with the fit, or remember it with `reset`."""
    array = np.asarray(X)
    if array.ndim != 2:
        raise ShapeError(f"with source='vector' X has shape (N, I), but its shape is {array.shape}.")
    try:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        with np.errstate(over="ignore"):
            vectors = array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"X cannot be read as one vector a source: {error}") from error
    bad = np.argwhere(~np.isfinite(vectors))
    if len(bad):
        raise NonFiniteError(
            f"X has NaN or infinity in row {bad[0][0]}, column {bad[0][1]}: every number must be known."
        )
    return vectors


def read_target(y: Any, kind: str) -> tuple[Any, str]:
    """Read y as targets of one kind; return them, symbols still as lists, and the form of numbers."""
    if kind == "symbols":
        return read_symbols(y, "target", TargetError), ""
    if holds_symbols(y):
        raise TargetError("y holds text, but targets of numbers were expected.\n  Set target='symbols', and fit again.")
    try:
        ndim = 3 if isinstance(y, Sequences) else _axes(y)
        single = ndim == 1
        sequences = as_sequences(np.reshape(np.asarray(y), (-1, 1)) if single else y, warn_layout=False)
    except DataError as error:
        raise type(error)(f"the targets cannot be read. In y, {error}") from error
    except (TypeError, ValueError) as error:
        raise TargetError(f"the targets cannot be read as numbers: {error}") from error
    return sequences, FORMS[ndim - 1]


def _axes(y: Any) -> int:
    """Return 1 for one number each, 2 for arrays (T_i,), and 3 for arrays (T_i, K)."""
    if not isinstance(y, list | tuple):
        return np.asarray(y).ndim
    return 1 + min(2, np.asarray(y[0]).ndim) if len(y) else 1


def check_same_number(sources: Any, targets: Any) -> None:
    """Refuse sources and targets of different numbers."""
    if sources is not None and len(sources) != len(targets):
        raise ShapeError(
            f"there are {len(sources)} sources but {len(targets)} targets: inconsistent numbers of samples.\n"
            f"  Each source has one target."
        )


def take(values: Any, index: NDArray[np.int64]) -> Any:
    """Return some of the sources or targets, as `read_source` and `read_target` return them."""
    if values is None:
        return None
    return [values[i] for i in index.tolist()] if isinstance(values, list) else values[index]
