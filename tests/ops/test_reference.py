"""The cell of 1997, which has no layer op."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longspan.ops import LSTMState, lstm1997_step
from tests import oracles
from tests.ops.cases import draw, weights


def run_1997(values: dict[str, torch.Tensor], *, block_size: int, truncate: bool = False) -> dict:
    """Walk one sequence, feeding h, c and the gates back."""
    state = LSTMState(h=values["h"], c=values["c"])
    blocks = state.c.shape[-1] // block_size
    gates = torch.zeros(1, 2 * blocks, dtype=torch.float64)
    records = []
    for x in values["x"]:
        projected = (values["w_ih"] @ x + values["b_ih"]).unsqueeze(0)
        record = lstm1997_step(
            projected,
            state,
            w_hh=values["w_hh"],
            w_gg=values.get("w_gg"),
            gates=gates,
            block_size=block_size,
            truncate=truncate,
        )
        state, gates = LSTMState(h=record.h, c=record.c), torch.cat([record.i, record.o], dim=-1)
        records.append(record)
    return {name: torch.cat([getattr(record, name) for record in records]) for name in "igoch"}


def draw_1997(block_size: int, gate_recurrence: bool) -> dict[str, np.ndarray]:
    cells = 4
    blocks = cells // block_size
    rows = cells + 2 * blocks
    extra = {"w_gg": (rows, 2 * blocks)} if gate_recurrence else {}
    return draw(
        5,
        x=(5, 3),
        h=(1, cells),
        c=(1, cells),
        w_ih=(rows, 3),
        w_hh=(rows, cells),
        b_ih=(rows,),
        **extra,
    )


@pytest.mark.parametrize("block_size", [1, 2])
@pytest.mark.parametrize("gate_recurrence", [False, True])
def test_values_and_gradients(block_size: int, gate_recurrence: bool) -> None:
    values = draw_1997(block_size, gate_recurrence)
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    found = run_1997(tensors, block_size=block_size)

    def expected(values: dict) -> dict[str, np.ndarray]:
        return oracles.lstm1997_sequence(
            values["x"], values["h"][0], values["c"][0], weights(values), block_size=block_size
        )

    oracles.assert_all_close(found, expected(values))
    loss = (found["h"] * torch.arange(20.0).view(5, 4)).sum()
    gradients = torch.autograd.grad(loss, list(tensors.values()))
    oracles.assert_all_close(
        dict(zip(tensors, gradients, strict=True)),
        oracles.gradients(lambda v: (expected(v)["h"] * np.arange(20).reshape(5, 4)).sum(), values),
        rtol=1e-8,
    )


def test_truncated_gradient_flows_along_the_cell_state_only() -> None:
    """dc_T/dc_0 is one: without a forget gate, and with h' and the gates cut off, nothing else is left."""
    values = draw_1997(1, gate_recurrence=True)
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    found = run_1997(tensors, block_size=1, truncate=True)
    (by_c,) = torch.autograd.grad(found["c"][-1].sum(), tensors["c"], retain_graph=True)
    torch.testing.assert_close(by_c, torch.ones_like(by_c), rtol=0, atol=0)
    by_h = torch.autograd.grad(found["c"][-1].sum(), tensors["h"], allow_unused=True)[0]
    assert by_h is None
