"""The simple recurrent op against the NumPy oracle, values and all gradients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from longspan.ops import RNNWeights, rnn
from tests import oracles
from tests.ops.cases import check, draw, sequences, shapes, weights


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("trace", [False, True], ids=["", "trace"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_values_and_gradients(nonlinearity: str, bias: bool, trace: bool, reverse: bool) -> None:
    values = draw(1, **shapes(1, bias=bias))

    def op(tensors: dict, rows: torch.Tensor, batch_sizes: torch.Tensor):
        layer = RNNWeights(**weights(tensors))
        return rnn(
            rows,
            batch_sizes,
            tensors["h"],
            weights=layer,
            nonlinearity=nonlinearity,
            reverse=reverse,
            trace=trace,
        )

    def oracle(values: dict, number: int) -> dict[str, np.ndarray]:
        run = partial(oracles.rnn_sequence, w=weights(values), nonlinearity=nonlinearity)
        return oracles.both_ways(run, sequences(values)[number], values["h"][number], reverse=reverse)

    check(values, op, oracle, reverse=reverse)
