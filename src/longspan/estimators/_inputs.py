"""Reading what people pass to an estimator: sequences, targets, weights. Checked here once, trusted below."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from longspan.errors import NonFiniteError, ShapeError, TargetError
from longspan.sequences import Sequences, as_sequences


def read_sequences(estimator: BaseEstimator, X: Any, *, reset: bool, allow_missing: bool) -> Sequences:
    """Read X, and compare it with what `estimator` was fitted on, or remember it with `reset`.

    A 2-D array or frame is a table to scikit-learn: its columns are the steps of univariate sequences, their number is
    `n_features_in_`, and it has to stay the same from table to table. A list of rows of numbers, all of one length, is
    such a table when fitting. In everything else the features are those of one step, and lengths are free.
    """
    sequences = as_sequences(X, allow_missing=allow_missing)
    table = _is_table(X) or (reset and _is_list_of_rows(X))
    if reset:
        estimator.n_sequence_features_ = sequences.n_features
        estimator._columns_are_steps = table
    elif sequences.n_features != estimator.n_sequence_features_:
        hint = "If features come before steps, build them with Sequences.from_channels_first."
        if table and np.shape(X)[1] == estimator.n_sequence_features_:
            hint = "A 2-D array is several univariate sequences: for a single sequence pass [X], a list of one."
        raise ShapeError(
            f"the sequences have {sequences.n_features} features, but {type(estimator).__name__} was fitted on "
            f"{estimator.n_sequence_features_}.\n"
            f"  They were read as {sequences}.\n"
            f"  {hint}"
        )
    if table and estimator._columns_are_steps:
        _check_columns(estimator, X, reset=reset)
    elif reset:
        estimator.n_features_in_ = sequences.n_features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    return sequences


def _is_table(X: Any) -> bool:
    if isinstance(X, Sequences | list | tuple):
        return False
    return len(X.shape if hasattr(X, "shape") else np.asarray(X).shape) == 2


def _is_list_of_rows(X: Any) -> bool:
    if not isinstance(X, list | tuple) or not all(isinstance(row, list | tuple) for row in X):
        return False
    return len({len(row) for row in X}) == 1 and np.ndim(X[0][0]) == 0


def _check_columns(estimator: BaseEstimator, X: Any, *, reset: bool) -> None:
    """Compare number and names of the columns with those of the fit, or remember them, as scikit-learn does."""
    try:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise ShapeError(f"{error}\n  A list of sequences, or an array (N, T, 1), may have any length.") from error


def read_weights(sample_weight: ArrayLike | None, n_sequences: int) -> NDArray[np.float64]:
    """Read one weight a sequence, shape (N,); ones by default."""
    if sample_weight is None:
        return np.ones(n_sequences)
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TargetError(f"sample_weight must hold numbers: {error}.") from error
    if weights.shape != (n_sequences,):
        raise ShapeError(
            f"sample_weight must have one number for each of the {n_sequences} sequences, but its shape is "
            f"{weights.shape}."
        )
    if not np.isfinite(weights.sum()) or (weights < 0).any() or not weights.any():
        raise TargetError("sample_weight must be finite and not negative, and must not be zero everywhere.")
    return weights


def read_labels(y: Any, sequences: Sequences, *, per_step: bool) -> NDArray[Any]:
    """Read class labels: shape (N,), or (sum T_i,) where each step has one."""
    labels = _joined_steps(y, sequences) if per_step else _one_each(y, sequences)
    if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
        raise NonFiniteError("y contains NaN or infinity: every label must be known.")
    if labels.dtype.kind in "mM" and np.isnat(labels).any():
        raise NonFiniteError("y contains NaT: every label must be known.")
    if labels.dtype.kind == "O":
        _refuse_missing_labels(labels)
    try:
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise TargetError(f"y cannot be read as class labels: {error}") from error
    return np.asarray(labels)


def read_class_names(classes: Any) -> NDArray[Any]:
    """Read the labels that `partial_fit` is told of beforehand."""
    names = _as_array(classes)
    if names.ndim != 1 or not len(names):
        raise TargetError(f"classes must be a list of labels, but its shape is {names.shape}.")
    if names.dtype.kind == "O":
        _refuse_missing_labels(names)
    return names


def read_numbers(y: Any, sequences: Sequences, *, per_step: bool) -> NDArray[np.float64]:
    """Read numeric targets: shape (N,), (N, K), or the same with sum T_i rows where each step has some."""
    numbers = _joined_steps(y, sequences) if per_step else _one_each(y, sequences)
    if numbers.dtype.kind == "c":
        raise TargetError("Complex data not supported: y must hold real numbers.")
    try:
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TargetError(f"y must hold numbers, but {error}.") from error
    if numbers.ndim not in (1, 2) or not numbers.size:
        raise ShapeError(f"y must have shape (N,) or (N, K), but its shape is {numbers.shape}.")
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        raise NonFiniteError(
            f"y contains NaN or infinity, first in row {bad[0][0]}: every target must be known.\n"
            f"  Drop those sequences, or those steps, before fitting."
        )
    return numbers


def _one_each(y: Any, sequences: Sequences) -> NDArray[Any]:
    if y is None:
        raise TargetError("requires y to be passed, but the target y is None.")
    targets = _as_array(y)
    if targets.ndim == 0 or len(targets) != len(sequences):
        count = "one number" if targets.ndim == 0 else f"{len(targets)} targets"
        raise ShapeError(
            f"there are {len(sequences)} sequences but {count} in y: inconsistent numbers of samples.\n"
            f"  With one target a step, set per_step=True and pass one array of targets a sequence."
        )
    return targets


def _joined_steps(y: Any, sequences: Sequences) -> NDArray[Any]:
    if y is None:
        raise TargetError("requires y to be passed, but the target y is None.")
    if not hasattr(y, "__len__"):
        raise ShapeError(f"with per_step=True y holds one array of targets a sequence, but it is {y!r}.")
    parts = [_as_array(part) for part in (y.to_numpy() if hasattr(y, "to_numpy") else y)]
    if len(parts) != len(sequences):
        raise ShapeError(
            f"there are {len(sequences)} sequences but {len(parts)} arrays of targets: inconsistent numbers of samples."
        )
    for number, (part, length) in enumerate(zip(parts, sequences.lengths, strict=True)):
        if part.ndim == 0 or len(part) != length:
            raise ShapeError(
                f"sequence {number} has {length} steps, but its targets have shape {part.shape}.\n"
                f"  With per_step=True there is one target for every step."
            )
        if part.shape[1:] != parts[0].shape[1:] or _is_text(part) != _is_text(parts[0]):
            raise TargetError(
                f"the targets of sequence {number} have shape {part.shape} and type {part.dtype}, which does not go "
                f"with those of sequence 0, {parts[0].shape} and {parts[0].dtype}."
            )
    return np.concatenate(parts)


def _as_array(targets: Any) -> NDArray[Any]:
    """Read targets, and refuse what NumPy would make text of without a word."""
    try:
        array = np.asarray(targets)
    except ValueError as error:
        raise TargetError(
            f"y cannot be read as one array: {error}.\n"
            f"  With one target a step, set per_step=True and pass one array of targets a sequence."
        ) from error
    if isinstance(targets, list | tuple) and array.ndim == 1 and array.dtype.kind in "US":
        odd = next((entry for entry in targets if not isinstance(entry, str | bytes)), None)
        if odd is not None:
            raise TargetError(f"y mixes text with other things, such as {odd!r}.\n  Make all labels text, or none.")
    return array


def _is_text(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "OUS"


def _refuse_missing_labels(labels: NDArray[Any]) -> None:
    for row, label in enumerate(labels.ravel()):
        if label is None or (isinstance(label, float) and np.isnan(label)):
            raise NonFiniteError(f"y contains NaN or None in row {row}: every label must be known.")
