"""Random layers and ragged batches for the tests of the ops, and the oracle's answer to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_sequence

from tests import oracles

LENGTHS = (4, 4, 2, 1)
INPUT, HIDDEN, PROJECTION = 2, 3, 2


def draw(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(scale=0.8, size=shape) for name, shape in shapes.items()}


def shapes(blocks: int, *, state: int = HIDDEN, bias: bool = True, lengths: tuple[int, ...] = LENGTHS) -> dict:
    """Shapes of a batch, its initial hidden state and a layer's plain weights."""
    rows = blocks * HIDDEN
    return {
        **{f"x{k}": (length, INPUT) for k, length in enumerate(lengths)},
        "h": (len(lengths), state),
        "w_ih": (rows, INPUT),
        "w_hh": (rows, state),
        **({"b_ih": (rows,), "b_hh": (rows,)} if bias else {}),
    }


def sequences(values: dict[str, Any]) -> list[Any]:
    return [values[name] for name in values if name.startswith("x")]


def weights(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name.startswith(("w_", "b_"))}


def to_rows(parts: list[torch.Tensor]) -> torch.Tensor:
    return pack_sequence(parts).data


def loss_weights(length: int, features: int, sequence: int) -> np.ndarray:
    """Fixed numbers that weigh every output differently, so that no two mistakes cancel."""
    numbers = np.arange(length * features, dtype=float) + 7 * sequence
    return np.cos(numbers).reshape(length, features)


def check(
    values: dict[str, np.ndarray],
    op: Callable[..., tuple[torch.Tensor, Any, Any]],
    oracle: Callable[[dict[str, Any], int], dict[str, np.ndarray]],
    *,
    reverse: bool,
) -> None:
    """Compare outputs, final states, records and all gradients of an op with its oracle.

    `op` takes tensors by name, rows and batch sizes; `oracle` the same values and the number of a sequence.
    """
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}
    xs = sequences(tensors)
    packed = pack_sequence(xs)
    output, state, trace = op(tensors, packed.data, packed.batch_sizes)
    state = state if isinstance(state, tuple) else (state,)
    names = ["h", "c"][: len(state)]

    def expected(values: dict[str, Any]) -> list[dict[str, np.ndarray]]:
        return [oracle(values, number) for number in range(len(xs))]

    def scalar(values: dict[str, Any]) -> Any:
        total = 0.0
        for number, record in enumerate(expected(values)):
            weight = loss_weights(*record["h"].shape, number)
            end = 0 if reverse else -1
            total = total + (weight * record["h"]).sum()
            for name in names:
                last = record[name][end]
                total = total + (loss_weights(1, len(last), 3 + number)[0] * last).sum()
        return total

    records = expected(values)
    end = 0 if reverse else -1
    rows = {name: to_rows([torch.tensor(record[name].copy()) for record in records]).numpy() for name in records[0]}
    oracles.assert_all_close({"output": output}, {"output": rows["h"]})
    final = {name: np.array([record[name][end] for record in records]) for name in names}
    oracles.assert_all_close(dict(zip(names, state, strict=True)), final)
    if trace is not None:
        oracles.assert_all_close({name: getattr(trace, name) for name in rows}, rows)

    weighing = to_rows([torch.tensor(loss_weights(len(x), output.shape[1], k)) for k, x in enumerate(xs)])
    loss = (weighing * output).sum()
    for part in state:
        ends = [loss_weights(1, part.shape[1], 3 + k)[0] for k in range(len(xs))]
        loss = loss + (torch.tensor(np.array(ends)) * part).sum()
    found = torch.autograd.grad(loss, list(tensors.values()))
    oracles.assert_all_close(
        dict(zip(tensors, found, strict=True)), oracles.gradients(scalar, values), rtol=1e-8, atol=1e-10
    )
