"""Classifiers and regressors that start from what an encoder has learned."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from longspan import LSTMClassifier, LSTMEncoder, LSTMRegressor, load
from longspan.errors import ModelFileError, ParameterError, ShapeError
from longspan.io import read_model, write_model
from tests.estimators.small import assert_same_bits, ends, ragged, signs

X = ragged()
Y = signs(X)
SMALL: dict[str, Any] = {"max_epochs": 2, "batch_size": 8, "random_state": 0}
MAKINGS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru", "num_layers": 2},
    "feedforward": {"cell": "feedforward", "window": 2},
    "one way": {"bidirectional": False, "pooling": "attention"},
    "stem": {"stem": (2, 1), "views": ("level", "shape")},
    "peephole": {"cell_options": {"peephole": True}},
    "matched": {"cell": "rnn", "match_parameters": True},
    "variational": {"variational": True},
}


def encoder(**parameters: Any) -> LSTMEncoder:
    return LSTMEncoder(3, **{"hidden_size": 5, "missing": "error"} | SMALL | parameters)


@pytest.fixture(scope="module")
def fitted() -> LSTMEncoder:
    return encoder().fit(X)


@pytest.fixture(scope="module", params=MAKINGS)
def learned(request: pytest.FixtureRequest) -> LSTMEncoder:
    return encoder(**MAKINGS[request.param]).fit(ragged(seed=1))


def body(network: Any) -> dict[str, np.ndarray]:
    """All weights but those of the read-out."""
    return {name: t.numpy() for name, t in network.state_dict().items() if not name.startswith("head.")}


def untrained(kind: Any, targets: Any, **parameters: Any) -> Any:
    """Fit with steps so small that no weight moves."""
    still = {"lr": 1e-12, "weight_decay": 0.0, "max_epochs": 1, "ema_decay": 0.0, "validation_folds": 0}
    return kind(**SMALL | still | {"validation_fraction": 0} | parameters).fit(X, targets)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_a_network_starts_with_the_weights_and_scales_of_the_encoder(kind: Any, learned: LSTMEncoder) -> None:
    started = untrained(kind, Y if kind is LSTMClassifier else ends(X), pretrained=learned)
    ours, theirs = body(started.network_), body(learned.network_.encoder)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if "running_" not in name and "num_batches" not in name:  # which a stem goes on measuring
            np.testing.assert_allclose(tensor, theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("kind", [LSTMClassifier, LSTMRegressor])
def test_a_network_of_no_encoder_has_its_own_size(kind: Any) -> None:
    alone = untrained(kind, Y if kind is LSTMClassifier else ends(X))
    assert alone.network_.config.hidden_size == 64


def test_the_encoder_is_left_as_it_was(fitted: LSTMEncoder) -> None:
    before = body(fitted.network_)
    before = {name: value.copy() for name, value in before.items()}
    LSTMClassifier(**SMALL | {"lr": 0.1}, pretrained=fitted).fit(X, Y)
    for name, value in body(fitted.network_).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_an_output_for_every_step(fitted: LSTMEncoder) -> None:
    labels = [x[:, 0] > 0 for x in X]
    started = LSTMClassifier(**SMALL, per_step=True, pretrained=fitted).fit(X, labels)
    assert [len(p) for p in started.predict(X)] == [len(x) for x in X]
    with pytest.raises(ParameterError, match="leaves out steps"):
        LSTMClassifier(**SMALL, per_step=True, pretrained=encoder(stem=(2,)).fit(X)).fit(X, labels)


def test_gaps_are_seen_as_the_encoder_sees_them() -> None:
    gaps = [np.where(np.arange(len(x))[:, None] == 1, np.nan, x) for x in X]
    started = LSTMClassifier(**SMALL, pretrained=encoder(missing="indicator").fit(gaps)).fit(gaps, Y)
    assert started.network_.config.gaps
    assert started.predict(gaps).shape == (24,)


def test_warm_start_and_passes_go_on_with_the_network_there_is(fitted: LSTMEncoder) -> None:
    for method in ("fit", "partial_fit"):
        started = LSTMClassifier(**SMALL, warm_start=True, pretrained=fitted)
        getattr(started, method)(X, Y)
        first = body(started.network_)["cell.weight_hh_l0"].copy()
        getattr(started, method)(X, Y)
        assert not np.array_equal(body(started.network_)["cell.weight_hh_l0"], first)


# Clones -----------------------------------------------------------------------------------------------------------


def test_a_clone_keeps_the_fit_of_the_encoder(fitted: LSTMEncoder) -> None:
    for wrapped in (fitted, FrozenEstimator(fitted)):
        copied = clone(LSTMClassifier(**SMALL, pretrained=wrapped))
        assert not hasattr(copied, "network_")
        assert_same_bits(copied.fit(X, Y), LSTMClassifier(**SMALL, pretrained=fitted).fit(X, Y))
    assert not hasattr(clone(fitted), "network_")  # as of any other estimator


def test_searches_and_pipelines_keep_it_too(fitted: LSTMEncoder) -> None:
    started = LSTMClassifier(**SMALL, pretrained=fitted)
    assert np.isfinite(cross_val_score(make_pipeline(started), X, Y, cv=2, error_score="raise")).all()
    search = GridSearchCV(started, {"lr": [1e-3, 1e-2]}, cv=2, error_score="raise").fit(X, Y)
    assert search.best_estimator_.network_.config.hidden_size == 5
    grid = {"pretrained": [None, FrozenEstimator(fitted)]}
    search = GridSearchCV(LSTMClassifier(**SMALL, stem=None), grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["mean_test_score"]) == 2


# What cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("cell", "gru"),
        ("hidden_size", 7),
        ("num_layers", 2),
        ("bidirectional", False),
        ("pooling", "mean"),
        ("views", ("level",)),
        ("stem", (2, 2)),
        ("missing", "indicator"),
        ("cell_options", {"peephole": True}),
    ],
)
def test_parameters_that_ask_for_another_network(name: str, asked: Any, fitted: LSTMEncoder) -> None:
    with pytest.raises(ParameterError, match=f"{name} is .*fitted with {name}="):
        LSTMClassifier(**SMALL | {name: asked}, pretrained=fitted).fit(X, Y)


def test_parameters_that_ask_for_the_same_network(fitted: LSTMEncoder) -> None:
    same = {"hidden_size": 5, "cell": "lstm", "views": ["level", "change"], "pooling": "last+mean+max"}
    asked = LSTMClassifier(**SMALL | same, pretrained=fitted).fit(X, Y)
    assert_same_bits(asked, LSTMClassifier(**SMALL, pretrained=fitted).fit(X, Y))


@pytest.mark.parametrize(
    "other", ["encoder", 3, LogisticRegression(), LSTMClassifier()], ids=lambda o: type(o).__name__
)
def test_what_is_no_encoder(other: Any) -> None:
    with pytest.raises(ParameterError, match="pretrained is a fitted LSTMEncoder"):
        LSTMClassifier(**SMALL, pretrained=other).fit(X, Y)


def test_an_encoder_without_a_fit() -> None:
    with pytest.raises(ParameterError, match=r"not been fitted(.|\n)*FrozenEstimator"):
        LSTMClassifier(**SMALL, pretrained=encoder()).fit(X, Y)


def test_other_features(fitted: LSTMEncoder) -> None:
    with pytest.raises(ShapeError, match=r"3 features.*fitted on 2"):
        LSTMClassifier(**SMALL, pretrained=fitted).fit(ragged(features=3), Y)


# Files ------------------------------------------------------------------------------------------------------------


def test_a_file_needs_no_encoder(learned: LSTMEncoder, tmp_path: Any) -> None:
    started = LSTMClassifier(**SMALL, pretrained=learned).fit(X, Y)
    started.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.pretrained is None
    assert loaded.cell == learned.cell
    assert_same_bits(loaded, started)
    np.testing.assert_array_equal(loaded.predict_proba(X), started.predict_proba(X))
    loaded.fit(X, Y)
    assert loaded.network_.config.hidden_size == started.network_.config.hidden_size


@pytest.mark.parametrize("later", [{"cell": "gru"}, {"hidden_size": 4}, None], ids=str)
def test_a_file_says_how_the_network_was_made_whatever_became_of_the_encoder(later: Any, tmp_path: Any) -> None:
    start = encoder().fit(X)
    started = LSTMClassifier(**SMALL, pretrained=start).fit(X, Y)
    before = started.predict_proba(X)
    if later is None:
        started.set_params(pretrained=encoder())
    else:
        start.set_params(**later).fit(X)
    started.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.cell, loaded.hidden_size, loaded.pretrained) == ("lstm", 5, None)
    np.testing.assert_array_equal(loaded.predict_proba(X), before)


def test_a_file_cannot_bring_one(fitted: LSTMEncoder, tmp_path: Any) -> None:
    LSTMClassifier(**SMALL, pretrained=fitted).fit(X, Y).save(tmp_path / "model")
    config, tensors = read_model(tmp_path / "model")
    config["parameters"]["pretrained"] = "os.system"
    write_model(tmp_path / "model", config, tensors)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")
