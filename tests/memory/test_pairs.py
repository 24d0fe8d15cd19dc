"""A decoder seen through: source and target as one sequence, and the next step as output."""

from typing import Any

import numpy as np
import pytest
import torch

from longspan import LSTMDecoder, memory_report
from longspan.errors import ParameterError, TargetError
from longspan.memory import (
    context_ablation,
    forgetting_curve,
    gate_saturation,
    gradient_by_lag,
    gradients,
    input_influence,
    lag_occlusion,
    memory_capacity,
    time_constants,
)
from longspan.memory._anchors import draw_anchors
from longspan.memory._subject import Subject
from longspan.memory.context import older_replaced
from longspan.tasks.decoder_network import DecoderState

SMALL: dict[str, Any] = {"hidden_size": 5, "max_epochs": 1, "random_state": 0}
WORDS = ["".join(np.random.default_rng(n).choice(list("abcd"), size=2 + n % 6)) for n in range(40)]
BACKWARDS = [word[::-1] for word in WORDS]
NUMBERS = [np.random.default_rng(n).normal(size=(3 + n % 4, 2)) for n in range(40)]
VECTORS = np.random.default_rng(0).normal(size=(40, 3))


def fitted(X: Any, y: Any, **parameters: Any) -> LSTMDecoder:
    decoder = LSTMDecoder(**SMALL | parameters).fit(X, y)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in decoder.network_.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return decoder


KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "symbols": (WORDS, BACKWARDS, {}),
    "nothing": (None, WORDS, {}),
    "vector": (VECTORS, WORDS, {"source": "vector"}),
    "numbers": (NUMBERS, WORDS, {"attention": "additive", "num_layers": 2}),
    "no attention": (WORDS, BACKWARDS, {"attention": None}),
    "rnn": (WORDS, BACKWARDS, {"cell": "rnn"}),
    "gru": (WORDS, BACKWARDS, {"cell": "gru"}),
    "feedforward": (WORDS, BACKWARDS, {"cell": "feedforward"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_the_probabilities_that_it_gives(kind: str) -> None:
    X, y, parameters = KINDS[kind]
    decoder = fitted(X, y, **parameters)
    subject = Subject.of(decoder)
    sequences, targets = subject.read_both(X, y)
    anchors = draw_anchors(subject, sequences, targets, at_most=60, rng=np.random.default_rng(0))
    shares = anchors.outputs(subject).double().softmax(dim=-1).numpy()
    wanted = decoder.predict_proba(X, y)
    for anchor, sequence in enumerate(anchors.sequence):
        step = anchors.at[anchor] - anchors.front[sequence]
        np.testing.assert_allclose(shares[anchor], wanted[sequence][step], atol=1e-5)
        code = len(decoder.symbols_) if step == len(y[sequence]) else decoder.symbols_.index(y[sequence][step])
        assert targets is not None
        assert targets.values[anchors.rows[anchor]] == code


def test_numbers_are_looked_at_where_there_are_some() -> None:
    decoder = fitted(VECTORS, NUMBERS, source="vector")
    subject = Subject.of(decoder)
    sequences, targets = subject.read_both(VECTORS, NUMBERS)
    assert sequences.n_steps == sum(map(len, NUMBERS)) + 40  # and one for each stop
    anchors = draw_anchors(subject, sequences, targets, at_most=1000, rng=np.random.default_rng(0))
    assert len(anchors) == sum(map(len, NUMBERS))
    assert targets is not None
    network = decoder.network_
    wanted = (np.concatenate(NUMBERS) - network.target_mean.numpy()) / network.target_scale.numpy()
    truth = targets.values[np.sort(anchors.rows)]
    np.testing.assert_allclose(truth, wanted, atol=1e-5)
    assert anchors.outputs(subject).shape == (len(anchors), 2)


@pytest.mark.parametrize("how", ["replace", "shuffle"])
def test_a_step_is_replaced_by_one_of_its_kind(how: str) -> None:
    subject = Subject.of(fitted(WORDS, BACKWARDS))
    sequences, targets = subject.read_both(WORDS, BACKWARDS)
    anchors = draw_anchors(subject, sequences, targets, at_most=40, rng=np.random.default_rng(0))
    _, steps = anchors.packed(slice(0, 40))
    rows = older_replaced(steps, 2, how, np.random.default_rng(1).random(sequences.n_steps))
    of_source = ~np.isnan(sequences.values[:, 0])
    np.testing.assert_array_equal(of_source[rows], steps.early)
    assert (rows != steps.own)[steps.lag >= 2].any()
    np.testing.assert_array_equal(rows[steps.lag < 2], steps.own[steps.lag < 2])


def test_gradients_are_those_by_the_states_of_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "_projected", lambda outputs, rng: outputs.sum(dim=-1))
    decoder = fitted(WORDS, BACKWARDS)
    subject = Subject.of(decoder)
    sequences, targets = subject.read_both(WORDS, BACKWARDS)
    anchors = draw_anchors(subject, sequences, targets, at_most=12, rng=np.random.default_rng(0))
    found = gradients.lag_norms(subject, anchors, np.random.default_rng(0)).state
    assert found is not None
    network = subject.network
    for anchor, sequence in enumerate(anchors.sequence):
        front, last = anchors.front[sequence], anchors.at[anchor] - anchors.front[sequence]
        values = torch.from_numpy(sequences[int(sequence)])
        with torch.no_grad():
            encoded = network.encode(packed(values[:front, :1]), 1)
        before = values[front : front + last + 1, 1:]
        for lag in range(1, last + 1):
            with torch.no_grad():
                state = network.run(packed(before[: last - lag + 1]), encoded.start, encoded)[1]
            cell = tuple(part.detach().requires_grad_() for part in state.cell)
            rest = network.run(packed(before[last - lag + 1 :]), DecoderState(cell, state.steps), encoded)[0]
            parts = torch.autograd.grad(rest[-1].sum(), cell)
            wanted = torch.cat([part.ravel() for part in parts]).norm().item()
            assert found[anchor, lag] == pytest.approx(wanted, rel=1e-3, abs=1e-6)
        assert np.isnan(found[anchor, last + 1 :]).all()


def packed(rows: torch.Tensor) -> Any:
    return torch.nn.utils.rnn.pack_sequence([rows])


def test_attention_reaches_a_source_however_fast_the_state_forgets() -> None:
    decoder = fitted(WORDS, BACKWARDS)
    report = memory_report(decoder, WORDS, BACKWARDS, lag=15)
    assert report.verdict in ("memory_suffices", "unused_signal")
    assert report.facts["task"] == "decode"
    assert report.facts["longest"] == 7 + 7 + 1
    assert report.curves.influence is None
    assert report.curves.forgetting is None
    assert lag_occlusion(decoder, WORDS, BACKWARDS, random_state=0).lags[-1] == 14


def test_gates_are_those_of_the_decoder() -> None:
    decoder = fitted(None, WORDS)
    assert time_constants(decoder, None, WORDS).tau.shape == (5,)
    assert gate_saturation(decoder, None, WORDS).shut.shape == (3, 5)
    assert gradient_by_lag(decoder, None, WORDS, random_state=0).median[0] == 1.0
    assert (context_ablation(decoder, None, WORDS, context=[0], random_state=0).error > 0).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda decoder: memory_report(decoder, WORDS), TargetError, "pass the targets, too"),
        (lambda decoder: time_constants(decoder, WORDS), TargetError, "pass the targets, too"),
        (lambda decoder: input_influence(decoder, WORDS, BACKWARDS), ParameterError, "Use context_ablation"),
        (lambda decoder: forgetting_curve(decoder, WORDS), ParameterError, "Use context_ablation"),
        (lambda decoder: memory_capacity(decoder), ParameterError, "Use context_ablation"),
    ],
    ids=["report", "gates", "influence", "forgetting", "capacity"],
)
def test_what_has_no_meaning_names_what_has(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(fitted(WORDS, BACKWARDS))
