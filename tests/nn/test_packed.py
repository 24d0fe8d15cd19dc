"""Rows of packed sequences, against the same done to each sequence alone."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from longspan.nn.packed import framed, last_steps, one_step, padded_rows, prolonged, rows_before

LENGTHS = pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 2], [1], [4]], ids=str)


def sequences(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, 2, generator=generator) for length in lengths]


def assert_same(packed: PackedSequence, expected: list[torch.Tensor]) -> None:
    torch.testing.assert_close(unpack_sequence(packed), expected, equal_nan=True)


@LENGTHS
def test_rows_before(lengths: list[int]) -> None:
    rows, first = sequences(lengths), torch.full((len(lengths), 2), torch.nan)
    assert_same(rows_before(pack_sequence(rows)), [torch.cat([first[:1], own[:-1]]) for own in rows])
    first = torch.randn(len(lengths), 2)
    found = rows_before(pack_sequence(rows), first)
    assert_same(found, [torch.cat([first[i : i + 1], own[:-1]]) for i, own in enumerate(rows)])


@LENGTHS
def test_framed_and_prolonged(lengths: list[int]) -> None:
    rows, borders = sequences(lengths), torch.randn(2, 2)
    assert_same(framed(pack_sequence(rows), borders), [torch.cat([borders[:1], own, borders[1:]]) for own in rows])
    before = torch.randn(3, len(lengths), 2)
    longer = prolonged(pack_sequence(rows), before)
    assert_same(longer, [torch.cat([before[:, i], own]) for i, own in enumerate(rows)])
    expected = torch.stack([torch.cat([before[:, i], own])[-3:] for i, own in enumerate(rows)], dim=1)
    torch.testing.assert_close(last_steps(longer, 3), expected)


@LENGTHS
def test_padded_rows_and_the_way_back(lengths: list[int]) -> None:
    packed = pack_sequence(sequences(lengths))
    padded, index = padded_rows(packed)
    assert padded.shape == (len(lengths), max(lengths), 2)
    torch.testing.assert_close(padded.flatten(0, 1)[index], packed.data)


def test_frames_keep_the_order_before_packing() -> None:
    rows, borders = sequences([1, 4, 2]), torch.zeros(2, 2)
    found = unpack_sequence(framed(pack_sequence(rows, enforce_sorted=False), borders))
    assert [len(own) for own in found] == [3, 6, 4]
    torch.testing.assert_close(found[1][1:-1], rows[1])


def test_one_step() -> None:
    assert one_step(torch.ones(3, 2)).batch_sizes.tolist() == [3]
