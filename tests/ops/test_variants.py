"""The native kernel of the LSTM's variants against the step equations run through torch."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, library

from longspan import nn, ops
from longspan.errors import DataError
from longspan.ops import KernelPath, LSTMState, LSTMWeights, Zoneout, _native, _paths, lstm

pytestmark = pytest.mark.skipif(not _native.instruction_sets(), reason="the native kernels are not built")

WITHIN = {torch.float32: 1e-5, torch.float64: 1e-12}


class Parts(NamedTuple):
    """Which parts a cell has."""

    coupled: bool = False
    peephole: bool = False
    layer_norm: bool = False
    projection: int = 0
    zoneout: str = ""
    mask: bool = False
    bias: bool = True


class Problem(NamedTuple):
    lengths: list[int]
    rows: Tensor
    state: LSTMState
    weights: dict[str, Tensor]
    zoneout: Zoneout | None
    mask: Tensor | None
    coupled: bool

    def to(self, dtype: torch.dtype) -> Problem:
        def cast(value: Any) -> Any:
            return value.to(dtype) if isinstance(value, Tensor) else value

        return self._replace(
            rows=cast(self.rows),
            state=LSTMState(*map(cast, self.state)),
            weights={name: cast(weight) for name, weight in self.weights.items()},
            mask=cast(self.mask),
        )


def batch_sizes(lengths: list[int]) -> Tensor:
    return torch.tensor([sum(length > step for length in lengths) for step in range(max(lengths))])


def draw(parts: Parts, lengths: list[int], inputs: int, hidden: int, seed: int = 0) -> Problem:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    def chosen(*shape: int, share: float) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) < share

    count, rows, blocks = len(lengths), sum(lengths), 3 if parts.coupled else 4
    output, scale = parts.projection or hidden, 1 / hidden**0.5
    weights = {
        "w_ih": normal(blocks * hidden, inputs, scale=scale),
        "w_hh": normal(blocks * hidden, output, scale=scale),
    }
    if parts.bias:
        weights |= {"b_ih": normal(blocks * hidden, scale=0.3), "b_hh": normal(blocks * hidden, scale=0.3)}
    if parts.projection:
        weights["w_hr"] = normal(output, hidden, scale=scale)
    if parts.peephole:
        weights["w_ch"] = normal((blocks - 1) * hidden, scale=0.3)
    if parts.layer_norm:
        for name, size in (("w_ln_ih", blocks * hidden), ("w_ln_hh", blocks * hidden), ("w_ln_c", hidden)):
            weights[name] = 1 + normal(size, scale=0.2)
        if parts.bias:
            weights["b_ln_c"] = normal(hidden, scale=0.2)
    zoneout = {
        "": None,
        "share": Zoneout(h=0.2, c=0.3),
        "mask": Zoneout(h=chosen(rows, output, share=0.2), c=chosen(rows, hidden, share=0.3)),
        "mask of h": Zoneout(h=chosen(rows, output, share=0.2), c=0.0),
    }[parts.zoneout]
    mask = chosen(count, output, share=0.7).double() / 0.7 if parts.mask else None
    state = LSTMState(h=normal(count, output), c=normal(count, hidden))
    return Problem(lengths, normal(rows, inputs), state, weights, zoneout, mask, parts.coupled)


def values_and_gradients(problem: Problem, *, reverse: bool, trace: bool, learned: bool = True) -> list[Tensor]:
    """Outputs, and the gradients of input, state and learned weights where every output weighs differently."""
    rows, h, c = inputs = [tensor.clone().requires_grad_() for tensor in (problem.rows, *problem.state)]
    weights = [weight.clone().requires_grad_(learned) for weight in problem.weights.values()]
    leaves = [*inputs, *weights] if learned else inputs
    taken: list[KernelPath] = []
    token = _paths._seen.set(taken)
    output, state, _ = lstm(
        rows,
        batch_sizes(problem.lengths),
        LSTMState(h=h, c=c),
        weights=LSTMWeights(**dict(zip(problem.weights, weights, strict=True))),
        coupled=problem.coupled,
        recurrent_mask=problem.mask,
        zoneout=problem.zoneout,
        reverse=reverse,
        trace=trace,
    )
    _paths._seen.reset(token)
    assert [path.kernel for path in taken] == ["steps" if trace else "native"]
    outputs = (output, *state)
    loss = sum((torch.arange(out.numel(), dtype=out.dtype).cos().view_as(out) * out).sum() for out in outputs)
    return [*(out.detach() for out in outputs), *torch.autograd.grad(loss, leaves)]


def error(found: list[Tensor], expected: list[Tensor]) -> float:
    assert len(found) == len(expected)
    return max(
        float((ours.double() - theirs).abs().max()) / max(1.0, float(theirs.abs().max()))
        for ours, theirs in zip(found, expected, strict=True)
    )


PARTS = st.builds(
    Parts,
    coupled=st.booleans(),
    peephole=st.booleans(),
    layer_norm=st.booleans(),
    projection=st.sampled_from([0, 0, 1, 2, 5]),
    zoneout=st.sampled_from(["", "share", "mask", "mask of h"]),
    mask=st.booleans(),
    bias=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    parts=PARTS,
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=9),
    inputs=st.integers(1, 5),
    hidden=st.integers(6, 40),
    reverse=st.booleans(),
    threads=st.integers(1, 3),
)
def test_values_and_gradients_of_every_combination(
    parts: Parts, lengths: list[int], inputs: int, hidden: int, reverse: bool, threads: int
) -> None:
    if parts.layer_norm:  # of one number h', LN(U h') knows the sign alone
        hidden, parts = hidden + 10, parts._replace(projection=8 if parts.projection else 0)
    problem = draw(parts, sorted(lengths, reverse=True), inputs, hidden)
    expected = values_and_gradients(problem, reverse=reverse, trace=True)
    torch.set_num_threads(threads)
    for name in _native.instruction_sets():
        _native.use(name)
        for dtype, within in WITHIN.items():
            found = values_and_gradients(problem.to(dtype), reverse=reverse, trace=False)
            # Normalising divides by a spread that may be small, and so magnifies rounding, in any code; float64
            # shows that it is nothing else.
            assert error(found, expected) <= (10 * within if parts.layer_norm else within)


@pytest.mark.parametrize(
    "parts",
    [
        Parts(peephole=True),
        Parts(coupled=True),
        Parts(layer_norm=True),
        Parts(projection=3),
        Parts(zoneout="mask"),
        Parts(mask=True),
    ],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(parts: Parts) -> None:
    problem = draw(parts, [3, 2, 2], 2, 5)
    names = list(problem.weights)

    def run(rows: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        output, state, _ = lstm(
            rows,
            batch_sizes(problem.lengths),
            LSTMState(h=h, c=c),
            weights=LSTMWeights(**dict(zip(names, weights, strict=True))),
            coupled=problem.coupled,
            recurrent_mask=problem.mask,
            zoneout=problem.zoneout,
        )
        return output, *state

    leaves = [t.requires_grad_() for t in (problem.rows, *problem.state, *problem.weights.values())]
    assert torch.autograd.gradcheck(run, leaves)


def test_layer_normalisation_is_as_exact_in_float32_as_torchs() -> None:
    ours, theirs = [], []
    for seed in range(20):
        problem = draw(Parts(layer_norm=True, projection=8, mask=True), [7, 5, 5], 5, 24, seed)
        expected = values_and_gradients(problem, reverse=False, trace=True)
        single = problem.to(torch.float32)
        ours.append(error(values_and_gradients(single, reverse=False, trace=False), expected))
        theirs.append(error(values_and_gradients(single, reverse=False, trace=True), expected))
    assert sorted(ours)[10] < 2 * sorted(theirs)[10]


ALL = Parts(coupled=False, peephole=True, layer_norm=True, projection=5, zoneout="mask", mask=True)


def test_comparison_notices_swapped_peepholes() -> None:
    problem = draw(Parts(peephole=True), [4, 2], 3, 6)
    expected = values_and_gradients(problem, reverse=False, trace=True)
    w_ch = problem.weights["w_ch"]
    problem.weights["w_ch"] = w_ch.view(3, 6)[[1, 0, 2]].reshape(-1)
    assert error(values_and_gradients(problem, reverse=False, trace=False), expected) > 1e-3


@pytest.mark.parametrize(
    "parts",
    [
        Parts(peephole=True),
        Parts(coupled=True, peephole=True, zoneout="mask"),
        Parts(mask=True, zoneout="share"),
        Parts(projection=40),
        Parts(projection=40, peephole=True, mask=True, zoneout="mask"),
        ALL,
    ],
    ids=["peephole", "coupled", "masked", "projected", "all but normalised", "all"],
)
def test_threads_that_share_the_units_of_one_sequence(parts: Parts) -> None:
    problem = draw(parts, [150], 3, 150)
    expected = values_and_gradients(problem, reverse=False, trace=True)
    for name in _native.instruction_sets():
        _native.use(name)
        found = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(values_and_gradients(problem, reverse=False, trace=False))
            assert error(found[-1], expected) <= WITHIN[torch.float64]
        for ours, theirs in itertools.product(found[1:], found[:1]):
            assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("steps", [3, 60], ids=["rows kept", "too many rows to keep"])
@pytest.mark.parametrize("parts", [ALL, Parts(peephole=True)], ids=["all", "peephole"])
def test_gradients_of_many_weights(parts: Parts, steps: int) -> None:
    problem = draw(parts, sorted([steps, *range(1, steps), *[steps // 2] * 9], reverse=True), 90, 260)
    expected = values_and_gradients(problem, reverse=False, trace=True)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found = values_and_gradients(problem, reverse=False, trace=False)
        assert error(found, expected) <= 10 * WITHIN[torch.float64]


@pytest.mark.parametrize("parts", [ALL, Parts(coupled=True, peephole=True)], ids=["all", "coupled"])
def test_a_sequence_has_the_same_bits_alone_and_for_any_number_of_threads(parts: Parts) -> None:
    lengths = [9, 9, 7, 7, 5, 4, 4, 1]
    problem = draw(parts._replace(zoneout=parts.zoneout and "share"), lengths, 3, 21).to(torch.float32)
    outputs = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        outputs.append(values_and_gradients(problem, reverse=False, trace=False)[0])
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch_sizes(lengths).cumsum(0)])
    for number, length in enumerate(lengths):
        own, place = offsets[:length] + number, slice(number, number + 1)
        alone = problem._replace(
            lengths=[length],
            rows=problem.rows[own],
            state=LSTMState(*(part[place] for part in problem.state)),
            mask=None if problem.mask is None else problem.mask[place],
        )
        assert torch.equal(values_and_gradients(alone, reverse=False, trace=False)[0], outputs[0][own])


def test_nan_stays_in_its_sequence() -> None:
    lengths = [6, 6, 5, 3, 2]
    problem = draw(ALL, lengths, 2, 20).to(torch.float32)
    clean = values_and_gradients(problem, reverse=False, trace=False)[0]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), batch_sizes(lengths).cumsum(0)])
    problem.rows[offsets[1] + 2, 0] = float("nan")
    output = values_and_gradients(problem, reverse=False, trace=False)[0]
    spoilt = offsets[1:5] + 2
    others = torch.ones(len(output), dtype=torch.bool)
    others[spoilt] = False
    assert output[spoilt].isnan().any(dim=1).all()
    assert torch.equal(output[others], clean[others])


@pytest.mark.parametrize("hidden", [5, 260])
@pytest.mark.parametrize("parts", [ALL, Parts(), Parts(coupled=True, bias=False)], ids=["all", "plain", "coupled"])
def test_weights_that_are_not_learned_change_no_other_gradient(parts: Parts, hidden: int) -> None:
    problem = draw(parts, [9, 9, 7, 7, 5, 4, 2, 1, 1], 30, hidden)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found = values_and_gradients(problem, reverse=False, trace=False, learned=False)
        expected = values_and_gradients(problem, reverse=False, trace=False)
        assert len(found) == 6 < len(expected)
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("parts", [ALL, Parts(), Parts(coupled=True, bias=False)], ids=["all", "plain", "coupled"])
def test_operator_keeps_torchs_rules(parts: Parts, learned: bool) -> None:
    problem = draw(parts, [3, 2], 2, 3)
    weights = LSTMWeights(**{name: weight.requires_grad_(learned) for name, weight in problem.weights.items()})
    zones = tuple(problem.zoneout or (None, None))
    normalised = (weights.w_ln_ih, weights.w_ln_hh, weights.w_ln_c, weights.b_ln_c)
    extra = (weights.w_hr, weights.w_ch, *normalised, problem.mask, *zones)
    arguments = (problem.rows.requires_grad_(), batch_sizes([3, 2]), *problem.state, *weights[:4], *extra)
    library.opcheck(torch.ops.longspan.lstm_variant.default, (*arguments, 0.0, 0.0, problem.coupled, False, True))


def test_a_second_derivative_is_refused_in_words() -> None:
    layer = nn.LSTM(2, 3, peephole=True)
    block = torch.randn(4, 1, 2, requires_grad=True)
    (first,) = torch.autograd.grad(layer(block)[0].sum(), block, create_graph=True)
    with pytest.raises(DataError, match="gradient of a gradient"):
        first.sum().backward()


def test_zoneout_keeps_the_share_it_was_told() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(1, 200, zoneout=(0.25, 0.0))
    output, _ = layer(torch.randn(300, 1, 1))
    kept = (output[1:] == output[:-1]).float().mean()
    assert abs(float(kept) - 0.25) < 4 * (0.25 * 0.75 / output[1:].numel()) ** 0.5


def test_zoneout_of_everything_keeps_the_initial_state() -> None:
    layer = nn.LSTM(2, 3, zoneout=1.0)
    state = (torch.randn(1, 2, 3), torch.randn(1, 2, 3))
    output, after = layer(torch.randn(5, 2, 2), state)
    assert torch.equal(output[-1], state[0][0])
    assert torch.equal(after.c, state[1])


@pytest.mark.parametrize(
    "variant",
    [
        {"peephole": True},
        {"coupled": True},
        {"layer_norm": True},
        {"proj_size": 2},
        {"zoneout": 0.1},
        {"recurrent_dropout": 0.2},
        {"weight_drop": 0.2},
    ],
    ids=str,
)
def test_every_variant_runs_natively(variant: dict[str, Any]) -> None:
    paths = ops.explain(nn.LSTM(3, 4, **variant), torch.zeros(5, 2, 3))
    assert [path.kernel for path in paths] == ["native"]
