"""Fitted estimators as files: weights as tensors, everything else as plain JSON, nothing that runs."""

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from longspan.data import ChannelScaler
from longspan.errors import LongspanError, ModelFileError, ParameterError
from longspan.estimators._parameters import (
    check_cell_options,
    check_device_name,
    check_number,
    check_parameters,
    why_unusable,
)
from longspan.estimators._recipe import Recipe
from longspan.io import read_model, write_model
from longspan.tasks import NetworkConfig, SequenceNetwork
from longspan.training import TrainingSettings
from longspan.training.optimiser import SCHEDULES

_NETWORK = "network."
_TARGETS = "target_scaler."


def save_estimator(estimator: BaseEstimator, path: str | PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator; see its method `save`."""
    _check_same_kind(estimator.get_params(deep=False), estimator.recipe_.network)
    tensors = {
        _NETWORK + name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in estimator.network_.state_dict().items()
    }
    scaler = getattr(estimator, "target_scaler_", None)
    if scaler is not None:
        tensors |= {_TARGETS + "mean": scaler.mean, _TARGETS + "scale": scaler.scale}
    config = {
        "estimator": type(estimator).__name__,
        "parameters": _plain_parameters(estimator),
        "recipe": _plain(asdict(estimator.recipe_)),
        "fitted": _fitted_values(estimator),
        "notes": dict(getattr(estimator, "notes_", {}) if notes is None else notes),
    }
    write_model(path, config, tensors)


def load_estimator(path: str | PathLike[str], classes: dict[str, type]) -> Any:
    """Read what `save_estimator` wrote; `classes` are the estimators that may be in a file, by name."""
    config, tensors = read_model(path)
    name = config.get("estimator")
    if not isinstance(name, str) or name not in classes:
        raise ModelFileError(
            f"{path} holds a {name!r:.60}, which this longspan does not know. It knows {', '.join(sorted(classes))}."
        )
    try:
        estimator = _rebuild(classes[name], config, tensors)
        estimator.notes_ = dict(config.get("notes", {}))
    except (LongspanError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} is a longspan model file, but its contents do not fit together: {error}\n"
            f"  Save the model again, or fetch the file again."
        ) from error
    return estimator


def _plain_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the parameters; a RandomState is the numbers of its state."""
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if isinstance(parameters["random_state"], np.random.RandomState):
        _, key, *rest = cast(tuple[Any, ...], parameters["random_state"].get_state())
        parameters["random_state"] = [key.tolist(), *rest]
    weights = parameters.get("class_weight")
    if isinstance(weights, dict):
        parameters["class_weight"] = {
            "labels": [_plain(k) for k in weights],
            "weights": list(weights.values()),
        }
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: Any) -> Any:
    """Return the value JSON would have, for NumPy scalars, tuples and what is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}
    return value


def _restore(value: Any, sequence: type = tuple) -> Any:
    """Undo `_plain`; lists become tuples, as parameters have them, or whatever `sequence` says."""
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return float(value["float"])
        return {key: _restore(entry, sequence) for key, entry in value.items()}
    return sequence(_restore(entry, sequence) for entry in value) if isinstance(value, list) else value


_VALUES: dict[str, type] = {
    "n_features_in_": int,
    "n_sequence_features_": int,
    "_columns_are_steps": bool,
    "history_": list,
    "n_iter_": int,
    "best_epoch_": int,
    "stop_reason_": str,
    "n_outputs_": int,
    "_targets_are_1d": bool,
}
_NUMBERS_OF_NETWORK = ("hidden_size", "num_layers", "window", "max_lag", "dropout", "input_noise", "amplitude_noise")
_NUMBERS_OF_TRAINING = ("max_epochs", "lr", "weight_decay", "clip_norm", "n_iter_no_change", "tol", "ema_decay")
_NUMBERS_OF_RECIPE = ("batch_size", "validation_fraction", "validation_folds", "label_smoothing")
_LARGEST_STRIDE = 1 << 31
_ARRAYS = ("classes_", "class_weights_", "feature_names_in_")
_LARGEST_ARRAY = 1 << 28
"""Bytes; a made-up dtype such as U1000000000 would need far more."""


def _fitted_values(estimator: BaseEstimator) -> dict[str, Any]:
    values = {name: _plain(getattr(estimator, name)) for name in _VALUES if hasattr(estimator, name)}
    present = {name: getattr(estimator, name) for name in _ARRAYS if hasattr(estimator, name)}
    return {"values": values, "arrays": {name: _array_to_plain(array) for name, array in present.items()}}


def _array_to_plain(array: NDArray[Any] | None) -> dict[str, Any] | None:
    if array is None:
        return None
    # Times as the whole numbers that they are: as dates, JSON has none and nanoseconds would be lost.
    values = array.astype(np.int64) if array.dtype.kind in "mM" else array
    return {"dtype": array.dtype.str, "values": _plain(values.tolist())}


def _array_from_plain(plain: dict[str, Any] | None) -> NDArray[Any] | None:
    if plain is None:
        return None
    dtype, values = np.dtype(str(plain["dtype"])), [_restore(value) for value in plain["values"]]
    if dtype.itemsize * len(values) > _LARGEST_ARRAY:
        raise ModelFileError(f"the file speaks of {len(values)} values of the type {dtype}, which is beyond all use.")
    return np.array(values, dtype=np.int64).astype(dtype) if dtype.kind in "mM" else np.array(values, dtype=dtype)


def _rebuild(estimator_class: type, config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Any:
    parameters: dict[str, Any] = {name: _restore(value) for name, value in config["parameters"].items()}
    weights = parameters.get("class_weight")
    if isinstance(weights, dict):
        parameters["class_weight"] = dict(zip(weights["labels"], weights["weights"], strict=True))
    if isinstance(parameters["random_state"], tuple):
        drawn = np.random.RandomState()
        drawn.set_state(("MT19937", *parameters["random_state"]))
        parameters["random_state"] = drawn
    check_device_name(parameters["device"])
    if why_unusable(parameters["device"]) is not None:
        parameters["device"] = "auto"  # trained on one machine, used on another
    check_parameters(parameters)
    estimator = estimator_class(**parameters)
    estimator.recipe_ = _recipe(config["recipe"])
    network = estimator.recipe_.network
    _check_same_kind(parameters, network)
    _restore_fitted(estimator, config["fitted"])
    if network.input_size not in (estimator.n_sequence_features_, 3 * estimator.n_sequence_features_):
        raise ModelFileError(
            f"the network takes {network.input_size} features, the estimator {estimator.n_sequence_features_}."
        )
    estimator.network_ = _network(network, tensors).to(estimator._torch_device())
    if isinstance(estimator, ClassifierMixin):
        _check_shapes(network.output_size, estimator.classes_, estimator.class_weights_)
        _check_classes(estimator.classes_, estimator.class_weights_)
    else:
        estimator.target_scaler_ = ChannelScaler(tensors[_TARGETS + "mean"], tensors[_TARGETS + "scale"])
        _check_shapes(network.output_size, estimator.target_scaler_.mean, estimator.target_scaler_.scale)
        _check_target_scaler(estimator.target_scaler_)
    return estimator


def _check_same_kind(parameters: dict[str, Any], network: NetworkConfig) -> None:
    """Refuse parameters that were changed after fitting into those of another kind of network."""
    for name, now, fitted in (
        ("cell", parameters["cell"], network.cell),
        ("per_step", bool(parameters["per_step"]), network.pooling is None),
    ):
        if now != fitted:
            raise ParameterError(
                f"{name} is {now!r:.60}, but the network was fitted with {name}={fitted!r:.60}.\n"
                f"  Set {name} back, or fit again."
            )


def _check_classes(classes: NDArray[Any] | None, weights: NDArray[Any] | None) -> None:
    # Labels are looked up in them by bisection.
    if classes is None or not np.array_equal(np.unique(classes), classes):
        raise ModelFileError("the classes are not in order, or one of them is there twice.")
    if weights is not None and not (
        weights.dtype.kind == "f" and bool(np.isfinite(weights).all() and min(weights) >= 0)
    ):
        raise ModelFileError("the weights of the classes are not finite numbers from 0.")


def _check_target_scaler(scaler: ChannelScaler) -> None:
    if not (np.isfinite(scaler.mean).all() and np.isfinite(scaler.scale).all() and (scaler.scale > 0).all()):
        raise ModelFileError("the scale of the targets is not finite, or not above 0.")


def _restore_fitted(estimator: BaseEstimator, fitted: dict[str, Any]) -> None:
    """Set what `_fitted_values` took, and nothing else, whatever the file says."""
    optional = {"n_outputs_", "_targets_are_1d"} if isinstance(estimator, ClassifierMixin) else set()
    for name in _VALUES.keys() - (optional - fitted["values"].keys()):
        value = _restore(fitted["values"][name], list)
        if type(value) is not _VALUES[name]:
            raise ModelFileError(f"the file says that {name} is {value!r:.60}.")
        setattr(estimator, name, value)
    if not all(isinstance(record, dict) for record in estimator.history_):
        raise ModelFileError("history_ is not one record an epoch.")
    for name in _ARRAYS:
        if name in fitted["arrays"]:
            setattr(estimator, name, _array_from_plain(fitted["arrays"][name]))


def _check_shapes(size: int, *arrays: NDArray[Any] | None) -> None:
    for array in arrays:
        if array is not None and array.shape != (size,):
            raise ModelFileError(f"the network has {size} outputs, but something that goes with them {array.shape}.")


def _recipe(plain: dict[str, Any]) -> Recipe:
    network = {name: _restore(value) for name, value in plain["network"].items()}
    training = {name: _restore(value) for name, value in plain["training"].items()}
    rest = {name: _restore(value) for name, value in plain.items() if name not in ("network", "training")}
    recipe = Recipe(network=NetworkConfig(**network), training=TrainingSettings(**training), **rest)
    for part, names in (
        (recipe.network, _NUMBERS_OF_NETWORK),
        (recipe.training, _NUMBERS_OF_TRAINING),
        (recipe, _NUMBERS_OF_RECIPE),
    ):
        for name in names:
            check_number(name, getattr(part, name), auto=False)
    _check_training(recipe.training)
    _check_stem(recipe.network)
    return recipe


def _check_training(settings: TrainingSettings) -> None:
    if settings.schedule not in SCHEDULES:
        raise ModelFileError(f"the file speaks of the schedule {settings.schedule!r:.60}.")
    if settings.stop_after is not None and (type(settings.stop_after) is not int or settings.stop_after < 0):
        raise ModelFileError(f"the file says to stop after {settings.stop_after!r:.60} epochs.")


def _check_stem(config: NetworkConfig) -> None:
    strides: Any = config.stem_strides
    if not isinstance(strides, tuple) or not all(type(s) is int and 1 <= s < _LARGEST_STRIDE for s in strides):
        raise ModelFileError(f"the file speaks of the strides {strides!r:.60}.")
    if config.pooling is None and any(stride > 1 for stride in strides):
        raise ModelFileError(f"each step has an output, but the strides {strides!r:.60} leave out steps.")
    if config.stem_pooling is not None and (config.pooling is None or not strides):
        raise ModelFileError("the steps of a stem are pooled, but there is no stem, or each step has an output.")
    for name in ("bidirectional", "zero_head"):
        if not isinstance(getattr(config, name), bool):
            raise ModelFileError(f"{name} is {getattr(config, name)!r:.60}, not true or false.")


def _network(config: NetworkConfig, tensors: dict[str, NDArray[Any]]) -> SequenceNetwork:
    """Build the network around the tensors of the file: sizes that they do not bear out are never allocated."""
    weights = {
        name.removeprefix(_NETWORK): torch.from_numpy(np.array(array))
        for name, array in tensors.items()
        if name.startswith(_NETWORK)
    }
    check_cell_options(config.cell_options)
    for what, count in (("layers", config.num_layers), ("blocks of a stem", len(config.stem_strides))):
        if count > len(weights):
            raise ModelFileError(f"the file speaks of {count} {what}, but holds {len(weights)} tensors.")
    with torch.device("meta"):
        network = SequenceNetwork(config)
    _check_weights(network, weights)
    network.load_state_dict(weights, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_()
    return network.eval()


def _check_weights(network: SequenceNetwork, weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another type than the network's, weights that are not finite, scales that are none."""
    for name, expected in network.state_dict().items():
        if name in weights and weights[name].dtype != expected.dtype:
            raise ModelFileError(f"{name} is {weights[name].dtype}, but it should be {expected.dtype}.")
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ModelFileError(f"{name} holds NaN or infinity.")
        if name in ("views.scale", "views.view_scale") and not bool((tensor > 0).all()):
            raise ModelFileError(f"{name} is divided by, and is not above 0.")
        if name.endswith(".running_var") and bool((tensor < 0).any()):
            raise ModelFileError(f"{name} holds a variance below 0.")
