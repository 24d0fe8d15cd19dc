"""Every parameter is checked when fitting, and the error names it."""

from typing import Any

import numpy as np
import pytest

from longspan import LSTMClassifier, LSTMRegressor
from longspan.errors import ParameterError
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
    "cell_options": ("peephole", {"pepole": True}, {"hidden_size": 3}, {"proj_size": 2}, {"zoneout": 2.0}, {3: 4}),
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
    "validation_folds": (-1, 1.5, None, "some"),
    "validation_split": ("groups", None, 0),
    "n_iter_no_change": (0, -1, 1.5, "never"),
    "tol": (-1.0, float("nan"), float("inf"), None, "auto"),
    "ema_decay": (-0.1, 1.0, float("nan"), None, "auto"),
    "warm_start": ("yes", 1, None),
    "device": ("gpu", "", None, 0, "cuda:99999"),
    "random_state": (-1, "seed", 2**32, 1.5, np.random.default_rng(0)),
    "verbose": (-1, "loud", None, 0.5),
}
BAD_OF_CLASSIFIER: dict[str, tuple[Any, ...]] = {
    "class_weight": ("even", 2.0, [1, 2], {0: -1.0}, {0: float("nan")}, {0: "much"}),
    "label_smoothing": (-0.1, 1.0, float("nan"), None, "some"),
}


def test_every_parameter_has_bad_values_here() -> None:
    assert set(BAD) == set(LSTMRegressor().get_params())
    assert set(BAD | BAD_OF_CLASSIFIER) == set(LSTMClassifier().get_params())


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_bad_value_is_refused_by_name(name: str, value: Any) -> None:
    said = "zoneout" if value == {"zoneout": 2.0} else name
    for estimator, y in ((classifier(), signs(X)), (regressor(), ends(X))):
        estimator.set_params(**{name: value})
        with pytest.raises(ParameterError, match=said):
            estimator.fit(X, y)
        with pytest.raises(ParameterError, match=said):
            estimator.partial_fit(X, y)


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
        {"device": "cpu"},
    ],
    ids=lambda good: "-".join(f"{name}={type(value).__name__}" for name, value in good.items()),
)
def test_a_good_value_is_taken(good: dict[str, Any]) -> None:
    fitted = classifier(**good).fit(X, signs(X))
    assert fitted.predict(X).shape == (8,)


@pytest.mark.parametrize("cls", [LSTMClassifier, LSTMRegressor])
def test_every_parameter_is_documented(cls: type) -> None:
    for name in cls().get_params():
        assert f"\n{name} : " in cls.__doc__ or f", {name} : " in cls.__doc__ or f"\n{name}, " in cls.__doc__
    assert "{parameters}" not in cls.__doc__
    assert "{recipe}" not in cls.__doc__
