"""What `GRU` and `RNN` share: their state is the hidden state alone."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar, overload

from torch import Tensor

from longspan.nn._layout import Input, Lengths
from longspan.nn._recurrent import Recurrent
from longspan.nn.initialisers import uniform_
from longspan.ops import RNNWeights

RecordT = TypeVar("RecordT")


class HiddenStateRecurrent(Recurrent, Generic[RecordT]):
    """A recurrent stack whose state is h; `RecordT` is what it records of a step."""

    def reset_parameters(self) -> None:
        """Draw new initial weights, torch's default: uniform in ``[-1/sqrt(H), 1/sqrt(H)]``."""
        uniform_(self.parameters(), self.hidden_size)

    def _weights(self, suffix: str) -> RNNWeights:
        return RNNWeights(**self._fields_of(suffix))

    @overload
    def forward(
        self,
        input: Input,
        hx: Tensor | None = ...,
        *,
        lengths: Lengths | None = ...,
        trace: Literal[False] = ...,
    ) -> tuple[Input, Tensor]: ...

    @overload
    def forward(
        self, input: Input, hx: Tensor | None = ..., *, lengths: Lengths | None = ..., trace: Literal[True]
    ) -> tuple[Input, Tensor, tuple[RecordT, ...]]: ...

    def forward(
        self, input: Input, hx: Tensor | None = None, *, lengths: Lengths | None = None, trace: bool = False
    ) -> Any:
        """Run the stack over a batch of sequences.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, I), with `batch_first` (B, T, I), one sequence (T, I), or packed.
        hx : Tensor, optional
            Initial state h_0 (L * directions, B, H); zeros when left out.
        lengths : sequence of int, optional
            Length of each sequence of a padded tensor, in any order. What lies beyond is never read; the
            output there is zero.
        trace : bool
            Also return gates and states of every step. Runs the reference equations, step by step.

        Returns
        -------
        output : Tensor or PackedSequence
            Hidden state of the last layer at every step, directions side by side, in the layout of the input.
        h_n : Tensor
            State of every layer and direction, at each sequence's own end.
        trace : tuple of RecordT
            Only with ``trace=True``: one for each layer and direction, in the order of h_n; each field in
            the layout of the output.

        Raises
        ------
        ShapeError, EmptyDataError, DataError, ParameterError
            The input, the initial state or the lengths do not fit.
        """
        output, (h_n,), traces = self._run(input, None if hx is None else (hx,), lengths, trace)
        return (output, h_n, traces) if trace else (output, h_n)
