"""Packed rows against what they mean, for drawn lengths."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from longspan.ops import (
    dense_batch_sizes,
    is_dense,
    last_rows,
    reversal_index,
    row_index,
    sequence_lengths,
)

lengths_drawn = st.lists(st.integers(1, 9), min_size=1, max_size=8).map(lambda lengths: sorted(lengths, reverse=True))


def labelled(lengths: list[int]) -> list[torch.Tensor]:
    """Sequences whose rows say (sequence, step)."""
    return [torch.stack([torch.full((length,), k), torch.arange(length)], dim=1) for k, length in enumerate(lengths)]


@given(lengths_drawn)
def test_index_of_rows(lengths: list[int]) -> None:
    packed = pack_sequence(labelled(lengths))
    index = row_index(packed.batch_sizes)
    assert torch.equal(torch.stack([index.sequence, index.step], dim=1), packed.data)
    assert torch.equal(packed.data[index.offsets], torch.tensor([[0, t] for t in range(lengths[0])]))


@given(lengths_drawn)
def test_lengths_and_last_rows(lengths: list[int]) -> None:
    packed = pack_sequence(labelled(lengths))
    assert sequence_lengths(packed.batch_sizes).tolist() == lengths
    assert packed.data[last_rows(packed.batch_sizes)].tolist() == [[k, n - 1] for k, n in enumerate(lengths)]
    assert is_dense(packed.batch_sizes) == (len(set(lengths)) == 1)


@given(lengths_drawn)
def test_reversal(lengths: list[int]) -> None:
    packed = pack_sequence(labelled(lengths))
    flipped = pack_sequence([sequence.flip(0) for sequence in labelled(lengths)])
    index = reversal_index(packed.batch_sizes)
    assert torch.equal(packed.data[index], flipped.data)
    assert torch.equal(index[index], torch.arange(index.numel()))


def test_dense_batch_sizes() -> None:
    assert dense_batch_sizes(3, 5).tolist() == [5, 5, 5]
