"""Forecasting: the distribution of the next steps of a series, as quantiles or as a location and a scale."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.nn.functional import softplus

from longspan.tasks.network import _cell
from longspan.tasks.task import Task, weighted_sums

OUTPUTS = ("quantiles", "normal", "student_t")

_WIDEST = 4.0
"""Logarithm of how much wider or narrower than at the beginning the network may say that the future is."""


class WindowTensors(Protocol):
    """What the network reads; see `longspan.data.Window`."""

    values: Tensor
    seen: Tensor
    past: Tensor
    future: Tensor
    static: Tensor
    floor: Tensor


@dataclass(frozen=True)
class ForecasterConfig:
    """What a forecasting network is made of; plain values only, so that it goes into a model file.

    Attributes
    ----------
    context_length, horizon : int
        Steps that are seen, L, and steps that are forecast at once, H.
    season_length : int
        Steps of a season; 1 for none.
    n_channels : int
        Channels of a series, K.
    covariate_size, static_size : int
        Numbers known in advance of each step, F, and of each series, S.
    output : {"quantiles", "normal", "student_t"}
        What is given out for each step.
    levels : tuple of float
        Levels of the quantiles, rising, 0.5 among them.
    cell, hidden_size, num_layers, dropout, window, init, max_lag, cell_options
        As in `NetworkConfig`.
    """

    context_length: int
    horizon: int
    season_length: int = 1
    n_channels: int = 1
    covariate_size: int = 0
    static_size: int = 0
    output: str = "quantiles"
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.0
    window: int = 16
    init: str = "forget_bias"
    max_lag: int | None = None
    cell_options: dict[str, Any] = field(default_factory=dict)

    bidirectional: ClassVar[bool] = False

    @property
    def n_spreads(self) -> int:
        """How many widths are given out for each step, beside the location."""
        return len(self.levels) - 1 if self.output == "quantiles" else 1

    @property
    def n_outputs(self) -> int:
        """Numbers given out for each step: a location, the widths, and for Student's t the degrees of freedom."""
        return 1 + self.n_spreads + (self.output == "student_t")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def window_scale(values: Tensor, floor: Tensor, season_length: int) -> Tensor:
    """Return the scale of each context and channel, shape (B, 1, K): how much it changes in a step or in a season.

    Parameters
    ----------
    values : Tensor, shape (B, L, K)
        Contexts.
    floor : Tensor, shape (B, K)
        The smallest scale allowed.
    season_length : int
        Steps of a season.

    Examples
    --------
    >>> window_scale(torch.tensor([[[0.0], [1.0], [0.0], [3.0]]]), torch.zeros(1, 1), 2).item()
    1.6666666269302368
    """
    scale = floor
    for lag in {1, season_length}:
        if lag < values.shape[1]:
            scale = torch.maximum(scale, (values[:, lag:] - values[:, :-lag]).abs().mean(dim=1))
    return scale.unsqueeze(1)


