"""What a forecaster's ``"auto"`` becomes."""

from typing import Any

import numpy as np
import pytest

from longspan import LSTMForecaster
from longspan.data.windows import SeriesBlock
from longspan.estimators._forecasting.parameters import Lengths, choose_forecaster_recipe, choose_lengths
from longspan.tasks import ForecasterConfig


def lengths(count: int, steps: int, season: int = 1, **parameters: Any) -> Lengths:
    block = SeriesBlock(
        np.zeros((count * steps, 1)),
        np.arange(count + 1) * steps,
        np.zeros((count * steps, 0)),
        np.zeros((count, 0)),
    )
    return choose_lengths(LSTMForecaster(**parameters).get_params(), block, season)


@pytest.mark.parametrize(
    ("series", "parameters", "expected"),
    [
        ((1, 120), {}, Lengths(context=24, horizon=12, season=1)),  # two horizons
        ((1, 60), {}, Lengths(context=16, horizon=6, season=1)),
        ((1, 120, 12), {}, Lengths(context=24, horizon=12, season=12)),  # two seasons
        ((1, 30), {}, Lengths(context=9, horizon=3, season=1)),  # a third
        ((40, 120), {"horizon": 3}, Lengths(context=32, horizon=3, season=1)),  # many
        ((33, 120), {"horizon": 3}, Lengths(context=16, horizon=3, season=1)),
        ((1, 120, 12), {"context_length": 6}, Lengths(context=6, horizon=12, season=1)),  # no season is seen
        ((1, 120), {"strategy": "recursive", "horizon": 50}, Lengths(context=16, horizon=50, season=1)),
        ((1, 9000, 365), {}, Lengths(context=512, horizon=365, season=365)),
    ],
)
def test_lengths(series: tuple[int, ...], parameters: dict[str, Any], expected: Lengths) -> None:
    assert lengths(*series, **parameters) == expected


@pytest.mark.parametrize(
    ("windows", "context", "epochs", "lr"),
    [(100, 4, 60, 3e-3), (1024, 4, 10, 3e-3), (3999, 4, 19, 3e-3), (4000, 4, 38, 1e-2), (4000, 128, 19, 3e-3)],
)
def test_many_windows_are_learned_from_faster_and_longer(windows: int, context: int, epochs: int, lr: float) -> None:
    config = ForecasterConfig(context_length=context, horizon=1)
    training = choose_forecaster_recipe(LSTMForecaster().get_params(), config, windows).training
    assert (training.max_epochs, training.lr) == (epochs, lr)
