"""Sequences that occur more than once, merged into one with their weights added.

A sequence given twice and a sequence with weight two are then the same training set, to the bit, in any order: nothing
that is learned depends on how rows were ordered or repeated, and no sequence can be in the training part and in the
validation part at once.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from longspan.sequences import Sequences


def merge_duplicates(
    sequences: Sequences, weights: NDArray[np.float64], *labels: list[bytes]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Choose one of each group of identical sequences, in an order that depends on their content alone.

    Parameters
    ----------
    sequences : Sequences
        N sequences.
    weights : ndarray of float64, shape (N,)
        Sequences of weight 0 are left out.
    *labels : list of bytes
        Whatever else must agree for two sequences to be the same, one entry a sequence: a target, a group.

    Returns
    -------
    index : ndarray of int64
        The sequences that stand for themselves and their copies.
    weights : ndarray of float64
        The sum of the weights of each and its copies.
    twins : ndarray of int64
        A number for each; sequences of equal values have equal numbers, whatever their labels.

    Examples
    --------
    >>> twice = Sequences.from_array(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    >>> index, weights, twins = merge_duplicates(twice, np.ones(3))
    >>> sorted(zip(index.tolist(), weights.tolist()))
    [(0, 2.0), (1, 1.0)]
    """
    present = np.flatnonzero(weights > 0)
    starts, values = sequences.offsets.tolist(), sequences.values
    digests = np.array(
        [_digest(values[starts[i] : starts[i + 1]], *(label[i] for label in labels)) for i in present.tolist()],
        dtype="S64",
    )
    distinct, first, group = np.unique(digests, return_index=True, return_inverse=True)
    twins = np.unique(distinct.astype("S32"), return_inverse=True)[1]  # the first half, which is of the values
    # Added in the order of their size: rounding does not depend on the order of the rows.
    order = np.lexsort((weights[present], group))
    sums = np.bincount(group[order], weights[present][order], minlength=len(first))
    return present[first], sums.astype(np.float64), twins


def _digest(values: NDArray[np.float32], *labels: bytes) -> str:
    """Return the digest of the values, then that of the labels: the units of a target do not change the order."""
    of_labels = hashlib.blake2b(digest_size=16)
    for label in labels:
        of_labels.update(len(label).to_bytes(8, "little"))  # so that no label can pass for the start of the next
        of_labels.update(label)
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).hexdigest() + of_labels.hexdigest()
