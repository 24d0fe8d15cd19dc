"""The report as a whole."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import longspan
from longspan import LSTMClassifier, LSTMEncoder, LSTMRegressor, Sequences, memory_report
from longspan.errors import DataError, NonFiniteError, ParameterError, ShapeError, TargetError
from longspan.memory import MemoryReport, gradient_by_lag
from longspan.memory._subject import Subject
from longspan.memory.report import SPANS
from longspan.nn import LSTM, RNN
from tests.memory.small import positive, sums_the_last

SMALL: dict[str, Any] = {"hidden_size": 6, "max_epochs": 2, "random_state": 0, "validation_folds": 0}


@pytest.fixture(scope="module")
def ragged() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 2)).astype(np.float32) for length in rng.integers(12, 30, size=60)]


def signs(X: list[np.ndarray]) -> np.ndarray:
    return np.array(["up" if x[-2, 0] > 0 else "down" for x in X])


def test_a_network_that_sums_the_last_steps_is_seen_through() -> None:
    X = positive(120, steps=60)
    report = memory_report(sums_the_last(20), X, X[:, -20:, 0].sum(axis=1))
    assert report.used_span == 20
    assert report.gradient_span == 20
    assert report.needed_span == pytest.approx(20, rel=0.1)
    assert report.verdict == "memory_suffices"
    assert report.gate_span is None
    assert report.facts["cell"] == "rnn"
    np.testing.assert_allclose(report.curves.gradient.median[:20], np.sqrt(np.arange(20, 0, -1) / 20), rtol=1e-4)


def test_it_says_which_end_is_too_short() -> None:
    X = positive(120, steps=60)
    report = memory_report(sums_the_last(5), X, X[:, -30:, 0].sum(axis=1), lag=30)
    assert report.verdict == "vanishing_gradient"
    assert (report.needed_span, report.facts["needed_source"]) == (30.0, "given")
    assert report.curves.window_models is None
    assert "about 5 steps" in report.advice


def test_a_training_window_can_be_told() -> None:
    report = memory_report(sums_the_last(20), positive(steps=60), lag=40, training_window=10)
    assert report.verdict == "training_window_too_short"
    assert report.training_window == 10


def test_what_the_network_knows_more_than_small_models_counts() -> None:
    # The product of signs 15 steps apart is beyond models that look for single steps; the network is told it.
    X = np.random.default_rng(0).normal(size=(200, 40, 1)).astype(np.float32)
    network = sums_the_last(16)

    class Product(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows[:, :1] * rows[:, 15:16]

    network.head = Product()
    X = np.abs(X)
    y = (X[:, -1, 0] - 0.0) * X[:, -16, 0]
    report = memory_report(network, X, y)
    assert report.used_span == 16
    assert report.needed_span == pytest.approx(16, abs=1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "feedforward"])
def test_every_cell_has_a_report(cell: str, ragged: list[np.ndarray]) -> None:
    classifier = LSTMClassifier(cell=cell, **SMALL).fit(ragged, signs(ragged))
    report = memory_report(classifier, ragged, signs(ragged))
    assert (report.gate_span is not None) == (cell in ("lstm", "gru"))
    assert (report.curves.gradient is None) == (cell == "feedforward")
    assert report.curves.influence is not None
    assert report.facts["task"] == "classify"
    assert report.facts["score_name"] == "accuracy"
    assert report.facts["n_sequences"] == 60
    check(report)


def test_networks_of_one_output_a_step_have_a_report(ragged: list[np.ndarray]) -> None:
    y = [np.concatenate([np.zeros(2), x[:-2, 0]]) for x in ragged]  # the value of two steps before
    report = memory_report(LSTMRegressor(per_step=True, num_layers=2, **SMALL).fit(ragged, y), ragged, y)
    assert report.verdict == "no_long_memory_needed"
    assert report.needed_span == 3
    assert report.facts["pooling"] is None
    check(report)


def test_an_encoder_has_a_report_of_its_outputs(ragged: list[np.ndarray]) -> None:
    report = memory_report(LSTMEncoder(2, **SMALL).fit(ragged), ragged)
    assert report.verdict == "need_unknown"
    assert report.needed_span is None
    assert report.facts["unit"] == "squared change of the output"
    check(report)


def test_a_bare_module_has_a_report() -> None:
    report = memory_report(torch.nn.LSTM(1, 4), positive())
    assert report.facts["cell"] == "lstm"
    assert report.facts["estimator"] == "LSTM"
    check(report)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_short_sequences_have_a_report(steps: int) -> None:
    X = positive(30, steps=steps)
    report = memory_report(LSTM(1, 3), X)
    assert report.facts["longest"] == steps
    assert 0 <= report.used_span <= steps
    classifier = LSTMClassifier(**SMALL).fit(X, X[:, 0, 0] > 0.5)
    assert memory_report(classifier, X, X[:, 0, 0] > 0.5).needed_span == steps
    check(report)


def check(report: MemoryReport) -> None:
    """What holds of every report."""
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(SPANS) <= set(written)
    assert report.verdict in longspan.memory.VERDICTS
    for name, (low, high) in report.intervals.items():
        assert low <= high
        span = report.spans[name]
        assert span is not None
        assert low <= span or name == "gradient_span_at_init" or np.isinf(low)
    assert len(report.examples) == 4
    for example in report.examples:
        assert example.values.ndim == 2
    assert report.verdict.split("_")[0]
    assert "MemoryReport" in repr(report)
    assert "<table>" in report._repr_html_()


def test_the_estimator_is_left_as_it_is(ragged: list[np.ndarray]) -> None:
    classifier = LSTMClassifier(**SMALL).fit(ragged, signs(ragged))
    classifier.network_.train()
    before = {name: value.clone() for name, value in classifier.network_.state_dict().items()}
    attributes = dict(vars(classifier))
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    memory_report(classifier, ragged, signs(ragged), lag=5)
    assert classifier.network_.training
    assert vars(classifier) == attributes
    assert all(torch.equal(before[name], value) for name, value in classifier.network_.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_same_seed_gives_the_same_report(ragged: list[np.ndarray]) -> None:
    classifier = LSTMClassifier(**SMALL).fit(ragged, signs(ragged))
    one, same, other = (
        memory_report(classifier, ragged, signs(ragged), lag=5, random_state=seed).to_dict() for seed in (0, 0, 1)
    )
    for report in (one, same, other):
        report["facts"].pop("seconds")
    assert one == same
    assert one["curves"]["gradient"] != other["curves"]["gradient"]


def test_nothing_is_written_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    memory_report(sums_the_last(2), positive(), lag=2)
    assert capfd.readouterr() == ("", "")
    memory_report(sums_the_last(2), positive(), lag=2, verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert "memory" in err
    assert "100%" in err


def test_an_interruption_ends_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("longspan.memory.measure.occlude", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memory_report(sums_the_last(2), positive(), lag=2, verbose=1)


def test_a_saved_model_has_the_same_report(ragged: list[np.ndarray], tmp_path: Any) -> None:
    classifier = LSTMClassifier(**SMALL).fit(ragged, signs(ragged))
    classifier.save(tmp_path / "signs.longspan")
    one, same = (
        memory_report(estimator, ragged, signs(ragged), lag=4).to_dict()
        for estimator in (classifier, longspan.load(tmp_path / "signs.longspan"))
    )
    one["facts"].pop("seconds"), same["facts"].pop("seconds")
    assert one == same


def diverged() -> LSTM:
    """Layers whose training came to nothing."""
    layers = LSTM(1, 2)
    with torch.no_grad():
        layers.weight_hh_l0.fill_(np.nan)
    return layers


def test_a_gradient_too_large_for_a_number_explodes() -> None:
    cell = RNN(1, 1, nonlinearity="relu")
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_hh_l0.fill_(1.5)
        cell.bias_ih_l0.fill_(1e-30)  # 1.5 ** 220 is a number, and the gradient of 400 steps back is none
    X = np.zeros((4, 215, 1), np.float32)
    assert memory_report(cell, X).verdict == "exploding_gradient"
    curve = gradient_by_lag(cell, X, random_state=0)
    np.testing.assert_allclose(curve.median[:50], 1.5 ** np.arange(50), rtol=1e-4)


def test_a_network_that_says_nothing_is_not_said_to_have_forgotten() -> None:
    X = positive(120, steps=60)
    network = sums_the_last(40)
    with torch.no_grad():
        network.head.weight.zero_()
    report = memory_report(network, X, X[:, -30, 0])
    assert report.verdict == "vanishing_gradient"
    assert report.advice.startswith(
        f"Before training, gradients vanished after about {report.gradient_span_at_init:.0f}"
    )
    assert report.gradient_span is None
    assert report.curves.gradient is None
    assert report.used_span == 0


def test_channels_have_the_names_of_the_data(ragged: list[np.ndarray]) -> None:
    classifier = LSTMClassifier(**SMALL).fit(ragged, signs(ragged))
    named = Sequences(np.concatenate(ragged), np.cumsum([0, *map(len, ragged)]), feature_names=["speed", "force"])
    frames = [pd.DataFrame(x, columns=["speed", "force"]) for x in ragged]
    subject = Subject.of(classifier)
    for X, names in ((named, ["speed", "force"]), (frames, ["speed", "force"]), (ragged, None)):
        assert subject.channel_names(X, subject.read(X)) == names
    assert memory_report(classifier, named, lag=3).facts["feature_names"] == ["speed", "force"]


def test_labels_that_the_classifier_does_not_know_are_named(ragged: list[np.ndarray]) -> None:
    classifier = LSTMClassifier(**SMALL).fit(ragged, signs(ragged))
    y = signs(ragged).astype(object)
    y[3] = "sideways"
    with pytest.raises(TargetError, match=r"not trained on: \['sideways'\].*\n.*\['down', 'up'\]"):
        memory_report(classifier, ragged, y)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: memory_report(sums_the_last(2), positive(), lag=0), ParameterError, "lag is 0"),
        (lambda: memory_report(sums_the_last(2), positive(), lag=2.5), ParameterError, "lag is 2.5"),
        (lambda: memory_report(sums_the_last(2), positive(), training_window=0), ParameterError, "training_window"),
        (lambda: memory_report(sums_the_last(2), positive(), n_anchors=0), ParameterError, "n_anchors"),
        (lambda: memory_report(sums_the_last(2), positive(1)), DataError, "one sequence"),
        (lambda: memory_report(sums_the_last(2), positive(), np.ones(3)), ShapeError, "3 targets"),
        (lambda: memory_report(LSTMClassifier(), positive()), ValueError, "not fitted"),
        (lambda: memory_report(sums_the_last(2), positive(), lag=31), ParameterError, "longest sequence has 30 steps"),
        (lambda: memory_report(LSTM(3, 2), positive()), ShapeError, "takes 3"),
        (
            lambda: memory_report("net.longspan", positive()),
            ParameterError,
            r"Load the file first: longspan.load\('net",
        ),
        (lambda: memory_report(LSTM, positive()), ParameterError, "the class LSTM"),
        (lambda: memory_report(make_pipeline(Ridge()), positive()), ParameterError, r"pass its last step: model\[-1\]"),
        (
            lambda: memory_report(diverged(), positive()),
            NonFiniteError,
            "NaN or infinity for 256 of the 256.*\n.*lower",
        ),
    ],
    ids=[
        *("lag", "half a lag", "window", "anchors", "one", "targets", "unfitted", "longer", "features"),
        *("path", "class", "pipeline", "diverged"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
