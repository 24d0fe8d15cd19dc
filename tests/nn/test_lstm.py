"""The LSTM's variants, its initial weights, and what it refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan import nn
from longspan.errors import DataError, EmptyDataError, ParameterError, ShapeError
from tests import oracles
from tests.nn.cases import HIDDEN, INPUT, LENGTHS, as_hx, assert_same, flat_results, states

VARIANTS = [
    {"peephole": True},
    {"coupled": True},
    {"layer_norm": True},
    {"layer_norm": True, "bias": False},
    {"coupled": True, "peephole": True, "layer_norm": True, "proj_size": 2},
]
NOISY = [{"zoneout": 0.3}, {"zoneout": (0.0, 0.4)}, {"recurrent_dropout": 0.4}, {"weight_drop": 0.4}]


def make(**arguments) -> nn.LSTM:
    torch.manual_seed(0)
    module = nn.LSTM(INPUT, HIDDEN, dtype=torch.float64, **arguments)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return module


def oracle_weights(module: nn.LSTM, suffix: str) -> dict[str, np.ndarray]:
    """Weights of a layer by the oracle's names: weight_ln_ih_l0 is w_ln_ih."""
    return {
        name.removesuffix(suffix).replace("weight", "w").replace("bias", "b"): value.detach().numpy()
        for name, value in module.named_parameters()
        if name.endswith(suffix)
    }


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_variants_agree_with_the_oracle(arguments: dict) -> None:
    module = make(bidirectional=True, **arguments)
    x = torch.randn(6, 5, INPUT, dtype=torch.float64)
    state = states(module, 5)
    output, (h_n, c_n) = module(x, as_hx(state), lengths=LENGTHS)
    for number, length in enumerate(LENGTHS):
        for direction, suffix in enumerate(["_l0", "_l0_reverse"]):
            inside = x[:length, number].numpy()
            start = [part[direction, number].detach().numpy() for part in state]
            record = oracles.both_ways(
                lambda x, h, c, suffix=suffix: oracles.lstm_sequence(
                    x, h, c, oracle_weights(module, suffix), coupled=module.coupled
                ),
                inside,
                *start,
                reverse=direction == 1,
            )
            width = h_n.shape[-1]
            end = 0 if direction else -1
            oracles.assert_all_close(
                {
                    "h": output[:length, number, direction * width : (direction + 1) * width],
                    "h_n": h_n[direction, number],
                    "c_n": c_n[direction, number],
                },
                {"h": record["h"], "h_n": record["h"][end], "c_n": record["c"][end]},
            )


@pytest.mark.parametrize("arguments", [*VARIANTS, *NOISY], ids=str)
def test_every_weight_gets_a_gradient(arguments: dict) -> None:
    module = make(num_layers=2, bidirectional=True, **arguments)
    output, _ = module(torch.randn(6, 5, INPUT, dtype=torch.float64), lengths=LENGTHS)
    output.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    arguments=st.sampled_from([*VARIANTS, *NOISY]),
)
def test_variants_do_not_depend_on_neighbours(lengths: list[int], arguments: dict) -> None:
    module = make(bidirectional=True, **arguments).eval()
    x = torch.randn(max(lengths), len(lengths), INPUT, dtype=torch.float64)
    output, _ = module(x, lengths=lengths)
    for number, length in enumerate(lengths):
        assert_same([output[:length, number]], [module(x[:length, number])[0]])


