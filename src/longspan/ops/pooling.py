"""Sums and largest numbers over the steps of packed sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from longspan.ops import _native
from longspan.ops._operator import is_watched
from longspan.ops.packing import is_dense, row_index


def pool_steps(
    rows: Tensor, batch_sizes: Tensor, *, total: bool = True, largest: bool = True
) -> tuple[Tensor | None, Tensor | None]:
    """Return the sum and the largest number over the steps of each packed sequence, of each feature.

    Steps are added in pairs, the pairs in pairs, and so on from the first step: a sequence's sum has the same bits in
    any batch. NaN counts as the largest number.

    Parameters
    ----------
    rows : Tensor, shape (R, features)
        Packed rows.
    batch_sizes : Tensor, int64, shape (T,)
        Rows of each step.
    total, largest : bool
        Which of the two to find; the other is None.

    Returns
    -------
    total, largest : Tensor, shape (B, features)
        In packed order.

    Examples
    --------
    >>> pool_steps(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([2, 1]))
    (tensor([[4.],
            [2.]]), tensor([[3.],
            [2.]]))
    """
    if (total or largest) and _native.why_not(rows, (), ()) is None and not is_watched(rows):
        found = _Pool.apply(rows, batch_sizes, total, largest)  # type: ignore[no-untyped-call]
        return found[0] if total else None, found[1] if largest else None
    return (
        _sum_in_pairs(rows, batch_sizes) if total else None,
        _padded(rows, batch_sizes, -float("inf")).amax(0) if largest else None,
    )


def _padded(rows: Tensor, batch_sizes: Tensor, value: float) -> Tensor:
    """Return (T, B, features), with a value where a sequence has ended."""
    if is_dense(batch_sizes):
        return rows.view(batch_sizes.numel(), -1, rows.shape[-1])
    return pad_packed_sequence(PackedSequence(rows, batch_sizes), padding_value=value)[0]


def _sum_in_pairs(rows: Tensor, batch_sizes: Tensor) -> Tensor:
    steps = _padded(rows, batch_sizes, 0.0)
    while len(steps) > 1:
        odd = steps[-1:] if len(steps) % 2 else steps[:0]
        pairs = len(steps) // 2 * 2
        steps = torch.cat([steps[0:pairs:2] + steps[1:pairs:2], odd])
    return steps[0]


class _Pool(torch.autograd.Function):
    """Both by the native kernel, in one walk over the rows; the second output is empty where it is not asked for."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, batch_sizes: Tensor, total: bool, largest: bool) -> tuple[Tensor, Tensor]:
        rows, ctx.batch_sizes = rows.contiguous(), batch_sizes.contiguous()
        ctx.set_materialize_grads(False)
        batch, features = int(batch_sizes[0]), rows.shape[1]
        sums, most = rows.new_empty(batch if total else 0, features), rows.new_empty(batch if largest else 0, features)
        place = torch.empty(most.shape, dtype=torch.int32 if rows.dtype == torch.float32 else torch.int64)
        walk = len(batch_sizes), batch, _native.address(ctx.batch_sizes), features
        places = map(_native.address, (rows, sums, most, place))
        _native.kernel_of("pool", rows.dtype)(*walk, *places, torch.get_num_threads())
        ctx.save_for_backward(place)
        ctx.shape = rows.shape
        return sums, most

    @staticmethod
    def backward(ctx: Any, of_sums: Tensor | None, of_most: Tensor | None) -> tuple[Tensor | None, ...]:
        (place,), batch_sizes = ctx.saved_tensors, ctx.batch_sizes
        known = [grad for grad in (of_sums, of_most) if grad is not None]
        if not known:
            return None, None, None, None
        if torch.is_grad_enabled():
            return _spread(of_sums, of_most, place, batch_sizes), None, None, None
        given = _native.contiguous(of_sums, of_most)
        grad = known[0].new_empty(*ctx.shape)
        walk = len(batch_sizes), len(known[0]), _native.address(batch_sizes), grad.shape[1]
        places = map(_native.address, (*given, place, grad))
        _native.kernel_of("unpool", grad.dtype)(*walk, *places, torch.get_num_threads())
        return grad, None, None, None


def _spread(of_sums: Tensor | None, of_most: Tensor | None, place: Tensor, batch_sizes: Tensor) -> Tensor:
    """Return the gradient of the rows by what torch can differentiate once more."""
    step, sequence, _ = row_index(batch_sizes)
    parts = [] if of_sums is None else [of_sums[sequence]]
    if of_most is not None:
        parts.append(of_most[sequence] * (place[sequence] == step[:, None]))
    return sum(parts[1:], start=parts[0])
