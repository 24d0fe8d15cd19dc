"""Strings of the embedded Reber grammar, against an automaton of their own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.errors import ParameterError
from longspan.problems import ContinualReber, EmbeddedReber

LETTERS = "BTPSXVE"
INNER = {
    "begin": {"B": "fork"},
    "fork": {"T": "upper", "P": "lower"},
    "upper": {"S": "upper", "X": "upper right"},
    "lower": {"T": "lower", "V": "lower right"},
    "upper right": {"X": "lower", "S": "end"},
    "lower right": {"P": "upper right", "V": "end"},
    "end": {"E": None},
}


def next_letters(past: str) -> str:
    """Letters that may follow the beginning of an embedded string; nothing behind a whole one."""
    if not past:
        return "B"
    assert past[0] == "B"
    if len(past) == 1:
        return "TP"
    assert past[1] in "TP"
    node = "begin"
    for place, letter in enumerate(past[2:], 2):
        node = INNER[node][letter]
        if node is None:
            rest = past[place + 1 :]
            return {"": past[1], past[1]: "E", past[1] + "E": ""}[rest]
    return "".join(INNER[node])


def strings(sample):
    for start, stop in zip(sample.offsets[:-1], sample.offsets[1:], strict=True):
        symbols, targets = sample.symbols[start:stop], sample.targets[start:stop]
        np.testing.assert_array_equal(symbols[1:], targets[:-1])
        yield LETTERS[symbols[0]] + "".join(LETTERS[k] for k in targets), sample.legal[start:stop]


def as_letters(row):
    return {LETTERS[k] for k in range(7) if row[k]}


def test_the_automaton_of_the_tests_knows_a_string_of_the_paper():
    whole = "BTBTXXVVETE"
    assert all(whole[place] in next_letters(whole[:place]) for place in range(len(whole)))
    assert next_letters(whole) == ""
    with pytest.raises(KeyError):
        next_letters("BTBTXXVVEP")


@given(st.integers(0, 10_000))
def test_every_string_is_one_of_the_grammar_and_every_legal_symbol_is_named(seed):
    for whole, legal in strings(EmbeddedReber().generate(20, np.random.default_rng(seed))):
        assert next_letters(whole) == ""
        for place in range(1, len(whole)):
            assert as_letters(legal[place - 1]) == set(next_letters(whole[:place]))
            assert whole[place] in next_letters(whole[:place])


@given(st.integers(0, 10_000), st.integers(10, 120))
def test_a_stream_is_strings_of_the_grammar_without_borders(seed, length):
    for stream, legal in strings(ContinualReber(length).generate(3, np.random.default_rng(seed))):
        assert len(stream) == length + 1
        past = stream[0]
        for place in range(1, len(stream)):
            allowed = next_letters(past) or "B"
            assert as_letters(legal[place - 1]) == set(allowed)
            assert stream[place] in allowed
            past = stream[place] if next_letters(past) == "" else past + stream[place]


def test_every_choice_is_even():
    sample = EmbeddedReber().generate(20_000, np.random.default_rng(0))
    free = sample.legal.sum(axis=1) == 2
    taken = sample.targets[free] == sample.legal[free].argmax(axis=1)
    assert taken.mean() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / free.sum()))


def test_losses_are_those_of_knowing_the_grammar():
    sample = EmbeddedReber().generate(100_000, np.random.default_rng(0))
    choices = np.log(sample.legal.sum(axis=1)).sum()
    targets = len(sample.targets)
    assert EmbeddedReber().best_loss == pytest.approx(choices / targets, rel=0.005)
    assert EmbeddedReber().memoryless_loss == pytest.approx((choices + 100_000 * math.log(2)) / targets, rel=0.005)


def test_losses_of_a_stream_are_those_of_knowing_the_grammar():
    problem = ContinualReber(40)
    sample = problem.generate(20_000, np.random.default_rng(0))
    choices = np.log(sample.legal.sum(axis=1)).mean()
    after_e = np.zeros(len(sample.targets), bool)
    for number, (stream, _) in enumerate(strings(sample[:2000])):
        past = stream[0]
        for place in range(1, len(stream)):
            remembered = past[-1] == "E" and next_letters(past) in ("T", "P")
            after_e[sample.offsets[number] + place - 1] = remembered
            past = stream[place] if next_letters(past) == "" else past + stream[place]
    assert problem.best_loss == pytest.approx(choices, rel=0.01)
    recalled = after_e[: sample.offsets[2000]].mean() * math.log(2)
    assert problem.memoryless_loss - problem.best_loss == pytest.approx(recalled, rel=0.03)


def test_lag_is_exceeded_by_one_string_in_a_hundred():
    lengths = []
    for whole, _ in strings(EmbeddedReber().generate(30_000, np.random.default_rng(0))):
        inner = whole[2:-2]
        assert whole[1 + len(inner) + 1] == whole[1]
        lengths.append(len(inner))
    lag = EmbeddedReber().lag
    assert np.mean(np.array(lengths) <= lag) >= 0.99
    assert np.mean(np.array(lengths) <= lag - 1) < 0.99


def test_distinct_strings_are_distinct_and_so_the_two_sets_of_the_paper_disjoint():
    sample = EmbeddedReber().distinct(512, np.random.default_rng(0))
    found = [whole for whole, _ in strings(sample)]
    assert len(found) == len(set(found)) == 512
    training = [len(whole) for whole, _ in strings(sample[:256])]
    testing = [len(whole) for whole, _ in strings(sample[256:])]
    assert np.mean(training) == pytest.approx(np.mean(testing), rel=0.15)


def test_many_distinct_strings_are_found_too():
    assert len(EmbeddedReber().distinct(1500, np.random.default_rng(1))) == 1500


def test_distinct_is_checked():
    with pytest.raises(ParameterError, match="at least 1"):
        EmbeddedReber().distinct(0, np.random.default_rng(0))