@pytest.mark.parametrize("arguments", NOISY, ids=str)
def test_noise_goes_by_the_seed_and_stops_in_evaluation(arguments: dict) -> None:
    module = make(**arguments)
    x = torch.randn(9, 2, INPUT, dtype=torch.float64)

    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return module(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    module.eval()
    assert torch.equal(run(1), run(2))


@pytest.mark.parametrize("name", ["recurrent_dropout", "weight_drop"])
def test_dropout_is_off_in_evaluation(name: str) -> None:
    module = make(**{name: 0.5}).eval()
    plain = make()
    plain.load_state_dict(module.state_dict())
    x = torch.randn(5, 2, INPUT, dtype=torch.float64)
    assert_same(flat_results(module(x)), flat_results(plain(x)))


def test_zoneout_keeps_the_old_state_at_its_rate() -> None:
    module = make(zoneout=(0.25, 0.75))
    _, _, (trace,) = module(torch.randn(400, 20, INPUT, dtype=torch.float64), trace=True)
    for part, rate in ((trace.h, 0.25), (trace.c, 0.75)):
        kept = (part[1:] == part[:-1]).double().mean()
        assert abs(kept - rate) < 0.02


def test_zoneout_of_one_keeps_the_initial_state() -> None:
    module = make(zoneout=1.0)
    state = states(module, 2)
    for mode in (module.train(), module.eval()):
        assert_same(list(mode(torch.randn(5, 2, INPUT, dtype=torch.float64), as_hx(state))[1]), state)


def test_zoneout_in_evaluation_is_the_expectation() -> None:
    module = make(zoneout=(0.0, 0.3)).eval()
    x = torch.randn(1, 2, INPUT, dtype=torch.float64)
    h, c = states(module, 2)
    plain = make()
    plain.load_state_dict(module.state_dict())
    _, (_, new_c) = plain(x, (h, c))
    torch.testing.assert_close(module(x, (h, c))[1].c, 0.3 * c + 0.7 * new_c)


def test_recurrent_dropout_keeps_one_mask_for_a_sequence() -> None:
    """With identity recurrence of the cell input alone, dropped units show in g at every step."""
    module = nn.LSTM(1, 8, bias=False, recurrent_dropout=0.5, dtype=torch.float64)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
        module.weight_hh_l0.zero_()
        module.weight_hh_l0[16:24] = torch.eye(8)
    start = torch.ones(1, 3, 8, dtype=torch.float64)
    _, _, (trace,) = module(torch.zeros(6, 3, 1, dtype=torch.float64), (start, start), trace=True)
    dropped = trace.g == 0
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert 0 < dropped.double().mean() < 1
    assert not torch.equal(dropped[0, 0], dropped[0, 1])
    torch.testing.assert_close(trace.g[0][~dropped[0]], torch.full_like(trace.g[0][~dropped[0]], 2.0).tanh())


def test_forget_bias_is_one_once() -> None:
    module = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True, init="forget_bias", proj_size=2, peephole=True)
    for _, suffix in module._slots:
        total = getattr(module, "bias_ih" + suffix) + getattr(module, "bias_hh" + suffix)
        blocks = dict(zip("ifgo", total.detach().chunk(4), strict=True))
        assert torch.equal(blocks.pop("f"), torch.ones(HIDDEN))
        assert not torch.cat(list(blocks.values())).any()


def test_recurrent_weights_are_orthogonal_gate_by_gate() -> None:
    module = nn.LSTM(INPUT, HIDDEN, init="forget_bias", dtype=torch.float64)
    for block in module.weight_hh_l0.chunk(4):
        torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64))
    bound = (6 / (INPUT + HIDDEN)) ** 0.5
    assert module.weight_ih_l0.abs().max() <= bound


def test_chrono() -> None:
    module = nn.LSTM(INPUT, 1000, init="chrono", max_lag=100)
    b_i, b_f, b_g, b_o = (module.bias_ih_l0 + module.bias_hh_l0).detach().chunk(4)
    assert torch.equal(b_i, -b_f)
    assert not torch.cat([b_g, b_o]).any()
    lags = b_f.exp()
    assert 1 <= lags.min() < 3
    assert 97 < lags.max() <= 99.001
    assert abs(lags.mean() - 50) < 3
    coupled = nn.LSTM(INPUT, HIDDEN, init="chrono", max_lag=100, coupled=True)
    assert (coupled.bias_ih_l0[:HIDDEN] >= 0).all()
    assert not coupled.bias_ih_l0[HIDDEN:].any()


def test_layer_norm_starts_as_normalisation_alone() -> None:
    module = nn.LSTM(INPUT, HIDDEN, layer_norm=True)
    assert (module.weight_ln_ih_l0 == 1).all()
    assert (module.weight_ln_c_l0 == 1).all()
    assert (module.bias_ln_c_l0 == 0).all()


