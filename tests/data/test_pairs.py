"""Batches of pairs and of pieces: everything comes once, in the right order, with its source."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_packed_sequence

from longspan import Sequences
from longspan.data import Batch, PairBatches, StreamBatches, take_sources


def numbered(lengths: list[int], *, of: int = 0) -> Sequences:
    """Sequence i has the rows 100 i, 100 i + 1, ..."""
    return Sequences.from_list([1000 * of + 100.0 * i + np.arange(length) for i, length in enumerate(lengths)])


def rows_of(packed: torch.nn.utils.rnn.PackedSequence) -> list[list[float]]:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return [row[:length, 0].tolist() for row, length in zip(padded, lengths.tolist(), strict=True)]


SOURCES = numbered([3, 1, 4, 1, 5, 2], of=1)
TARGETS = numbered([2, 6, 1, 3, 3, 4])


@pytest.mark.parametrize("order", ["shuffled", "longest_first"])
def test_every_target_comes_once_with_its_own_source(order: str) -> None:
    batches = PairBatches(SOURCES, TARGETS, batch_size=4)
    passed = batches.shuffled(np.random.default_rng(0)) if order == "shuffled" else batches.longest_first()
    seen = []
    for batch in passed:
        sources, targets = rows_of(batch.inputs.source), rows_of(batch.targets)
        seen += batch.index.tolist()
        assert [len(t) for t in targets] == sorted(map(len, targets), reverse=True)
        for number, source, target in zip(batch.index.tolist(), sources, targets, strict=True):
            assert source == SOURCES[number].ravel().tolist()
            assert target == TARGETS[number].ravel().tolist()
        assert batch.weights is None
    assert sorted(seen) == list(range(6))


def test_sources_may_be_vectors_or_nothing() -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    (batch,) = PairBatches(vectors, TARGETS, batch_size=6).longest_first()
    np.testing.assert_array_equal(batch.inputs.source.numpy(), vectors[batch.index])
    (batch,) = PairBatches(None, TARGETS, batch_size=6).longest_first()
    assert batch.inputs.source is None
    assert take_sources(None, np.arange(2)) is None


def test_each_row_has_the_weight_of_its_target() -> None:
    weights = np.arange(6, dtype=np.float32)
    (batch,) = PairBatches(SOURCES, TARGETS, weights, batch_size=6).longest_first()
    owners = np.searchsorted(TARGETS.offsets, batch.rows, side="right") - 1
    np.testing.assert_array_equal(batch.weights.numpy(), weights[owners])
    (batch, *_) = StreamBatches(SOURCES, TARGETS, weights, batch_size=6, steps=2).longest_first()
    owners = np.searchsorted(TARGETS.offsets, batch.rows, side="right") - 1
    np.testing.assert_array_equal(batch.weights.numpy(), weights[owners])


def follow(batches: list[Batch]) -> list[list[float]]:
    """Put pieces together again by what they say they continue; each is told the row before it."""
    open_now: list[list[float]] = []
    whole: list[list[float]] = []
    for batch in batches:
        pieces, continued = rows_of(batch.targets), []
        assert [len(piece) for piece in pieces] == sorted(map(len, pieces), reverse=True)
        for piece, before, place in zip(pieces, batch.inputs.before[:, 0], batch.inputs.carried.tolist(), strict=True):
            if place < 0:
                whole.append([])
                chain = whole[-1]
                assert bool(before.isnan()) == (piece[0] % 100 == 0)
            else:
                chain = open_now[place]
                assert float(before) == chain[-1]
            chain += piece
            continued.append(chain)
        open_now = continued
    return whole


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 99),
)
def test_pieces_make_up_the_sequences(lengths: list[int], lanes: int, steps: int, cut: bool, seed: int) -> None:
    targets = numbered(lengths)
    stream = StreamBatches(None, targets, batch_size=lanes, steps=steps, cut=cut)
    for passed in (stream.longest_first(), stream.shuffled(np.random.default_rng(seed))):
        batches = list(passed)
        assert max(len(batch.index) for batch in batches) <= lanes
        assert max(len(batch.targets.batch_sizes) for batch in batches) <= steps
        found = sorted(follow(batches))
        if not cut:
            assert found == sorted(sequence.ravel().tolist() for sequence in targets)
        assert sorted(itertools.chain(*found)) == sorted(targets.values.ravel().tolist())


def test_one_text_fills_all_lanes_and_its_cuts_move() -> None:
    targets = numbered([99])
    stream = StreamBatches(None, targets, batch_size=4, steps=5)
    assert [len(batch.index) for batch in stream.longest_first()][:4] == [4, 4, 4, 4]
    assert len(stream) == len(list(stream.longest_first())) == 5
    first, second = (next(stream.shuffled(np.random.default_rng(seed))).targets.data[:4, 0] for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_answers_to_a_source_are_never_cut_between_lanes() -> None:
    stream = StreamBatches(SOURCES, TARGETS, batch_size=3, steps=2)
    batches = list(stream.shuffled(np.random.default_rng(0)))
    assert sorted(follow(batches)) == sorted(target.ravel().tolist() for target in TARGETS)
    for batch in batches:
        for number, source in zip(batch.index.tolist(), rows_of(batch.inputs.source), strict=True):
            assert source == SOURCES[number].ravel().tolist()
