"""Long short-term memory."""

from __future__ import annotations

from typing import Any, Literal, cast, overload

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop

from longspan import ops
from longspan.errors import ParameterError
from longspan.nn import initialisers
from longspan.nn._layout import Input, Lengths
from longspan.nn._recurrent import Recurrent, Trace, check_choice, check_flag, check_probability, check_share
from longspan.ops import COUPLED_GATES, LSTM_GATES, LSTMState, LSTMTrace, LSTMWeights, Zoneout

_INITS = ("torch", "forget_bias", "chrono")


class LSTM(Recurrent):
    """A stack of LSTM layers; a drop-in replacement of `torch.nn.LSTM` that also has its later variants.

    For each step, with ``s`` the logistic sigmoid and ``h', c'`` the last state::

        i = s(W_i x + U_i h' + b_i)        input gate
        f = s(W_f x + U_f h' + b_f)        forget gate
        g = tanh(W_g x + U_g h' + b_g)     cell input
        o = s(W_o x + U_o h' + b_o)        output gate
        c = f * c' + i * g                 cell state
        h = o * tanh(c)                    hidden state, the output

    Parameters up to `dtype` are those of `torch.nn.LSTM`, weights have its names, order and shapes, and state
    dicts load both ways. All variants can be combined.

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
        Whether tensors are (B, T, features) and not (T, B, features). States are
        (L * directions, B, features) in both cases.
    dropout : float
        Probability of dropping a unit between two layers, drawn anew for each step.
    bidirectional : bool
        Whether each layer also reads the sequences backwards, each from its own last step.
    proj_size : int
        Size to which the output is projected, or 0.
    device, dtype
        Of the weights.
    peephole : bool
        Gates see the cell state: i and f the last one, o the new one (``weight_ch``, order i, f, o).
    coupled : bool
        ``i = 1 - f``. The weights have three gate blocks, f, g, o (peepholes f, o).
    layer_norm : bool
        Normalise ``W x``, ``U h'`` and, before the output, c.
    zoneout : float or (float, float)
        Probability that a unit of (h, c) keeps its last value at a step. In evaluation, the expectation.
    recurrent_dropout : float
        Probability, below 1, of dropping a unit of h', one mask for all steps of a sequence (variational dropout).
    weight_drop : float
        Probability, below 1, of dropping a recurrent weight, one mask for each call.
    init : {"torch", "forget_bias", "chrono"}
        "torch": uniform. "forget_bias": Glorot W, orthogonal U, zero biases, and 1 for the forget gate.
        "chrono": the same, with biases such that units remember over lags up to `max_lag`.
    max_lag : int, optional
        Longest lag, in steps, for ``init="chrono"``.
    recompute : bool, optional
        Whether to keep little but a layer's output for the backward pass, which computes the rest again, a part at a
        time: about a fifth of the memory, for 1.1 to 1.4 times the time of the plain cell; a variant runs once more.
        Left out, a CPU does so where a layer would keep more than 1 GiB. `torch.compile` plans its memory by
        itself: there it has no effect.

    Raises
    ------
    ParameterError
        An argument is outside what it may be.

    References
    ----------
    Hochreiter & Schmidhuber 1997; Gers et al. 2000. The variants' sources are with `longspan.ops.lstm_step`.

    Examples
    --------
    >>> lstm = LSTM(3, 8, batch_first=True)
    >>> output, (h_n, c_n) = lstm(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> output.shape, h_n.shape
    (torch.Size([2, 5, 8]), torch.Size([1, 2, 8]))
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
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        init: str = "torch",
        max_lag: int | None = None,
        recompute: bool | None = None,
    ) -> None:
        check_variants(peephole, coupled, layer_norm, zoneout, recurrent_dropout, weight_drop)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            gates=COUPLED_GATES if coupled else LSTM_GATES,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            proj_size=proj_size,
            recompute=recompute,
        )
        self.peephole = bool(peephole)
        self.coupled = bool(coupled)
        self.layer_norm = bool(layer_norm)
        self.zoneout = _zoneout_pair(zoneout)
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.init = init
        self.max_lag = max_lag
        self._check_init()
        self._make_weights(self._extra_shapes(), device=device, dtype=dtype)
        self.reset_parameters()

    def _check_init(self) -> None:
        check_choice("init", self.init, _INITS)
        if self.init != "torch" and not self.bias:
            raise ParameterError(f"init={self.init!r} sets biases, but bias=False.")
        if (self.init == "chrono") != (self.max_lag is not None):
            raise ParameterError(
                f"init is {self.init!r} and max_lag is {self.max_lag!r}: max_lag, the longest lag in steps,\n"
                f'  goes with init="chrono", and only with it.'
            )

    def _extra_shapes(self) -> dict[str, tuple[int, ...]]:
        size, blocks = self.hidden_size, len(self.gates)
        shapes: dict[str, tuple[int, ...]] = {}
        if self.peephole:
            shapes["weight_ch"] = ((blocks - 1) * size,)
        if self.layer_norm:
            shapes["weight_ln_ih"] = shapes["weight_ln_hh"] = (blocks * size,)
            shapes["weight_ln_c"] = (size,)
            if self.bias:
                shapes["bias_ln_c"] = (size,)
        return shapes

    def reset_parameters(self) -> None:
        """Draw new initial weights, as `init` says."""
        if self.init == "torch":
            initialisers.uniform_(self.parameters(), self.hidden_size)
        else:
            self._init_for_memory()
        for name, parameter in self.named_parameters():
            if "_ln_" in name:
                torch.nn.init.constant_(parameter, 1.0 if name.startswith("weight") else 0.0)

    def _init_for_memory(self) -> None:
        for _, suffix in self._slots:
            weights = self._weights(suffix)
            initialisers.glorot_(weights.w_ih, len(self.gates))
            initialisers.orthogonal_(weights.w_hh, len(self.gates))
            if weights.w_hr is not None:
                initialisers.glorot_(weights.w_hr, 1)
            for zeroed in (weights.b_hh, weights.w_ch):
                if zeroed is not None:
                    torch.nn.init.zeros_(zeroed)
            # The two bias vectors are added, so only one of them gets the forget bias.
            bias = cast(Tensor, weights.b_ih)
            if self.max_lag is not None:
                initialisers.chrono_(bias, self.gates, self.max_lag)
            else:
                initialisers.forget_bias_(bias, self.gates)

    @overload
    def forward(
        self,
        input: Input,
        hx: tuple[Tensor, Tensor] | None = ...,
        *,
        lengths: Lengths | None = ...,
        trace: Literal[False] = ...,
    ) -> tuple[Input, LSTMState]: ...

    @overload
    def forward(
        self,
        input: Input,
        hx: tuple[Tensor, Tensor] | None = ...,
        *,
        lengths: Lengths | None = ...,
        trace: Literal[True],
    ) -> tuple[Input, LSTMState, tuple[LSTMTrace, ...]]: ...

    def forward(
        self,
        input: Input,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Lengths | None = None,
        trace: bool = False,
    ) -> Any:
        """Run the stack over a batch of sequences.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, I), with `batch_first` (B, T, I), one sequence (T, I), or packed.
        hx : (Tensor, Tensor), optional
            Initial states h_0 (L * directions, B, P) and c_0 (L * directions, B, H); zeros when left out.
        lengths : sequence of int, optional
            Length of each sequence of a padded tensor, in any order. What lies beyond is never read; the
            output there is zero.
        trace : bool
            Also return gates and states of every step. Runs the reference equations, step by step.

        Returns
        -------
        output : Tensor or PackedSequence
            Hidden state of the last layer at every step, directions side by side, in the layout of the input.
        state : LSTMState
            h_n and c_n of every layer and direction, at each sequence's own end.
        trace : tuple of LSTMTrace
            Only with ``trace=True``: one for each layer and direction, in the order of h_n; each field in
            the layout of the output.

        Raises
        ------
        ShapeError, EmptyDataError, DataError, ParameterError
            The input, the initial state or the lengths do not fit.
        """
        output, state, traces = self._run(input, hx, lengths, trace)
        return (output, LSTMState(*state), traces) if trace else (output, LSTMState(*state))

    @property
    def mode(self) -> str:
        """Kind of the cell, by torch's name for it."""
        return "LSTM"

    def _cell(self) -> str:
        return "lstm"

    def _why_no_stepper(self) -> str | None:
        variants = {
            "peephole": self.peephole,
            "coupled": self.coupled,
            "layer_norm": self.layer_norm,
            "proj_size": self.proj_size,
            "zoneout": any(self.zoneout),
        }
        names = [name for name, there in variants.items() if there]
        return f"single steps have no native kernel for {names[0]}." if names else None

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _is_plain(self) -> bool:
        return super()._is_plain() and not (self.recurrent_dropout and self.training)

    def _weights(self, suffix: str) -> LSTMWeights:
        return LSTMWeights(**self._fields_of(suffix))

    def _weights_to_run(self, suffix: str) -> LSTMWeights:
        weights = self._weights(suffix)
        if self.weight_drop and self.training:
            return weights._replace(w_hh=drop(weights.w_hh, self.weight_drop))
        return weights

    def _run_layer(
        self,
        rows: Tensor,
        batch_sizes: Tensor,
        state: tuple[Tensor, ...],
        weights: LSTMWeights,
        *,
        reverse: bool,
        trace: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...], Trace | None]:
        return ops.lstm(
            rows,
            batch_sizes,
            LSTMState(*state),
            weights=weights,
            coupled=self.coupled,
            recurrent_mask=self._recurrent_mask(state[0]),
            zoneout=self._zoneout(rows, state),
            reverse=reverse,
            trace=trace,
            recompute=self._recomputes(rows),
        )

    def _recurrent_mask(self, h: Tensor) -> Tensor | None:
        if not self.recurrent_dropout or not self.training:
            return None
        return drop(torch.ones_like(h), self.recurrent_dropout)

    def _zoneout(self, rows: Tensor, state: tuple[Tensor, ...]) -> Zoneout | None:
        if self.zoneout == (0.0, 0.0):
            return None
        if not self.training:
            return Zoneout(*self.zoneout)
        count = rows.shape[:-1].numel()
        shapes = [(count, part.shape[-1]) for part in state]
        return Zoneout(*(ops.draw_mask(rows, *each) for each in zip(shapes, self.zoneout, strict=True)))

    def _extra_defaults(self) -> dict[str, object]:
        return {
            "peephole": False,
            "coupled": False,
            "layer_norm": False,
            "zoneout": (0.0, 0.0),
            "recurrent_dropout": 0.0,
            "weight_drop": 0.0,
            "init": "torch",
            "max_lag": None,
        }


def check_variants(
    peephole: object = False,
    coupled: object = False,
    layer_norm: object = False,
    zoneout: Any = 0.0,
    recurrent_dropout: object = 0.0,
    weight_drop: object = 0.0,
) -> None:
    """Raise `ParameterError` for a variant of the cell that cannot be; defaults are those of `LSTM`."""
    for flag, value in (("peephole", peephole), ("coupled", coupled), ("layer_norm", layer_norm)):
        check_flag(flag, value)
    _zoneout_pair(zoneout)
    check_share("recurrent_dropout", recurrent_dropout)
    check_share("weight_drop", weight_drop)


def _zoneout_pair(zoneout: float | tuple[float, float]) -> tuple[float, float]:
    shares = zoneout if isinstance(zoneout, (tuple, list)) else (zoneout, zoneout)
    if len(shares) != 2:
        raise ParameterError(f"zoneout is {zoneout!r}, but it must be one probability, or a pair for (h, c).")
    for share in shares:
        check_probability("zoneout", share)
    return float(shares[0]), float(shares[1])