class ForecastNetwork(torch.nn.Module):
    """Correct a linear forecast: a cell reads the context, and a decoder speaks for each step of the horizon.

    Parameters
    ----------
    config : ForecasterConfig
        What it is made of.

    Notes
    -----
    Everything is computed in units of the context's own scale (`window_scale`), relative to its last value. The linear
    forecast of the context (`set_base`) is fixed; the network learns what it leaves, from zero, as the neural part of
    LSTNet is added to an autoregressive one (Lai et al. 2018). The decoder sees the cell's last state, the covariates
    of the step, what is known of the series, the linear forecast of the step and an embedding of its number (the local
    decoder of Wen et al. 2017).

    Returns (B, H, n_outputs): the location, and the distances, above 0, from it to the neighbouring quantiles, those
    below it first from the middle outwards, then those above; or the scale of a distribution (and degrees of freedom).

    References
    ----------
    Lai, Chang, Yang & Liu 2018, "Modeling long- and short-term temporal patterns with deep neural networks", SIGIR;
    Wen, Torkkola, Narayanaswamy & Madeka 2017, "A multi-horizon quantile recurrent forecaster", arXiv:1711.11053.
    """

    config_type = ForecasterConfig

    base_weight: Tensor
    base_bias: Tensor
    base_spread: Tensor
    covariate_mean: Tensor
    covariate_scale: Tensor
    static_mean: Tensor
    static_scale: Tensor

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        channels, covariates = config.n_channels, config.covariate_size
        static = config.static_size + (channels if channels > 1 else 0)
        buffers = {
            "base_weight": torch.zeros(config.context_length, config.horizon),
            "base_bias": torch.zeros(config.horizon),
            "base_spread": torch.ones(config.horizon, config.n_spreads),
            "covariate_mean": torch.zeros(covariates),
            "covariate_scale": torch.ones(covariates),
            "static_mean": torch.zeros(static),
            "static_scale": torch.ones(static),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value)
        self.cell = _cell(config, 2 * channels + 1 + covariates)  # type: ignore[arg-type]  # has what is asked of it
        self.step = torch.nn.Embedding(config.horizon, _STEP_SIZE)
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(config.hidden_size + covariates + static + _STEP_SIZE + 1, config.hidden_size),
            torch.nn.ReLU(),
            torch.nn.Dropout(config.dropout),
        )
        self.head = torch.nn.Linear(config.hidden_size, config.n_outputs)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)

    def set_base(self, weight: Tensor, bias: Tensor, spread: Tensor) -> None:
        """Set the linear forecast: weights (L, H), what is added (H,), and how far the outputs lie from it (H, ...)."""
        self.base_weight = weight.to(self.base_weight)
        self.base_bias = bias.to(self.base_bias)
        self.base_spread = spread.to(self.base_spread)

    def scale(self, window: WindowTensors) -> Tensor:
        """Return what one unit of the outputs is, shape (B, 1)."""
        return window_scale(window.values, window.floor, self.config.season_length)[:, :, 0]

    def forward(self, window: WindowTensors) -> Tensor:
        """Return the outputs of each step of the horizon."""
        scaled = window.values / window_scale(window.values, window.floor, self.config.season_length)
        base = scaled[:, :, 0] @ self.base_weight + self.base_bias
        corrections = self._decode(window, self._state(window, scaled), base)
        location = base + corrections[..., 0]
        spreads = self.config.n_spreads
        spread = self.base_spread * corrections[..., 1 : 1 + spreads].clamp(-_WIDEST, _WIDEST).exp()
        return torch.cat([location.unsqueeze(-1), spread, corrections[..., 1 + spreads :]], dim=-1)

    def _state(self, window: WindowTensors, scaled: Tensor) -> Tensor:
        """Return what the cell has found at the end of the context, shape (B, H)."""
        season = self.config.season_length
        own = scaled[:, :, :1]
        lag = season if 1 <= season < own.shape[1] else 1
        change = torch.cat([torch.zeros_like(own[:, :lag]), own[:, lag:] - own[:, :-lag]], dim=1)
        known = (window.past - self.covariate_mean) / self.covariate_scale
        steps = torch.cat([_squashed(scaled), _squashed(change), window.seen, known], dim=-1)
        carried = self.cell(steps.transpose(0, 1))
        state: Tensor = (carried if isinstance(carried, Tensor) else carried[0])[-1]
        return state

    def _decode(self, window: WindowTensors, state: Tensor, base: Tensor) -> Tensor:
        static = (window.static - self.static_mean) / self.static_scale
        horizon = base.shape[1]
        parts = [
            state.unsqueeze(1).expand(-1, horizon, -1),
            (window.future - self.covariate_mean) / self.covariate_scale,
            static.unsqueeze(1).expand(-1, horizon, -1),
            self.step.weight.expand(len(base), -1, -1),
            _squashed(base).unsqueeze(-1),
        ]
        corrections: Tensor = self.head(self.decoder(torch.cat(parts, dim=-1)))
        return corrections


_STEP_SIZE = 8
"""Numbers that stand for the place of a step in the horizon."""


def _squashed(values: Tensor) -> Tensor:
    """Return values whose logarithm grows beyond 1: a spike does not drown the rest."""
    return values.asinh()


