"""Our modules in the place of torch's: the same arguments, weights, results and gradients."""

from __future__ import annotations

import copy
import inspect
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longspan import nn
from tests.nn.cases import (
    HIDDEN,
    INPUT,
    KINDS,
    LENGTHS,
    as_hx,
    assert_same,
    flat_results,
    pair,
    results_and_gradients,
    states,
)

CONFIGURATIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 3},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_configuration = pytest.mark.parametrize("arguments", CONFIGURATIONS, ids=str)


def block(arguments: dict, steps: int = 6, batch: int = 5, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    shape = (batch, steps, INPUT) if arguments.get("batch_first") else (steps, batch, INPUT)
    generator = torch.Generator().manual_seed(2)
    return torch.randn(shape, dtype=dtype, generator=generator, requires_grad=True)


@every_kind
@every_configuration
def test_dense(kind: str, arguments: dict) -> None:
    theirs, ours = pair(kind, **arguments)
    x, state = block(arguments), states(theirs, 5)
    assert_same(*(results_and_gradients(m, lambda m: m(x, as_hx(state)), [x, *state]) for m in (ours, theirs)))
    assert_same(flat_results(ours(x)), flat_results(theirs(x)))


@every_kind
@every_configuration
def test_packed_in_any_order(kind: str, arguments: dict) -> None:
    theirs, ours = pair(kind, **arguments)
    x, state = block(arguments), states(theirs, 5)

    def call(module):
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=module.batch_first, enforce_sorted=False)
        return module(packed, as_hx(state))

    assert_same(*(results_and_gradients(m, call, [x, *state]) for m in (ours, theirs)))


@every_kind
@every_configuration
def test_lengths_are_what_packing_and_padding_give(kind: str, arguments: dict) -> None:
    theirs, ours = pair(kind, **arguments)
    x, state = block(arguments, steps=8), states(theirs, 5)

    def packing(module):
        first = module.batch_first
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=first, enforce_sorted=False)
        output, last = module(packed, as_hx(state))
        return pad_packed_sequence(output, batch_first=first, total_length=8)[0], last

    found = results_and_gradients(ours, lambda m: m(x, as_hx(state), lengths=LENGTHS), [x, *state])
    assert_same(found, results_and_gradients(theirs, packing, [x, *state]))


