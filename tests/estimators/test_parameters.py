"""Every parameter is checked when fitting, and the error names it."""

from typing import Any

import numpy as np
import pytest

from longspan import LSTMClassifier, LSTMRegressor
from longspan.errors import NonFiniteError, ParameterError
from longspan.estimators import check_parameters
from longspan.sequences import as_sequences
from tests.estimators.small import classifier, ends, ragged, regressor, signs

X = ragged(8)

BAD_WHOLE = (0, -1, 1.5, "many", True, None, float("nan"))
BAD: dict[str, tuple[Any, ...]] = {
    "cell": ("elman", None, 1, ["lstm"], "LSTM"),
    "hidden_size": (*BAD_WHOLE, "auto"),
    "num_layers": (*BAD_WHOLE, "auto"),
    "bidirectional": ("no", 1, None),
    "pooling": ("first", "last+last", "last+", "", None, 3),
    "views": ("level", ("level", "level"), (), ("depth",), None, 3),
    "input_noise": (-0.1, float("nan"), float("inf"), "loud", None),
    "amplitude_noise": (-0.1, float("nan"), float("inf"), "loud", None),
    "stem": (2, "none", (0,), (2, 1.5), (True,), ("a",)),
    "dropout": (-0.1, 1.0, float("nan"), "half", None, True),
    "init": ("zeros", None, 0),
    "max_lag": (1, 2.5, "auto", float("nan")),
    "window": (*BAD_WHOLE, "auto"),
    "cell_options": (
        "peephole",
        {"pepole": True},
        {"hidden_size": 3},
        {"proj_size": 2},
        {3: 4},
        {"peephole": "no"},
        {"coupled": 1},
        {"layer_norm": None},
        {"zoneout": 2.0},
        {"zoneout": (0.1, float("nan"))},
        {"zoneout": (0.1, 0.1, 0.1)},
        {"zoneout": "much"},
        {"recurrent_dropout": 1.0},
        {"weight_drop": 1.0},
        {"weight_drop": True},
    ),
    "match_parameters": ("yes", 1, None),
    "per_step": ("yes", 1, None),
    "missing": ("drop", None, True),
    "max_epochs": BAD_WHOLE,
    "batch_size": BAD_WHOLE,
    "lr": (0.0, -1e-3, float("nan"), float("inf"), "fast", None),
    "weight_decay": (-1.0, float("nan"), float("inf"), "auto", None),
    "schedule": ("cosine", None, 0),
    "clip_norm": (0.0, -1.0, float("nan"), None, "auto"),
    "validation_fraction": (-0.1, 1.0, float("nan"), None, "some"),
    "validation_folds": (-1, 1, 1.5, None, "some"),
    "validation_split": ("groups", None, 0),
    "n_iter_no_change": (0, -1, 1.5, "never"),
    "tol": (-1.0, float("nan"), float("inf"), None, "auto"),
    "ema_decay": (-0.1, 1.0, float("nan"), None, "auto"),
    "warm_start": ("yes", 1, None),
    "device": ("gpu", "", None, 0, "cuda:99999", "cuda:99", "meta", "xla", "hpu"),
    "random_state": (-1, "seed", 2**32, 1.5, np.random.default_rng(0)),
    "verbose": (-1, "loud", None, 0.5),
}
BAD_OF_CLASSIFIER: dict[str, tuple[Any, ...]] = {
    "class_weight": ("even", 2.0, [1, 2], {0: -1.0}, {0: float("nan")}, {0: "much"}),
    "label_smoothing": (-0.1, 1.0, float("nan"), None, "some"),
    "calibrate": ("yes", 1, None),
}


def test_every_parameter_has_bad_values_here() -> None:
    elsewhere = {"pretrained"}  # an encoder, which is looked at when fitting
    assert set(BAD) | elsewhere == set(LSTMRegressor().get_params())
    assert set(BAD | BAD_OF_CLASSIFIER) | elsewhere == set(LSTMClassifier().get_params())


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_bad_value_is_refused_by_name(name: str, value: Any) -> None:
    for estimator, y in ((classifier(), signs(X)), (regressor(), ends(X))):
        estimator.set_params(**{name: value})
        with pytest.raises(ParameterError, match=name):
            estimator.fit(X, y)
        with pytest.raises(ParameterError, match=name):
            estimator.partial_fit(X, y)
        with pytest.raises(ParameterError, match=name):
            check_parameters(estimator.get_params())  # before any data are read


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD_OF_CLASSIFIER.items() for v in values])
def test_a_bad_value_of_a_classifier_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=name):
        classifier(**{name: value}).fit(X, signs(X))


