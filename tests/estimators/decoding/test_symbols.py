"""Symbols as numbers and back, and what is no set of symbols."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.errors import DataError, EmptyDataError, ParameterError, TargetError
from longspan.estimators._decoding.symbols import Vocabulary, holds_symbols, read_symbols

strings = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5)
tokens = st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=6), min_size=1, max_size=5)
numbers = st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=6), min_size=1, max_size=5)


@given(st.one_of(strings, tokens, numbers))
def test_what_is_encoded_is_decoded(sequences: Any) -> None:
    read = read_symbols(sequences, "Y")
    vocabulary = Vocabulary.of(read)
    assert vocabulary.symbols == sorted({symbol for sequence in sequences for symbol in sequence})
    encoded = vocabulary.encode(read, "Y")
    assert encoded.lengths.tolist() == [len(sequence) for sequence in sequences]
    assert [vocabulary.decode(rows[:, 0].astype(int)) for rows in encoded] == sequences


def test_numbers_are_places_in_the_sorted_symbols() -> None:
    vocabulary = Vocabulary.of(["héc", "c\0"])
    assert vocabulary.symbols == ["\0", "c", "h", "é"]
    assert vocabulary.encode(["cé\0h"], "Y").values.ravel().tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("sequences", "symbols"),
    [
        (["ab"], True),
        (("ab", "c"), True),
        (np.array(["ab", "c"]), True),
        (np.array(["ab", "c"], dtype=object), True),
        ([["t", "oo"]], True),
        ([("t",)], True),
        ([np.array(["t"])], True),
        ([[1, 2]], False),
        ([1.0], False),
        (np.zeros((2, 3)), False),
        ([np.zeros(3)], False),
        (None, False),
        ([], False),
        (np.array([["a", "b"]]), True),
        (np.array([["a", "b"]], dtype=object), True),
        (np.zeros((2, 3, 4)), False),
        ([None, "ab"], True),
        ([[], ["a"]], True),
        ("ab", True),
    ],
)
def test_text_is_told_from_numbers(sequences: Any, symbols: bool) -> None:
    assert holds_symbols(sequences) is symbols


def test_series_of_pandas_hold_text() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["ab", "c"], index=[5, 6])
    assert holds_symbols(series)
    assert read_symbols(series, "X") == ["ab", "c"]
    frame = pandas.DataFrame({"text": ["ab", "c"]})
    assert holds_symbols(frame)
    with pytest.raises(DataError, match=r"X is a table of shape \(2, 1\)"):
        read_symbols(frame, "X")


def test_rows_of_an_array_are_lists_of_tokens() -> None:
    assert read_symbols(np.array([["a", "bb"], ["c", "a"]]), "X") == [["a", "bb"], ["c", "a"]]
    assert read_symbols(np.array([[3], [5]]), "X") == [[3], [5]]
    assert {type(token) for token in read_symbols([[np.str_("a")]], "X")[0]} == {str}
    with pytest.raises(DataError, match=r"X is a table of shape \(2, 1\)"):
        read_symbols(np.array([["a word"], ["another"]]), "X")


@pytest.mark.parametrize(
    ("known", "others", "message"),
    [
        (["ab"], ["bc"], "has 'bc', but the symbols of strings are single characters"),
        (["ab"], [1], "must be like the symbols there are, 'a', 'b'"),
        (["ab"], [""], "has ''"),
        ([[1]], [2.5], "has 2.5 at step 0"),
        ([[1]], 3, "not iterable"),
    ],
)
def test_symbols_to_come_are_like_those_there_are(known: Any, others: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Vocabulary.of(known).with_more(others, "symbols")


def test_symbols_to_come_are_sorted_among_those_there_are() -> None:
    assert Vocabulary.of(["ca"]).with_more("bd", "symbols") == ["a", "b", "c", "d"]
    more = Vocabulary.of([[1, 5]]).with_more(np.array([4, 1]), "symbols")
    assert more == [1, 4, 5]
    assert {*map(type, more)} == {int}


@pytest.mark.parametrize(
    ("known", "new", "message"),
    [
        (["ab"], ["a", "bza"], r"source 1 has 'z' at step 1, .* not there in training.\n.* 2 symbols are 'a', 'b'"),
        ([["t", "oo"]], [["t"], ["t", "ee"]], "source 1 has 'ee' at step 1"),
        ([[1, 5]], [[1, 2]], "source 0 has 2 at step 1"),
        (["ab"], [["a"]], "holds lists of tokens, but the model was fitted on strings"),
        ([["a"]], ["a"], "holds strings, but the model was fitted on lists of tokens"),
    ],
)
def test_what_was_not_there_in_training_is_named(known: Any, new: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        Vocabulary.of(known).encode(new, "source", TargetError)


@pytest.mark.parametrize(
    ("sequences", "error", "message"),
    [
        ("abc", DataError, "must be a list of strings"),
        (3, DataError, "must be a list of strings"),
        ([], EmptyDataError, "there are no sequences"),
        (["a", ""], EmptyDataError, "Y 1 is empty"),
        ([["a"], []], EmptyDataError, "Y 1 is empty"),
        (["a", ["b"]], DataError, "Y 1 is .*, but Y 0 is 'a'"),
        ([["a"], "b"], DataError, "Y 1 is 'b', but Y 0 is"),
        ([["a"], 3], DataError, "Y 1 is 3, and must be a string or a list of tokens"),
        ([["a", 2.5]], DataError, "Y 0 has 2.5 at step 1"),
        ([["a", None]], DataError, "Y 0 has None at step 1"),
        ([["a", 2]], DataError, "mixes tokens that are text with tokens that are numbers"),
        ([None, "a"], DataError, "Y 0 is None, and must be a string"),
        ([[True]], DataError, "Y 0 has True at step 0"),
    ],
)
def test_what_holds_no_symbols_is_refused(sequences: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_symbols(sequences, "Y")
