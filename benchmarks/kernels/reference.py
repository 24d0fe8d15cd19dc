"""An LSTM and its gradient by hand in NumPy and float64: what every case must agree with before it is timed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.kernels.problems import Data

Array = np.ndarray[Any, np.dtype[Any]]

WITHIN = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Largest difference allowed, as a share of the largest number in an array (or of 1, if that is more)."""


class RedCheckError(Exception):
    """A result is wrong, and is not worth timing."""


def sigmoid(a: Array) -> Array:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def lstm(data: Data, *, gradients: bool = True) -> dict[str, Array]:
    """Run one layer over packed rows from a state of zeros; return the output, and the gradients by name."""
    w_ih, w_hh, b_ih, b_hh = (_double(w) for w in data.weights.values())
    rows, sizes = _double(data.x).reshape(-1, w_ih.shape[1]), data.sizes.tolist()
    hidden, starts = w_hh.shape[1], np.concatenate([[0], np.cumsum(sizes)])
    projected = rows @ w_ih.T + b_ih + b_hh
    gates = np.empty((len(rows), 4, hidden))
    before, cells, output = np.zeros((3, len(rows), hidden))
    h, c = np.zeros((2, sizes[0], hidden))
    c_before = np.zeros_like(cells)
    for start, size in zip(starts[:-1], sizes, strict=True):
        at = slice(start, start + size)
        before[at], c_before[at] = h[:size], c[:size]
        a = (projected[at] + h[:size] @ w_hh.T).reshape(size, 4, hidden)
        i, f, o = sigmoid(a[:, 0]), sigmoid(a[:, 1]), sigmoid(a[:, 3])
        g = np.tanh(a[:, 2])
        c = f * c[:size] + i * g
        h = o * np.tanh(c)
        gates[at, 0], gates[at, 1], gates[at, 2], gates[at, 3] = i, f, g, o
        cells[at], output[at] = c, h
    if not gradients:
        return {"output": output}
    of_gates = _gate_gradients(_double(data.grad).reshape(-1, hidden), w_hh, gates, cells, c_before, sizes, starts)
    of_bias = of_gates.sum(0)
    return {
        "output": output,
        "x": of_gates @ w_ih,
        "weight_ih_l0": of_gates.T @ rows,
        "weight_hh_l0": of_gates.T @ before,
        "bias_ih_l0": of_bias,
        "bias_hh_l0": of_bias,
    }


def _gate_gradients(
    grad: Array, w_hh: Array, gates: Array, cells: Array, c_before: Array, sizes: list[int], starts: Array
) -> Array:
    hidden = w_hh.shape[1]
    of_gates = np.empty((len(grad), 4, hidden))
    dh, dc = np.zeros((2, sizes[0], hidden))
    for start, size in zip(starts[-2::-1], sizes[::-1], strict=True):
        at = slice(start, start + size)
        i, f, g, o = (gates[at, k] for k in range(4))
        tanh_c = np.tanh(cells[at])
        of_h = dh[:size] + grad[at]
        of_c = dc[:size] + of_h * o * (1 - tanh_c**2)
        of_gates[at, 0] = of_c * g * i * (1 - i)
        of_gates[at, 1] = of_c * c_before[at] * f * (1 - f)
        of_gates[at, 2] = of_c * i * (1 - g**2)
        of_gates[at, 3] = of_h * tanh_c * o * (1 - o)
        dc[:size] = of_c * f
        dh[:size] = of_gates[at].reshape(size, -1) @ w_hh
    return of_gates.reshape(len(grad), -1)


def _double(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy()


def check(found: Mapping[str, Any], expected: Mapping[str, Any], within: float) -> float:
    """Return the largest relative difference; raise `RedCheckError` if it is above `within` or something is missing."""
    if set(found) != set(expected):
        raise RedCheckError(f"there is {sorted(found)}, but expected {sorted(expected)}")
    errors = {}
    for name, wanted in expected.items():
        theirs = np.asarray(wanted, dtype=np.float64)
        ours = np.asarray(found[name], dtype=np.float64).reshape(theirs.shape)
        errors[name] = float(np.abs(ours - theirs).max(initial=0.0) / max(1.0, np.abs(theirs).max(initial=0.0)))
    wrong = {name: error for name, error in errors.items() if not error <= within}
    if wrong:
        raise RedCheckError(
            ", ".join(f"{name} is off by {error:.2g}" for name, error in wrong.items()) + f", allowed {within:g}"
        )
    return max(errors.values())
