"""The real data set that ships with the package."""

import numpy as np

from longspan import load_japanese_vowels


def test_sizes_are_those_of_the_official_parts() -> None:
    data = load_japanese_vowels()
    assert (len(data.X_train), len(data.X_test)) == (270, 370)
    lengths = np.concatenate([data.X_train.lengths, data.X_test.lengths])
    assert (lengths.min(), lengths.max()) == (7, 29)
    assert data.X_train.n_features == data.X_test.n_features == 12
    assert (data.X_train.n_steps, data.X_test.n_steps) == (4274, 5687)


def test_speakers_are_counted_as_documented() -> None:
    data = load_japanese_vowels()
    names, counts = np.unique(data.y_train, return_counts=True)
    assert names.tolist() == list("123456789")
    assert counts.tolist() == [30] * 9
    names, counts = np.unique(data.y_test, return_counts=True)
    assert names.tolist() == list("123456789")
    assert counts.tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]


def test_values_are_the_recorded_ones() -> None:
    data = load_japanese_vowels()
    assert np.isfinite(data.X_train.values).all()
    np.testing.assert_allclose(data.X_train[0][0, :3], [1.860936, -0.207383, 0.261557], rtol=1e-6)
    assert data.X_train.feature_names[0] == "cepstrum 1"