class Forecasting(Task):
    """Predict the distribution of each step of the horizon.

    Parameters
    ----------
    network : ForecastNetwork
        Gives outputs in units of the scale of each window.

    Notes
    -----
    Quantiles are learned by the pinball loss (Koenker & Bassett 1978), distributions by their likelihood; both in units
    of the scale of the context. Steps at which nothing was measured are NaN in the targets, and count for nothing.
    """

    network: ForecastNetwork

    def loss(self, inputs: Any, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Return the mean loss of the steps that were measured."""
        losses, known = self._losses(self.network(inputs), targets / self.network.scale(inputs))
        return losses.sum() / known.sum().clamp(min=1)

    def metrics(self, inputs: Any, targets: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
        """Return sums over the steps that were measured: of the loss, and of the absolute error of the location."""
        outputs, truth = self.network(inputs), targets / self.network.scale(inputs)
        losses, known = self._losses(outputs, truth)
        error = (outputs[..., 0] - truth).abs()
        return weighted_sums(known.to(losses), loss=losses, mae=error.nan_to_num())

    def read(self, outputs: Tensor) -> Tensor:
        """Return the quantiles at the levels of the network, shape (..., Q)."""
        return self.quantiles(outputs, self.network.config.levels)

    def quantiles(self, outputs: Tensor, levels: tuple[float, ...]) -> Tensor:
        """Return the quantiles at some levels, rising, in units of the scale of each window, shape (..., Q).

        Where quantiles are learned the levels must be among those.
        """
        config = self.network.config
        outputs = outputs.cpu().double()
        if config.output == "quantiles":
            learned = quantiles_from_gaps(outputs, config.levels.index(0.5))
            return learned[..., [config.levels.index(level) for level in levels]]
        unit = self._unit_quantiles(outputs, torch.tensor(levels, dtype=torch.float64))
        return outputs[..., :1] + outputs[..., 1:2] * unit

    def _unit_quantiles(self, outputs: Tensor, levels: Tensor) -> Tensor:
        if self.network.config.output == "normal":
            normal: Tensor = torch.special.ndtri(levels)
            return normal.expand(*outputs.shape[:-1], -1)
        freedom = _degrees_of_freedom(outputs[..., 2:3])
        return torch.from_numpy(stdtrit(freedom.numpy(), levels.numpy()))

    def _losses(self, outputs: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each step, 0 where nothing was measured, and where something was."""
        known = ~truth.isnan()
        truth = truth.nan_to_num()
        config = self.network.config
        if config.output == "quantiles":
            found = quantiles_from_gaps(outputs, config.levels.index(0.5))
            losses = pinball_loss(truth, found, config.levels).mean(dim=-1)
        else:
            losses = -self._distribution(outputs).log_prob(truth)
        return losses * known, known

    def _distribution(self, outputs: Tensor) -> torch.distributions.Distribution:
        location, scale = outputs[..., 0], outputs[..., 1]
        if self.network.config.output == "normal":
            return torch.distributions.Normal(location, scale, validate_args=False)
        freedom = _degrees_of_freedom(outputs[..., 2])
        return torch.distributions.StudentT(freedom, location, scale, validate_args=False)


def _degrees_of_freedom(raw: Tensor) -> Tensor:
    """Return degrees of freedom above 2, so that there is a variance; about 8 at the beginning."""
    return 2.0 + softplus(raw + 6.0)


def quantiles_from_gaps(outputs: Tensor, middle: int) -> Tensor:
    """Return quantiles that cannot cross, from a median and the gaps between them, shape (..., Q).

    Parameters
    ----------
    outputs : Tensor, shape (..., Q)
        The median; the gaps to the quantiles below it, from the middle outwards; the gaps to those above.
    middle : int
        The place of the median among the quantiles.

    Examples
    --------
    >>> quantiles_from_gaps(torch.tensor([10.0, 1.0, 2.0, 4.0]), 2)
    tensor([ 7.,  9., 10., 14.])
    """
    median, gaps = outputs[..., :1], outputs[..., 1:]
    below = median - gaps[..., :middle].cumsum(dim=-1).flip(-1)
    above = median + gaps[..., middle:].cumsum(dim=-1)
    return torch.cat([below, median, above], dim=-1)


def pinball_loss(truth: Tensor, quantiles: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Return the pinball loss of each quantile, shape (..., Q): ``max(level * e, (level - 1) * e)`` with the error e.

    Examples
    --------
    >>> pinball_loss(torch.tensor([2.0]), torch.tensor([[1.0, 4.0]]), (0.1, 0.5))
    tensor([[0.1000, 1.0000]])
    """
    error = truth.unsqueeze(-1) - quantiles
    level = torch.tensor(levels, dtype=error.dtype, device=error.device)
    return torch.maximum(level * error, (level - 1.0) * error)


def count_forecaster_parameters(config: ForecasterConfig) -> int:
    """Return how many numbers a network of this make learns, without making it.

    Examples
    --------
    >>> count_forecaster_parameters(ForecasterConfig(context_length=4, horizon=2, hidden_size=4))
    231
    """
    with torch.device("meta"):
        network = ForecastNetwork(config)
    return sum(parameter.numel() for parameter in network.parameters())
