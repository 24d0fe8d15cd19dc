"""What every ``"auto"`` becomes: the network and the training, chosen from the shape of the training data."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longspan.estimators._training_set import TrainingSet
from longspan.tasks import NetworkConfig, count_parameters
from longspan.training import TrainingSettings

_MANY = 1000
"""From so many sequences on, a part is held out, and batches are larger."""

_CELL_STEPS = 64
"""The stem shortens sequences until the cell has at most so many steps to carry memory over."""

_STEPS = 500
"""Training steps that a small set needs, however few its sequences are."""


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
    """

    n_sequences: int
    n_steps: int
    longest: int
    n_features: int
    n_outputs: int

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
        )


@dataclass(frozen=True)
class Recipe:
    """Everything that was chosen.

    Attributes
    ----------
    network : longspan.tasks.NetworkConfig
        What the network is made of.
    training : longspan.training.TrainingSettings
        How it is trained.
    batch_size : int
        Sequences in a training step.
    validation_fraction : float
        Share of the sequences held out.
    label_smoothing : float
        Of a classifier's training loss.
    """

    network: NetworkConfig
    training: TrainingSettings
    batch_size: int
    validation_fraction: float
    label_smoothing: float


def choose_recipe(parameters: dict[str, Any], shape: DataShape) -> Recipe:
    """Choose what is ``"auto"`` among the parameters of an estimator; keep the rest."""
    auto = _choices(shape)
    chosen = {name: auto.get(name) if _is_auto(value) else value for name, value in parameters.items()}
    return Recipe(
        network=_choose_network(chosen, shape, joined=_is_auto(parameters["pooling"])),
        training=TrainingSettings(
            max_epochs=chosen["max_epochs"],
            lr=chosen["lr"],
            weight_decay=chosen["weight_decay"],
            clip_norm=chosen["clip_norm"],
            schedule=chosen["schedule"],
            n_iter_no_change=chosen["n_iter_no_change"],
            tol=chosen["tol"],
            ema_decay=chosen["ema_decay"],
        ),
        batch_size=chosen["batch_size"],
        validation_fraction=chosen["validation_fraction"],
        label_smoothing=chosen.get("label_smoothing", 0.0),
    )


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _choices(shape: DataShape) -> dict[str, Any]:
    """Return what ``"auto"`` stands for, by the name of the parameter."""
    batch_size = 16 if shape.n_sequences < _MANY else 64
    steps_an_epoch = -(-shape.n_sequences // batch_size)
    return {
        "pooling": "last+mean+max",
        "stem": _stem_strides(shape.n_steps),
        "dropout": 0.3,
        "init": "forget_bias",
        "max_epochs": int(np.clip(-(-_STEPS // steps_an_epoch), 15, 400)),
        "batch_size": batch_size,
        "lr": 3e-3,
        "validation_fraction": 0.0 if shape.n_sequences < _MANY else 0.1,
        "n_iter_no_change": None,
        "label_smoothing": 0.1,
    }


def _stem_strides(n_steps: int) -> tuple[int, int]:
    """Return strides that leave the cell at most `_CELL_STEPS` steps, the first block taking the larger one."""
    halvings = max(0, (-(-n_steps // _CELL_STEPS) - 1).bit_length())
    return 2 ** (halvings - halvings // 2), 2 ** (halvings // 2)


def _choose_network(chosen: dict[str, Any], shape: DataShape, *, joined: bool) -> NetworkConfig:
    per_step = chosen["per_step"]
    config = NetworkConfig(
        input_size=shape.n_features,
        output_size=shape.n_outputs,
        cell=chosen["cell"],
        hidden_size=chosen["hidden_size"],
        num_layers=chosen["num_layers"],
        bidirectional=chosen["bidirectional"],
        pooling=None if per_step else chosen["pooling"],
        stem_strides=() if per_step else tuple(chosen["stem"] or ()),
        stem_pooling="mean+max" if joined else None,
        dropout=chosen["dropout"],
        window=chosen["window"],
        init=chosen["init"],
        max_lag=(chosen["max_lag"] or max(2, shape.longest)) if chosen["init"] == "chrono" else None,
        cell_options=chosen["cell_options"] or {},
    )
    return _matched(config) if chosen["match_parameters"] else config


def _matched(config: NetworkConfig) -> NetworkConfig:
    """Return the network with the hidden size that comes closest to the LSTM's number of parameters."""
    if config.cell == "lstm":
        return config
    wanted = count_parameters(replace(config, cell="lstm"))
    low, high = 1, 2
    while count_parameters(replace(config, hidden_size=high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if count_parameters(replace(config, hidden_size=middle)) < wanted:
            low = middle
        else:
            high = middle
    sizes = (replace(config, hidden_size=size) for size in (low, high))
    return min(sizes, key=lambda sized: abs(count_parameters(sized) - wanted))
