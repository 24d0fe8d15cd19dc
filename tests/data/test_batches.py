"""Batches: every row once, packed as torch packs, cut by length, read from disk one batch at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from longspan import Sequences
from longspan.data import Batches, ChannelScaler, PerSequence, PerStep, merge_duplicates, pack_rows

lengths_of_sets = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def numbered(lengths: list[int]) -> Sequences:
    """Sequences of two features whose first one is the row number: a row tells where it comes from."""
    rows = np.arange(sum(lengths), dtype=np.float32)
    return Sequences(np.stack([rows, -rows], axis=1), np.concatenate([[0], np.cumsum(lengths)]))


@given(lengths_of_sets)
def test_rows_are_packed_as_torch_packs_them(lengths: list[int]) -> None:
    lengths = sorted(lengths, reverse=True)
    sequences = numbered(lengths)
    packed = pack_rows(sequences.offsets[:-1], sequences.lengths)
    expected = pack_sequence([torch.from_numpy(part) for part in sequences])
    assert packed.rows.tolist() == expected.data[:, 0].tolist()
    assert packed.batch_sizes.tolist() == expected.batch_sizes.tolist()
    owners = np.repeat(np.arange(len(lengths)), lengths)
    assert packed.columns.tolist() == owners[packed.rows].tolist()


@given(lengths_of_sets, st.integers(1, 5), st.integers(0, 99))
def test_shuffled_batches_hold_every_sequence_once(lengths: list[int], batch_size: int, seed: int) -> None:
    sequences = numbered(lengths)
    batches = Batches(sequences, batch_size=batch_size)
    seen = list(batches.shuffled(np.random.default_rng(seed)))
    assert sorted(np.concatenate([batch.index for batch in seen]).tolist()) == list(range(len(lengths)))
    assert len(seen) == len(batches)
    assert max(len(batch.index) for batch in seen) <= batch_size
    for batch in seen:
        assert (np.diff(sequences.lengths[batch.index]) <= 0).all()
        assert batch.inputs.data[:, 0].tolist() == batch.rows.tolist()


@given(lengths_of_sets, st.integers(1, 5), st.integers(1, 20))
def test_longest_first_keeps_to_the_limits(lengths: list[int], batch_size: int, max_rows: int) -> None:
    sequences = numbered(lengths)
    seen = list(Batches(sequences, batch_size=batch_size, max_rows=max_rows).longest_first())
    order = np.concatenate([batch.index for batch in seen])
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(sequences.lengths[order]) <= 0).all()
    assert all(len(batch.index) == 1 or len(batch.rows) <= max_rows for batch in seen)


@given(lengths_of_sets, st.integers(1, 5))
def test_targets_and_weights_follow_their_sequence_or_step(lengths: list[int], batch_size: int) -> None:
    sequences = numbered(lengths)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    weights = np.arange(len(lengths), dtype=np.float32)
    whole = Batches(sequences, PerSequence(np.arange(len(lengths)) * 10), weights, batch_size=batch_size)
    for batch in whole.shuffled(np.random.default_rng(0)):
        assert batch.targets.tolist() == (batch.index * 10).tolist()
        assert batch.weights.tolist() == batch.index.tolist()
    steps = Batches(sequences, PerStep(np.arange(sequences.n_steps) * 10), weights, batch_size=batch_size)
    for batch in steps.shuffled(np.random.default_rng(0)):
        assert batch.targets.tolist() == (batch.inputs.data[:, 0] * 10).tolist()
        assert batch.weights.tolist() == owner[batch.rows].tolist()


def test_only_the_sequences_asked_for_are_used() -> None:
    batches = Batches(numbered([3, 1, 2, 5]), index=np.array([3, 1]), batch_size=8)
    (batch,) = batches.longest_first()
    assert batch.index.tolist() == [3, 1]
    assert batch.rows.tolist() == [6, 3, 7, 8, 9, 10]


def test_batches_hold_sequences_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, size=512)
    batches = Batches(numbered(lengths.tolist()), batch_size=16)
    computed = sum(
        len(batch.index) * lengths[batch.index].max() for batch in batches.shuffled(np.random.default_rng(0))
    )
    assert computed < 1.5 * lengths.sum()  # dealt out at random, it would be about 1.9 times as much


def test_batches_differ_from_pass_to_pass_and_repeat_with_the_seed() -> None:
    batches = Batches(numbered([3] * 40), batch_size=8)

    def order(rng: np.random.Generator) -> list[int]:
        return np.concatenate([batch.index for batch in batches.shuffled(rng)]).tolist()

    rng = np.random.default_rng(0)
    first, second = order(rng), order(rng)
    assert first != second
    assert first == order(np.random.default_rng(0))


def test_one_very_long_sequence_among_many_short_ones_costs_memory_by_its_rows() -> None:
    sequences = Sequences(np.zeros((1_000_500, 1), np.float32), np.concatenate([[0], np.arange(1_000_000, 1_000_501)]))
    (batch,) = Batches(sequences, batch_size=1000).longest_first()  # a grid would have 500 million places
    assert batch.inputs.batch_sizes[:2].tolist() == [501, 1]


class CountedReads(np.ndarray):
    """Remembers the most numbers that were read from it at once."""

    largest = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        CountedReads.largest = max(CountedReads.largest, np.size(part))
        return part

    def take(self, *args: Any, **kwargs: Any) -> Any:
        part = super().take(*args, **kwargs)
        CountedReads.largest = max(CountedReads.largest, np.size(part))
        return part


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequences:
    path = tmp_path / "all.sequences"
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(length, 3)) for length in [4000, *rng.integers(5, 40, size=300)]]
    Sequences.from_list(parts).save(path)
    sequences = Sequences.load(path)
    assert isinstance(sequences.values.base, np.memmap)
    monkeypatch.setattr(sequences, "_values", sequences.values.view(CountedReads))
    monkeypatch.setattr(CountedReads, "largest", 0)
    return sequences


def read_by_batches(sequences: Sequences) -> None:
    for batch in Batches(sequences, batch_size=4, index=np.arange(1, 301)).shuffled(np.random.default_rng(0)):
        assert batch.inputs.data.shape[1] == 3


def read_by_scaler(sequences: Sequences) -> None:
    ChannelScaler.fit_sequences(sequences, np.arange(len(sequences)))


def read_by_merging(sequences: Sequences) -> None:
    merge_duplicates(sequences, np.float64([0, *np.ones(len(sequences) - 1)]))


@pytest.mark.parametrize(
    ("read", "most"), [(read_by_batches, 4 * 40 * 3), (read_by_scaler, 1000), (read_by_merging, 40 * 3)]
)
def test_data_on_disk_are_read_piece_by_piece(
    mapped: Sequences, monkeypatch: pytest.MonkeyPatch, read: Callable[[Sequences], None], most: int
) -> None:
    monkeypatch.setattr("longspan.data.scaling._CHUNK", 1000)
    read(mapped)
    assert 0 < CountedReads.largest <= most


def test_one_long_sequence_does_not_fill_up_many_short_ones() -> None:
    lengths = [10] * 40 + [10_000]
    sequences = Sequences.from_list([np.zeros(length) for length in lengths])
    batches = Batches(sequences, batch_size=64)
    seen = [batch.index for batch in batches.shuffled(np.random.default_rng(0))]
    assert sorted(np.concatenate(seen).tolist()) == list(range(41))
    for index in seen:
        kept = sequences.lengths[index]
        assert kept.max() * len(kept) <= 3 * kept.sum()


@pytest.mark.parametrize(("count", "sizes"), [(3, [8]), (20, [16, 8]), (16, [16])])
def test_tiles_are_filled_with_the_last_sequence(count: int, sizes: list[int]) -> None:
    sequences = Sequences.from_list([np.zeros(5)] * count)
    batches = list(Batches(sequences, batch_size=18).longest_first(tile=8))
    assert [len(batch.index) for batch in batches] == sizes
    assert set(np.concatenate([batch.index for batch in batches]).tolist()) == set(range(count))


def test_a_long_sequence_is_not_repeated_for_a_tile() -> None:
    batches = list(Batches(Sequences.from_list([np.zeros(100)]), batch_size=8, max_rows=300).longest_first(tile=8))
    assert [batch.index.tolist() for batch in batches] == [[0]]
