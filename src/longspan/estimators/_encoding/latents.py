"""Reading latent numbers and lengths, which sequences are made from; checked here once, trusted below."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.data import PackedRows, pack_rows
from longspan.errors import DataError, EmptyDataError, NonFiniteError, ParameterError, ShapeError

_LENGTHS_KEPT = 1000

LONGEST = (1 << 31) - 1
"""Steps that a sequence has at most."""

_ROWS_AT_ONCE = 1 << 16
_SEQUENCES_AT_ONCE = 256


def check_latents(Z: ArrayLike, size: int) -> NDArray[np.float64]:
    """Read latent numbers, shape (N, size)."""
    try:
        latents = np.asarray(Z, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Z must hold numbers, one row a sequence: {error}.") from error
    if latents.ndim != 2 or latents.shape[1] != size:
        hint = f" For one sequence pass [Z], of shape (1, {size})." if latents.shape == (size,) else ""
        raise ShapeError(
            f"Z has shape {latents.shape}, but the encoder has {size} numbers for each sequence: "
            f"expected (N, {size}).{hint}"
        )
    if not len(latents):
        raise EmptyDataError(f"Z has no rows: its shape is {latents.shape}.")
    bad = np.flatnonzero(~(np.abs(latents) <= np.finfo(np.float32).max).all(axis=1))
    if len(bad):
        raise NonFiniteError(
            f"Z contains NaN, infinity or what is too large for float32, first in row {bad[0]}: {latents[bad[0]]}."
        )
    return latents


def read_lengths(lengths: Any, count: int, known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read how many steps each of `count` sequences shall have; None means what all of `known` are."""
    if lengths is None:
        if known[0] != known[-1]:
            raise ParameterError(
                f"the training sequences had from {known[0]} to {known[-1]} steps, so lengths must be given.\n"
                f"  Pass lengths=20, say, or one number for each of the {count} sequences."
            )
        return np.full(count, known[0])
    steps = np.asarray(lengths)
    if steps.dtype.kind not in "iu":
        raise DataError(f"lengths must be whole numbers, but they are {lengths!r:.60}.")
    if steps.shape not in ((), (count,)):
        raise ShapeError(
            f"lengths have shape {steps.shape}, but there are {count} sequences: pass one number, or one for each."
        )
    if steps.max() > LONGEST:
        raise DataError(f"a length is {steps.max()}: a sequence has {LONGEST} steps at most.")
    short = np.flatnonzero(np.atleast_1d(steps) < 1)
    if len(short):
        raise EmptyDataError(
            f"the length of sequence {short[0]} is {np.atleast_1d(steps)[short[0]]}: a sequence has 1 step or more."
        )
    return np.broadcast_to(steps, count).astype(np.int64)


def packings(offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], PackedRows]]:
    """Yield numbers of sequences and where their rows lie, some at a time, longest first."""
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        size = min(_SEQUENCES_AT_ONCE, max(1, _ROWS_AT_ONCE // int(lengths[order[0]])))
        index, order = order[:size], order[size:]
        yield index, pack_rows(offsets[index], lengths[index])


def thinned(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lengths in order; of more than a thousand as many that stand for them, both ends among them."""
    ordered: NDArray[np.int64] = np.sort(lengths).astype(np.int64)
    if len(ordered) <= _LENGTHS_KEPT:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, _LENGTHS_KEPT).round().astype(np.int64)]


def draw_lengths(known: NDArray[np.int64], count: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Draw so many lengths of those that are known."""
    drawn: NDArray[np.int64] = rng.choice(known, size=count)
    return drawn
