"""What every ``"auto"`` becomes: the network and the training, chosen from the shape of the training data."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longspan.estimators._training_set import TrainingSet
from longspan.tasks import NetworkConfig, count_parameters
from longspan.training import TrainingSettings


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
    batch_size = _or_auto(parameters["batch_size"], 16)
    max_epochs = _or_auto(parameters["max_epochs"], 50)
    return Recipe(
        network=_choose_network(parameters, shape),
        training=TrainingSettings(
            max_epochs=max_epochs,
            lr=_or_auto(parameters["lr"], 3e-3),
            weight_decay=parameters["weight_decay"],
            clip_norm=parameters["clip_norm"],
            schedule=parameters["schedule"],
            n_iter_no_change=_or_auto(parameters["n_iter_no_change"], None),
            tol=parameters["tol"],
        ),
        batch_size=batch_size,
        validation_fraction=_or_auto(parameters["validation_fraction"], 0.0),
        label_smoothing=_or_auto(parameters.get("label_smoothing", 0.0), 0.0),
    )


def _or_auto(value: Any, chosen: Any) -> Any:
    return chosen if isinstance(value, str) and value == "auto" else value


def _choose_network(parameters: dict[str, Any], shape: DataShape) -> NetworkConfig:
    per_step = parameters["per_step"]
    init = _or_auto(parameters["init"], "forget_bias")
    config = NetworkConfig(
        input_size=shape.n_features,
        output_size=shape.n_outputs,
        cell=parameters["cell"],
        hidden_size=parameters["hidden_size"],
        num_layers=parameters["num_layers"],
        bidirectional=parameters["bidirectional"],
        pooling=None if per_step else _or_auto(parameters["pooling"], "last+mean+max"),
        stem_strides=() if per_step else tuple(_or_auto(parameters["stem"], ()) or ()),
        dropout=_or_auto(parameters["dropout"], 0.3),
        window=parameters["window"],
        init=init,
        max_lag=(parameters["max_lag"] or max(2, shape.longest)) if init == "chrono" else None,
        cell_options=parameters["cell_options"] or {},
    )
    return _matched(config) if parameters["match_parameters"] else config


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
