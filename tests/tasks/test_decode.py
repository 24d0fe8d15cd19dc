"""The decoder, its loss, and what it generates, against loops over single sequences in float64."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from longspan import Sequences
from longspan.data import PairBatches, StreamBatches, take_sources
from longspan.errors import ParameterError
from longspan.nn.packed import row_index, rows_before
from longspan.tasks import CELLS, DecoderConfig, Decoding, SequenceDecoder, count_decoder_parameters
from longspan.tasks.beam import beam_search
from longspan.tasks.generate import draw, generate

STOP = 3
SMALL: dict[str, Any] = {"source_size": 4, "target_size": STOP, "hidden_size": 5, "embedding_size": 4, "window": 2}
LENGTHS, SOURCE_LENGTHS = [2, 5, 1, 4, 5], [3, 1, 4, 4, 2]


def network(source: str = "symbols", target: str = "symbols", **options: Any) -> SequenceDecoder:
    torch.manual_seed(0)
    config = DecoderConfig(source=source, target=target, **SMALL | options)
    made = SequenceDecoder(config).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2.0)  # far enough from zero for errors to show
    return made


def symbols(lengths: list[int], kinds: int, seed: int, *, stop: bool = False) -> Sequences:
    rng = np.random.default_rng(seed)
    found = [rng.integers(kinds, size=length).astype(float) for length in lengths]
    return Sequences.from_list([np.append(one, kinds) for one in found] if stop else found)


def numbers(lengths: list[int], features: int, seed: int, *, stop: bool = False) -> Sequences:
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=(length, features)) for length in lengths]
    if stop:
        found = [np.vstack([np.column_stack([one, np.zeros(len(one))]), [0.0] * features + [1.0]]) for one in found]
    return Sequences.from_list(found)


def sources_of(kind: str) -> Any:
    if kind == "symbols":
        return symbols(SOURCE_LENGTHS, SMALL["source_size"], seed=1)
    if kind == "numbers":
        return numbers(SOURCE_LENGTHS, SMALL["source_size"], seed=1)
    if kind == "vector":
        return np.random.default_rng(1).normal(size=(5, SMALL["source_size"])).astype(np.float32)
    return None


def targets_of(kind: str) -> Sequences:
    return symbols(LENGTHS, STOP, 2, stop=True) if kind == "symbols" else numbers(LENGTHS, STOP, 2, stop=True)


def doubled(packed: PackedSequence) -> PackedSequence:
    return packed._replace(data=packed.data.double())


def source_batch(sources: Any, index: np.ndarray) -> Any:
    taken = take_sources(sources, index)
    return None if taken is None else doubled(taken) if isinstance(taken, PackedSequence) else taken.double()


def outputs_alone(net: SequenceDecoder, source: Any, target: torch.Tensor) -> torch.Tensor:
    """One pair, written out: encoder, bridge, one step of the cell after the other, attention, read-out."""
    config = net.config
    memory, summary = None, None
    if config.source in ("symbols", "numbers"):
        if config.source == "symbols":
            rows = net.source_embedding(source[:, 0].long())
        else:
            rows = net.source_projection((source - net.views.mean) / net.views.scale)
        rows = torch.cat([net.borders[:1], rows, net.borders[1:]])
        reader = torch.nn.LSTM(config.embedding_size, config.hidden_size, bidirectional=True).double()
        reader.load_state_dict(net.encoder.stack.state_dict())
        found, (h, _) = reader(rows)
        memory, summary = torch.cat([found, rows], dim=1), torch.cat([h[0], h[1]])
    elif config.source == "vector":
        summary = net.source_projection((source - net.views.mean) / net.views.scale)
    cell = torch.nn.LSTM(config.embedding_size, config.hidden_size).double()
    cell.load_state_dict(net.cell.stack.state_dict())
    state = (torch.zeros(1, config.hidden_size).double(),) * 2
    if summary is not None:
        summary = torch.tanh(net.bridge(summary))
        start = torch.tanh(net.start_projection(summary))
        state = (start[None, : config.hidden_size], start[None, config.hidden_size :])
    outputs = []
    for step in range(len(target)):
        if config.target == "symbols":
            read = net.target_embedding(torch.tensor(STOP) if step == 0 else target[step - 1, 0].long())
        else:
            values = torch.zeros(STOP).double()
            if step:
                values = (target[step - 1, :-1] - net.target_mean) / net.target_scale
            read = net.target_projection(torch.cat([values, torch.tensor([float(step == 0)])]))
        out, state = cell(read[None], state)
        hidden = out[0]
        if memory is not None and config.attention:
            context, _ = net.attention(hidden[None, None], one_memory(net, memory), torch.full((1, 1), float(step)))
            hidden = torch.cat([hidden, context[0, 0]])
        elif summary is not None:
            hidden = torch.cat([hidden, summary])
        outputs.append(net.head(torch.tanh(net.mixer(hidden))))
    return torch.stack(outputs)


def one_memory(net: SequenceDecoder, memory: torch.Tensor) -> Any:
    return net.attention.remember(torch.nn.utils.rnn.pack_sequence([memory]))


@pytest.mark.parametrize("target", ["symbols", "numbers"])
@pytest.mark.parametrize(
    ("source", "attention"),
    [("symbols", "dot"), ("numbers", "additive"), ("symbols", None), ("vector", "dot"), ("nothing", None)],
)
def test_outputs_are_those_of_one_pair_after_the_other(source: str, target: str, attention: str | None) -> None:
    net = network(source, target, attention=attention)
    if source in ("numbers", "vector"):
        net.views.scale_channels([0.1, 0.2, 0.3, 0.4], [1.5, 2.0, 0.5, 1.0])
    if target == "numbers":
        net.target_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
        net.target_scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
    sources, targets = sources_of(source), targets_of(target)
    (batch,) = PairBatches(sources, targets, batch_size=8).longest_first()
    rows = doubled(batch.targets)
    with torch.no_grad():
        outputs = net(source_batch(sources, batch.index), rows)
        sequence = row_index(rows.batch_sizes).sequence
        for place, number in enumerate(batch.index.tolist()):
            own = sources[number] if sources is not None else None
            own = None if own is None else torch.from_numpy(np.array(own)).double()
            expected = outputs_alone(net, own, torch.from_numpy(np.array(targets[number])).double())
            torch.testing.assert_close(outputs[sequence == place], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("target", ["symbols", "numbers"])
def test_step_by_step_gives_what_one_call_gives(cell: str, target: str) -> None:
    net = network("symbols", target, cell=cell, num_layers=2)
    sources, targets = sources_of("symbols"), targets_of(target)
    for number, rows in enumerate(targets):
        rows = torch.from_numpy(np.array(rows)).double()
        whole = PackedSequence(rows, torch.ones(len(rows), dtype=torch.int64))
        with torch.no_grad():
            encoded = net.encode(source_batch(sources, np.array([number])), 1)
            expected, state, _ = net.run(rows_before(whole), encoded.start, encoded)
            at, found = encoded.start, []
            for row in rows_before(whole).data:
                outputs, at, _ = net.run(PackedSequence(row[None], torch.tensor([1])), at, encoded)
                found.append(outputs)
        torch.testing.assert_close(torch.cat(found), expected)
        assert float(at.steps) == float(state.steps) == len(rows)
        torch.testing.assert_close(at.cell, state.cell)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("source", ["nothing", "symbols"])
def test_pieces_that_carry_the_state_give_what_whole_targets_give(cell: str, source: str) -> None:
    net = network(source, cell=cell, attention="dot")
    sources, targets = sources_of(source), targets_of("symbols")
    (whole,) = PairBatches(sources, targets, batch_size=8).longest_first()
    task = Decoding(net.float())
    expected = np.empty(targets.n_steps)
    with torch.no_grad():
        expected[whole.rows] = task.log_likelihood(whole.inputs, whole.targets).numpy()
        for lanes, steps in ((2, 2), (5, 3), (1, 1)):
            found = np.empty(targets.n_steps)
            pieces = StreamBatches(sources, targets, batch_size=lanes, steps=steps, cut=False)
            for batch in [*pieces.shuffled(np.random.default_rng(0)), *pieces.longest_first()]:
                found[batch.rows] = task.log_likelihood(batch.inputs, batch.targets).numpy()
            np.testing.assert_allclose(found, expected, atol=2e-5)


def test_loss_of_symbols_is_torchs_cross_entropy() -> None:
    task = Decoding(network().float(), label_smoothing=0.2)
    sources, targets = sources_of("symbols"), targets_of("symbols")
    (batch,) = PairBatches(sources, targets, np.arange(5, dtype=np.float32), batch_size=8).longest_first()
    outputs, truth = task.network(batch.inputs.source, batch.targets), batch.targets.data[:, 0].long()
    smoothed = F.cross_entropy(outputs, truth, reduction="none", label_smoothing=0.2)
    torch.testing.assert_close(task.loss(*batch[:3]), (smoothed * batch.weights).mean())
    found = task.metrics(*batch[:3])
    plain = F.cross_entropy(outputs, truth, reduction="none")
    torch.testing.assert_close(found["loss"], (plain * batch.weights).sum())
    torch.testing.assert_close(found["accuracy"], ((outputs.argmax(1) == truth) * batch.weights).sum())
    torch.testing.assert_close(found["weight"], batch.weights.sum())


def test_loss_of_numbers_is_the_density_of_a_normal_and_the_chance_of_a_stop() -> None:
    net = network("nothing", "numbers").float()
    with torch.no_grad():
        net.log_spread.copy_(torch.tensor([0.1, -0.4, 0.2]))
        net.target_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
        net.target_scale.copy_(torch.tensor([0.5, 1.0, 2.0]))
        rows = torch.tensor([[1.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
        outputs = torch.tensor([[0.1, 0.2, 0.3, -1.0], [0.5, 0.5, 0.5, 0.7]])
        losses = Decoding(net).losses(outputs, rows)
    standard = (rows[0, :3] - net.target_mean) / net.target_scale
    density = torch.distributions.Normal(outputs[0, :3], net.log_spread.exp()).log_prob(standard).sum()
    torch.testing.assert_close(losses[0], -density - torch.log(1 - torch.sigmoid(torch.tensor(-1.0))))
    torch.testing.assert_close(losses[1], -torch.log(torch.sigmoid(torch.tensor(0.7))))


def test_scheduled_sampling_grows_and_puts_own_symbols_in_the_place_of_true_ones() -> None:
    net = network("nothing").float().train()
    task = Decoding(net, scheduled_sampling=0.8, sampling_steps=4)
    (batch,) = PairBatches(None, targets_of("symbols"), batch_size=8).longest_first()
    shares, seen = [], []
    run = net.run

    def watched(before: PackedSequence, *rest: Any) -> Any:
        seen.append(before.data)
        return run(before, *rest)

    net.run = watched  # type: ignore[method-assign]
    for _ in range(6):
        shares.append(task.sampled_share)
        task.loss(*batch[:3])
    np.testing.assert_allclose(shares, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    true = rows_before(batch.targets).data
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        torch.testing.assert_close(first, true, equal_nan=True)
        torch.testing.assert_close(second[:5], true[:5], equal_nan=True)  # the start stays
        assert set(second[5:].unique().tolist()) <= {0.0, 1.0, 2.0}  # never a stop
    assert any(not torch.equal(second[5:], true[5:]) for second in seen[1::2])
    net.eval()
    seen.clear()
    task.loss(*batch[:3])
    assert len(seen) == 1


def encoded_of(net: SequenceDecoder) -> Any:
    sources = sources_of("symbols")
    with torch.no_grad():
        return net.encode(source_batch(sources, np.arange(5)), 5)


def log_probability(net: SequenceDecoder, number: int, chosen: tuple[int, ...], *, stopped: bool) -> float:
    """Log-probability of symbols and, if `stopped`, of the stop after them; none may stop at the first step."""
    rows = torch.tensor([*chosen, STOP], dtype=torch.float64)[:, None]
    with torch.no_grad():
        outputs = net(
            source_batch(sources_of("symbols"), np.array([number])),
            PackedSequence(rows, torch.ones(len(rows), dtype=torch.int64)),
        )
    found = outputs.log_softmax(dim=1)[torch.arange(len(rows)), rows[:, 0].long()]
    return float(found[: None if stopped else -1].sum())


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(power: float) -> None:
    net, longest = network(), 3
    rows, lengths, scores = beam_search(net, encoded_of(net), width=200, max_length=longest, length_power=power)
    for number in range(5):
        every = {}
        for length in range(1, longest + 1):
            for chosen in itertools.product(range(STOP), repeat=length):
                if length < longest:
                    every[chosen] = log_probability(net, number, chosen, stopped=True) / (length + 1) ** power
                else:
                    every[chosen] = log_probability(net, number, chosen, stopped=False) / length**power
        best = max(every, key=every.__getitem__)
        assert tuple(rows[number, : lengths[number]].tolist()) == best
        assert float(scores[number]) == pytest.approx(every[best], abs=1e-10)


def test_a_beam_of_one_is_a_greedy_search() -> None:
    for seed in range(8):
        torch.manual_seed(seed)
        net = SequenceDecoder(DecoderConfig("symbols", "symbols", **SMALL)).double().eval()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(4.0)
        encoded = encoded_of(net)
        greedy, ends = generate(net, encoded, max_length=9)
        found, lengths, _ = beam_search(net, encoded, width=1, max_length=9)
        assert lengths.tolist() == ends.tolist()
        for number, length in enumerate(lengths.tolist()):
            assert found[number, :length].tolist() == greedy[number, :length, 0].long().tolist()


@pytest.mark.parametrize(("seed", "width"), [(19, 2), (27, 2), (49, 3), (96, 3), (117, 2)])
def test_a_wider_beam_never_finds_less_than_a_greedy_search(seed: int, width: int) -> None:
    """In each of these one greedy beginning falls out of the beam, and those that stay turn out worse."""
    torch.manual_seed(seed)
    sizes = {"source_size": 3, "target_size": 4, "hidden_size": 8, "embedding_size": 4}
    net = SequenceDecoder(DecoderConfig("vector", "symbols", **sizes)).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3.0)
    encoded = net.encode(torch.randn(16, 3).double(), 16)
    greedy, wider = (beam_search(net, encoded, width=w, max_length=10)[2] for w in (1, width))
    assert (wider >= greedy - 1e-12).all()
    assert (wider > greedy + 1e-6).any()


def test_a_beam_of_many_sources_is_that_of_each() -> None:
    net = network()
    encoded = encoded_of(net)
    rows, lengths, scores = beam_search(net, encoded, width=3, max_length=6)
    for number in range(5):
        own = beam_search(net, encoded.select(torch.tensor([number])), width=3, max_length=6)
        length = int(lengths[number])
        assert (int(own[1]), float(own[2])) == (length, pytest.approx(float(scores[number])))
        assert own[0][0, :length].tolist() == rows[number, :length].tolist()


def test_draws_follow_the_distribution() -> None:
    net = network()
    outputs = torch.tensor([[1.0, 0.0, -1.0, 0.5]]).double().repeat(20_000, 1)
    generator = torch.Generator().manual_seed(0)
    for temperature in (1.0, 0.5):
        drawn = draw(net, outputs, temperature=temperature, generator=generator)[:, 0].long().bincount(minlength=4)
        expected = (outputs[0] / temperature).softmax(0)
        np.testing.assert_allclose(drawn / 20_000, expected, atol=0.015)
    top = draw(net, outputs, temperature=1.0, top_k=2, generator=generator)[:, 0].long().bincount(minlength=4)
    expected = torch.tensor([1.0, 0.5]).softmax(0)
    np.testing.assert_allclose(top[[0, 3]] / 20_000, expected, atol=0.015)
    assert top[1] == top[2] == 0
    assert not (draw(net, outputs, temperature=1.0, may_stop=False) == STOP).any()
    assert draw(net, outputs)[0].tolist() == [0.0]
    for temperature in (1e-6, 1e-40, 1e-300, 1e-320):  # logits over it would overflow
        assert draw(net, outputs[:9].float() + 5, temperature=temperature).tolist() == [[0.0]] * 9


def test_drawn_numbers_have_the_spread_that_was_learned() -> None:
    net = network("nothing", "numbers")
    with torch.no_grad():
        net.log_spread.fill_(math.log(2.0))
        net.target_scale.fill_(3.0)
        net.target_mean.fill_(1.0)
    outputs = torch.zeros(20_000, 4).double()
    rows = draw(net, outputs, temperature=1.0, generator=torch.Generator().manual_seed(0)).detach()
    np.testing.assert_allclose(rows[:, :3].mean(0), 1.0, atol=0.15)
    np.testing.assert_allclose(rows[:, :3].std(0), 6.0, atol=0.15)
    assert float(rows[:, 3].mean()) == pytest.approx(0.5, abs=0.02)
    assert draw(net, outputs)[0].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_generation_obeys_prefix_length_and_fixed_lengths() -> None:
    net = network()
    encoded = encoded_of(net)
    prefix = torch.tensor([[2.0], [0.0]]).double()
    rows, lengths = generate(net, encoded, max_length=4, prefix=prefix)
    assert rows[:, :2, 0].tolist() == [[2.0, 0.0]] * 5
    assert int(lengths.max()) <= 4
    assert int(lengths.min()) >= 2
    rows, lengths = generate(net, encoded, max_length=2, prefix=prefix)
    assert (rows.shape, lengths.tolist()) == ((5, 2, 1), [2] * 5)
    wanted = torch.tensor([1, 4, 2, 3, 4])
    rows, lengths = generate(net, encoded, max_length=4, lengths=wanted)
    assert lengths.tolist() == wanted.tolist()
    assert not (rows[0, :1] == STOP).any()
    rows, lengths = generate(net, encoded, max_length=4, prefix=prefix, lengths=torch.tensor([1, 2, 3, 4, 5]))
    assert lengths.tolist() == [2, 2, 3, 4, 4]


def test_parameters_are_counted_without_making_them() -> None:
    config = DecoderConfig("symbols", "symbols", **SMALL)
    assert count_decoder_parameters(config) == sum(p.numel() for p in SequenceDecoder(config).parameters())


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(ParameterError, match="cell is 'lstm', 'rnn', 'gru' or 'feedforward', but it was 'cnn'"):
        network(cell="cnn")
    net = network("nothing").float()
    (batch,) = PairBatches(None, targets_of("symbols"), batch_size=8).longest_first()
    with pytest.raises(ParameterError, match="no attention"):
        Decoding(net).attention(batch.inputs, batch.targets)
