"""What every ``"auto"`` becomes: the network and the training, chosen from the shape of the training data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longspan.errors import ParameterError
from longspan.estimators._training_set import TrainingSet
from longspan.tasks import NetworkConfig, count_parameters
from longspan.training import TrainingSettings

_CELL_STEPS = 64
"""The stem shortens sequences until the cell has at most so many steps to carry memory over."""

_FEW, _SOME, _MANY = 16, 500, 2000
"""Numbers of sequences at which batches grow, and at which another way to validate is worth its price."""

_LARGEST_HOLD_OUT = 1000
"""Sequences that are enough to tell one epoch from another."""


@dataclass(frozen=True)
class DataShape:
    """What the choices depend on.

    Attributes
    ----------
    n_sequences : int
        Different sequences to learn from (or to hold out).
    n_steps : int
        Nine in ten sequences are no longer than this.
    longest : int
        The longest of them.
    n_features : int
        Features of a step.
    n_outputs : int
        Numbers that the network gives out: classes, or targets.
    per_step : bool
        Whether each step has a target.
    """

    n_sequences: int
    n_steps: int
    longest: int
    n_features: int
    n_outputs: int
    per_step: bool

    @classmethod
    def of(cls, training_set: TrainingSet, n_outputs: int) -> "DataShape":
        """Measure a training set."""
        lengths = training_set.sequences.lengths[training_set.kept]
        return cls(
            n_sequences=len(lengths),
            n_steps=int(np.percentile(lengths, 90, method="higher")),
            longest=int(lengths.max()),
            n_features=training_set.sequences.n_features,
            n_outputs=n_outputs,
            per_step=training_set.targets.per_step,
        )


@dataclass(frozen=True)
class Recipe:
    """Everything that was chosen.

    Attributes
    ----------
    network : longspan.tasks.NetworkConfig, or the configuration of another network
        What the network is made of.
    training : longspan.training.TrainingSettings
        How it is trained.
    batch_size : int
        Sequences in a training step.
    validation_fraction : float
        Share of the sequences held out.
    validation_folds : int
        Folds of the cross-validation that chooses the number of epochs; 0 for none.
    label_smoothing : float
        Of a classifier's training loss.
    calibration_folds : int
        Folds whose networks say how sure a classifier may be, where nothing else is held out; 0 for none.
    bptt_steps : int or None
        Steps that the gradients of a decoder go back; None for all.
    """

    network: Any
    training: TrainingSettings
    batch_size: int
    validation_fraction: float
    validation_folds: int = 0
    label_smoothing: float = 0.0
    calibration_folds: int = 0
    bptt_steps: int | None = None


def classifier_choices(shape: DataShape, *, calibrate: bool = False, by_folds: bool = True) -> dict[str, Any]:
    """Return what each ``"auto"`` of a classifier stands for, by the name of the parameter.

    Smoothed labels, dropout, noise and averaged weights keep a classifier from overfitting, so that no sequence has to
    be held out. To `calibrate` it takes some: each in its turn, in folds, on small sets if it may be `by_folds`, and a
    part of larger ones.
    """
    in_turn = by_folds and shape.n_sequences <= _SOME
    return {
        **_common_choices(shape),
        "max_epochs": _epochs(shape, steps=500),
        "input_noise": 0.1,
        "amplitude_noise": 0.1,
        "validation_fraction": _part_to_hold_out(shape) if calibrate and not in_turn else 0.0,
        "validation_folds": 0,
        "label_smoothing": 0.1,
        "calibration_folds": 4 if calibrate and in_turn else 0,
    }


def regressor_choices(shape: DataShape) -> dict[str, Any]:
    """Return what each ``"auto"`` of a regressor stands for, by the name of the parameter.

    Few noisy numbers are soon learned by heart: the epoch at which to stop is found by cross-validation on small sets
    and on a part held out of larger ones, and it may be epoch 0, which predicts the mean.
    """
    return {
        **_common_choices(shape),
        "max_epochs": _epochs(shape, steps=400),
        "input_noise": 0.05,
        "amplitude_noise": 0.0,
        "zero_head": True,
        "validation_fraction": 0.0 if shape.n_sequences <= _SOME else _part_to_hold_out(shape),
        "validation_folds": 4 if _FEW <= shape.n_sequences <= _SOME else 0,
    }


def encoder_choices(shape: DataShape) -> dict[str, Any]:
    """Return what each ``"auto"`` of an encoder stands for, by the name of the parameter.

    What is learned is the input itself, a target of many numbers for each sequence: nothing has to be held out, dropout
    does harm, and convolutional blocks are of use only where sequences are too long for the cell.
    """
    strides = _stem_strides(shape.n_steps)
    return {
        **_common_choices(shape),
        "stem": None if max(strides) == 1 else strides,
        "max_epochs": _epochs(shape, steps=500),
        "dropout": 0.0,
        "input_noise": 0.2,
        "amplitude_noise": 0.0,
        "validation_fraction": 0.0,
        "validation_folds": 0,
    }


def _part_to_hold_out(shape: DataShape) -> float:
    return min(0.1, _LARGEST_HOLD_OUT / shape.n_sequences)


def _common_choices(shape: DataShape) -> dict[str, Any]:
    return {
        "views": ("level",) if shape.per_step else ("level", "change"),
        "stem": None if shape.per_step else _stem_strides(shape.n_steps),
        "pooling": "last+mean+max",
        "dropout": 0.3,
        "init": "forget_bias",
        "batch_size": _batch_size(shape),
        "lr": 3e-3,
        "n_iter_no_change": None,
        "zero_head": False,
    }


def _batch_size(shape: DataShape) -> int:
    return 16 if shape.n_sequences <= _SOME else 32 if shape.n_sequences <= _MANY else 64


def _epochs(shape: DataShape, *, steps: int) -> int:
    """Return 15 passes, or more where they come to fewer training steps than a small set needs."""
    steps_an_epoch = -(-shape.n_sequences // _batch_size(shape))
    return max(15, -(-steps // steps_an_epoch))


def _stem_strides(n_steps: int) -> tuple[int, int]:
    """Return strides that leave the cell at most `_CELL_STEPS` steps, the first block taking the larger one."""
    halvings = max(0, (-(-n_steps // _CELL_STEPS) - 1).bit_length())
    return 2 ** (halvings - halvings // 2), 2 ** (halvings // 2)


def choose_recipe(parameters: dict[str, Any], shape: DataShape, choices: dict[str, Any]) -> Recipe:
    """Put `choices` where the parameters of an estimator say ``"auto"``; keep the rest."""
    chosen = choices | {
        name: choices[name] if _is_auto(value) else value for name, value in parameters.items() if name != "device"
    }
    stops_early = parameters["n_iter_no_change"] not in ("auto", None)
    asked_to_hold_out = (
        not _is_auto(parameters["validation_fraction"]) or parameters["validation_split"] != "random" or stops_early
    )
    if asked_to_hold_out and _is_auto(parameters["validation_folds"]):
        chosen["validation_folds"] = 0
        chosen["validation_fraction"] = chosen["validation_fraction"] or _asked_fraction(parameters)
    return Recipe(
        network=_choose_network(chosen, shape, joined=_is_auto(parameters["pooling"])),
        training=training_settings(chosen),
        batch_size=chosen["batch_size"],
        validation_fraction=chosen["validation_fraction"],
        validation_folds=chosen["validation_folds"],
        label_smoothing=chosen.get("label_smoothing", 0.0),
        calibration_folds=0 if _holds_out(chosen) else chosen.get("calibration_folds", 0),
    )


def training_settings(chosen: dict[str, Any]) -> TrainingSettings:
    """Return the settings of the loop among the parameters that were chosen."""
    return TrainingSettings(
        max_epochs=chosen["max_epochs"],
        lr=chosen["lr"],
        weight_decay=chosen["weight_decay"],
        clip_norm=chosen["clip_norm"],
        schedule=chosen["schedule"],
        n_iter_no_change=chosen["n_iter_no_change"],
        tol=chosen["tol"],
        ema_decay=chosen["ema_decay"],
    )


def _holds_out(chosen: dict[str, Any]) -> bool:
    return bool(chosen["validation_fraction"] or chosen["validation_folds"])


def _asked_fraction(parameters: dict[str, Any]) -> float:
    """Return the fraction given, or a tenth where only the way to hold out was."""
    fraction = parameters["validation_fraction"]
    return 0.1 if _is_auto(fraction) else float(fraction)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _choose_network(chosen: dict[str, Any], shape: DataShape, *, joined: bool) -> NetworkConfig:
    strides = tuple(chosen["stem"] or ())
    if shape.per_step and any(stride > 1 for stride in strides):
        raise ParameterError(
            f"with per_step=True every step needs its own output, but stem={strides} leaves out steps.\n"
            f"  Use stem=None, or strides of 1."
        )
    config = NetworkConfig(
        input_size=shape.n_features,
        output_size=shape.n_outputs,
        cell=chosen["cell"],
        hidden_size=chosen["hidden_size"],
        num_layers=chosen["num_layers"],
        bidirectional=chosen["bidirectional"],
        pooling=None if shape.per_step else chosen["pooling"],
        views=tuple(chosen["views"]),
        gaps=chosen["missing"] == "indicator",
        input_noise=chosen["input_noise"],
        amplitude_noise=chosen["amplitude_noise"],
        stem_strides=strides,
        stem_pooling="mean+max" if strides and joined and not shape.per_step else None,
        dropout=chosen["dropout"],
        window=chosen["window"],
        init=chosen["init"],
        max_lag=_lag_of_cell(chosen["max_lag"] or shape.longest, strides) if chosen["init"] == "chrono" else None,
        cell_options=chosen["cell_options"] or {},
        zero_head=chosen["zero_head"],
    )
    network: NetworkConfig = matched(config, count_parameters) if chosen["match_parameters"] else config
    return network


def _lag_of_cell(lag: int, strides: tuple[int, ...]) -> int:
    """Return a lag in steps of the cell, which sees fewer of them than there are in the data."""
    return max(2, -(-lag // math.prod(strides)))


def matched(config: Any, count: Callable[[Any], int]) -> Any:
    """Return the network with the hidden size that comes closest to the LSTM's number of parameters, by `count`."""
    if config.cell == "lstm":
        return config
    wanted = count(replace(config, cell="lstm"))
    low, high = 1, 2
    while count(replace(config, hidden_size=high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if count(replace(config, hidden_size=middle)) < wanted:
            low = middle
        else:
            high = middle
    sizes = (replace(config, hidden_size=size) for size in (low, high))
    return min(sizes, key=lambda sized: abs(count(sized) - wanted))