@pytest.mark.parametrize(
    "good",
    [
        {"hidden_size": np.int64(2), "num_layers": np.int32(2)},
        {"bidirectional": np.bool_(False), "verbose": False},
        {"pooling": "attention+max"},
        {"views": ["change", "level"]},
        {"stem": [2, 1]},
        {"dropout": 0, "input_noise": 0, "amplitude_noise": 0, "weight_decay": 0, "tol": 0},
        {"init": "chrono", "max_lag": 10},
        {"init": "chrono"},
        {"clip_norm": float("inf"), "lr": 1},
        {"n_iter_no_change": None},
        {"cell": "gru", "num_layers": 2},
        {"cell": "feedforward", "window": 2},
        {"random_state": np.random.RandomState(0)},
        {"random_state": np.int64(3)},
        {"cell_options": {"peephole": True, "layer_norm": True, "zoneout": 0.1}},
        {
            "cell": "lstm",
            "cell_options": {"coupled": np.True_, "zoneout": [0.1, 0], "recurrent_dropout": 0.5, "weight_drop": 0},
            "verbose": 0,
        },
        {"cell": "gru", "cell_options": {}},
        {"cell": "gru", "cell_options": {"peephole": True}, "match_parameters": True},
        {"cell": "rnn", "init": "forget_bias"},
        {"device": "cpu"},
    ],
    ids=lambda good: "-".join(f"{name}={type(value).__name__}" for name, value in good.items()),
)
def test_a_good_value_is_taken(good: dict[str, Any]) -> None:
    fitted = classifier(**good).fit(X, signs(X))
    assert fitted.predict(X).shape == (8,)


@pytest.mark.parametrize(
    ("idle", "says"),
    [
        ({"cell": "gru", "cell_options": {"peephole": True}}, "cell is 'gru'.*leave cell_options out"),
        ({"cell": "rnn", "init": "chrono"}, "cell is 'rnn'.*leave init and max_lag out"),
        ({"cell": "gru", "init": "chrono", "max_lag": 9}, "cell is 'gru'.*leave init and max_lag out"),
        ({"cell": "gru", "max_lag": 9}, "leave max_lag out"),
        ({"max_lag": 9}, "init is 'auto'.*leave max_lag out"),
        ({"max_lag": 9, "init": "forget_bias"}, "init is 'forget_bias'.*leave max_lag out"),
    ],
)
def test_a_parameter_that_would_do_nothing_is_refused(idle: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=f"(?s){says}"):
        classifier(**idle).fit(X, signs(X))


def test_chrono_without_a_lag_means_the_longest_sequence() -> None:
    assert classifier(init="chrono").fit(X, signs(X)).recipe_.network.max_lag == max(map(len, X))


def test_what_pandas_calls_missing_is_missing() -> None:
    pandas = pytest.importorskip("pandas")
    numbers = [[1.0, 2.0], [np.nan, 3.0], [4.0, np.nan], [5.0, 6.0]]
    frame = pandas.DataFrame(numbers, columns=["a", "b"]).astype("Int64").astype({"b": "object"})
    assert np.asarray(frame).dtype == object
    expected = as_sequences([np.array(numbers)], allow_missing=True).values
    for given in (frame, frame.to_numpy(), frame.to_numpy().tolist()):
        np.testing.assert_array_equal(as_sequences([given], allow_missing=True).values, expected)
        with pytest.raises(NonFiniteError, match="step 1, feature 0"):
            as_sequences([given])
    fitted = classifier(missing="indicator", batch_size=2).fit([frame, frame + 1], [0, 1])
    np.testing.assert_array_equal(fitted.predict_proba([frame]), fitted.predict_proba([np.array(numbers)]))
    with pytest.raises(TypeError):
        as_sequences([np.array([pandas.NA, {"no": "number"}], dtype=object)])


@pytest.mark.parametrize("cls", [LSTMClassifier, LSTMRegressor])
def test_every_parameter_is_documented(cls: type) -> None:
    for name in cls().get_params():
        assert f"\n{name} : " in cls.__doc__ or f", {name} : " in cls.__doc__ or f"\n{name}, " in cls.__doc__
    assert "{parameters}" not in cls.__doc__
    assert "{recipe}" not in cls.__doc__
