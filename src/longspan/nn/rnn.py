"""Simple recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor

from longspan import ops
from longspan.nn._hidden_state import HiddenStateRecurrent
from longspan.nn._recurrent import Trace, check_choice
from longspan.ops import RNNTrace, RNNWeights


class RNN(HiddenStateRecurrent[RNNTrace]):
    """A stack of simple recurrent layers; a drop-in replacement of `torch.nn.RNN`.

    At each step, ``h = tanh(W x + U h' + b)``, with h' the last hidden state, or relu in place of tanh.
    Parameters up to `dtype` are those of `torch.nn.RNN`, and state dicts load both ways.

    Parameters
    ----------
    input_size : int
        Input features, I.
    hidden_size : int
        Hidden units of each layer and direction, H.
    num_layers : int
        Layers, L; each reads the output of the one below.
    nonlinearity : {"tanh", "relu"}
        The function of the step.
    bias : bool
        Whether there are biases.
    batch_first : bool
        Whether tensors are (B, T, features) and not (T, B, features).
    dropout : float
        Probability of dropping a unit between two layers, drawn anew for each step.
    bidirectional : bool
        Whether each layer also reads the sequences backwards, each from its own last step.
    device, dtype
        Of the weights.
    recompute : bool, optional
        Whether to keep little but a layer's output for the backward pass, which computes the rest again, a part at a
        time: the native kernels always do, so that it matters to torch's alone. `torch.compile` plans its memory
        by itself: there it has no effect.

    Raises
    ------
    ParameterError
        An argument is outside what it may be.

    References
    ----------
    Elman 1990, "Finding structure in time".

    Examples
    --------
    >>> output, h_n = RNN(3, 8)(torch.zeros(5, 2, 3))
    >>> output.shape, h_n.shape
    (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recompute: bool | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            gates=("h",),
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recompute=recompute,
        )
        check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.nonlinearity = nonlinearity
        self._make_weights({}, device=device, dtype=dtype)
        self.reset_parameters()

    @property
    def mode(self) -> str:
        """Kind of the cell, by torch's name for it: "RNN_TANH" or "RNN_RELU"."""
        return f"RNN_{self.nonlinearity.upper()}"

    def _cell(self) -> str:
        return f"rnn_{self.nonlinearity}"

    def _run_layer(
        self,
        rows: Tensor,
        batch_sizes: Tensor,
        state: tuple[Tensor, ...],
        weights: RNNWeights,
        *,
        reverse: bool,
        trace: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...], Trace | None]:
        output, h, record = ops.rnn(
            rows,
            batch_sizes,
            state[0],
            weights=weights,
            nonlinearity=self.nonlinearity,
            reverse=reverse,
            trace=trace,
            recompute=self._recomputes(rows),
        )
        return output, (h,), record

    def _extra_defaults(self) -> dict[str, object]:
        return {"nonlinearity": "tanh"}
