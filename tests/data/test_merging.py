"""Duplicates are merged by content: neither order nor repeats matter."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longspan import Sequences
from longspan.data import merge_duplicates

sets = st.lists(
    st.tuples(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=3), st.sampled_from([b"a", b"b"])),
    min_size=1,
    max_size=12,
)


def merged_content(items: list[tuple[list[float], bytes]], weights: np.ndarray) -> list[tuple[tuple, bytes, float]]:
    """What is left, in the order that `merge_duplicates` chose."""
    sequences = Sequences.from_list([values for values, _ in items])
    index, sums, _ = merge_duplicates(sequences, weights, [label for _, label in items])
    return [(tuple(items[i][0]), items[i][1], total) for i, total in zip(index, sums, strict=True)]


@given(sets, st.integers(0, 99))
def test_each_different_sequence_is_left_once_with_all_its_weight(
    items: list[tuple[list[float], bytes]], seed: int
) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, size=len(items)).astype(float)
    weights[0] = 1
    expected: Counter[tuple[tuple, bytes]] = Counter()
    for (values, label), weight in zip(items, weights, strict=True):
        expected[tuple(values), label] += weight
    left = merged_content(items, weights)
    assert {(values, label): total for values, label, total in left} == +expected


@given(sets, st.randoms(use_true_random=False))
def test_neither_order_nor_repeats_matter(items: list[tuple[list[float], bytes]], random: object) -> None:
    """To the last bit, even of sums of weights that rounding could spoil."""
    weights = np.random.default_rng(0).uniform(0.1, 1, size=len(items))
    order = list(range(len(items)))
    random.shuffle(order)
    assert merged_content([items[i] for i in order], weights[order]) == merged_content(items, weights)
    twice = merged_content(items + items, np.ones(2 * len(items)))
    assert twice == merged_content(items, np.full(len(items), 2.0))


def test_no_label_can_pass_for_a_part_of_the_values() -> None:
    """Two steps without a label, and one step whose label has the bytes of the second."""
    label = np.float32([2.0]).tobytes()
    sequences = Sequences.from_list([[1.0, 2.0], [1.0]])
    index, *_ = merge_duplicates(sequences, np.ones(2), [b"", label])
    assert len(index) == 2


def test_the_order_comes_from_the_values_first() -> None:
    """What is dealt out in this order is then the same for targets in other units."""
    sequences = Sequences.from_list(np.random.default_rng(0).normal(size=(20, 3)))
    orders = [merge_duplicates(sequences, np.ones(20), [bytes([n * k]) for n in range(20)])[0] for k in (1, 7)]
    assert orders[0].tolist() == orders[1].tolist()


def test_gaps_are_content_too() -> None:
    sequences = Sequences.from_list([[1.0, np.nan], [1.0, np.nan], [np.nan, 1.0]])
    _, weights, _ = merge_duplicates(sequences, np.ones(3))
    assert sorted(weights) == [1.0, 2.0]


def test_sequences_of_equal_values_are_twins_whatever_their_labels() -> None:
    sequences = Sequences.from_list([[1.0, 2.0], [3.0], [1.0, 2.0], [1.0, 2.0]])
    index, weights, twins = merge_duplicates(sequences, np.ones(4), [b"a", b"a", b"b", b"a"])
    by_row = dict(zip(index.tolist(), twins.tolist(), strict=True))
    assert sorted(by_row) == [0, 1, 2]
    assert sorted(weights.tolist()) == [1.0, 1.0, 2.0]
    assert by_row[0] == by_row[2] != by_row[1]
