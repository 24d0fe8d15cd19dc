"""What ``"auto"`` becomes, and networks of the same size for different cells."""

import numpy as np
import pytest

from longspan import LSTMClassifier, LSTMRegressor
from longspan.errors import ParameterError
from longspan.estimators._recipe import DataShape, choose_recipe
from longspan.tasks import count_parameters
from tests.estimators.small import classifier, ends, ragged, regressor, signs

X = ragged()


@pytest.mark.parametrize("cell", ["rnn", "gru", "feedforward"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_size": 32},
        {"hidden_size": 24, "num_layers": 2, "bidirectional": False},
        {"hidden_size": 32, "stem": (2, 2), "views": "auto"},
        {"hidden_size": 24, "window": 3, "pooling": "attention"},
    ],
    ids=str,
)
def test_cells_are_matched_in_size(cell: str, parameters: dict) -> None:
    parameters = parameters | {"max_epochs": 1}
    wanted = count_parameters(classifier(**parameters).fit(X, signs(X)).recipe_.network)
    fitted = classifier(cell=cell, match_parameters=True, **parameters).fit(X, signs(X))
    learned = sum(parameter.numel() for parameter in fitted.network_.parameters())
    assert learned == count_parameters(fitted.recipe_.network)
    assert abs(learned / wanted - 1) < 0.05


def test_matching_leaves_an_lstm_as_it_is() -> None:
    assert classifier(match_parameters=True, max_epochs=1).fit(X, signs(X)).recipe_.network.hidden_size == 3


def test_what_is_given_is_kept() -> None:
    given = {
        "num_layers": 2,
        "pooling": "max",
        "views": ("change",),
        "dropout": 0.25,
        "input_noise": 0.5,
        "amplitude_noise": 0.75,
        "init": "torch",
    }
    training = {"max_epochs": 2, "lr": 0.125, "weight_decay": 0.5, "schedule": "constant", "clip_norm": 2.0}
    fitted = classifier(**given, **training, stem=(2,), batch_size=5, label_smoothing=0.375).fit(X, signs(X))
    network, recipe = fitted.recipe_.network, fitted.recipe_
    assert {name: getattr(network, name) for name in given} == given
    assert {name: getattr(recipe.training, name) for name in training} == training
    assert (network.stem_strides, recipe.batch_size, recipe.label_smoothing) == ((2,), 5, 0.375)


def test_the_longest_sequence_is_the_longest_lag() -> None:
    assert classifier(init="chrono").fit(X, signs(X)).recipe_.network.max_lag == max(map(len, X))
    assert classifier(init="chrono", max_lag=5).fit(X, signs(X)).recipe_.network.max_lag == 5


def test_the_cell_counts_lags_in_the_steps_that_the_stem_leaves_it() -> None:
    fitted = classifier(init="chrono", max_lag=10, stem=(2, 2)).fit(X, signs(X))
    assert fitted.recipe_.network.max_lag == 3


@pytest.mark.parametrize("count", [1, 20, 100_000])
@pytest.mark.parametrize("cls", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize("per_step", [False, True])
def test_every_auto_is_decided(cls: type, count: int, per_step: bool) -> None:
    shape = DataShape(n_sequences=count, n_steps=100, longest=150, n_features=2, n_outputs=3, per_step=per_step)
    estimator = cls(per_step=per_step)
    recipe = choose_recipe(estimator.get_params(deep=False), shape, estimator._choices(shape))
    values = [*vars(recipe).values(), *vars(recipe.network).values(), *vars(recipe.training).values()]
    assert not any(isinstance(value, str) and value == "auto" for value in values)
    assert 0 <= recipe.validation_fraction < 1
    assert recipe.batch_size >= 1
    assert recipe.training.max_epochs >= 1


@pytest.mark.parametrize("make", [classifier, regressor])
def test_to_hold_out_by_time_is_to_hold_out(make: type) -> None:
    y = signs(X) if make is classifier else ends(X)
    fitted = make(validation_fraction="auto", validation_split="time", validation_folds="auto").fit(X, y)
    assert "validation_loss" in fitted.history_[0]


def test_a_stem_that_leaves_out_steps_cannot_answer_each() -> None:
    with pytest.raises(ParameterError, match="per_step"):
        regressor(per_step=True, stem=(2,)).fit(X, [x[:, 0] for x in X])


@pytest.mark.parametrize("stem", ["auto", (1,), (2, 2), (8,)])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_short_sequences_pass_the_stem(stem: tuple[int, ...] | str, steps: int) -> None:
    short = np.random.default_rng(0).normal(size=(9, steps, 1))
    fitted = classifier(stem=stem, views="auto", batch_size=4).fit(short, np.arange(9) % 2)
    assert np.isfinite(fitted.predict_proba(short)).all()
    assert np.isfinite(fitted.predict_proba(short[:1])).all()


def test_a_batch_of_one_step_can_be_learned_from() -> None:
    short = np.random.default_rng(0).normal(size=(3, 1, 1))
    fitted = classifier(stem=(1,), batch_size=1).fit(short, [0, 1, 0])
    assert fitted.predict(short).shape == (3,)
