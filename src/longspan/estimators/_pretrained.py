"""Starting a classifier or a regressor from the weights of an encoder."""

from dataclasses import fields, replace
from typing import Any

from sklearn.frozen import FrozenEstimator

from longspan.errors import ParameterError, ShapeError
from longspan.tasks import NetworkConfig, SequenceNetwork

_MAKINGS: dict[str, str] = {
    "cell": "cell",
    "hidden_size": "hidden_size",
    "num_layers": "num_layers",
    "bidirectional": "bidirectional",
    "window": "window",
    "cell_options": "cell_options",
    "views": "views",
    "stem": "stem_strides",
    "pooling": "pooling",
    "missing": "gaps",
}
"""Parameters that the encoder decides, and what they are called in the configuration of a network."""

_SHARED = (*_MAKINGS.values(), "stem_channels", "stem_pooling", "init", "max_lag")


def fitted_encoder(pretrained: Any) -> Any:
    """Return the encoder, taken out of a `FrozenEstimator`.

    Raises
    ------
    ParameterError
        If it is no encoder, or was not fitted.
    """
    encoder = pretrained.estimator if isinstance(pretrained, FrozenEstimator) else pretrained
    if not callable(getattr(encoder, "inverse_transform", None)) or not hasattr(encoder, "_sequence_network"):
        raise ParameterError(f"pretrained is a fitted LSTMEncoder or None, but it was {pretrained!r:.80}.")
    if not hasattr(encoder, "network_"):
        raise ParameterError(
            "pretrained is an LSTMEncoder that has not been fitted: it has no weights to start from.\n"
            "  Fit it first. If it lost its fit in a grid of parameters, which are cloned, pass "
            "sklearn.frozen.FrozenEstimator(encoder) there."
        )
    return encoder


def parameters_like(encoder: Any, *, per_step: bool) -> dict[str, Any]:
    """Return the parameters that make the same network as the encoder's; one with an output a step has no pooling."""
    return parameters_of(_config(encoder), per_step=per_step)


def parameters_of(config: NetworkConfig, *, per_step: bool) -> dict[str, Any]:
    """Return the parameters that make such a network; one with an output a step has no pooling."""
    parameters = {name: getattr(config, field) for name, field in _MAKINGS.items()}
    parameters["stem"] = config.stem_strides or None
    parameters["missing"] = "indicator" if config.gaps else "error"
    parameters["cell_options"] = config.cell_options or None
    if per_step:
        parameters["pooling"] = "auto"
    return parameters | {"init": "auto", "max_lag": None, "match_parameters": False}


def check_agrees(estimator: Any, encoder: Any) -> None:
    """Refuse sequences with other features than the encoder's, and parameters that ask for another network.

    A parameter that has its default value asks for nothing.

    Raises
    ------
    ShapeError, ParameterError
    """
    if estimator.n_sequence_features_ != encoder.n_sequence_features_:
        raise ShapeError(
            f"the sequences have {estimator.n_sequence_features_} features, but the pretrained encoder was fitted on "
            f"{encoder.n_sequence_features_}."
        )
    asked, had = estimator.get_params(deep=False), parameters_like(encoder, per_step=bool(estimator.per_step))
    defaults = {each.name: each.default for each in fields(estimator)}
    for name in _MAKINGS:
        if not _equal(asked[name], defaults[name]) and not _equal(asked[name], had[name]):
            raise ParameterError(
                f"{name} is {asked[name]!r}, but the pretrained encoder was fitted with {name}={had[name]!r}.\n"
                f"  Leave {name} out, or fit an encoder with {name}={asked[name]!r}."
            )


def network_like(encoder: Any, wanted: NetworkConfig) -> NetworkConfig:
    """Return what a network is made of that can take over the encoder's weights."""
    config = _config(encoder)
    shared: dict[str, Any] = {name: getattr(config, name) for name in _SHARED}
    if wanted.pooling is None:
        shared |= {"pooling": None, "stem_pooling": None}
    return replace(wanted, **shared)


def start_from(encoder: Any, network: SequenceNetwork) -> None:
    """Copy the encoder's weights and scales into a network, all but those of the read-out."""
    taken = {name for name in network.state_dict() if not name.startswith("head.")}
    known = encoder._sequence_network(encoder.network_).state_dict()
    network.load_state_dict({name: known[name] for name in taken}, strict=False)


def _config(encoder: Any) -> NetworkConfig:
    config: NetworkConfig = encoder._sequence_network(encoder.network_).config
    return config


def _equal(one: Any, other: Any) -> bool:
    """Compare values of a parameter; a list and a tuple of the same are the same."""
    one, other = (tuple(value) if isinstance(value, list) else value for value in (one, other))
    return bool(one == other)
