"""Reading what people pass as arrays of numbers, with errors that name the sequence."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from longspan.errors import DataError, EmptyDataError, ShapeError

FloatArray: TypeAlias = NDArray[np.float32]


def is_list_like(X: Any) -> bool:
    """Whether X is one array per sequence, not one array of all."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and X.size:
        return np.ndim(X[0]) > 0
    return isinstance(X, list | tuple)


def as_numeric(x: Any, name: str) -> NDArray[Any]:
    """Read `x` as an array of real numbers, without copying where that is possible."""
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name} is sparse, and sparse data is not supported.\n  Pass {name}.toarray().")
    if hasattr(x, "detach"):
        x = x.detach().cpu()
    try:
        array = np.asarray(x)
        if array.dtype == object:
            array = _floats(array)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name} cannot be read as an array of numbers: {error}") from error
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: {name} has dtype {array.dtype}.")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} has dtype {array.dtype}, and only numbers can be read.")
    return array


def _floats(array: NDArray[Any]) -> NDArray[np.float64]:
    """Read an array of objects as numbers, and pandas' mark for what is missing as NaN."""
    try:
        return array.astype(np.float64)
    except TypeError:
        # By its name, for pandas is not needed here. What else is no number raises again.
        known = [np.nan if type(entry).__name__ == "NAType" else entry for entry in array.ravel()]
        return np.array(known, dtype=np.float64).reshape(array.shape)


def to_float32(array: NDArray[Any]) -> FloatArray:
    """Return `array` as float32 in C order, itself if it is that already."""
    # What is too large becomes infinite here, without NumPy's warning, and is refused by name later.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array, np.float32, order="C")


def as_float32(x: Any, name: str) -> FloatArray:
    """Read `x` as float32 in C order."""
    return to_float32(as_numeric(x, name))


def as_step_rows(x: Any, name: str, *, channels_first: bool = False) -> NDArray[Any]:
    """Read one sequence of shape (T_i, I), (T_i,) or, channels first, (I, T_i) as (T_i, I)."""
    array = as_numeric(x, name)
    shape = array.shape
    if array.ndim == 1:
        array = array[:, None]
    elif channels_first:
        array = array.T
    if array.ndim != 2:
        axes = "(features, steps)" if channels_first else "(steps, features)"
        hint = "\n  Reshape your data: [x] is one sequence." if array.ndim == 0 else ""
        raise ShapeError(f"{name} must have shape {axes}, but has shape {shape}.{hint}")
    if not len(array):
        raise EmptyDataError(f"{name} has no steps: its shape is {shape}.")
    if not array.shape[1]:
        raise ShapeError(f"{name} has no features: its shape is {shape}.")
    return array


def check_array_shape(shape: tuple[int, ...]) -> None:
    """Raise unless `shape` is (N, T, I) or (N, T) without a zero."""
    if len(shape) not in (2, 3):
        raise ShapeError(
            f"X must have shape (N, T, I), or (N, T) for univariate sequences, but has shape {shape}.\n"
            "  Reshape your data: X[None] is one sequence."
        )
    if not shape[0]:
        raise EmptyDataError(f"there are no sequences: X has shape {shape}.")
    if not all(shape):
        # The wording after the colon is what scikit-learn's checks look for.
        raise EmptyDataError(f"every sequence is empty: 0 feature(s) (shape={shape}) while a minimum of 1 is required.")


def check_equal_features(arrays: Sequence[NDArray[Any]]) -> None:
    """Raise `ShapeError` at the first array with other features than array 0."""
    first = arrays[0].shape
    for n, array in enumerate(arrays):
        if array.shape[1] != first[1]:
            hint = ""
            if all(a.shape[0] == first[0] for a in arrays):
                hint = "\n  If they are (features, steps), build them with Sequences.from_channels_first."
            raise ShapeError(
                f"sequence {n} has {array.shape[1]} features, but sequence 0 has {first[1]}.\n"
                f"  They were read as (steps, features) = {array.shape} and {first}.{hint}"
            )
