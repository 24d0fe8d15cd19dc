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
from longspan.errors import LongspanError, ModelFileError
from longspan.estimators._parameters import check_cell_options, check_parameters
from longspan.estimators._recipe import Recipe
from longspan.io import read_model, write_model
from longspan.tasks import NetworkConfig, SequenceNetwork
from longspan.training import TrainingSettings

_NETWORK = "network."
_TARGETS = "target_scaler."


def save_estimator(estimator: BaseEstimator, path: str | PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator; see its method `save`."""
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
_ARRAYS = ("classes_", "class_weights_", "feature_names_in_")
_LARGEST_ARRAY = 1 << 28
"""Bytes; a made-up dtype such as U1000000000 would need far more."""


def _fitted_values(estimator: BaseEstimator) -> dict[str, Any]:
    values = {name: _plain(getattr(estimator, name)) for name in _VALUES if hasattr(estimator, name)}
    present = {name: getattr(estimator, name) for name in _ARRAYS if hasattr(estimator, name)}
    return {"values": values, "arrays": {name: _array_to_plain(array) for name, array in present.items()}}


def _array_to_plain(array: NDArray[Any] | None) -> dict[str, Any] | None:
    return None if array is None else {"dtype": array.dtype.str, "values": _plain(array.tolist())}


def _array_from_plain(plain: dict[str, Any] | None) -> NDArray[Any] | None:
    if plain is None:
        return None
    dtype, values = np.dtype(str(plain["dtype"])), [_restore(value) for value in plain["values"]]
    if dtype.itemsize * len(values) > _LARGEST_ARRAY:
        raise ModelFileError(f"the file speaks of {len(values)} values of the type {dtype}, which is beyond all use.")
    return np.array(values, dtype=dtype)


def _rebuild(estimator_class: type, config: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Any:
    parameters: dict[str, Any] = {name: _restore(value) for name, value in config["parameters"].items()}
    weights = parameters.get("class_weight")
    if isinstance(weights, dict):
        parameters["class_weight"] = dict(zip(weights["labels"], weights["weights"], strict=True))
    if isinstance(parameters["random_state"], tuple):
        drawn = np.random.RandomState()
        drawn.set_state(("MT19937", *parameters["random_state"]))
        parameters["random_state"] = drawn
    if str(parameters["device"]).startswith("cuda") and not torch.cuda.is_available():
        parameters["device"] = "auto"  # trained on one machine, used on another
    check_parameters(parameters)
    estimator = estimator_class(**parameters)
    estimator.recipe_ = _recipe(config["recipe"])
    _restore_fitted(estimator, config["fitted"])
    network = estimator.recipe_.network
    estimator.network_ = _network(network, tensors).to(estimator._torch_device())
    if isinstance(estimator, ClassifierMixin):
        _check_shapes(network.output_size, estimator.classes_, estimator.class_weights_)
    else:
        estimator.target_scaler_ = ChannelScaler(tensors[_TARGETS + "mean"], tensors[_TARGETS + "scale"])
        _check_shapes(network.output_size, estimator.target_scaler_.mean, estimator.target_scaler_.scale)
    return estimator


def _restore_fitted(estimator: BaseEstimator, fitted: dict[str, Any]) -> None:
    """Set what `_fitted_values` took, and nothing else, whatever the file says."""
    optional = {"n_outputs_", "_targets_are_1d"} if isinstance(estimator, ClassifierMixin) else set()
    for name in _VALUES.keys() - (optional - fitted["values"].keys()):
        value = _restore(fitted["values"][name], list)
        if not isinstance(value, _VALUES[name]):
            raise ModelFileError(f"the file says that {name} is {value!r:.60}.")
        setattr(estimator, name, value)
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
    return Recipe(network=NetworkConfig(**network), training=TrainingSettings(**training), **rest)


def _network(config: NetworkConfig, tensors: dict[str, NDArray[Any]]) -> SequenceNetwork:
    """Build the network around the tensors of the file: sizes that they do not bear out are never allocated."""
    weights = {
        name.removeprefix(_NETWORK): torch.from_numpy(np.array(array))
        for name, array in tensors.items()
        if name.startswith(_NETWORK)
    }
    check_cell_options(config.cell_options)
    if config.num_layers > len(weights):
        raise ModelFileError(f"the file speaks of {config.num_layers} layers, but holds {len(weights)} tensors.")
    with torch.device("meta"):
        network = SequenceNetwork(config)
    _check_weights(network, weights)
    network.load_state_dict(weights, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_()
    return network.eval()


def _check_weights(network: SequenceNetwork, weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another type than the network's, and weights that are not finite."""
    for name, expected in network.state_dict().items():
        if name in weights and weights[name].dtype != expected.dtype:
            raise ModelFileError(f"{name} is {weights[name].dtype}, but it should be {expected.dtype}.")
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ModelFileError(f"{name} holds NaN or infinity.")
