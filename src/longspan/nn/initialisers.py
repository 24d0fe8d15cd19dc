"""Initial weights of recurrent layers.

Every function fills tensors in place and draws from torch's global generator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from longspan.errors import ParameterError


def uniform_(parameters: Iterable[Tensor], hidden_size: int) -> None:
    """Fill with torch's default for recurrent layers, uniform in ``[-1/sqrt(H), 1/sqrt(H)]``."""
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0.0
    for parameter in parameters:
        torch.nn.init.uniform_(parameter, -bound, bound)


def glorot_(weight: Tensor, blocks: int) -> None:
    """Fill each of the gate blocks of `weight` as Glorot & Bengio (2010) do, as a matrix of its own."""
    for block in weight.chunk(blocks):
        torch.nn.init.xavier_uniform_(block)


def orthogonal_(weight: Tensor, blocks: int) -> None:
    """Fill each of the gate blocks of `weight` with an orthogonal matrix (Saxe et al. 2014)."""
    for block in weight.chunk(blocks):
        torch.nn.init.orthogonal_(block)


@torch.no_grad()
def forget_bias_(bias: Tensor, gates: Sequence[str], value: float = 1.0) -> None:
    """Fill an LSTM bias with zeros, and its forget block with `value`.

    torch's layers add two bias vectors: call this on one and zero the other, or the value doubles.

    References
    ----------
    Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015.

    Examples
    --------
    >>> bias = torch.empty(8)
    >>> forget_bias_(bias, gates=("i", "f", "g", "o"))
    >>> bias
    tensor([0., 0., 1., 1., 0., 0., 0., 0.])
    """
    blocks = dict(zip(gates, bias.zero_().chunk(len(gates)), strict=True))
    blocks["f"].fill_(value)


@torch.no_grad()
def chrono_(bias: Tensor, gates: Sequence[str], max_lag: int) -> None:
    """Fill an LSTM bias so that its units remember over lags up to `max_lag`.

    ``b_f = log U[1, max_lag - 1]``, ``b_i = -b_f``, and zero for the others: a unit with forget bias
    ``log u`` forgets with a time constant of about ``u`` steps.

    References
    ----------
    Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 2.

    Examples
    --------
    >>> bias = torch.empty(8)
    >>> chrono_(bias, gates=("i", "f", "g", "o"), max_lag=100)
    >>> bool((bias[2:4] >= 0).all()), torch.equal(bias[:2], -bias[2:4])
    (True, True)
    """
    if max_lag < 2:
        raise ParameterError(
            f"max_lag is {max_lag}, but chrono initialisation needs at least 2.\n"
            f"  It is the longest lag, in steps, over which the network should remember."
        )
    blocks = dict(zip(gates, bias.zero_().chunk(len(gates)), strict=True))
    blocks["f"].uniform_(1.0, max_lag - 1.0).log_()
    if "i" in blocks:
        blocks["i"].copy_(-blocks["f"])
