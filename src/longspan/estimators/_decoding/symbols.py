"""Symbols as numbers: the characters of strings, or the tokens of lists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.errors import DataError, EmptyDataError, LongspanError, ParameterError
from longspan.sequences import Sequences

SymbolSequences = list[str] | list[list[Any]]

_MOST = 1 << 24
"""Numbers travel as float32, in which whole numbers up to this one are exact."""


@dataclass(frozen=True)
class Vocabulary:
    """The symbols that occur in sequences, numbered in their sorted order.

    Attributes
    ----------
    symbols : list of str, or list of int
        Sorted, each once.
    joined : bool
        Whether the sequences are strings, whose symbols are characters; else they are lists of tokens.

    Examples
    --------
    >>> vocabulary = Vocabulary.of(["ba", "bcc"])
    >>> vocabulary.symbols, vocabulary.encode(["cab"], "Y").values.ravel().tolist(), vocabulary.decode([2, 0, 1])
    (['a', 'b', 'c'], [2.0, 0.0, 1.0], 'cab')
    """

    symbols: list[Any]
    joined: bool

    @classmethod
    def of(cls, sequences: SymbolSequences) -> "Vocabulary":
        """Collect the symbols of sequences that `read_symbols` returned."""
        found = sorted(set().union(*sequences))
        if len(found) >= _MOST:
            raise DataError(f"there are {len(found)} kinds of symbols, and no more than {_MOST} can be told apart.")
        return cls(found, isinstance(sequences[0], str))

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, sequences: SymbolSequences, what: str, error: type[DataError] = DataError) -> Sequences:
        """Return the number of each symbol, (sum T_i, 1); `what` names the sequences in an `error`."""
        if isinstance(sequences[0], str) != self.joined:
            kinds = ("strings", "lists of tokens")
            raise error(
                f"{what} holds {kinds[not isinstance(sequences[0], str)]}, but the model was fitted on "
                f"{kinds[not self.joined]}."
            )
        numbers = self._characters(sequences) if self.joined else self._tokens(sequences)
        offsets = np.concatenate(([0], np.cumsum([len(sequence) for sequence in sequences])))
        unseen = np.flatnonzero(numbers < 0)
        if len(unseen):
            number = int(np.searchsorted(offsets, unseen[0], side="right")) - 1
            step = int(unseen[0] - offsets[number])
            raise error(
                f"{what} {number} has {sequences[number][step]!r} at step {step}, a symbol that was not there in "
                f"training.\n  The {len(self)} symbols are {_some(self.symbols)}; fit on sequences with all of them."
            )
        return Sequences(numbers.astype(np.float32)[:, None], offsets)

    def decode(self, numbers: Sequence[int] | NDArray[np.integer]) -> Any:
        """Return the symbols of these numbers: a string, or a list of tokens."""
        symbols = [self.symbols[number] for number in numbers]
        return "".join(symbols) if self.joined else symbols

    def with_more(self, others: Any, name: str) -> list[Any]:
        """Return these symbols and those of the parameter `name`, sorted; None has no others."""
        if others is None:
            return self.symbols
        if not self.symbols:
            raise ParameterError(f"{name} is {others!r:.60}, but there are numbers or nothing where symbols would be.")
        try:
            more = _read_tokens(list(others), name, ParameterError)
            found = sorted({*self.symbols, *more})
        except (TypeError, ParameterError) as error:
            raise ParameterError(
                f"{name} must be like the symbols there are, {_some(self.symbols)}: {error}"
            ) from error
        longer = [symbol for symbol in more if self.joined and len(symbol) != 1]
        if longer:
            raise ParameterError(f"{name} has {longer[0]!r:.60}, but the symbols of strings are single characters.")
        return found

    def check_no_more(self, others: Any, name: str) -> None:
        """Refuse symbols that are not among these."""
        if self.with_more(others, name) != self.symbols:
            raise ParameterError(
                f"{name} are those that will ever come: they can be given in the first call alone.\n"
                f"  The {len(self)} symbols are {_some(self.symbols)}."
            )

    def _characters(self, sequences: Any) -> NDArray[np.int64]:
        codes, known = (
            np.frombuffer("".join(parts).encode("utf-32-le", "surrogatepass"), np.uint32)
            for parts in (sequences, self.symbols)
        )
        places = np.searchsorted(known, codes).clip(max=len(known) - 1)
        return np.where(known[places] == codes, places, -1)

    def _tokens(self, sequences: Any) -> NDArray[np.int64]:
        number_of = {symbol: number for number, symbol in enumerate(self.symbols)}
        return np.array([number_of.get(token, -1) for sequence in sequences for token in sequence], dtype=np.int64)


def holds_symbols(sequences: Any) -> bool:
    """Return whether there is text in these; numbers, even whole ones, are no symbols unless told so.

    Examples
    --------
    >>> holds_symbols(["abc"]), holds_symbols([["t", "oo"]]), holds_symbols([[1, 2], [3]])
    (True, True, False)
    """
    return any(isinstance(entry, str) or isinstance(next(_entries(entry), None), str) for entry in _entries(sequences))


def read_symbols(sequences: Any, what: str, error: type[DataError] = DataError) -> SymbolSequences:
    """Read strings, or lists of tokens that are strings or whole numbers; `what` names them in an `error`."""
    if isinstance(sequences, str) or not hasattr(sequences, "__len__"):
        raise error(
            f"{what} is {sequences!r:.60}, and must be a list of strings or a list of lists of tokens.\n"
            f"  A single sequence is a list of one."
        )
    _refuse_tables(sequences, what, error)
    found: list[Any] = sequences.tolist() if hasattr(sequences, "tolist") else list(sequences)
    if not found:
        raise EmptyDataError(f"{what} is empty: there are no sequences.")
    if not isinstance(found[0], str):
        found = [_read_tokens(entry, f"{what} {number}", error) for number, entry in enumerate(found)]
        kinds = {str if isinstance(token, str) else int for sequence in found for token in sequence}
        if len(kinds) > 1:
            raise error(f"{what} mixes tokens that are text with tokens that are numbers.\n  Make all of them text.")
    for number, sequence in enumerate(found):
        if isinstance(sequence, str) != isinstance(found[0], str):
            raise error(
                f"{what} {number} is {sequence!r:.60}, but {what} 0 is {found[0]!r:.60}: all must be of one kind."
            )
        if not len(sequence):
            raise EmptyDataError(f"{what} {number} is empty: a sequence has one symbol or more.")
    return found


def _refuse_tables(sequences: Any, what: str, error: type[DataError]) -> None:
    """Refuse a frame, and an array with one column of text, whose strings would be read as lists of one token each."""
    if getattr(sequences, "ndim", 1) < 2:
        return
    if hasattr(sequences, "columns") or (sequences.shape[1] == 1 and holds_symbols(sequences)):
        raise error(
            f"{what} is a table of shape {sequences.shape}, and must be a list of strings or a list of lists of tokens."
            f"\n  Pass one column of it, such as X['text'], or X[:, 0]."
        )


def _read_tokens(entry: Any, what: str, error: type[LongspanError]) -> Any:
    if isinstance(entry, str):
        return entry
    tokens = entry.tolist() if hasattr(entry, "tolist") else entry
    if not isinstance(tokens, list | tuple):
        raise error(f"{what} is {entry!r:.60}, and must be a string or a list of tokens.")
    for step, token in enumerate(tokens):
        if not isinstance(token, str | int | np.integer) or isinstance(token, bool):
            raise error(f"{what} has {token!r:.60} at step {step}: a token is text or a whole number.")
    return [str(token) if isinstance(token, str) else int(token) for token in tokens]


def _entries(sequences: Any) -> Iterator[Any]:
    """Return what may be text in these, one after the other; of a single string that string."""
    if isinstance(sequences, str):
        return iter([sequences])
    if hasattr(sequences, "to_numpy"):
        sequences = sequences.to_numpy()
    if isinstance(sequences, np.ndarray) and (sequences.dtype.kind not in "OUT" or sequences.ndim not in (1, 2)):
        return iter(())
    return iter(sequences if isinstance(sequences, list | tuple | np.ndarray) else ())


def _some(symbols: list[Any]) -> str:
    shown = ", ".join(map(repr, symbols[:20]))
    return shown + (", ..." if len(symbols) > 20 else "")
