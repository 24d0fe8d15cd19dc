"""What lies between the network of `LSTMDecoder` and the targets that a person is given."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.data import Sources
from longspan.errors import DataError, ParameterError
from longspan.estimators._decoding import inputs as given
from longspan.estimators._decoding.base import SequenceDecoding
from longspan.tasks.beam import beam_search
from longspan.tasks.generate import generate

_AT_ONCE = 256
"""Targets that are generated together."""

_LONGEST_TEXT = 10_000
"""Steps of a target without a source, unless more are asked for: what was learned from one long text may never stop."""


class SequenceGenerating(SequenceDecoding):
    """Base of `LSTMDecoder`: targets made by the network, and given back as targets were given."""

    def _predicted(
        self, sources: Sources, width: int, limit: int, lengths: NDArray[np.int64] | None = None
    ) -> list[NDArray[Any]]:
        """Return the rows of each target, (T_i, 1) or (T_i, K + 1)."""
        found: list[Any] = [None] * (1 if sources is None else len(sources))
        for index, encoded in self._encoded(sources, at_once=_AT_ONCE // min(width, 32)):
            if width > 1:
                symbols, ends, _ = beam_search(self.network_, encoded, width=width, max_length=limit)
                rows = symbols[:, :, None]
            else:
                fixed = self._fixed_lengths(len(index), limit)
                if lengths is not None:
                    fixed = torch.from_numpy(lengths[index] if sources is not None else lengths.max(keepdims=True))
                    fixed = fixed.expand(len(index)).to(encoded.start.steps.device)
                rows, ends = generate(self.network_, encoded, max_length=limit, lengths=fixed)
            for number, row, end in zip(index.tolist(), rows.cpu().numpy(), ends.tolist(), strict=True):
                found[number] = row[:end]
        return found

    def _drawn(
        self, sources: Sources, n: int, *, max_length: int, prefix: torch.Tensor | None, seed: int, **how: Any
    ) -> list[list[NDArray[Any]]]:
        """Return the rows of `n` targets for each source, drawn as `how` says (see `generate`)."""
        found: list[list[Any]] = [[] for _ in range(1 if sources is None else len(sources))]
        device = next(self.network_.parameters()).device
        how["generator"] = torch.Generator(device).manual_seed(seed)
        for index, encoded in self._encoded(sources, at_once=_AT_ONCE // min(n, _AT_ONCE)):
            each = np.unique(index, return_index=True)[1]  # without those that fill up a batch
            repeated = encoded.select(torch.from_numpy(np.repeat(each, n)).to(device))
            fixed = self._fixed_lengths(len(each) * n, max_length)
            rows, ends = generate(self.network_, repeated, max_length=max_length, prefix=prefix, lengths=fixed, **how)
            for place, (row, end) in enumerate(zip(rows.cpu().numpy(), ends.tolist(), strict=True)):
                found[index[each[place // n]]].append(row[:end])
        return found

    def _lengths_of(self, X: Any) -> NDArray[np.int64]:
        """Return how many steps each source has."""
        sources: Any = self._read_X(X)
        lengths: NDArray[np.int64] = sources.lengths
        return lengths

    def _fixed_lengths(self, count: int, limit: int) -> torch.Tensor | None:
        """Return how long targets of numbers are that all have the same length."""
        if self.target_ == "symbols" or not self._same_length:
            return None
        device = next(self.network_.parameters()).device
        return torch.full((count,), min(limit, self.longest_target_), device=device)

    def _as_given(self, found: list[NDArray[Any]]) -> Any:
        """Return target rows in the form in which targets were given."""
        if self.target_ == "symbols":
            return [self._vocabulary.decode(rows[:, 0].astype(np.int64)) for rows in found]
        parts = [rows[:, :-1].astype(np.float64) for rows in found]
        if self._form != "rows":
            parts = [part[:, 0] for part in parts]
        if self._form == "single" and {*map(len, parts)} == {1}:
            return np.concatenate(parts)
        return np.stack(parts) if self._same_length and len({map(len, parts)}) == 1 else parts

    def _checked_beam(self, width: Any) -> int:
        check_whole("beam_width", width)
        if width > 1 and self.target_ == "numbers":
            raise ParameterError(f"beam_width is {width}, but a beam is of symbols, and the targets are numbers.")
        most = len(self.symbols_) + 1
        if width > max(most, 1) and self.target_ == "symbols":
            raise ParameterError(
                f"beam_width is {width}, wider than the alphabet: the first step has {most} continuations, "
                f"{most - 1} symbols and the stop.\n  Use a beam_width of {most} at most; 4 to 10 is common."
            )
        return int(width)

    def _checked_length(self, max_length: Any) -> int:
        if max_length is None:
            if self.target_ == "numbers" and self._same_length:
                return self.longest_target_
            limit = 2 * self.longest_target_
            return min(limit, _LONGEST_TEXT) if self.source_ == "nothing" else limit
        check_whole("max_length", max_length)
        return int(max_length)

    def _read_prefix(self, prefix: Any, limit: int) -> torch.Tensor | None:
        """Return the rows that each target begins with, or None."""
        if prefix is None or (hasattr(prefix, "__len__") and len(prefix) == 0):
            return None
        try:
            read = given.read_target([prefix], self.target_)[0]
            self._check_target_size(read)
            rows = self._encode_targets(read)[0][:-1]
        except DataError as error:
            raise type(error)(f"the prefix cannot be read. As a target, {error}") from error
        if len(rows) > limit:
            raise ParameterError(
                f"the prefix has {len(rows)} steps, more than max_length, {limit}.\n"
                f"  Set max_length to the steps of the prefix and of what shall follow it."
            )
        return torch.from_numpy(rows.copy()).to(next(self.network_.parameters()).device)


def check_whole(name: str, value: Any) -> None:
    """Refuse what is no whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ParameterError(f"{name} must be a whole number from 1, but it was {value!r}.")
