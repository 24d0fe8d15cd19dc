"""`LSTMDecoder`: what it reads, learns, gives back, keeps and refuses."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longspan import LSTMDecoder, Sequences, load
from longspan.errors import (
    DataError,
    EmptyDataError,
    ModelFileError,
    NonFiniteError,
    ParameterError,
    ShapeError,
    TargetError,
    TrainingWarning,
)
from longspan.io import read_model, write_model
from longspan.tasks import CELLS
from longspan.training import Trainer
from tests.estimators.small import assert_same_bits

TINY: dict[str, Any] = {
    "hidden_size": 6,
    "max_epochs": 2,
    "batch_size": 8,
    "validation_fraction": 0,
    "random_state": 0,
}


def decoder(**parameters: Any) -> LSTMDecoder:
    return LSTMDecoder(**TINY | parameters)


def words(count: int = 30, seed: int = 0, letters: str = "abc") -> list[str]:
    rng = np.random.default_rng(seed)
    found = ["".join(rng.choice(list(letters), size=length)) for length in rng.integers(1, 6, size=count)]
    return [letters, *found[1:]]


def backwards(strings: list[str]) -> list[str]:
    return [string[::-1] for string in strings]


WORDS = words()
TOKENS = [[letter * 2 for letter in word] for word in WORDS]
SERIES = [np.random.default_rng(len(word)).normal(size=(len(word) + 1, 2)) for word in WORDS]
VECTORS = np.random.default_rng(0).normal(size=(30, 3))


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_short_words_are_reversed(kind: str) -> None:
    some = words(160, letters="abcd")
    model = decoder(hidden_size=16, attention=kind, max_epochs=12, batch_size=16, lr=0.02, dropout=0.0)
    model.fit(some, backwards(some))
    new = sorted(set(words(60, seed=5, letters="abcd")) - set(some))
    assert len(new) > 10
    assert model.score(new, backwards(new)) > 0.9
    assert model.predict(new, beam_width=3)[:3] == backwards(new)[:3]
    weights = model.attention_weights(["abcd"], ["dcba"])[0]
    assert weights.argmax(axis=1).tolist() == [3, 2, 1, 0]


def test_a_text_is_learned_in_pieces_and_sampled() -> None:
    text = "the cat sat on the mat. " * 150
    model = LSTMDecoder(hidden_size=32, max_epochs=20, bptt_steps=20, random_state=0).fit(None, [text])
    assert model.perplexity(None, [text[: 24 * 30]]) < 1.3
    assert "validation_loss" in model.history_[-1]  # the last tenth of the only text was held out
    (drawn,) = model.sample(prefix="the c", max_length=40, temperature=0.2, random_state=0)
    assert drawn.startswith("the c")
    assert set(drawn.split()[:-1]) <= set(text.split())
    assert len(drawn) == 40


def test_the_loss_of_the_text_held_out_is_what_its_perplexity_says() -> None:
    """Each piece of it is judged from the state in which the last one ended."""
    text = "".join(np.random.default_rng(0).choice(list("aab"), size=999))
    model = decoder(max_epochs=3, lr=0.02, bptt_steps=20, validation_fraction=0.1).fit(None, [text])
    assert model.recipe_.bptt_steps == 20
    kept = model.history_[model.best_epoch_ - 1]["validation_loss"]
    assert kept == pytest.approx(math.log(model.perplexity(None, [text[900:]])), rel=1e-5)


def test_number_sequences_are_unfolded_from_vectors() -> None:
    slopes = np.random.default_rng(0).normal(size=(120, 1))
    curves = slopes * np.arange(1, 7)
    model = decoder(source="vector", hidden_size=16, max_epochs=30, batch_size=24, lr=0.02, dropout=0.0)
    model.fit(slopes, curves)
    assert model.predict(slopes).shape == (120, 6)
    assert model.score(slopes, curves) > 0.95


SOURCES = {"nothing": None, "symbols": WORDS, "tokens": TOKENS, "numbers": SERIES, "vector": VECTORS}


@pytest.mark.parametrize("X", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("y", [WORDS, TOKENS, SERIES], ids=["strings", "tokens", "numbers"])
@pytest.mark.parametrize("cell", ["lstm", "feedforward"])
def test_every_source_goes_with_every_target(X: Any, y: Any, cell: str) -> None:
    source = "vector" if X is VECTORS else "auto"
    model = decoder(source=source, cell=cell, window=2).fit(X, y)
    some = None if X is None else X[:5]
    count = 1 if X is None else 5
    predicted = model.predict(some, max_length=4)
    drawn = model.sample(2, some, max_length=4, random_state=0)
    assert len(predicted) == count
    assert len(drawn) == (2 if X is None else 5)
    one = predicted[0]
    if y is WORDS:
        assert isinstance(one, str)
        assert 1 <= len(one) <= 4
    elif y is TOKENS:
        assert isinstance(one, list)
        assert set(one) <= {"aa", "bb", "cc"}
    else:
        assert one.shape[1] == 2
        assert np.isfinite(one).all()
    assert np.isfinite(model.log_likelihood(X, y)).all()
    if y is SERIES:
        assert np.isfinite(model.score(X, y))
    else:
        assert 0 <= model.score(X, y) <= 1


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_is_trained_and_matched(cell: str) -> None:
    model, lstm = (decoder(cell=c, match_parameters=True, hidden_size=24).fit(WORDS, WORDS) for c in (cell, "lstm"))
    counts = [sum(p.numel() for p in m.network_.parameters()) for m in (model, lstm)]
    assert abs(counts[0] / counts[1] - 1) < 0.1


def test_probabilities_likelihood_and_perplexity_agree() -> None:
    model = decoder().fit(WORDS, TOKENS)
    table = model.predict_proba(WORDS[:4], TOKENS[:4])
    expected, steps = [], 0
    for probabilities, target in zip(table, TOKENS[:4], strict=True):
        assert probabilities.shape == (len(target) + 1, 4)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        columns = [model.symbols_.index(token) for token in target] + [3]
        expected.append(np.log(probabilities[np.arange(len(columns)), columns]).sum())
        steps += len(columns)
    found = model.log_likelihood(WORDS[:4], TOKENS[:4])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert model.perplexity(WORDS[:4], TOKENS[:4]) == pytest.approx(math.exp(-found.sum() / steps))
    own = model.predict_proba(WORDS[:4])
    assert [len(p) - 1 for p in own] == [len(p) for p in model.predict(WORDS[:4])]


def test_the_likelihood_of_numbers_is_in_their_units() -> None:
    X, y = VECTORS, [series[:, :1] for series in SERIES]
    metres = decoder(source="vector").fit(X, y)
    millimetres = decoder(source="vector").fit(X, [1000 * target for target in y])
    in_metres, in_millimetres = metres.log_likelihood(X, y), millimetres.log_likelihood(X, [1000 * t for t in y])
    lengths = np.array([len(target) for target in y])
    np.testing.assert_allclose(in_metres - in_millimetres, lengths * math.log(1000), rtol=1e-3)


def test_a_long_target_has_the_likelihood_that_one_call_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(np.random.default_rng(0).choice(list("abc"), size=300))
    model = decoder().fit(None, WORDS)
    whole = model.log_likelihood(None, [text, "ab"])
    monkeypatch.setattr("longspan.estimators._decoding.base._STEPS_AT_ONCE", 64)
    np.testing.assert_allclose(model.log_likelihood(None, [text, "ab"]), whole, rtol=1e-5)
    answering = decoder().fit(WORDS, WORDS)
    monkeypatch.undo()
    weights = answering.attention_weights(["ab", "abcab"], ["abc", text])
    monkeypatch.setattr("longspan.estimators._decoding.base._STEPS_AT_ONCE", 64)
    for ours, theirs in zip(answering.attention_weights(["ab", "abcab"], ["abc", text]), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert [w.shape for w in weights] == [(3, 2), (300, 5)]
    assert all((w >= 0).all() and (w.sum(axis=1) <= 1 + 1e-6).all() for w in weights)


def test_a_prediction_does_not_depend_on_its_neighbours() -> None:
    model = decoder().fit(SERIES, SERIES)
    together = model.predict(SERIES, max_length=5)
    for number in (0, 7, 29):
        (alone,) = model.predict(SERIES[number : number + 1], max_length=5)
        np.testing.assert_allclose(alone, together[number], atol=1e-6)


@pytest.mark.parametrize(
    ("y", "form"),
    [
        (np.arange(30.0), lambda p: p.shape == (30,)),
        (np.ones((30, 4)) * np.arange(30)[:, None], lambda p: p.shape == (30, 4)),
        (np.ones((30, 4, 2)), lambda p: p.shape == (30, 4, 2)),
        ([np.arange(1.0 + i % 3) for i in range(30)], lambda p: isinstance(p, list) and p[0].ndim == 1),
        (Sequences.from_list([np.ones((1 + i % 3, 2)) for i in range(30)]), lambda p: p[0].shape[1] == 2),
        ([[1, 2]] * 30, lambda p: p.shape == (30, 2)),
    ],
    ids=["single", "table", "block", "ragged", "Sequences", "lists"],
)
def test_numbers_come_back_as_they_were_given(y: Any, form: Any) -> None:
    model = decoder(source="vector").fit(VECTORS, y)
    assert form(model.predict(VECTORS))
    assert np.isfinite(model.score(VECTORS, y))


def test_whole_numbers_are_symbols_when_told_so() -> None:
    ids = [[7, 3], [3], [7, 7, 9]] * 10
    model = decoder(source="symbols", target="symbols").fit(ids, ids)
    assert model.symbols_ == model.source_symbols_ == [3, 7, 9]
    predicted = model.predict(ids[:2], max_length=3)
    assert all(type(token) is int for token in predicted[0])
    assert decoder().fit(ids, ids).source_ == "numbers"


def test_equal_pairs_and_weights_are_the_same_to_the_bit() -> None:
    twice = decoder().fit(WORDS + WORDS[:5], backwards(WORDS + WORDS[:5]))
    weights = [1.0] * 25 + [2.0] * 5 + [0.0]
    weighted = decoder().fit(
        [*WORDS[5:], *WORDS[:5], "xyz"], backwards([*WORDS[5:], *WORDS[:5], "xyz"]), sample_weight=weights
    )
    assert_same_bits(twice, weighted)
    assert weighted.symbols_ == ["a", "b", "c"]


def test_one_seed_gives_one_model_and_one_draw() -> None:
    one, other = (decoder(scheduled_sampling=0.5, dropout=0.3).fit(WORDS, WORDS) for _ in range(2))
    assert_same_bits(one, other)
    assert one.sample(5, ["ab"], random_state=3) == other.sample(5, ["ab"], random_state=3)
    plain = decoder(dropout=0.3).fit(WORDS, WORDS)
    assert not np.array_equal(plain.network_.head.weight.detach(), one.network_.head.weight.detach())


def test_groups_are_held_out_together() -> None:
    groups = np.arange(30) % 3
    model = decoder(validation_fraction=0.3).fit(WORDS, WORDS, groups=groups)
    assert "validation_loss" in model.history_[0]


def test_a_fit_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    decoder().fit(WORDS, WORDS).predict(WORDS)
    assert capfd.readouterr() == ("", "")


def test_partial_fit_goes_on_and_knows_symbols_to_come() -> None:
    model = decoder()
    model.partial_fit(["ab"], ["ab"], symbols=["a", "b", "c"], source_symbols="abc")
    assert model.symbols_ == ["a", "b", "c"]
    before = model.network_.head.weight.detach().clone()
    model.partial_fit(["cab"], ["bac"])
    assert model.longest_target_ == 3
    assert not torch.equal(before, model.network_.head.weight)
    with pytest.raises(TargetError, match="'d' at step 0"):
        model.partial_fit(["cab"], ["d"])
    with pytest.raises(ParameterError, match="symbols are those that will ever come"):
        model.partial_fit(["cab"], ["bac"], symbols=["d"])
    with pytest.raises(ParameterError, match="symbols must be like the symbols there are"):
        decoder().partial_fit(["ab"], ["ab"], symbols=[1])
    with pytest.raises(ParameterError, match="there are numbers or nothing where symbols would be"):
        decoder().partial_fit(SERIES, SERIES, symbols=["a"])


def test_warm_start_goes_on() -> None:
    model = decoder(warm_start=True).fit(WORDS, WORDS)
    before = model.network_
    model.fit(WORDS, backwards(WORDS))
    assert model.network_ is not before
    assert model.network_.config == before.config
    with pytest.raises(TargetError, match="'x' at step 0"):
        model.fit(["ab"], ["x"])
    with pytest.raises(ParameterError, match="warm_start goes on with"):
        model.fit(None, WORDS)
    assert model.predict(["ab"])


def test_ctrl_c_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = Trainer.epoch

    def interrupted(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if self.history:
            raise KeyboardInterrupt
        return epoch(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted in epoch 2"):
        model = decoder(max_epochs=5).fit(WORDS, WORDS)
    assert (model.stop_reason_, model.n_iter_) == ("interrupted", 1)
    assert model.predict(["ab"])


@pytest.mark.parametrize(
    ("X", "y", "parameters"),
    [
        (WORDS, TOKENS, {}),
        (None, WORDS, {"cell": "gru"}),
        (VECTORS, SERIES, {"source": "vector", "cell": "feedforward"}),
        (SERIES, np.arange(30.0), {"cell": "rnn", "attention": "additive"}),
    ],
    ids=["symbols", "nothing", "vector", "numbers"],
)
def test_a_file_gives_the_same_model_again(X: Any, y: Any, parameters: dict[str, Any], tmp_path: Path) -> None:
    model = decoder(**parameters).fit(X, y)
    model.save(tmp_path / "model.longspan")
    again = load(tmp_path / "model.longspan")
    assert_same_bits(model, again)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.log_likelihood(X, y), model.log_likelihood(X, y))
    ours, theirs = model.predict(X, max_length=4), again.predict(X, max_length=4)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.symbols_, again.source_symbols_) == (model.symbols_, model.source_symbols_)


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("network", "source", "sounds", "speaks of the source 'sounds'"),
        ("network", "attention", "cosine", "speaks of the attention 'cosine'"),
        ("network", "target_size", 10**12, "size mismatch|invalid|too large|overflow"),
        ("network", "hidden_size", -1, "hidden_size must be"),
        ("network", "num_layers", 10**9, "speaks of 1000000000 layers"),
        ("values", "symbols_", ["a", "b"], "knows 3 symbols, the estimator 2"),
        ("values", "symbols_", ["b", "a", "c"], "not in order"),
        ("values", "symbols_", ["a", "b", None], "knows 3 symbols"),
        ("values", "symbols_", ["aa", "b", "c"], "symbols of strings are characters"),
        ("values", "source_symbols_", [1, 2, 3], "symbols of strings are characters"),
        ("values", "longest_target_", 1 << 50, "steps"),
        ("values", "target_", "numbers", "of symbols and symbols, the estimator of others"),
        ("values", "longest_target_", 0, "up to 0 steps"),
        ("values", "_form", "single", "targets are 'single'"),
    ],
)
def test_files_that_contradict_themselves_are_refused(
    part: str, name: str, value: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.longspan"
    decoder().fit(WORDS, WORDS).save(path)
    config, tensors = read_model(path)
    where = config["recipe"]["network"] if part == "network" else config["fitted"]["values"]
    assert name in where
    where[name] = value
    write_model(path, config, tensors)
    with pytest.raises(ModelFileError, match=message):
        load(path)


@cache
def of_words() -> LSTMDecoder:
    return decoder().fit(WORDS, WORDS)


@cache
def of_nothing() -> LSTMDecoder:
    return decoder().fit(None, WORDS)


@cache
def of_numbers() -> LSTMDecoder:
    return decoder().fit(SERIES, SERIES)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: of_words().predict(["abz"]), DataError, "source 0 has 'z' at step 2, a symbol that was not there"),
        (lambda: of_words().score(["ab"], ["az"]), TargetError, "target 0 has 'z' at step 1"),
        (lambda: of_words().predict([["a"]]), DataError, "fitted on strings"),
        (lambda: of_words().predict(None), DataError, "X is None, but the model was fitted on sources, symbols"),
        (lambda: of_words().predict([""]), EmptyDataError, "source 0 is empty"),
        (lambda: of_words().predict("ab"), DataError, "A single sequence is a list of one"),
        (lambda: of_words().predict(["ab"], beam_width=5), ParameterError, "beam_width is 5, wider than the alphabet"),
        (lambda: of_words().predict(["ab"], beam_width=0), ParameterError, "beam_width must be a whole number from 1"),
        (lambda: of_words().predict(["ab"], max_length=0), ParameterError, "max_length must be a whole number from 1"),
        (lambda: of_words().log_likelihood(["ab"], ["a", "b"]), ShapeError, "there are 1 sources but 2 targets"),
        (
            lambda: of_words().sample(1, ["a"], prefix="abc", max_length=2),
            ParameterError,
            "has 3 steps, more than .* 2",
        ),
        (lambda: of_words().sample(1, ["a"], prefix="az"), TargetError, "has 'z' at step 1"),
        (lambda: of_words().sample(0, ["a"]), ParameterError, "n must be a whole number from 1"),
        (lambda: of_words().sample(1, ["a"], temperature=-1), ParameterError, "temperature is a number from 0"),
        (lambda: of_words().sample(1, ["a"], top_k=0), ParameterError, "top_k must be a whole number"),
        (lambda: of_words().sample(1, ["a"], prefix=["a"]), TargetError, "the prefix .* holds lists of tokens"),
        (lambda: of_words().sample(["ab"]), ParameterError, r"n must be .* \['ab'\]"),
        (
            lambda: of_numbers().sample(1, SERIES[:1], top_k=2),
            ParameterError,
            "top_k is 2, but the targets are numbers",
        ),
        (lambda: of_numbers().sample(1, SERIES[:1], prefix="ab"), TargetError, "the prefix cannot be read.*text"),
        (lambda: decoder().fit(None, "the cat"), DataError, "target is 'the cat'.*\n.*is a list of one"),
        (lambda: decoder().fit([None, "ab"], ["a", "b"]), DataError, "source 0 is None"),
        (lambda: decoder(source="vector").fit([[1.0, 2.0], [1.0]], ["a", "b"]), ShapeError, "inhomogeneous"),
        (lambda: of_nothing().predict(["ab"]), DataError, "fitted without sources, but X is a list"),
        (lambda: of_nothing().attention_weights(None), ParameterError, "no attention to look at: source is 'nothing'"),
        (
            lambda: of_numbers().predict([np.zeros((3, 5))]),
            ShapeError,
            "have 5 features, but LSTMDecoder was fitted on 2",
        ),
        (lambda: of_numbers().predict(["ab"]), DataError, "X holds text"),
        (lambda: of_numbers().predict(SERIES, beam_width=2), ParameterError, "a beam is of symbols"),
        (lambda: of_numbers().score(SERIES[:1], [np.zeros((2, 3))]), TargetError, "have 3 numbers a step, but .* 2"),
        (lambda: of_numbers().score(SERIES[:1], ["ab"]), TargetError, "holds text, but targets of numbers"),
        (lambda: of_numbers().sample(1, SERIES[:1], prefix=[[1.0]]), TargetError, "prefix .* have 1 numbers a step"),
        (lambda: decoder().fit(WORDS, WORDS[:-1]), ShapeError, "there are 30 sources but 29 targets"),
        (lambda: decoder().fit(WORDS, [*WORDS[:-1], ""]), EmptyDataError, "target 29 is empty"),
        (lambda: decoder().fit(SERIES, [*SERIES[:-1], SERIES[0][:0]]), EmptyDataError, "29 has no steps"),
        (lambda: decoder().fit(VECTORS, np.r_[np.ones(29), np.nan]), NonFiniteError, "In y, .*NaN"),
        (lambda: decoder().fit(np.r_[VECTORS[:29], [[np.nan] * 3]], WORDS), NonFiniteError, "NaN"),
        (
            lambda: decoder(source="vector").fit(np.r_[VECTORS[:29], [[1, np.inf, 1]]], WORDS),
            NonFiniteError,
            "row 29, column 1",
        ),
        (lambda: decoder(source="vector").fit(SERIES, WORDS), ShapeError, "one vector a source"),
        (lambda: decoder(source="nothing").fit(WORDS, WORDS), ParameterError, "source is 'nothing', but X is list"),
        (lambda: decoder(source="symbols").fit(None, WORDS), ParameterError, "source is 'symbols', but X is None"),
        (lambda: decoder(source="numbers").fit(WORDS, WORDS), DataError, "X holds text, but source is 'numbers'"),
        (lambda: decoder(target="numbers").fit(WORDS, WORDS), TargetError, "targets of numbers were expected"),
        (lambda: decoder(target="symbols").fit(WORDS, VECTORS), DataError, "a token is text or a whole number"),
        (lambda: decoder().fit(WORDS, None), TargetError, "y is None"),
        (lambda: decoder().fit(WORDS, WORDS, sample_weight=[1.0]), ShapeError, "sample_weight"),
        (lambda: decoder(source="sounds").fit(WORDS, WORDS), ParameterError, "source is one of"),
        (lambda: decoder(target="vector").fit(WORDS, WORDS), ParameterError, "target is one of"),
        (lambda: decoder(attention="cosine").fit(WORDS, WORDS), ParameterError, "attention is None or one of"),
        (lambda: decoder(scheduled_sampling=2).fit(WORDS, WORDS), ParameterError, "scheduled_sampling must be"),
        (lambda: decoder(bptt_steps=0).fit(WORDS, WORDS), ParameterError, "bptt_steps must be"),
        (lambda: decoder(hidden_size="many").fit(WORDS, WORDS), ParameterError, "hidden_size must be .* 'many'"),
        (lambda: decoder(hidden_size=0).fit(WORDS, WORDS), ParameterError, "hidden_size must be .* 0"),
        (lambda: decoder(validation_fraction=0.01).fit(None, ["a"]), ParameterError, "one target of 2 steps"),
    ],
)
def test_what_cannot_be_used_is_named(act: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        act()


def test_a_fit_that_is_refused_loses_nothing() -> None:
    model = decoder().fit(WORDS, WORDS)
    expected = model.predict(WORDS)
    with pytest.raises(EmptyDataError):
        model.fit(TOKENS, [*TOKENS[:-1], []])
    assert model.predict(WORDS) == expected


def test_probabilities_are_offered_for_symbols_alone() -> None:
    assert hasattr(of_words(), "predict_proba")
    assert not hasattr(of_numbers(), "predict_proba")
    for model, why in ((of_numbers(), "the targets are numbers"), (decoder(), "it is not fitted yet")):
        with pytest.raises(AttributeError) as caught:
            model.predict_proba(SERIES)
        assert why in str(caught.value.__cause__)


def test_pairs_of_one_source_are_learned_without_a_part_held_out() -> None:
    """They stay together, so that none could be held out."""
    model = decoder(validation_fraction="auto").fit(["go"] * 60, ["a" * (1 + number) for number in range(60)])
    assert "validation_loss" not in model.history_[-1]


def test_what_was_learned_from_one_text_comes_to_an_end() -> None:
    model = decoder().fit(None, WORDS)
    model.longest_target_ = 6_000
    assert model._checked_length(None) == 10_000
    assert model._checked_length(50_000) == 50_000
