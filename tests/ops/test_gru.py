"""The GRU op against the NumPy oracle, values and all gradients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from longspan.ops import RNNWeights, gru
from tests import oracles
from tests.ops.cases import check, draw, sequences, shapes, weights


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("trace", [False, True], ids=["", "trace"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("reset", ["after", "before"])
def test_values_and_gradients(reset: str, bias: bool, trace: bool, reverse: bool) -> None:
    values = draw(1, **shapes(3, bias=bias))

    def op(tensors: dict, rows: torch.Tensor, batch_sizes: torch.Tensor):
        layer = RNNWeights(**weights(tensors))
        return gru(rows, batch_sizes, tensors["h"], weights=layer, reset=reset, reverse=reverse, trace=trace)

    def oracle(values: dict, number: int) -> dict[str, np.ndarray]:
        run = partial(oracles.gru_sequence, w=weights(values), reset=reset)
        return oracles.both_ways(run, sequences(values)[number], values["h"][number], reverse=reverse)

    check(values, op, oracle, reverse=reverse)


def test_the_two_resets_differ() -> None:
    values = {name: torch.tensor(value) for name, value in draw(1, **shapes(3, lengths=(2,))).items()}
    layer = RNNWeights(**weights(values))
    results = [
        gru(values["x0"], torch.tensor([1, 1]), values["h"], weights=layer, reset=reset)[0]
        for reset in ("after", "before")
    ]
    assert not torch.allclose(*results)
