"""Temporal order (experiment 6), against what is written in the paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.problems import TemporalOrder, TemporalOrder3

LETTERS = "EBabcdXY"


def texts(sample):
    for number in range(len(sample)):
        rows = slice(*sample.offsets[number : number + 2])
        yield "".join(LETTERS[symbol] for symbol in sample.symbols[rows]), int(sample.targets[number])


@pytest.mark.parametrize(
    ("problem", "ranges"),
    [
        (TemporalOrder(), [(10, 20), (50, 60)]),
        (TemporalOrder3(), [(10, 20), (33, 43), (66, 76)]),
        (TemporalOrder(1000), [(100, 200), (500, 600)]),
    ],
    ids=["6a", "6b", "long"],
)
@given(seed=st.integers(0, 10_000))
def test_sequences_are_those_of_the_paper(problem, ranges, seed):
    for text, target in texts(problem.generate(5, np.random.default_rng(seed))):
        assert problem.length <= len(text) <= problem.length * 11 // 10
        assert (text[0], text[-1]) == ("E", "B")
        marks = [(place, letter) for place, letter in enumerate(text) if letter in "XY"]
        assert len(marks) == len(ranges)
        for (place, _), (low, high) in zip(marks, ranges, strict=True):
            assert low <= place <= high
        assert set(text[1:-1]) <= set("abcdXY")
        order = "".join(letter for _, letter in marks)
        assert target == int(order.replace("X", "0").replace("Y", "1"), base=2)


def test_classes_and_places_are_all_as_likely():
    sample = TemporalOrder3().generate(40_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(sample.targets) / 40_000, 1 / 8, atol=0.01)
    starts = np.repeat(sample.offsets[:-1], sample.lengths)
    at = (np.arange(len(starts)) - starts)[sample.symbols >= 6]
    counts = np.bincount(at) / 40_000
    np.testing.assert_allclose(counts[10:21], 1 / 11, atol=0.01)
    np.testing.assert_allclose(counts[66:77], 1 / 11, atol=0.01)


def test_lags_and_criteria():
    assert (TemporalOrder().lag, TemporalOrder3().lag, TemporalOrder(1000).lag) == (99, 99, 999)
    assert TemporalOrder().criterion.within == 0.3
    assert (TemporalOrder().output_size, TemporalOrder3().output_size) == (4, 8)
