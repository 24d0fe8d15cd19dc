"""`indicate_missing` against a loop over sequences, channels and steps."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longspan import Sequences
from longspan.data import indicate_missing

values = st.sampled_from([math.nan, 1.0, -2.5])


def told_naively(sequence: np.ndarray) -> np.ndarray:
    steps, channels = sequence.shape
    told = np.zeros((steps, 3 * channels), np.float32)
    for channel in range(channels):
        last, since = math.nan, 0
        for step in range(steps):
            since = since + 1 if step else 0
            seen = not math.isnan(sequence[step, channel])
            if seen:
                last, since = sequence[step, channel], 0
            told[step, channel] = last
            told[step, channels + channel] = seen
            told[step, 2 * channels + channel] = math.log1p(since)
    return told


@given(st.lists(st.lists(st.tuples(values, values), min_size=1, max_size=6), min_size=1, max_size=4))
def test_agrees_with_a_loop(parts: list[list[tuple[float, float]]]) -> None:
    sequences = Sequences.from_list([np.array(part) for part in parts])
    told = indicate_missing(sequences)
    assert told.offsets.tolist() == sequences.offsets.tolist()
    for sequence, result in zip(sequences, told, strict=True):
        np.testing.assert_allclose(result, told_naively(sequence), rtol=1e-6)


def test_channels_are_named() -> None:
    sequences = Sequences(np.zeros((2, 2)), [0, 2], feature_names=["heart", "lung"])
    names = indicate_missing(sequences).feature_names
    assert names == ("heart", "lung", "heart seen", "lung seen", "heart silence", "lung silence")


def test_the_given_sequences_stay_as_they_are() -> None:
    sequences = Sequences.from_list([[1.0, math.nan]])
    indicate_missing(sequences)
    assert sequences.values.tolist()[0] == [1.0]
    assert math.isnan(sequences.values[1, 0])
