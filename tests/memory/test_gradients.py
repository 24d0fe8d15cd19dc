"""Gradient by lag and input influence, against closed forms and against brute force."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from longspan import ops
from longspan.errors import DataError, EmptyDataError, ParameterError, ShapeError
from longspan.memory import _adjoint, gradient_by_lag, gradients, input_influence
from longspan.memory._adjoint import Tap, walk_back
from longspan.memory._anchors import Anchors
from longspan.memory._subject import Subject
from longspan.memory.gradients import first_above, first_below, lag_norms, watched_slots
from longspan.nn import GRU, LSTM, RNN, FeedForward
from longspan.nn._recurrent import Recurrent
from longspan.sequences import Sequences
from longspan.tasks import NetworkConfig, SequenceNetwork

CELLS = {
    "lstm": lambda **k: LSTM(2, 3, **k),
    "peephole": lambda **k: LSTM(2, 3, peephole=True, **k),
    "coupled": lambda **k: LSTM(2, 3, coupled=True, peephole=True, **k),
    "layer norm": lambda **k: LSTM(2, 3, layer_norm=True, **k),
    "projection": lambda **k: LSTM(2, 3, proj_size=2, **k),
    "zoneout": lambda **k: LSTM(2, 3, zoneout=(0.2, 0.4), **k),
    "dropped weights": lambda **k: LSTM(2, 3, weight_drop=0.5, recurrent_dropout=0.5, **k),
    "no bias": lambda **k: LSTM(2, 3, bias=False, **k),
    "gru": lambda **k: GRU(2, 3, **k),
    "gru, reset before": lambda **k: GRU(2, 3, reset="before", **k),
    "rnn": lambda **k: RNN(2, 3, **k),
    "rnn, relu": lambda **k: RNN(2, 3, nonlinearity="relu", **k),
}
STACKS = {"one layer": {}, "two layers": {"num_layers": 2}, "both ways": {"num_layers": 2, "bidirectional": True}}


def all_ends(X: list[np.ndarray]) -> Anchors:
    """An anchor at the end of each sequence, the longest first."""
    sequences = Sequences.from_list(X)
    order = np.argsort(-sequences.lengths, kind="stable")
    lengths = sequences.lengths[order]
    return Anchors(sequences, order, lengths, lengths - 1, order, np.zeros_like(order))


def ragged(count: int = 5, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(length, 2)).astype(np.float32) for length in rng.integers(1, 9, size=count)]


def step_by_step(cell: Recurrent, x: torch.Tensor, nudge: dict[tuple[str, int], Any]) -> torch.Tensor:
    """Outputs of one sequence, one step at a time, with a nudge added to every state that is carried on."""
    rows = x
    top = cell.num_layers - 1
    for layer in range(cell.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: cell.num_directions]:
            name = f"_l{layer}{suffix}"
            order = range(len(x)) if not suffix else reversed(range(len(x)))
            state = tuple(torch.zeros(1, size, dtype=x.dtype) for size in cell._state_sizes())
            made: dict[int, torch.Tensor] = {}
            for t in order:
                record = one_step(cell, name, rows[t : t + 1], state)
                state = (record.h, record.c) if isinstance(cell, LSTM) else (record.h,)
                nudge[name, t] = tuple(torch.zeros_like(part, requires_grad=True) for part in state)
                state = tuple(part + by for part, by in zip(state, nudge[name, t], strict=True))
                made[t] = state[0] if layer == top else record.h
            outputs.append(torch.cat([made[t] for t in range(len(x))]))
        rows = torch.cat(outputs, dim=-1)
    return rows


def one_step(cell: Recurrent, name: str, row: torch.Tensor, state: tuple[torch.Tensor, ...]) -> Any:
    w = cell._weights(name)
    from_input = row @ w.w_ih.T + (0 if w.b_ih is None else w.b_ih)
    if isinstance(cell, LSTM):
        if cell.layer_norm:
            from_input = torch.nn.functional.layer_norm(row @ w.w_ih.T, (w.w_ih.shape[0],)) * w.w_ln_ih + w.b_ih
        from_input = from_input + (0 if w.b_hh is None else w.b_hh)
        zoneout = ops.Zoneout(*cell.zoneout) if any(cell.zoneout) else None
        return ops.lstm_step(from_input, ops.LSTMState(*state), weights=w, coupled=cell.coupled, zoneout=zoneout)
    if isinstance(cell, GRU):
        return ops.gru_step(from_input, state[0], weights=w, reset=cell.reset)
    return ops.rnn_step(from_input + w.b_hh, state[0], w_hh=w.w_hh, nonlinearity=cell.nonlinearity)


def brute_force(cell: Recurrent, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Norms by lag of the gradient of the summed last output, by all states and by the input."""
    rows = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    nudge: dict[tuple[str, int], Any] = {}
    step_by_step(cell, rows, nudge)[-1].sum().backward()
    norms = np.zeros(len(x))
    for (_, t), parts in nudge.items():
        norms[t] += sum(0.0 if part.grad is None else float(part.grad.square().sum()) for part in parts)
    return np.sqrt(norms)[::-1], rows.grad.norm(dim=-1).numpy()[::-1]


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", CELLS)
def test_norms_are_those_of_brute_force(name: str, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    cell = CELLS[name](dtype=torch.float64, **STACKS[stack])
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    monkeypatch.setattr(gradients, "_projected", lambda outputs, rng: outputs.sum(dim=-1))
    anchors = all_ends(ragged())
    norms = lag_norms(Subject.of(cell), anchors, np.random.default_rng(0))
    for place, number in enumerate(anchors.sequence):
        x = anchors.sequences[int(number)]
        by_state, by_input = brute_force(cell.eval(), x)
        np.testing.assert_allclose(norms.state[place, : len(x)], by_state, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(norms.input[place, : len(x)], by_input, rtol=1e-9, atol=1e-12)
        assert np.isnan(norms.state[place, len(x) :]).all()


@pytest.mark.parametrize("name", ["lstm", "zoneout", "gru", "rnn"])
def test_segments_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    subject = Subject.of(CELLS[name](dtype=torch.float64, num_layers=2, bidirectional=True))
    anchors = all_ends(ragged(7))
    whole = lag_norms(subject, anchors, np.random.default_rng(0))
    monkeypatch.setattr(_adjoint, "_NUMBERS_AT_ONCE", 1)  # a segment a step
    cut = lag_norms(subject, anchors, np.random.default_rng(0))
    np.testing.assert_allclose(cut.state, whole.state, rtol=1e-10)
    np.testing.assert_allclose(cut.input, whole.input, rtol=1e-10)


def test_brute_force_itself_sees_a_wrong_recurrence() -> None:
    torch.manual_seed(0)
    cell = LSTM(2, 3, dtype=torch.float64)
    x = ragged()[0]
    right, _ = brute_force(cell, x)
    with torch.no_grad():
        cell.weight_hh_l0.copy_(cell.weight_hh_l0.roll(3, dims=0))
    assert np.abs(brute_force(cell, x)[0] - right).max() > 1e-3


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("layer", [0, 1])
def test_one_layer_and_one_direction_can_be_measured(
    layer: int, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    cell = GRU(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)
    monkeypatch.setattr(gradients, "_projected", lambda outputs, rng: outputs.sum(dim=-1))
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    anchors = all_ends([x])
    subject = Subject.of(cell)
    norms = lag_norms(subject, anchors, np.random.default_rng(0), watched=watched_slots(cell, layer, direction))
    nudge: dict[tuple[str, int], Any] = {}
    step_by_step(cell, torch.tensor(x, dtype=torch.float64), nudge)[-1].sum().backward()
    name = f"_l{layer}" + ("_reverse" if direction == "backward" else "")
    wanted = [float(nudge[name, t][0].grad.norm()) if nudge[name, t][0].grad is not None else 0.0 for t in range(6)]
    np.testing.assert_allclose(norms.state[0], wanted[::-1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rho", [0.5, 0.9, 1.0, 1.1])
def test_a_linear_rnn_with_a_scaled_orthogonal_matrix_has_rho_to_the_k(rho: float) -> None:
    # A permutation is orthogonal, and keeps relu's states positive, where it is the identity.
    cell = RNN(1, 8, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        cell.weight_hh_l0.copy_(rho * torch.eye(8, dtype=torch.float64)[torch.randperm(8)])
        cell.weight_ih_l0.zero_()
        cell.bias_ih_l0.fill_(1.0)
        cell.bias_hh_l0.zero_()
    curve = gradient_by_lag(cell, np.ones((3, 60, 1)), n_anchors=3, random_state=0)
    for values in (curve.median, curve.lower, curve.upper, curve.mean):
        np.testing.assert_allclose(values, rho**curve.lags, rtol=1e-10)
    assert curve.lags.tolist() == list(range(60))


def frozen(forget: float, steps: int = 50) -> tuple[LSTM, np.ndarray]:
    """An LSTM whose forget gate is always the same, and whose h feeds nothing back."""
    cell = LSTM(1, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih_l0[4:8] = np.log(forget / (1 - forget))
    return cell, np.ones((2, steps, 1))


@pytest.mark.parametrize("forget", [0.5, 0.9, 0.999])
def test_a_frozen_forget_gate_passes_f_to_the_k(forget: float) -> None:
    cell, X = frozen(forget)
    curve = gradient_by_lag(cell, X, n_anchors=2, random_state=0)
    # At lag 0 all of the output's gradient is at h; from lag 1 on it is at c, where o tanh'(0) = 1/2 of it arrived.
    np.testing.assert_allclose(curve.median[1:], 0.5 * forget ** curve.lags[1:], rtol=1e-10)


@pytest.mark.parametrize("pooling", ["last", "last+mean+max", "attention"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "feedforward"])
def test_influence_is_what_autograd_finds_through_the_whole_network(
    cell: str, pooling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(
        2, 3, cell=cell, hidden_size=4, pooling=pooling, views=("level", "change"), window=3, stem_strides=(2, 1),
        stem_channels=3, stem_pooling="mean+max",
    )  # fmt: skip
    network = SequenceNetwork(config).double().eval()
    network.views.scale.fill_(2.0)
    monkeypatch.setattr(gradients, "_projected", lambda outputs, rng: outputs.sum(dim=-1))
    anchors = all_ends(ragged())
    found = lag_norms(Subject.of(network), anchors, np.random.default_rng(0)).input
    for place, number in enumerate(anchors.sequence):
        x = torch.tensor(anchors.sequences[int(number)], dtype=torch.float64, requires_grad=True)
        network(pack_sequence([x])).sum().backward()
        np.testing.assert_allclose(
            found[place, : len(x)], 2.0 * x.grad.norm(dim=-1).flip(0).numpy(), rtol=1e-8, atol=1e-12
        )


def test_lags_behind_a_stem_are_counted_in_steps_of_the_data() -> None:
    config = NetworkConfig(1, 2, hidden_size=4, pooling="last", bidirectional=False, stem_strides=(2, 2))
    curve = gradient_by_lag(SequenceNetwork(config), np.ones((4, 40, 1)), n_anchors=4, random_state=0)
    assert curve.lags.tolist() == list(range(0, 40, 4))


def test_outputs_of_a_network_with_one_a_step_are_read_at_drawn_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(1, 2, hidden_size=3, pooling=None, views=("level",))  # both ways: sees what comes after
    network = SequenceNetwork(config).double().eval()
    monkeypatch.setattr(gradients, "_projected", lambda outputs, rng: outputs.sum(dim=-1))
    x = np.random.default_rng(0).normal(size=(9, 1)).astype(np.float32)
    sequences = Sequences.from_list([x])
    anchors = Anchors(sequences, np.array([0]), np.array([9]), np.array([5]), np.array([0]), np.array([0]))
    found = lag_norms(Subject.of(network), anchors, np.random.default_rng(0)).input
    rows = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    network(pack_sequence([rows]))[5].sum().backward()
    np.testing.assert_allclose(found[0], rows.grad.norm(dim=-1)[:6].flip(0).numpy(), rtol=1e-9)


def test_a_torch_module_is_measured_as_ours() -> None:
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(1, 5, num_layers=2, bidirectional=True)
    ours = LSTM(1, 5, num_layers=2, bidirectional=True)
    ours.load_state_dict(theirs.state_dict())
    X = np.random.default_rng(0).normal(size=(4, 12, 1))
    one, other = (gradient_by_lag(module, X, random_state=0) for module in (theirs, ours))
    np.testing.assert_array_equal(one.median, other.median)
    assert one.measured == "h and c of all 2 layers, both directions"


def test_a_sequence_counts_the_same_in_any_company() -> None:
    torch.manual_seed(0)
    subject = Subject.of(LSTM(2, 8))
    X = ragged(9, seed=3)
    together = lag_norms(subject, all_ends(X), np.random.default_rng(0))
    longest = int(np.argmax([len(x) for x in X]))
    alone = lag_norms(subject, all_ends([X[longest]]), np.random.default_rng(0))
    np.testing.assert_allclose(together.state[0], alone.state[0], rtol=1e-4)


def test_the_network_is_left_as_it_is() -> None:
    network = SequenceNetwork(NetworkConfig(1, 2, hidden_size=3)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    gradient_by_lag(network, np.ones((3, 5, 1)), random_state=0)
    assert network.training
    assert isinstance(network.cell, LSTM)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_same_seed_gives_the_same_curve() -> None:
    cell, X = LSTM(1, 4), np.random.default_rng(0).normal(size=(5, 20, 1))
    one, same, other = (gradient_by_lag(cell, X, random_state=seed).median for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_short_data_are_filled_up_with_earlier_steps_of_the_second_half() -> None:
    curve = gradient_by_lag(LSTM(1, 4), np.ones((2, 20, 1)), n_anchors=100, random_state=0)
    assert curve.count[0] == 100
    assert curve.count[9] == 100
    assert 2 <= curve.count[-1] < 100


def test_a_feed_forward_network_influences_within_its_window() -> None:
    torch.manual_seed(0)
    curve = input_influence(FeedForward(1, 8, window=4), np.ones((3, 10, 1)), n_anchors=3, random_state=0)
    assert (curve.median > 0).tolist() == [True] * 4 + [False] * 6


def test_spans_are_read_off_a_curve() -> None:
    cell, X = frozen(0.9, steps=60)
    curve = gradient_by_lag(cell, X, n_anchors=2, random_state=0)
    assert first_below(curve, curve.median) == np.ceil(np.log(0.02) / np.log(0.9))
    assert first_above(curve) is None
    assert first_below(curve, np.ones(60)) == np.inf
    assert first_above(curve, 0.4) == 0.0


def test_a_tap_gives_what_the_layers_give() -> None:
    torch.manual_seed(0)
    cell = LSTM(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64).requires_grad_(False)
    packed = pack_sequence([torch.randn(5, 2).double(), torch.randn(3, 2).double()])
    tap = Tap(cell)
    given = tap(packed)[0]
    torch.testing.assert_close(given.data.detach(), cell(packed)[0].data)
    _, below = walk_back(tap, torch.ones_like(given.data), watched=lambda slot: True)
    assert below.shape == packed.data.shape


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": FeedForward(1, 2, window=2)}, ParameterError, "feed-forward network"),
        ({"model": torch.nn.Linear(1, 2)}, ParameterError, "cannot be measured of a Linear"),
        ({"layer": 3}, ParameterError, "layers 0 to 0"),
        ({"layer": -1}, ParameterError, "layer is -1"),
        ({"direction": "backward"}, ParameterError, "'forward'"),
        ({"n_anchors": 0}, ParameterError, "1 or more"),
        ({"random_state": "no"}, ParameterError, "random_state"),
        ({"random_state": -1}, ParameterError, "random_state"),
        ({"X": np.ones((2, 5, 3))}, ShapeError, "3 features, but the network takes 1"),
        ({"X": np.full((2, 5, 1), np.nan)}, DataError, "NaN"),
        ({"X": np.ones((0, 5, 1))}, EmptyDataError, "no sequences"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"model": LSTM(1, 2), "X": np.ones((2, 5, 1)), **arguments}
    with pytest.raises(error, match=words):
        gradient_by_lag(given.pop("model"), given.pop("X"), **given)
