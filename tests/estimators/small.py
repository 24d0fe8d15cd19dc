"""Small estimators and small data, shared by the tests of this folder."""

from typing import Any

import numpy as np

from longspan import LSTMClassifier, LSTMEncoder, LSTMRegressor

TINY: dict[str, Any] = {
    "hidden_size": 3,
    "stem": None,
    "views": ("level",),
    "max_epochs": 3,
    "batch_size": 8,
    "validation_folds": 0,
    "validation_fraction": 0,
    "random_state": 0,
}


def classifier(**parameters: Any) -> LSTMClassifier:
    return LSTMClassifier(**TINY | parameters)


def regressor(**parameters: Any) -> LSTMRegressor:
    return LSTMRegressor(**TINY | parameters)


def encoder(latent_size: int = 2, **parameters: Any) -> LSTMEncoder:
    return LSTMEncoder(latent_size, **TINY | parameters)


def ragged(count: int = 24, *, features: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Sequences of 3 to 8 steps."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, features)) for length in rng.integers(3, 9, size=count)]


def signs(X: Any) -> np.ndarray:
    """A class a sequence: whether its first value is positive."""
    return np.array([float(np.ravel(x)[0]) > 0 for x in X])


def ends(X: Any) -> np.ndarray:
    """A number a sequence: the sum of the first and the last value."""
    return np.array([float(np.ravel(x[0])[0] + np.ravel(x[-1])[0]) for x in X])


def weights_of(estimator: Any) -> dict[str, np.ndarray]:
    """Everything that the network knows."""
    return {name: tensor.numpy() for name, tensor in estimator.network_.state_dict().items()}


def assert_same_bits(one: Any, other: Any) -> None:
    """Compare two fitted estimators, weight by weight."""
    ours, theirs = weights_of(one), weights_of(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[name], err_msg=name)
