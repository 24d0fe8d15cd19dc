"""Reading what a sequence module is given into packed rows, and giving results back in the same layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longspan.errors import DataError, EmptyDataError, ParameterError, ShapeError
from longspan.ops import dense_batch_sizes, is_dense, row_index

#: A module gives back the type that it was given.
Input = TypeVar("Input", Tensor, PackedSequence)
Lengths = Tensor | Sequence[int]


class Layout(NamedTuple):
    """How rows lie in the caller's tensor.

    Attributes
    ----------
    batch_sizes : Tensor, int64 on the CPU, shape (T,)
        Rows of each step.
    batch_size : int
        Number of sequences.
    sorted_indices, unsorted_indices : Tensor, int64, shape (B,), optional
        From the caller's order to the packed order, and back; None where they are the same.
    packed : bool
        The caller passed a PackedSequence.
    padded_length : int, optional
        Steps of the caller's padded tensor; None where there is no padding.
    batch_first, batched : bool
        Order of the axes of the caller's tensor, and whether it has a batch axis.
    """

    batch_sizes: Tensor
    batch_size: int
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None
    packed: bool = False
    padded_length: int | None = None
    batch_first: bool = False
    batched: bool = True

    def restore(self, rows: Tensor) -> Tensor | PackedSequence:
        """Give packed rows back in the caller's layout."""
        if self.packed or self.padded_length is not None:
            packed = PackedSequence(rows, self.batch_sizes, self.sorted_indices, self.unsorted_indices)
            if self.packed:
                return packed
            padded: Tensor = pad_packed_sequence(packed, batch_first=self.batch_first, total_length=self.padded_length)[
                0
            ]
            return padded
        block = rows if rows.dim() == 3 else rows.view(-1, self.batch_size, rows.shape[-1])
        if not self.batched:
            return block.squeeze(1)
        return block.transpose(0, 1) if self.batch_first else block

    def sort(self, state: Tensor) -> Tensor:
        """Bring a state (.., B, features) from the caller's order into the packed order."""
        return state if self.sorted_indices is None else state.index_select(-2, self.sorted_indices)

    def unsort(self, state: Tensor) -> Tensor:
        """Bring a state (.., B, features) from the packed order back into the caller's."""
        return state if self.unsorted_indices is None else state.index_select(-2, self.unsorted_indices)


def read_input(
    input: Tensor | PackedSequence, *, lengths: Lengths | None, batch_first: bool, features: int
) -> tuple[Tensor, Layout]:
    """Read a batch into packed rows.

    Parameters
    ----------
    input : Tensor or PackedSequence
        (T, B, I), with `batch_first` (B, T, I), one sequence (T, I), or packed.
    lengths : sequence of int, optional
        Length of each sequence of a padded tensor, in any order.
    batch_first : bool
        Whether the batch axis of a tensor comes first.
    features : int
        Number of features the module takes, I.

    Returns
    -------
    rows : Tensor, shape (R, I), or (T, B, I) of a dense batch
    layout : Layout

    Raises
    ------
    ShapeError, EmptyDataError, ParameterError, DataError
        The input or the lengths do not fit.
    """
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise ParameterError(
                "lengths came with a PackedSequence, which has its own.\n  Pass lengths with a padded tensor only."
            )
        _check_features(input.data, features)
        sizes = input.batch_sizes
        return input.data, Layout(sizes, int(sizes[0]), input.sorted_indices, input.unsorted_indices, packed=True)
    _check_tensor(input, batch_first)
    _check_features(input, features)
    if lengths is not None:
        steps = input.shape[1 if batch_first else 0]
        lengths = _check_lengths(lengths, input, batch_first)
        if int(lengths.min()) < steps:
            packed = pack_padded_sequence(input, lengths, batch_first=batch_first, enforce_sorted=False)
            return packed.data, Layout(
                packed.batch_sizes,
                lengths.shape[0],
                packed.sorted_indices,
                packed.unsorted_indices,
                padded_length=steps,
                batch_first=batch_first,
            )
    batched = input.dim() == 3
    block = (input.transpose(0, 1) if batch_first else input) if batched else input.unsqueeze(1)
    steps, batch = block.shape[:2]
    layout = Layout(dense_batch_sizes(steps, batch), batch, batch_first=batch_first, batched=batched)
    return block, layout


def _axes(batch_first: bool) -> str:
    return "(batch, steps, features)" if batch_first else "(steps, batch, features)"


def _check_tensor(input: Tensor, batch_first: bool) -> None:
    if input.dim() not in (2, 3):
        raise ShapeError(
            f"the input has {input.dim()} axes, shape {tuple(input.shape)}.\n"
            f"  Expected 3, {_axes(batch_first)}, or 2, (steps, features), for one sequence."
        )
    if 0 in input.shape[:-1]:
        raise EmptyDataError(
            f"the input has no {'sequences or no steps' if input.dim() == 3 else 'steps'}: "
            f"its shape is {tuple(input.shape)}.\n"
            f"  It was read as {_axes(batch_first) if input.dim() == 3 else '(steps, features)'}."
        )


def _check_features(input: Tensor, features: int) -> None:
    if input.shape[-1] != features:
        raise ShapeError(
            f"the input has {input.shape[-1]} features, but the module takes {features}.\n"
            f"  Its shape is {tuple(input.shape)}, and features are the last axis.\n"
            f"  If steps come last, transpose it: input.transpose(1, 2)."
        )


def _check_lengths(lengths: Lengths, input: Tensor, batch_first: bool) -> Tensor:
    if input.dim() != 3:
        raise ParameterError(
            f"lengths came with one sequence without a batch axis, shape {tuple(input.shape)}.\n"
            f"  Pass a padded batch {_axes(batch_first)}, or leave lengths out."
        )
    lengths = torch.as_tensor(lengths)
    batch, steps = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise DataError(f"lengths must be whole numbers, and their type is {lengths.dtype}.")
    if lengths.shape != (batch,):
        raise ShapeError(
            f"lengths have shape {tuple(lengths.shape)}, but the batch has {batch} sequences.\n"
            f"  The input, {tuple(input.shape)}, was read as {_axes(batch_first)}: see batch_first."
        )
    lengths = lengths.cpu().to(torch.int64)
    wrong = ((lengths < 1) | (lengths > steps)).nonzero().flatten().tolist()
    if wrong:
        raise ShapeError(
            f"sequence {wrong[0]} has length {int(lengths[wrong[0]])}; lengths must be from 1 to {steps}.\n"
            f"  The input, {tuple(input.shape)}, was read as {_axes(batch_first)}: see batch_first."
        )
    return lengths


def spread(values: Tensor, batch_sizes: Tensor) -> Tensor:
    """Give each packed row the value of its sequence; `values` has shape (B, features)."""
    if is_dense(batch_sizes):
        return values.repeat(batch_sizes.numel(), 1)
    return values.index_select(0, row_index(batch_sizes).sequence.to(values.device))
