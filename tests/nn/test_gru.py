"""The GRU of the paper, whose reset gate acts before the product."""

from __future__ import annotations

import pytest
import torch

from longspan import nn
from longspan.errors import ParameterError
from tests import oracles


def test_reset_before() -> None:
    module = nn.GRU(3, 4, reset="before", dtype=torch.float64)
    x = torch.randn(5, 3, dtype=torch.float64)
    h = torch.randn(1, 4, dtype=torch.float64)
    names = {"weight_ih_l0": "w_ih", "weight_hh_l0": "w_hh", "bias_ih_l0": "b_ih", "bias_hh_l0": "b_hh"}
    weights = {names[name]: value.detach().numpy() for name, value in module.named_parameters()}
    expected = oracles.gru_sequence(x.numpy(), h[0].numpy(), weights, reset="before")
    output, h_n = module(x, h)
    oracles.assert_all_close({"h": output, "h_n": h_n}, {"h": expected["h"], "h_n": expected["h"][-1:]})


def test_refused_arguments() -> None:
    with pytest.raises(ParameterError, match="'after', 'before'"):
        nn.GRU(3, 4, reset="never")
    with pytest.raises(ParameterError, match="'tanh', 'relu'"):
        nn.RNN(3, 4, nonlinearity="sigmoid")
