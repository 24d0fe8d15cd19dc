"""`as_sequences`: the door through which people's data come in."""

import warnings
from typing import Any

from longspan.errors import EmptyDataError, LayoutWarning
from longspan.sequences._checks import refuse_non_finite
from longspan.sequences._reading import is_list_like
from longspan.sequences._sequences import Sequences


def as_sequences(X: Any, *, allow_missing: bool = False, warn_layout: bool = True) -> Sequences:
    """Read whatever holds sequences, and check that a network can learn from it.

    Parameters
    ----------
    X : Sequences, array, list of arrays, or anything NumPy can read
        (N, T, I) or (N, T) arrays, lists of (T_i, I) or (T_i,) arrays; also torch tensors, pandas
        frames (each row one univariate sequence), memory maps and object arrays of arrays.
        float32 arrays in C order are not copied.
    allow_missing : bool
        Let NaN through. Infinity never passes.
    warn_layout : bool
        Warn when the array looks as if features came before steps.

    Raises
    ------
    ShapeError, EmptyDataError, NonFiniteError
        X is no set of sequences; the message says what is wrong and where.
    DataError
        X holds text, dates or complex numbers.
    TypeError
        X is a sparse matrix, or its entries are no numbers at all.

    Warns
    -----
    LayoutWarning
        All sequences have the same few steps and many more features. Data are never transposed
        on a guess.

    Examples
    --------
    >>> as_sequences([[1.0, 2.0], [3.0]])
    Sequences(2 sequences, 1 to 2 steps, 1 feature, 0.0 MB)
    >>> as_sequences([[1.0, float("nan")]])
    Traceback (most recent call last):
    ...
    longspan.errors.NonFiniteError: sequence 0 has NaN at step 1, feature 0.
      Fill the gap, drop the sequence, or choose missing="indicator" where it is offered.
    """
    if isinstance(X, Sequences):
        sequences = X
        if not len(X):
            raise EmptyDataError("there are no sequences: X is empty.")
    else:
        sequences = Sequences.from_list(X) if is_list_like(X) else Sequences.from_array(X)
        if warn_layout:
            _warn_if_channels_first(sequences)
    refuse_non_finite(sequences.values, sequences.offsets, sequences.feature_names, allow_missing=allow_missing)
    return sequences


def _warn_if_channels_first(sequences: Sequences) -> None:
    """Warn when every sequence has the same few steps and many features.

    Ragged sequences that agree in their features cannot be swapped, so word vectors do not trip this.
    """
    if not sequences.is_dense:
        return
    steps, features = int(sequences.offsets[1]), sequences.n_features
    if features > 20 and features >= 4 * steps:
        warnings.warn(
            f"X was read as {steps} steps of {features} features, which looks swapped.\n"
            f"  If it is {features} steps of {steps} features, use Sequences.from_channels_first(X).",
            LayoutWarning,
            stacklevel=3,
        )
