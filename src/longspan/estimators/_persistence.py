"""Fitted estimators as files: weights as tensors, everything else as plain JSON, nothing that runs."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from os import PathLike
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.data import ChannelScaler
from longspan.errors import LongspanError, ModelFileError, ParameterError
from longspan.estimators._parameters import (
    NUMBERS,
    check_device_name,
    check_number,
    check_parameters,
    why_unusable,
)
from longspan.estimators._recipe import Recipe
from longspan.io import read_model, write_model
from longspan.tasks import check_cell_options
from longspan.training import TrainingSettings
from longspan.training.optimiser import SCHEDULES

_NETWORK = "network."


def save_estimator(estimator: Any, path: str | PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator; see its method `save`."""
    _check_same_kind(estimator)
    tensors = {
        _NETWORK + name: tensor.detach().cpu().contiguous().numpy()
        for name, tensor in estimator.network_.state_dict().items()
    }
    for name in _names_of(estimator, ChannelScaler):
        scaler = getattr(estimator, name)
        tensors |= {_tensor_name(name, "mean"): scaler.mean, _tensor_name(name, "scale"): scaler.scale}
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


def _plain_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters; a RandomState is the numbers of its state."""
    parameters: dict[str, Any] = estimator._settings_to_save()
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


_LARGEST_ARRAY = 1 << 28
"""Bytes; a made-up dtype such as U1000000000 would need far more."""


def _names_of(estimator: Any, kind: type) -> list[str]:
    """Return the names of fitted state of one type, of what there is."""
    return [name for name, its in estimator._state.items() if its is kind and hasattr(estimator, name)]


def _tensor_name(name: str, part: str) -> str:
    return f"{name.removesuffix('_')}.{part}"


def _fitted_values(estimator: Any) -> dict[str, Any]:
    arrays = {name: _array_to_plain(getattr(estimator, name)) for name in _names_of(estimator, np.ndarray)}
    values = {
        name: _plain(getattr(estimator, name))
        for kind in set(estimator._state.values()) - {np.ndarray, ChannelScaler}
        for name in _names_of(estimator, kind)
    }
    return {"values": values, "arrays": arrays}


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
    estimator.recipe_ = _recipe(config["recipe"], estimator)
    _check_same_kind(estimator)
    _restore_fitted(estimator, config["fitted"], tensors)
    estimator.network_ = _network(estimator, tensors).to(estimator._torch_device())
    estimator._check_state()
    return estimator


def _check_same_kind(estimator: Any) -> None:
    """Refuse parameters that were changed after fitting into those of another kind of network."""
    for name, (now, fitted) in estimator._kind_of_network().items():
        if now != fitted:
            raise ParameterError(
                f"{name} is {now!r:.60}, but the network was fitted with {name}={fitted!r:.60}.\n"
                f"  Set {name} back, or fit again."
            )


def _restore_fitted(estimator: Any, fitted: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
    """Set what `_fitted_values` took, and nothing else, whatever the file says."""
    for name, kind in estimator._state.items():
        if kind is ChannelScaler:
            setattr(estimator, name, _scaler(tensors[_tensor_name(name, "mean")], tensors[_tensor_name(name, "scale")]))
            continue
        kept = fitted["arrays" if kind is np.ndarray else "values"]
        if name not in kept and name in estimator._optional_state:
            continue
        if kind is np.ndarray:
            setattr(estimator, name, _array_from_plain(kept[name]))
            continue
        value = _restore(kept[name], list)
        if type(value) is not kind:
            raise ModelFileError(f"the file says that {name} is {value!r:.60}.")
        setattr(estimator, name, value)
    if not all(isinstance(record, dict) for record in estimator.history_):
        raise ModelFileError("history_ is not one record an epoch.")


def _scaler(mean: NDArray[Any], scale: NDArray[Any]) -> ChannelScaler:
    if not (mean.ndim == 1 and mean.shape == scale.shape):
        raise ModelFileError(f"means of shape {mean.shape} do not go with scales of shape {scale.shape}.")
    if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
        raise ModelFileError("a scale is not finite, or not above 0.")
    return ChannelScaler(mean, scale)


def _recipe(plain: dict[str, Any], estimator: Any) -> Recipe:
    network = {name: _restore(value) for name, value in plain["network"].items()}
    training = {name: _restore(value) for name, value in plain["training"].items()}
    rest = {name: _restore(value) for name, value in plain.items() if name not in ("network", "training")}
    config = estimator._network_type.config_type(**network)
    recipe = Recipe(network=config, training=TrainingSettings(**training), **rest)
    for part in (recipe.network, recipe.training, recipe):
        _check_fields(part)
    _check_training(recipe.training)
    estimator._check_config(recipe.network)
    return recipe


def _check_fields(part: Any) -> None:
    """Refuse numbers out of their range, and what is neither true nor false where it should be."""
    for each in fields(part):
        value = getattr(part, each.name)
        if each.name in NUMBERS:
            check_number(each.name, value, auto=False)
        elif each.type is bool and type(value) is not bool:
            raise ModelFileError(f"{each.name} is {value!r:.60}, not true or false.")


def _check_training(settings: TrainingSettings) -> None:
    if settings.schedule not in SCHEDULES:
        raise ModelFileError(f"the file speaks of the schedule {settings.schedule!r:.60}.")
    if settings.stop_after is not None and (type(settings.stop_after) is not int or settings.stop_after < 0):
        raise ModelFileError(f"the file says to stop after {settings.stop_after!r:.60} epochs.")


def _network(estimator: Any, tensors: dict[str, NDArray[Any]]) -> torch.nn.Module:
    """Build the network around the tensors of the file: sizes that they do not bear out are never allocated."""
    config = estimator.recipe_.network
    weights = {
        name.removeprefix(_NETWORK): torch.from_numpy(np.array(array))
        for name, array in tensors.items()
        if name.startswith(_NETWORK)
    }
    check_cell_options(config.cell_options)
    for what, count in estimator._counts_of_parts(config).items():
        if count > len(weights):
            raise ModelFileError(f"the file speaks of {count} {what}, but holds {len(weights)} tensors.")
    with torch.device("meta"):
        network: torch.nn.Module = estimator._network_type(config)
    _check_weights(network, weights)
    network.load_state_dict(weights, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_()
    return network.eval()


def _check_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights of another type than the network's, weights that are not finite, scales that are none."""
    for name, expected in network.state_dict().items():
        if name in weights and weights[name].dtype != expected.dtype:
            raise ModelFileError(f"{name} is {weights[name].dtype}, but it should be {expected.dtype}.")
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ModelFileError(f"{name} holds NaN or infinity.")
        if name.endswith(("views.scale", "views.view_scale")) and not bool((tensor > 0).all()):
            raise ModelFileError(f"{name} is divided by, and is not above 0.")
        if name.endswith(".running_var") and bool((tensor < 0).any()):
            raise ModelFileError(f"{name} holds a variance below 0.")
