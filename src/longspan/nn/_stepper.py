"""Recurrent layers fed one step at a time, as a stream arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.errors import ParameterError, ShapeError
from longspan.ops import _native

if TYPE_CHECKING:
    from longspan.nn._recurrent import Recurrent


class Stepper:
    """A trained stack of recurrent layers with its state, to which one step at a time is given.

    Made by the method `stepper` of `LSTM`, `GRU` or `RNN`. A step costs the same however many came before, and its
    output has the same bits as that of the whole sequence run at once. The weights are those of the moment when it was
    made; it computes on one core, and gives no gradients. One stepper must not be fed by two threads at a time.

    Attributes
    ----------
    streams : int
        Streams advanced together, B.

    Examples
    --------
    >>> from longspan.nn import LSTM
    >>> layer = LSTM(2, 3)
    >>> stepper = layer.stepper()
    >>> block = torch.randn(5, 2)
    >>> steps = [stepper(x) for x in block]
    >>> bool((torch.stack(steps) == layer(block)[0]).all())
    True
    """

    def __init__(self, module: Recurrent, cell: str, streams: int) -> None:
        layers = [_native.layer_of(*weights) for weights in _weights(module)]
        weight = module.weight_ih_l0
        self.streams = streams
        self._compiled = _native.make_stepper(cell, layers, streams, dtype=weight.dtype)  # type: ignore[arg-type]
        self._dtype = np.dtype(str(weight.dtype).removeprefix("torch."))
        self._sizes = module.input_size, module.hidden_size
        self._layers = len(layers)

    def __call__(self, x: NDArray[Any] | Tensor) -> Any:
        """Advance by one step.

        Parameters
        ----------
        x : array or Tensor, shape (I,), or (B, I) for several streams
            One step of each stream.

        Returns
        -------
        array or Tensor, shape (H,) or (B, H)
            The hidden state of the last layer, of the kind that `x` was.

        Raises
        ------
        ShapeError
            `x` has another shape.
        """
        values = np.asarray(x.detach() if isinstance(x, Tensor) else x, dtype=self._dtype, order="C")
        alone = values.ndim == 1
        if values.shape != ((self._sizes[0],) if alone else (self.streams, self._sizes[0])) or (
            alone and self.streams > 1
        ):
            wanted = f"({self._sizes[0]},)" if self.streams == 1 else f"({self.streams}, {self._sizes[0]})"
            raise ShapeError(f"a step has shape {values.shape}, expected {wanted}: one row of features a stream.")
        h = np.empty((self.streams, self._sizes[1]), dtype=self._dtype)
        self._compiled.step(values.reshape(self.streams, -1), h)
        result = h[0] if alone else h
        return torch.from_numpy(result) if isinstance(x, Tensor) else result

    @property
    def state(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """H and c of every layer, each (L, B, H); c means something for an LSTM alone. Settable."""
        h, c = (np.empty((self._layers, self.streams, self._sizes[1]), self._dtype) for _ in "hc")
        for layer in range(self._layers):
            self._compiled.read_state(layer, h[layer], c[layer])
        return h, c

    @state.setter
    def state(self, state: tuple[NDArray[Any], NDArray[Any]]) -> None:
        shape = (self._layers, self.streams, self._sizes[1])
        h, c = (np.asarray(part, dtype=self._dtype, order="C") for part in state)
        if h.shape != shape or c.shape != shape:
            raise ShapeError(f"h and c of the state have shapes {h.shape} and {c.shape}, expected {shape} for both.")
        for layer in range(self._layers):
            self._compiled.write_state(layer, h[layer], c[layer])

    def reset(self) -> None:
        """Go back to a state of zeros, as before the first step."""
        zeros = np.zeros((self._layers, self.streams, self._sizes[1]), self._dtype)
        self.state = (zeros, zeros)


def _weights(module: Recurrent) -> list[tuple[Any, ...]]:
    """Weights of each layer, in torch's order."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = []
    for layer in range(module.num_layers):
        of_layer = (getattr(module, f"{name}_l{layer}", None) for name in names)
        found.append(tuple(None if weight is None else weight.detach().cpu().contiguous() for weight in of_layer))
    return found


def check_can_step(module: Recurrent, reason: str | None) -> None:
    """Raise `ParameterError` where steps could not come one at a time, or there are no kernels for them."""
    if module.bidirectional:
        reason = "it is bidirectional: its backward direction begins at the end of the sequence."
    if not _native.instruction_sets():
        reason = _native.why_not_built()
    if reason is not None:
        raise ParameterError(f"this {type(module).__name__} cannot be run step by step: {reason}")
