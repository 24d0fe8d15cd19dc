"""The network of `Reconstruction`: sequences into a few numbers each, and back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan import nn
from longspan.errors import ParameterError
from longspan.nn._layout import spread
from longspan.nn.steps import cosine_code, log_lengths
from longspan.tasks.network import NetworkConfig, SequenceNetwork
from longspan.tasks.residuals import Residuals

_STATES = {"lstm": 2, "gru": 1, "rnn": 1, "feedforward": 0}
"""How many vectors a cell carries from step to step."""


@dataclass(frozen=True)
class AutoencoderConfig(NetworkConfig):
    """What an autoencoder is made of: the fields of the network that encodes, and some more.

    Attributes
    ----------
    output_size : int
        Numbers that stand for a sequence, Z.
    target_size : int
        Channels that are given back; the first of the input.
    variational : bool
        A sequence stands for a Gaussian of latent numbers, and not for one point.
    harmonics : int
        Cosines that tell the decoder where in the sequence a step is, and that its series is made of.
    """

    target_size: int = 1
    variational: bool = False
    harmonics: int = 4

    @property
    def encoder(self) -> NetworkConfig:
        """What the encoding half is made of: it gives means, and for a Gaussian the logarithms of variances too."""
        plain: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(NetworkConfig)}
        return NetworkConfig(**plain | {"output_size": self.output_size * (2 if self.variational else 1)})


class Latents(NamedTuple):
    """What stands for B sequences.

    Attributes
    ----------
    mean : Tensor, shape (B, Z)
        The numbers.
    log_variance : Tensor, shape (B, Z), or None
        Of the Gaussian around them, if it is one.
    """

    mean: Tensor
    log_variance: Tensor | None = None

    def sample(self) -> Tensor:
        """Draw from the Gaussian; without one, return the numbers."""
        if self.log_variance is None:
            return self.mean
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """Return the Kullback-Leibler divergence from the standard normal, in nats, shape (B,)."""
        if self.log_variance is None:
            return torch.zeros_like(self.mean[:, 0])
        terms = self.log_variance.exp() + self.mean.square() - 1.0 - self.log_variance
        return 0.5 * terms.sum(dim=-1)


class Autoencoder(torch.nn.Module):
    """Encode a sequence into Z numbers, and decode a sequence from them.

    The encoder is a `SequenceNetwork`. What is decoded is a sum. One part is a cosine series over the sequence, whose
    coefficients are linear in the numbers: the slow course of things, which few sequences are enough to learn. The
    other is read off a stack of the same cell as the encoder's, whose initial state comes from the numbers, and which
    at each step sees them again and where the step is. It does not see the step before, so all steps of all sequences
    run in one call, and what it cannot make out of the numbers it has nowhere else to look up.

    Parameters
    ----------
    config : AutoencoderConfig
        What it is made of.

    Attributes
    ----------
    residuals : Residuals
        What its reconstructions of training sequences leave; measured after training, and not learned.

    References
    ----------
    Srivastava, Mansimov & Salakhutdinov 2015, "Unsupervised learning of video representations using LSTMs" (the
    unconditioned decoder); Kingma & Welling 2014, "Auto-encoding variational Bayes".
    """

    config_type = AutoencoderConfig

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        if config.pooling is None:
            raise ParameterError("an autoencoder has one vector for each sequence: pooling must not be None.")
        self.config = config
        self.encoder = SequenceNetwork(config.encoder)
        self.residuals = Residuals(config.target_size)
        self.states, self.layers = _STATES[config.cell], config.num_layers
        self.decoder = _decoder(config)
        if self.states:
            self.start = torch.nn.Linear(config.output_size, self.states * self.layers * config.hidden_size)
        self.read_out = torch.nn.Linear(config.hidden_size, config.target_size)
        self.series = torch.nn.Linear(config.output_size * (config.harmonics + 1), config.target_size, bias=False)
        torch.nn.init.zeros_(self.series.weight)
        if config.variational:
            self.log_noise = torch.nn.Parameter(torch.full((config.target_size,), -1.0))

    def encode(self, inputs: PackedSequence) -> Latents:
        """Return what stands for each sequence."""
        outputs = self.encoder(inputs)
        return Latents(*outputs.chunk(2, dim=-1)) if self.config.variational else Latents(outputs)

    def decode(self, latents: Tensor, batch_sizes: Tensor) -> Tensor:
        """Return standardised steps, shape (sum T_b, target_size).

        Parameters
        ----------
        latents : Tensor, shape (B, Z)
            Numbers of each sequence.
        batch_sizes : Tensor, int64 on the CPU, shape (T,)
            How many sequences still run at each step: the first ones are the longest.
        """
        waves, lengths = (
            part.to(latents.device)
            for part in (
                cosine_code(batch_sizes, self.config.harmonics, latents.dtype),
                log_lengths(batch_sizes, latents.dtype),
            )
        )
        own = spread(latents, batch_sizes)
        rows = PackedSequence(torch.cat([own, waves[:, 1:], lengths], dim=-1), batch_sizes)
        found = self.decoder(rows, self._start(latents)) if self.states else self.decoder(rows)
        seen = (found if isinstance(found, PackedSequence) else found[0]).data
        steps: Tensor = self.read_out(seen) + self.series((own[:, :, None] * waves[:, None, :]).flatten(1))
        return steps

    def forward(self, inputs: PackedSequence) -> Tensor:
        """Return the latent numbers of each sequence, shape (B, Z)."""
        return self.encode(inputs).mean

    def standardised(self, inputs: PackedSequence) -> tuple[Tensor, Tensor | None]:
        """Return the channels that shall be given back, and which of their values were seen (None: all)."""
        size, views = self.config.target_size, self.encoder.views
        levels = (inputs.data[:, :size] - views.mean[:size]) / views.scale[:size]
        if not self.config.gaps:
            return levels, None
        seen = inputs.data[:, size : 2 * size]
        return torch.where(seen > 0, levels, 0.0), seen

    def _start(self, latents: Tensor) -> Any:
        state = torch.tanh(self.start(latents)).view(len(latents), self.states, self.layers, -1)
        parts = state.permute(1, 2, 0, 3).contiguous().unbind(0)
        return parts if self.states == 2 else parts[0]


def _decoder(config: AutoencoderConfig) -> torch.nn.Module:
    size, hidden = config.output_size + config.harmonics + 1, config.hidden_size
    dropout = config.dropout if config.num_layers > 1 else 0.0
    if config.cell == "feedforward":  # each step knows where it is: there is nothing to see in a window
        return nn.FeedForward(size, hidden, 1, num_layers=config.num_layers, dropout=dropout)
    if config.cell == "lstm":
        variants = {"init": "forget_bias", **config.cell_options}
        return nn.LSTM(size, hidden, config.num_layers, dropout=dropout, **variants)
    module = nn.RNN if config.cell == "rnn" else nn.GRU
    return module(size, hidden, config.num_layers, dropout=dropout)


def count_autoencoder_parameters(config: AutoencoderConfig) -> int:
    """Return how many numbers an autoencoder of this make learns, without making it."""
    with torch.device("meta"):
        network = Autoencoder(config)
    return sum(parameter.numel() for parameter in network.parameters())
