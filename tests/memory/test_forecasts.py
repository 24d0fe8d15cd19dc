"""A forecaster seen through: windows as sequences, forecasts as outputs, and a span that is known."""

from typing import Any

import numpy as np
import pytest
import torch

from longspan import LSTMForecaster, memory_report
from longspan.errors import DataError, ParameterError, TargetError
from longspan.memory import context_ablation, forgetting_curve, gradient_by_lag, lag_occlusion, time_constants
from longspan.memory._anchors import draw_anchors
from longspan.memory._subject import Subject

SMALL: dict[str, Any] = {"horizon": 2, "context_length": 12, "hidden_size": 4, "max_epochs": 1, "random_state": 0}
SMALL |= {"log": False, "season_length": 1, "conformal": False}


def waves(count: int = 6, *, steps: int = 60, channels: int = 1) -> np.ndarray:
    """Walks at random."""
    walks = np.random.default_rng(0).normal(size=(count, steps, channels)).cumsum(axis=1)
    return walks[:, :, 0] if channels == 1 else walks


def fitted(X: Any = None, **parameters: Any) -> LSTMForecaster:
    return LSTMForecaster(**SMALL | parameters).fit(waves() if X is None else X)


def stir(forecaster: LSTMForecaster) -> LSTMForecaster:
    """Let the network say something of its own."""
    with torch.no_grad():
        forecaster.network_.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    return forecaster


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "feedforward"])
def test_outputs_are_what_it_forecasts(cell: str, channels: int) -> None:
    X = waves(channels=channels)
    forecaster = stir(fitted(X, cell=cell))
    subject = Subject.of(forecaster)
    sequences, targets = subject.read_both(X, None)
    assert len(sequences) == 6 * channels * (60 - 12 - 2 + 1)
    assert targets is not None
    anchors = draw_anchors(subject, sequences, targets, at_most=len(sequences), rng=np.random.default_rng(0))
    outputs = np.empty((len(sequences), 2))
    outputs[anchors.sequence] = anchors.outputs(subject).numpy()
    # The last window of each series is that before its last two steps.
    forecast = forecaster.predict(list(X[:, :-2])).reshape(6, 2, channels)
    apart = (forecast - X.reshape(6, 60, channels)[:, -2:]).swapaxes(1, 2).reshape(-1, 2)
    own = (outputs - targets.values).reshape(6, -1, channels, 2)[:, -1].reshape(-1, 2)
    unit = apart / own
    np.testing.assert_allclose(unit[:, 0], unit[:, 1], rtol=1e-3)  # the same for every step of the horizon
    assert (unit > 0).all()


def looks_back(lag: int) -> LSTMForecaster:
    """A forecaster that repeats the value of so many steps before its last one."""
    forecaster = fitted(horizon=1)
    network = forecaster.network_
    with torch.no_grad():
        for part in (network.head.weight, network.head.bias, network.base_weight, network.base_bias):
            part.zero_()
        network.base_weight[-1 - lag] = 1.0
    return forecaster


@pytest.mark.parametrize("lag", [3, 8])
def test_the_step_that_it_repeats_is_found(lag: int) -> None:
    forecaster = looks_back(lag)
    X = np.tile(np.random.default_rng(0).normal(size=(8, lag + 1)), 60)[:, :60]  # series that repeat themselves
    assert lag_occlusion(forecaster, X, width=1, random_state=0).peaks == (lag,)
    curve = context_ablation(forecaster, X, context=range(13), random_state=0)
    np.testing.assert_allclose(curve.loss[lag + 1 :], 0.0, atol=1e-6)
    assert curve.loss[lag] > 0.01
    report = memory_report(forecaster, X, lag=lag + 1)
    assert report.used_span == lag + 1
    # The network adds nothing to the linear forecast, so that there is no gradient by its state.
    assert report.gradient_span is None
    assert report.curves.gradient is None
    assert report.gradient_span_at_init is not None
    assert report.verdict == "no_long_memory_needed"


def test_the_season_that_series_have_is_needed() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 150))
    for step in range(9, 150):
        X[:, step] += 0.95 * X[:, step - 9]
    report = memory_report(fitted(X, context_length=20), X)
    assert report.needed_span == 9
    assert report.facts["task"] == "forecast"
    assert report.facts["score_name"] == "R2"


def test_a_lone_series_with_gaps_and_every_other_measure() -> None:
    X = waves(1, steps=120)
    X[0, 50:53] = np.nan
    forecaster = stir(fitted(X))
    report = memory_report(forecaster, X)
    assert report.gate_span is not None
    assert report.needed_span is None or report.needed_span >= 1
    assert forgetting_curve(forecaster, X, random_state=0).median[0] == 1.0
    assert time_constants(forecaster, X).tau.shape == (4,)
    assert gradient_by_lag(forecaster, X, random_state=0).median[0] == 1.0
    assert "no sequence" not in repr(report)


def test_covariates_come_in_a_dict() -> None:
    known = [np.random.default_rng(n).normal(size=(60, 1)) for n in range(6)]
    forecaster = LSTMForecaster(**SMALL).fit(waves(), known=known)
    report = memory_report(forecaster, {"X": waves(), "known": known})
    assert report.facts["n_features"] == 3
    with pytest.raises(ParameterError, match="may hold times, known and static"):
        memory_report(forecaster, {"X": waves(), "y": known})
    with pytest.raises(DataError, match="known has 0 columns"):
        memory_report(forecaster, waves())


@pytest.mark.parametrize(
    ("X", "y", "error", "words"),
    [
        (waves(), waves(), TargetError, "leave y out"),
        ([row[:10] for row in waves()], None, DataError, "the longest has 10 steps"),
    ],
    ids=["targets", "short"],
)
def test_bad_input_is_refused(X: Any, y: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        memory_report(LSTMForecaster(**SMALL).fit(list(waves())), X, y)
