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
    `n_features_in_`, and it has to stay the same. In everything else the features are those of one step, and lengths
    are free.
    """
    if _is_table(X):
        X = validate_data(
            estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False, ensure_min_features=1
        )
        sequences = as_sequences(X, allow_missing=allow_missing)
        n_features_in = sequences.n_steps // len(sequences)
    else:
        sequences = as_sequences(X, allow_missing=allow_missing)
        n_features_in = sequences.n_features
    if reset:
        estimator.n_features_in_ = n_features_in
        estimator.n_sequence_features_ = sequences.n_features
        if not _is_table(X) and hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif sequences.n_features != estimator.n_sequence_features_:
        raise ShapeError(
            f"the sequences have {sequences.n_features} features, but {type(estimator).__name__} was fitted on "
            f"{estimator.n_sequence_features_}.\n"
            f"  They were read as {sequences}.\n"
            f"  If features come before steps, build them with Sequences.from_channels_first."
        )
    return sequences


def _is_table(X: Any) -> bool:
    """Whether X is rows of numbers, or something that only scikit-learn's own check can refuse in its own words."""
    if isinstance(X, Sequences):
        return False
    if isinstance(X, list | tuple):
        return bool(X) and _is_plain_row(X[0]) and len({len(row) for row in X}) == 1
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X):
        return np.ndim(X[0]) == 0
    return len(getattr(X, "shape", ())) < 3


def _is_plain_row(row: Any) -> bool:
    return isinstance(row, list | tuple) and bool(row) and np.isscalar(row[0])


def read_weights(sample_weight: ArrayLike | None, n_sequences: int) -> NDArray[np.float64]:
    """Read one weight a sequence, shape (N,); ones by default."""
    if sample_weight is None:
        return np.ones(n_sequences)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_sequences,):
        raise ShapeError(
            f"sample_weight must have one number for each of the {n_sequences} sequences, but its shape is "
            f"{weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise TargetError("sample_weight must be finite and not negative, and must not be zero everywhere.")
    return weights


def read_labels(y: Any, sequences: Sequences, *, per_step: bool) -> NDArray[Any]:
    """Read class labels: shape (N,), or (sum T_i,) where each step has one."""
    labels = _joined_steps(y, sequences) if per_step else _one_each(y, sequences)
    labels = column_or_1d(labels, warn=True)
    if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
        raise NonFiniteError("y contains NaN or infinity: every label must be known.")
    if labels.dtype.kind == "O":
        _refuse_missing_labels(labels)
    check_classification_targets(labels)
    return labels


def read_numbers(y: Any, sequences: Sequences, *, per_step: bool) -> NDArray[np.float64]:
    """Read numeric targets: shape (N,), (N, K), or the same with sum T_i rows where each step has some."""
    numbers = _joined_steps(y, sequences) if per_step else _one_each(y, sequences)
    if numbers.dtype.kind == "c":
        raise TargetError("Complex data not supported: y must hold real numbers.")
    try:
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TargetError(f"y must hold numbers, but {error}.") from error
    if numbers.ndim not in (1, 2):
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
    targets = np.asarray(y)
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
    parts = [np.asarray(part) for part in y]
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
    return np.concatenate(parts)


def _refuse_missing_labels(labels: NDArray[Any]) -> None:
    for row, label in enumerate(labels):
        if label is None or (isinstance(label, float) and np.isnan(label)):
            raise NonFiniteError(f"y contains NaN or None in row {row}: every label must be known.")
