"""Gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor

from longspan import ops
from longspan.nn._hidden_state import HiddenStateRecurrent
from longspan.nn._recurrent import Trace, check_choice
from longspan.ops import GRU_GATES, GRUTrace, RNNWeights


class GRU(HiddenStateRecurrent[GRUTrace]):
    """A stack of GRU layers; a drop-in replacement of `torch.nn.GRU`.

    For each step, with ``s`` the logistic sigmoid and ``h'`` the last hidden state::

        r = s(W_r x + U_r h' + b_r)                      reset gate
        z = s(W_z x + U_z h' + b_z)                      update gate
        n = tanh(W_n x + b_in + r * (U_n h' + b_hn))     new state
        h = (1 - z) * n + z * h'

    Parameters up to `dtype` are those of `torch.nn.GRU`, and state dicts load both ways.

    Parameters
    ----------
    input_size : int
        Input features, I.
    hidden_size : int
        Hidden units of each layer and direction, H.
    num_layers : int
        Layers, L; each reads the output of the one below.
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
    reset : {"after", "before"}
        Whether the reset gate acts after the recurrent product, as above and in torch, or before it,
        ``n = tanh(W_n x + b_in + U_n (r * h') + b_hn)``, as in the paper.
    recompute : bool, optional
        Whether to keep little but a layer's output for the backward pass, which computes the rest again, a part at a
        time: about a fifth of the memory for 1.1 to 1.4 times the time. Left out, a CPU does so where a layer would
        keep more than 1 GiB. `torch.compile` plans its memory by itself: there it has no effect.

    Raises
    ------
    ParameterError
        An argument is outside what it may be.

    References
    ----------
    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder".

    Examples
    --------
    >>> output, h_n = GRU(3, 8)(torch.zeros(5, 2, 3))
    >>> output.shape, h_n.shape
    (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset: str = "after",
        recompute: bool | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            gates=GRU_GATES,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recompute=recompute,
        )
        check_choice("reset", reset, ("after", "before"))
        self.reset = reset
        self._make_weights({}, device=device, dtype=dtype)
        self.reset_parameters()

    @property
    def mode(self) -> str:
        """Kind of the cell, by torch's name for it."""
        return "GRU"

    def _cell(self) -> str:
        return "gru"

    def _why_no_stepper(self) -> str | None:
        return None if self.reset == "after" else "there is no native kernel for reset='before'."

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
        output, h, record = ops.gru(
            rows,
            batch_sizes,
            state[0],
            weights=weights,
            reset=self.reset,
            reverse=reverse,
            trace=trace,
            recompute=self._recomputes(rows),
        )
        return output, (h,), record

    def _extra_defaults(self) -> dict[str, object]:
        return {"reset": "after"}
