"""The network of every task: views of the input, a stem, recurrent layers, pooling, a linear head."""

from dataclasses import asdict, dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan import nn
from longspan.errors import ParameterError
from longspan.nn.lstm import check_variants

CELLS = ("lstm", "rnn", "gru", "feedforward")


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of; plain values only, so that it goes into a model file.

    Attributes
    ----------
    input_size, output_size : int
        Features of a step, numbers given out.
    cell : {"lstm", "rnn", "gru", "feedforward"}
        What runs over the steps.
    hidden_size, num_layers, bidirectional
        Its size; a feed-forward network has no direction.
    pooling : str or None
        How the steps of a sequence become one vector (see `longspan.nn.Pooling`); None gives an output at every step.
    views : tuple of str
        Ways in which each channel is seen (see `longspan.nn.InputViews`).
    gaps : bool
        Values of the input may be NaN, and then count as the mean of their channel.
    input_noise, amplitude_noise : float
        Noise on what is seen, while training.
    stem_strides : tuple of int
        Stride of each convolutional block in front of the cell; empty for none.
    stem_channels : int
        Channels of those blocks.
    stem_pooling : str or None
        How the steps of the stem are pooled for the head, beside those of the cell; None leaves the stem to the cell.
    dropout : float
        Share of units dropped between layers and before the head.
    window : int
        Steps that a feed-forward network sees at once.
    init : {"torch", "forget_bias", "chrono"}
        Initialiser of an LSTM; `max_lag` goes with chrono.
    zero_head : bool
        Begin with outputs of zero: for standardised numbers, their mean.
    cell_options : dict
        Variants of the LSTM cell, as `longspan.nn.LSTM` takes them.
    """

    input_size: int
    output_size: int
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = True
    pooling: str | None = "last"
    views: tuple[str, ...] = ("level",)
    gaps: bool = False
    input_noise: float = 0.0
    amplitude_noise: float = 0.0
    stem_strides: tuple[int, ...] = ()
    stem_channels: int = 64
    stem_pooling: str | None = None
    dropout: float = 0.0
    window: int = 16
    init: str = "forget_bias"
    max_lag: int | None = None
    zero_head: bool = False
    cell_options: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


class SequenceNetwork(torch.nn.Module):
    """Standardise the input, look at it through a stem, run a cell over the steps, pool, and read out linearly.

    Parameters
    ----------
    config : NetworkConfig
        What it is made of.

    Notes
    -----
    Takes a `PackedSequence` of rows (sum T_b, I), longest sequence first, and returns (B, output_size); without pooling
    (sum T_b, output_size), in the order of the rows.
    """

    config_type = NetworkConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.views = nn.InputViews(
            config.input_size,
            config.views,
            gaps=config.gaps,
            noise=config.input_noise,
            amplitude_noise=config.amplitude_noise,
        )
        self.stem = _stem(config, self.views.output_size)
        self.cell = _cell(config, self.views.output_size if self.stem is None else self.stem.output_size)
        width = config.hidden_size * (2 if _two_way(config) else 1)
        self.pooling = None
        if config.pooling is not None:
            self.pooling = nn.Pooling(config.pooling, width, bidirectional=_two_way(config))
            width = self.pooling.output_size
        self.stem_pooling = None
        if self.stem is not None and config.stem_pooling is not None:
            self.stem_pooling = nn.Pooling(config.stem_pooling, self.stem.output_size)
            width += self.stem_pooling.output_size
        self.dropout = torch.nn.Dropout(config.dropout)
        self.head = torch.nn.Linear(width, config.output_size)
        if config.zero_head:
            torch.nn.init.zeros_(self.head.weight)
            torch.nn.init.zeros_(self.head.bias)

    def forward(self, inputs: PackedSequence) -> Tensor:
        """Return the outputs of the head."""
        steps = self.views(inputs)
        found = steps if self.stem is None else self.stem(steps)
        carried = self.cell(found)
        if not isinstance(carried, PackedSequence):
            carried = carried[0]
        pooled = carried.data if self.pooling is None else self.pooling(carried)
        if self.stem_pooling is not None:
            pooled = torch.cat([pooled, self.stem_pooling(found)], dim=-1)
        outputs: Tensor = self.head(self.dropout(pooled))
        return outputs


def check_cell_options(options: Any) -> None:
    """Raise `ParameterError` for what is no variant of the LSTM cell, or a value that it cannot have.

    Examples
    --------
    >>> check_cell_options({"layer_norm": True, "zoneout": 0.1})
    """
    variants = signature(check_variants).parameters.keys()
    if not isinstance(options, dict) or not options.keys() <= variants:
        raise ParameterError(
            f"cell_options is None or a dict with some of {', '.join(sorted(variants))}, but it was {options!r}."
        )
    try:
        check_variants(**options)
    except ParameterError as error:
        raise ParameterError(f"cell_options: {error}") from error


def count_parameters(config: NetworkConfig) -> int:
    """Return how many numbers a network of this make learns, without making it.

    Examples
    --------
    >>> count_parameters(NetworkConfig(input_size=2, output_size=1, hidden_size=8, bidirectional=False))
    393
    """
    with torch.device("meta"):
        network = SequenceNetwork(config)
    return sum(parameter.numel() for parameter in network.parameters())


def _two_way(config: NetworkConfig) -> bool:
    return config.bidirectional and config.cell != "feedforward"


def _stem(config: NetworkConfig, input_size: int) -> nn.ConvStem | None:
    if not config.stem_strides:
        return None
    return nn.ConvStem(input_size, config.stem_channels, config.stem_strides)


def _cell(config: NetworkConfig, input_size: int) -> torch.nn.Module:
    if config.cell == "feedforward":
        return nn.FeedForward(
            input_size, config.hidden_size, config.window, num_layers=config.num_layers, dropout=config.dropout
        )
    common: dict[str, Any] = {
        "num_layers": config.num_layers,
        "dropout": config.dropout if config.num_layers > 1 else 0.0,
        "bidirectional": config.bidirectional,
    }
    if config.cell == "lstm":
        variants = {"init": config.init, "max_lag": config.max_lag, **config.cell_options}
        return nn.LSTM(input_size, config.hidden_size, **common, **variants)
    if config.cell in ("rnn", "gru"):
        module = nn.RNN if config.cell == "rnn" else nn.GRU
        return module(input_size, config.hidden_size, **common)
    raise ParameterError(f"cell is one of {', '.join(CELLS)}, but it was {config.cell!r}.")
