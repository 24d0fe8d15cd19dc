"""The LSTM op against the NumPy oracle, values and all gradients, and against a table worked by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from longspan.ops import ABLATIONS, LSTMState, LSTMWeights, Zoneout, lstm
from tests import oracles
from tests.ops.cases import HIDDEN, LENGTHS, PROJECTION, check, draw, sequences, shapes, weights

H, P = HIDDEN, PROJECTION
NORM = {"w_ln_ih": (4 * H,), "w_ln_hh": (4 * H,), "w_ln_c": (H,), "b_ln_c": (H,)}
NORM_COUPLED = {**NORM, "w_ln_ih": (3 * H,), "w_ln_hh": (3 * H,)}

#: Name of a case: (extra weights, options).
VARIANTS: dict[str, tuple[dict, dict]] = {
    "plain": ({}, {}),
    "no bias": ({}, {"bias": False}),
    "projection": ({"w_hr": (P, H)}, {}),
    "peephole": ({"w_ch": (3 * H,)}, {}),
    "coupled": ({}, {"coupled": True}),
    "coupled peephole": ({"w_ch": (2 * H,)}, {"coupled": True}),
    "layer norm": (NORM, {}),
    "layer norm without bias": ({name: NORM[name] for name in list(NORM)[:3]}, {"bias": False}),
    "full gate recurrence": ({"w_gg": (3 * H, 3 * H)}, {}),
    "coupled full gate recurrence": ({"w_gg": (2 * H, 2 * H)}, {"coupled": True}),
    "recurrent mask": ({}, {"mask": True}),
    "zoneout": ({}, {"zoneout": True}),
    **{f"without {part}": ({}, {"ablate": frozenset([part])}) for part in ABLATIONS},
    "everything": (
        {**NORM_COUPLED, "w_ch": (2 * H,), "w_hr": (P, H)},
        {"coupled": True, "mask": True, "zoneout": True},
    ),
}


def options_for(oracle: dict, state: int) -> tuple[dict, list[dict]]:
    """Options of the op, and of the oracle for each sequence."""
    generator = np.random.default_rng(3)
    ablate = oracle.get("ablate", frozenset())
    op = {"coupled": oracle.get("coupled", False), "ablate": ablate}
    each = [{**op} for _ in LENGTHS]
    if oracle.get("mask"):
        mask = generator.choice([0.0, 2.0], size=(len(LENGTHS), state))
        op["recurrent_mask"] = torch.tensor(mask)
        for number, options in enumerate(each):
            options["mask"] = mask[number]
    if oracle.get("zoneout"):
        zones = {
            name: [generator.random((length, size)) < 0.4 for length in LENGTHS]
            for name, size in (("h", state), ("c", H))
        }
        op["zoneout"] = zones
        for number, options in enumerate(each):
            options |= {f"zone_{name}": zone[number] for name, zone in zones.items()}
    return op, each


def pack_zones(zones: dict[str, list[np.ndarray]]) -> Zoneout:
    """Zoneout masks go by the step of the walk, so they are the same in both directions."""
    packed = {name: pack_sequence([torch.tensor(part) for part in zone]).data.bool() for name, zone in zones.items()}
    return Zoneout(**packed)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("trace", [False, True], ids=["", "trace"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_values_and_gradients(variant: str, reverse: bool, trace: bool) -> None:
    extra, chosen = VARIANTS[variant]
    state = P if "w_hr" in extra else H
    blocks = 3 if chosen.get("coupled") else 4
    values = draw(
        1,
        **shapes(blocks, state=state, bias=chosen.get("bias", True)),
        c=(len(LENGTHS), H),
        **extra,
    )
    options, each = options_for(chosen, state)
    if "zoneout" in options:
        options["zoneout"] = pack_zones(options["zoneout"])

    def op(tensors: dict, rows: torch.Tensor, batch_sizes: torch.Tensor):
        start = LSTMState(h=tensors["h"], c=tensors["c"])
        layer = LSTMWeights(**weights(tensors))
        return lstm(rows, batch_sizes, start, weights=layer, reverse=reverse, trace=trace, **options)

    def oracle(values: dict, number: int) -> dict[str, np.ndarray]:
        run = partial(oracles.lstm_sequence, w=weights(values), **each[number])
        x = sequences(values)[number]
        return oracles.both_ways(run, x, values["h"][number], values["c"][number], reverse=reverse)

    check(values, op, oracle, reverse=reverse)


def test_table_worked_by_hand() -> None:
    """One unit whose gates take round values: s(ln 3) = 3/4, s(-ln 3) = 1/4, tanh(ln 2) = 3/5.

    Step 1: x=1, h'=1, c'=ln 2: i = s(ln 3), f = s(ln 3 h'), g = tanh(ln 2), o = s(-ln 3), so
    c = 3/4 ln 2 + 3/4 3/5 = .969860 and h = tanh(c) / 4 = .187161.
    Step 2: x=0: i = 1/2, f = s(.187161 ln 3) = .551224, g = 0, c = f c' = .534610, h = .122224.
    """
    ln2, ln3 = math.log(2), math.log(3)
    layer = LSTMWeights(
        w_ih=torch.tensor([[ln3], [0.0], [ln2], [0.0]], dtype=torch.float64),
        w_hh=torch.tensor([[0.0], [ln3], [0.0], [0.0]], dtype=torch.float64),
        b_ih=torch.tensor([0.0, 0.0, 0.0, -ln3], dtype=torch.float64),
        b_hh=torch.zeros(4, dtype=torch.float64),
    )
    start = LSTMState(h=torch.ones(1, 1, dtype=torch.float64), c=torch.tensor([[ln2]], dtype=torch.float64))
    rows = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    for trace in (False, True):
        output, state, record = lstm(rows, torch.tensor([1, 1]), start, weights=layer, trace=trace)
        np.testing.assert_allclose(output[:, 0], [0.187161, 0.122224], atol=5e-7)
        np.testing.assert_allclose(state.c[0, 0], 0.534610, atol=5e-7)
    assert record is not None
    np.testing.assert_allclose(record.i[:, 0], [0.75, 0.5], atol=1e-12)
    np.testing.assert_allclose(record.f[0, 0], 0.75, atol=1e-12)
    np.testing.assert_allclose(record.g[:, 0], [0.6, 0.0], atol=1e-12)
    np.testing.assert_allclose(record.o[:, 0], [0.25, 0.25], atol=1e-12)
    np.testing.assert_allclose(record.c[0, 0], 0.75 * ln2 + 0.45, atol=1e-12)


@pytest.mark.parametrize("names", ["if", "fg", "go", "io"])
def test_the_comparison_objects_to_swapped_gates(names: str) -> None:
    values = draw(1, **shapes(4), c=(len(LENGTHS), H))
    order = ["i", "f", "g", "o"]
    a, b = (order.index(name) for name in names)
    order[a], order[b] = order[b], order[a]

    def op(tensors: dict, rows: torch.Tensor, batch_sizes: torch.Tensor):
        swapped = {}
        for name, weight in weights(tensors).items():
            blocks = dict(zip("ifgo", weight.chunk(4), strict=True))
            swapped[name] = torch.cat([blocks[gate] for gate in order])
        start = LSTMState(h=tensors["h"], c=tensors["c"])
        return lstm(rows, batch_sizes, start, weights=LSTMWeights(**swapped))

    def oracle(values: dict, number: int) -> dict[str, np.ndarray]:
        x = sequences(values)[number]
        return oracles.lstm_sequence(x, values["h"][number], values["c"][number], weights(values))

    with pytest.raises(AssertionError, match="output"):
        check(values, op, oracle, reverse=False)


def test_the_comparison_objects_to_swapped_states() -> None:
    values = draw(1, **shapes(4), c=(len(LENGTHS), H))

    def op(tensors: dict, rows: torch.Tensor, batch_sizes: torch.Tensor):
        start = LSTMState(h=tensors["c"], c=tensors["h"])
        return lstm(rows, batch_sizes, start, weights=LSTMWeights(**weights(tensors)))

    def oracle(values: dict, number: int) -> dict[str, np.ndarray]:
        x = sequences(values)[number]
        return oracles.lstm_sequence(x, values["h"][number], values["c"][number], weights(values))

    with pytest.raises(AssertionError, match="output"):
        check(values, op, oracle, reverse=False)


@pytest.mark.parametrize("variant", ["plain", "projection", "everything"])
def test_gradcheck(variant: str) -> None:
    extra, chosen = VARIANTS[variant]
    state = P if "w_hr" in extra else H
    values = draw(2, **shapes(3 if chosen.get("coupled") else 4, state=state), c=(len(LENGTHS), H), **extra)
    names = list(values)
    options, _ = options_for(chosen, state)
    if "zoneout" in options:
        options["zoneout"] = pack_zones(options["zoneout"])

    def run(*tensors: torch.Tensor):
        named = dict(zip(names, tensors, strict=True))
        packed = pack_sequence(sequences(named))
        start = LSTMState(h=named["h"], c=named["c"])
        layer = LSTMWeights(**weights(named))
        output, state, _ = lstm(packed.data, packed.batch_sizes, start, weights=layer, **options)
        return output, *state

    assert torch.autograd.gradcheck(
        run, [torch.tensor(value, requires_grad=True) for value in values.values()], fast_mode=True
    )


@pytest.mark.parametrize("lengths", [(6, 6, 6), (8, 8, 2, 2), (7, 5, 4, 3, 2, 1), (5,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_path_of_the_kernel_agrees_with_the_reference(lengths: tuple[int, ...], dtype) -> None:
    """Dense, runs of equal size, and torch's packed kernel: the last shape falls by one each step."""
    values = {
        name: torch.tensor(value, dtype=dtype, requires_grad=True)
        for name, value in draw(4, **shapes(4, lengths=lengths), c=(len(lengths), H)).items()
    }
    packed = pack_sequence(sequences(values))
    start = LSTMState(h=values["h"], c=values["c"])
    results = []
    for trace in (False, True):
        output, state, _ = lstm(
            packed.data, packed.batch_sizes, start, weights=LSTMWeights(**weights(values)), trace=trace
        )
        loss = output.sin().sum() + state.h.cos().sum() + state.c.cos().sum()
        results.append([output, *state, *torch.autograd.grad(loss, list(values.values()), retain_graph=True)])
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
    for fast, reference in zip(*results, strict=True):
        torch.testing.assert_close(fast, reference, **tolerance)
