"""Small forecasters and small series, shared by the tests of forecasting."""

from typing import Any

import numpy as np

from longspan import LSTMForecaster

TINY: dict[str, Any] = {"horizon": 3, "hidden_size": 3, "max_epochs": 2, "random_state": 0, "season_length": 4}


def forecaster(**parameters: Any) -> LSTMForecaster:
    return LSTMForecaster(**TINY | parameters)


def waves(count: int = 3, steps: int = 40, *, channels: int = 1, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    at = np.arange(steps)[:, None]
    return [
        10 + level + np.sin(2 * np.pi * at / 4 + np.arange(channels)) + rng.normal(0, 0.1, (steps, channels))
        for level in range(count)
    ]


X = waves()
MONTHS = np.arange("2000-01", "2003-05", dtype="datetime64[M]")
