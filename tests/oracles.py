"""Independent references: NumPy loops written from the equations, one sequence at a time.

They share no code with the package. They run in complex numbers too, which gives their gradients to the last
digit by the complex step, ``f(x + ih).imag / h``, without a backward pass that could share a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.generic]
Values = Mapping[str, Array]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normalise(x: Array, gain: Array, bias: Array | float = 0.0) -> Array:
    mean = x.sum() / x.size
    variance = ((x - mean) ** 2).sum() / x.size
    return gain * (x - mean) / np.sqrt(variance + 1e-5) + bias


def pre_activations(x: Array, h: Array, w: Values, mask: Array | float = 1.0) -> Array:
    """All gate pre-activations of one step of one sequence."""
    from_x, from_h = w["w_ih"] @ x, w["w_hh"] @ (h * mask)
    if "w_ln_ih" in w:
        from_x, from_h = normalise(from_x, w["w_ln_ih"]), normalise(from_h, w["w_ln_hh"])
    return from_x + from_h + w.get("b_ih", 0.0) + w.get("b_hh", 0.0)


def lstm_sequence(
    x: Array,
    h: Array,
    c: Array,
    w: Values,
    *,
    coupled: bool = False,
    mask: Array | float = 1.0,
    zone_h: Array | None = None,
    zone_c: Array | None = None,
    ablate: Sequence[str] = (),
) -> dict[str, Array]:
    """Run one sequence (T, I) through the LSTM; gives i, f, g, o, c, h, each (T, features)."""
    size = c.shape[0]
    gates = ["f", "o"] if coupled else ["i", "f", "o"]
    last = {gate: np.zeros(size) for gate in gates}
    record: dict[str, list[Array]] = {name: [] for name in "ifgoch"}
    for t in range(len(x)):
        flat = pre_activations(x[t], h, w, mask)
        names = ["f", "g", "o"] if coupled else ["i", "f", "g", "o"]
        a = {name: flat[k * size : (k + 1) * size] for k, name in enumerate(names)}
        for row, gate in enumerate(gates):
            for column, source in enumerate(gates):
                if "w_gg" in w:
                    block = w["w_gg"][row * size : (row + 1) * size, column * size : (column + 1) * size]
                    a[gate] = a[gate] + block @ last[source]
        p = dict.fromkeys("ifo", 0.0)
        if "w_ch" in w:
            p |= {gate: w["w_ch"][k * size : (k + 1) * size] for k, gate in enumerate(gates)}
        f = np.ones(size) if "forget_gate" in ablate else sigmoid(a["f"] + p["f"] * c)
        i = 1 - f if coupled else sigmoid(a["i"] + p["i"] * c)
        i = np.ones(size) if "input_gate" in ablate else i
        g = a["g"] if "input_activation" in ablate else np.tanh(a["g"])
        new_c = f * c + i * g
        o = np.ones(size) if "output_gate" in ablate else sigmoid(a["o"] + p["o"] * new_c)
        shown = normalise(new_c, w["w_ln_c"], w.get("b_ln_c", 0.0)) if "w_ln_c" in w else new_c
        new_h = o * (shown if "output_activation" in ablate else np.tanh(shown))
        if "w_hr" in w:
            new_h = w["w_hr"] @ new_h
        h = new_h if zone_h is None else np.where(zone_h[t], h, new_h)
        c = new_c if zone_c is None else np.where(zone_c[t], c, new_c)
        last = {"i": i, "f": f, "o": o}
        for name, value in zip("ifgoch", (i, f, g, o, c, h), strict=True):
            record[name].append(value)
    return {name: np.array(values) for name, values in record.items()}


def gru_sequence(x: Array, h: Array, w: Values, *, reset: str = "after") -> dict[str, Array]:
    """Run one sequence through the GRU; gives r, z, n, h."""
    size = h.shape[0]
    record: dict[str, list[Array]] = {name: [] for name in "rznh"}
    rows = {name: slice(k * size, (k + 1) * size) for k, name in enumerate("rzn")}
    zero = np.zeros(3 * size)
    b_ih, b_hh = w.get("b_ih", zero), w.get("b_hh", zero)
    for t in range(len(x)):
        gate = {
            name: sigmoid(
                w["w_ih"][rows[name]] @ x[t] + b_ih[rows[name]] + w["w_hh"][rows[name]] @ h + b_hh[rows[name]]
            )
            for name in "rz"
        }
        if reset == "after":
            recalled = gate["r"] * (w["w_hh"][rows["n"]] @ h + b_hh[rows["n"]])
        else:
            recalled = w["w_hh"][rows["n"]] @ (gate["r"] * h) + b_hh[rows["n"]]
        n = np.tanh(w["w_ih"][rows["n"]] @ x[t] + b_ih[rows["n"]] + recalled)
        h = (1 - gate["z"]) * n + gate["z"] * h
        for name, value in zip("rznh", (gate["r"], gate["z"], n, h), strict=True):
            record[name].append(value)
    return {name: np.array(values) for name, values in record.items()}


def rnn_sequence(x: Array, h: Array, w: Values, *, nonlinearity: str = "tanh") -> dict[str, Array]:
    """Run one sequence through the simple recurrent network; gives h."""
    states = []
    for t in range(len(x)):
        a = pre_activations(x[t], h, w)
        h = np.tanh(a) if nonlinearity == "tanh" else np.where(a.real > 0, a, 0.0)
        states.append(h)
    return {"h": np.array(states)}


def lstm1997_sequence(x: Array, h: Array, c: Array, w: Values, *, block_size: int = 1) -> dict[str, Array]:
    """Run one sequence through the LSTM of 1997, block by block; gives i, g, o, c, h."""
    cells = c.shape[0]
    blocks = cells // block_size
    gates = np.zeros(2 * blocks)
    record: dict[str, list[Array]] = {name: [] for name in "igoch"}
    for t in range(len(x)):
        a = pre_activations(x[t], h, w)
        if "w_gg" in w:
            a = a + w["w_gg"] @ gates
        i, o = sigmoid(a[:blocks]), sigmoid(a[blocks + cells :])
        new_c, new_h, g = [], [], []
        for cell in range(cells):
            block = cell // block_size
            g.append(4 / (1 + np.exp(-a[blocks + cell])) - 2)
            new_c.append(c[cell] + i[block] * g[-1])
            new_h.append(o[block] * (2 / (1 + np.exp(-new_c[-1])) - 1))
        c, h, gates = np.array(new_c), np.array(new_h), np.concatenate([i, o])
        for name, value in zip("igoch", (i, np.array(g), o, c, h), strict=True):
            record[name].append(value)
    return {name: np.array(values) for name, values in record.items()}


def both_ways(run: Callable[..., dict[str, Array]], x: Array, *state: Array, reverse: bool) -> dict[str, Array]:
    """Run a sequence forwards, or backwards with the record put back in the order of the input."""
    record = run(x[::-1] if reverse else x, *state)
    return {name: values[::-1] for name, values in record.items()} if reverse else record


def gradients(loss: Callable[[dict[str, Array]], complex], values: Values) -> dict[str, Array]:
    """Gradient of a real loss by each value, one complex step for each element."""
    step = 1e-30
    result = {name: np.zeros(value.shape) for name, value in values.items()}
    for name, value in values.items():
        for place in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[place] += 1j * step
            result[name][place] = np.imag(loss({**values, name: moved})) / step
    return result


def assert_all_close(
    actual: Mapping[str, torch.Tensor | Array], expected: Values, *, rtol: float = 1e-9, atol: float = 1e-11
) -> None:
    """Compare tensors by name; every name of either side must be there, and no value may be NaN."""
    assert set(actual) == set(expected), f"names differ: {set(actual) ^ set(expected)}"
    for name, wanted in expected.items():
        value = actual[name]
        found = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        assert found.shape == wanted.shape, f"{name}: shape {found.shape}, expected {wanted.shape}"
        assert np.isfinite(found).all(), f"{name}: not all finite"
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol, err_msg=name)
