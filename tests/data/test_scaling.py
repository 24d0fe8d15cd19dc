"""ChannelScaler against NumPy's own moments, in chunks, with weights and gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan import Sequences
from longspan.data import ChannelScaler


def ragged(seed: int, *, gaps: float = 0.0) -> Sequences:
    rng = np.random.default_rng(seed)
    sequences = Sequences.from_list([rng.normal(3, 2, size=(length, 2)) for length in rng.integers(1, 9, size=7)])
    values = sequences.values.copy()
    values[rng.random(values.shape) < gaps] = np.nan
    return sequences.with_values(values)


@given(st.integers(0, 999), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([3, 1 << 20]))
def test_moments_are_those_of_the_chosen_sequences(seed: int, gaps: float, chunk: int) -> None:
    sequences = ragged(seed, gaps=gaps)
    index = np.array([4, 0, 5])
    weights = np.random.default_rng(seed).uniform(0.5, 3, size=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longspan.data.scaling._CHUNK", chunk)
        scaler = ChannelScaler.fit_sequences(sequences, index, weights)
    rows = np.concatenate([sequences[i] for i in index]).astype(np.float64)
    of_rows = np.repeat(weights, sequences.lengths[index])
    for channel in range(2):
        seen = ~np.isnan(rows[:, channel])
        x, w = rows[seen, channel], of_rows[seen]
        mean = np.average(x, weights=w) if seen.any() else 0.0
        deviation = np.sqrt(np.average((x - mean) ** 2, weights=w)) if seen.sum() > 1 else 1.0
        np.testing.assert_allclose(scaler.mean[channel], mean, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(scaler.scale[channel], deviation, rtol=1e-9)


def test_a_weight_of_two_is_the_row_twice() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    weights = np.random.default_rng(1).integers(0, 4, size=50)
    weighted = ChannelScaler.fit(rows, weights.astype(float))
    repeated = ChannelScaler.fit(np.repeat(rows, weights, axis=0))
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-12)


def test_a_large_offset_does_not_drown_the_variance() -> None:
    rows = 1e6 + np.random.default_rng(0).normal(size=(1000, 1))
    np.testing.assert_allclose(ChannelScaler.fit(rows).scale, rows.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e30, -3e-20])
def test_a_channel_that_never_changes_has_scale_one(value: float) -> None:
    scaler = ChannelScaler.fit(np.full((1000, 1), value, np.float32))
    assert scaler.scale.tolist() == [1.0]
    np.testing.assert_allclose(scaler.mean, np.float32(value), rtol=1e-6)


def test_transform_and_back() -> None:
    rows = np.random.default_rng(0).normal(5, 3, size=(40, 2))
    scaler = ChannelScaler.fit(rows)
    scaled = scaler.transform(rows)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(scaler.inverse_transform(scaled), rows, rtol=1e-12)