def test_names_and_shapes_of_the_weights() -> None:
    module = nn.LSTM(5, 8, peephole=True, layer_norm=True, proj_size=3)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "weight_ih_l0": (32, 5),
        "weight_hh_l0": (32, 3),
        "bias_ih_l0": (32,),
        "bias_hh_l0": (32,),
        "weight_hr_l0": (3, 8),
        "weight_ch_l0": (24,),
        "weight_ln_ih_l0": (32,),
        "weight_ln_hh_l0": (32,),
        "weight_ln_c_l0": (8,),
        "bias_ln_c_l0": (8,),
    }
    coupled = nn.LSTM(5, 8, coupled=True, peephole=True)
    assert coupled.weight_ih_l0.shape == (24, 5)
    assert coupled.weight_ch_l0.shape == (16,)


def test_the_variants_survive_a_copy() -> None:
    module = make(peephole=True, zoneout=0.2)
    x = torch.randn(5, 2, INPUT, dtype=torch.float64)
    torch.manual_seed(1)
    expected = module(x)[0]
    torch.manual_seed(1)
    assert torch.equal(copy.deepcopy(module)(x)[0], expected)


def test_parametrised_weights_are_used() -> None:
    module = make()
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    x = torch.randn(5, 2, INPUT, dtype=torch.float64)
    before = module(x)[0]
    with torch.no_grad():
        module.parametrizations.weight_hh_l0.original0 *= 2
    assert not torch.allclose(before, module(x)[0])


def test_print() -> None:
    assert repr(nn.LSTM(3, 4, 2, zoneout=0.1)) == "LSTM(3, 4, num_layers=2, zoneout=(0.1, 0.1))"
    assert repr(nn.GRU(3, 4, reset="before")) == "GRU(3, 4, reset='before')"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"num_layers": 1.5}, "num_layers is 1.5"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"proj_size": 4}, "below hidden_size, 4"),
        ({"zoneout": (0.1, 0.2, 0.3)}, "pair"),
        ({"zoneout": (0.1, -0.2)}, "zoneout is -0.2"),
        ({"peephole": "x"}, "peephole is 'x'"),
        ({"coupled": "no"}, "coupled is 'no'"),
        ({"layer_norm": 1}, "layer_norm is 1"),
        ({"recurrent_dropout": True}, "recurrent_dropout is True"),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout is 1.0"),
        ({"weight_drop": 1.0}, "weight_drop is 1.0"),
        ({"weight_drop": "high"}, "weight_drop is 'high'"),
        ({"init": "xavier"}, "'torch', 'forget_bias', 'chrono'"),
        ({"init": "forget_bias", "bias": False}, "bias=False"),
        ({"init": "chrono"}, "max_lag"),
        ({"max_lag": 100}, "max_lag"),
        ({"init": "chrono", "max_lag": 1}, "max_lag is 1"),
    ],
)
def test_refused_arguments(arguments: dict, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        nn.LSTM(**{"input_size": 3, "hidden_size": 4, **arguments})


def test_refused_inputs() -> None:
    module = nn.LSTM(3, 4, batch_first=True)
    x = torch.zeros(2, 5, 3)
    state = (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))
    packed = torch.nn.utils.rnn.pack_sequence([x[0]])
    refused = [
        (ShapeError, "4 axes", (x[None],), {}),
        (ShapeError, "5 features, but the module takes 3", (x.transpose(1, 2),), {}),
        (EmptyDataError, "no sequences or no steps", (x[:, :0],), {}),
        (DataError, "torch.float64", (x.double(),), {}),
        (ShapeError, r"lengths have shape \(3,\)", (x,), {"lengths": [1, 2, 3]}),
        (ShapeError, "sequence 1 has length 6", (x,), {"lengths": [5, 6]}),
        (ShapeError, "sequence 0 has length 0", (x,), {"lengths": [0, 5]}),
        (DataError, "whole numbers", (x,), {"lengths": torch.ones(2)}),
        (ParameterError, "which has its own", (packed,), {"lengths": [5]}),
        (ParameterError, "without a batch axis", (x[0],), {"lengths": [5]}),
        (
            ShapeError,
            r"h_0 has shape \(1, 2, 5\), expected \(1, 2, 4\)",
            (x, (torch.zeros(1, 2, 5), state[1])),
            {},
        ),
        (ShapeError, "c_0 has shape", (x, (state[0], state[1][:, :1])), {}),
        (ShapeError, "h_0 has shape", (x[0], state), {}),
        (ParameterError, "a pair of tensors", (x, state[0]), {}),
    ]
    for error, says, positional, named in refused:
        with pytest.raises(error, match=says):
            module(*positional, **named)