@every_kind
def test_unbatched(kind: str) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=True)
    x = torch.randn(6, INPUT, dtype=torch.float64)
    state = [part.detach()[:, 0].clone().requires_grad_() for part in states(theirs, 5)]
    assert_same(*(results_and_gradients(m, lambda m: m(x, as_hx(state)), state) for m in (ours, theirs)))
    assert_same(flat_results(ours(x)), flat_results(theirs(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch's own module says so of oneDNN
def test_projection(dtype: torch.dtype, ragged: bool) -> None:
    theirs, ours = pair("LSTM", dtype, num_layers=2, bidirectional=True, proj_size=2)
    x, state = block({}, dtype=dtype), states(theirs, 5, dtype)

    def call(module):
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        return module(packed if ragged else x, as_hx(state))

    assert_same(
        *(results_and_gradients(m, call, [x, *state]) for m in (ours, theirs)),
        rtol=1e-4 if dtype == torch.float32 else 1e-9,
        atol=1e-5 if dtype == torch.float32 else 1e-11,
    )


def test_projection_gives_no_warning() -> None:
    nn.LSTM(INPUT, HIDDEN, proj_size=2)(torch.zeros(4, 2, INPUT))


@every_kind
@pytest.mark.parametrize("ragged", [False, True])
def test_single_precision(kind: str, ragged: bool) -> None:
    theirs, ours = pair(kind, torch.float32, num_layers=2, bidirectional=True)
    x, state = block({}, dtype=torch.float32), states(theirs, 5, torch.float32)

    def call(module):
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        return module(packed if ragged else x, as_hx(state))

    found, expected = (results_and_gradients(m, call, [x, *state]) for m in (ours, theirs))
    assert_same(found, expected, rtol=1e-4, atol=1e-5)


@every_kind
@pytest.mark.parametrize("ragged", [False, True])
def test_dropout_draws_the_masks_that_torch_draws(kind: str, ragged: bool) -> None:
    theirs, ours = pair(kind, num_layers=3, bidirectional=True, dropout=0.4)
    x = block({})

    def call(module):
        torch.manual_seed(5)
        packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        return module(packed if ragged else x)

    found, expected = (results_and_gradients(m, call, [x]) for m in (ours, theirs))
    assert_same(found, expected)
    ours.eval(), theirs.eval()
    assert_same(flat_results(call(ours)), flat_results(call(theirs)))


@every_kind
@every_configuration
def test_state_dicts_load_both_ways(kind: str, arguments: dict) -> None:
    theirs, ours = pair(kind, **arguments)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    theirs.load_state_dict(ours.state_dict())


@every_kind
@every_configuration
def test_what_code_around_torchs_modules_calls(kind: str, arguments: dict) -> None:
    theirs, ours = pair(kind, **arguments)
    x = block(arguments)
    before = flat_results(ours(x))
    assert ours.flatten_parameters() is None
    assert all(torch.equal(one, other) for one, other in zip(flat_results(ours(x)), before, strict=True))
    assert ours.mode == theirs.mode
    for mine, torchs in zip(ours.all_weights, theirs.all_weights, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(mine, torchs, strict=True))
    ours.all_weights[0][0].data.zero_()  # the weights themselves
    assert not ours.weight_ih_l0.any()


def test_all_weights_of_a_projection_are_in_torchs_order() -> None:
    theirs, ours = pair("LSTM", proj_size=2, bidirectional=True)
    for mine, torchs in zip(ours.all_weights, theirs.all_weights, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(mine, torchs, strict=True))


@every_kind
def test_the_same_seed_gives_the_same_initial_weights(kind: str) -> None:
    modules = []
    for module in pair(kind, num_layers=2, bidirectional=True):
        torch.manual_seed(9)
        module.reset_parameters()
        modules.append(module)
    for one, other in zip(*(module.parameters() for module in modules), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_positional_arguments_are_torchs(name: str) -> None:
    """Written out here, for torch's own signatures are `*args, **kwargs`."""
    ours = inspect.signature(getattr(nn, name).__init__)
    positional = [p.name for p in ours.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    expected = {
        "LSTM": "num_layers bias batch_first dropout bidirectional proj_size",
        "GRU": "num_layers bias batch_first dropout bidirectional",
        "RNN": "num_layers nonlinearity bias batch_first dropout bidirectional",
    }[name].split()
    assert positional == ["self", "input_size", "hidden_size", *expected, "device", "dtype"]


@every_kind
def test_copies_pickles_and_moves(kind: str) -> None:
    _, ours = pair(kind, torch.float32, num_layers=2)
    x = torch.randn(4, 2, INPUT)
    expected = flat_results(ours(x))
    saved = io.BytesIO()
    torch.save(ours.state_dict(), saved)
    saved.seek(0)
    loaded = copy.deepcopy(ours)
    loaded.reset_parameters()
    loaded.load_state_dict(torch.load(saved))
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), ours.to("cpu"), loaded):
        for one, other in zip(flat_results(twin(x)), expected, strict=True):
            assert torch.equal(one, other)
    assert ours.double()(x.double())[0].dtype == torch.float64


@every_kind
def test_one_seed_gives_the_same_bits(kind: str) -> None:
    def train() -> list[torch.Tensor]:
        torch.manual_seed(3)
        module = getattr(nn, kind.split()[0])(INPUT, HIDDEN, 2, dropout=0.3, **KINDS[kind])
        x = torch.randn(7, 5, INPUT)
        return results_and_gradients(module, lambda m: m(x, lengths=[7, 3, 5, 1, 2]), [])

    for one, other in zip(train(), train(), strict=True):
        assert torch.equal(one, other)


@settings(max_examples=25)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    bidirectional=st.booleans(),
    num_layers=st.integers(1, 2),
)
def test_a_sequence_does_not_depend_on_its_neighbours(
    kind: str, lengths: list[int], bidirectional: bool, num_layers: int
) -> None:
    _, ours = pair(kind, bidirectional=bidirectional, num_layers=num_layers)
    x = torch.randn(max(lengths), len(lengths), INPUT, dtype=torch.float64)
    output, state = ours(x, lengths=lengths)
    for number, length in enumerate(lengths):
        alone = flat_results(ours(x[:length, number]))
        together = [output[:length, number], *(part[:, number] for part in flat_results((output, state))[1:])]
        assert_same(alone, together)
        assert not output[length:, number].any()


@every_kind
def test_padding_is_never_read(kind: str) -> None:
    _, ours = pair(kind, bidirectional=True)
    x = block({}).detach()
    spoiled = x.clone()
    for number, length in enumerate(LENGTHS):
        spoiled[length:, number] = float("nan")
    assert_same(flat_results(ours(spoiled, lengths=LENGTHS)), flat_results(ours(x, lengths=LENGTHS)))


@every_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_trace_shows_what_made_the_output(kind: str, batch_first: bool) -> None:
    theirs, ours = pair(kind, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, state = block({"batch_first": batch_first}), states(theirs, 5)
    output, last, trace = ours(x, as_hx(state), lengths=LENGTHS, trace=True)
    assert_same(flat_results((output, last)), flat_results(ours(x, as_hx(state), lengths=LENGTHS)))
    assert len(trace) == 4
    assert torch.equal(torch.cat([trace[2].h, trace[3].h], dim=-1), output)
    if not batch_first:
        h_n = last[0] if isinstance(last, tuple) else last
        assert torch.equal(trace[0].h[LENGTHS[0] - 1, 0], h_n[0, 0])
        assert torch.equal(trace[1].h[0], h_n[1])


def test_trace_in_the_layouts_of_the_input() -> None:
    _, ours = pair("LSTM")
    x = block({})
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    output, _, (trace,) = ours(packed, trace=True)
    assert torch.equal(trace.h.data, output.data)
    assert torch.equal(trace.f.unsorted_indices, output.unsorted_indices)
    assert torch.equal((trace.o.data * trace.c.data.tanh()), output.data)
    output, _, (trace,) = ours(x[:, 0], trace=True)
    assert trace.i.shape == output.shape == (6, HIDDEN)
