"""One step of every cell, written to be read beside the paper.

Notation: ``s`` is the logistic sigmoid, a prime marks the last step, ``*`` is elementwise, and
``a_k = W_k x + U_k h' + b_k`` is the pre-activation of gate ``k``. ``projected`` is the part of it that needs
no state, ``W x + b``, shape (B, nH), computed for all steps at once.

These functions are the ground truth that every faster path is compared with; they run in any floating type.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from longspan.ops.state import GRUTrace, LSTMState, LSTMTrace, LSTMWeights, RNNTrace, RNNWeights, Zoneout

#: Parts of the LSTM that Greff et al. (2017) take away: NIG, NFG, NOG, NIAF and NOAF. CIFG is ``coupled``,
#: NP is a cell without ``w_ch``, FGR is a cell with ``w_gg``.
ABLATIONS = ("input_gate", "forget_gate", "output_gate", "input_activation", "output_activation")


def lstm_step(
    projected: Tensor,
    state: LSTMState,
    *,
    weights: LSTMWeights,
    coupled: bool = False,
    recurrent_mask: Tensor | None = None,
    zoneout: Zoneout | None = None,
    gates: Tensor | None = None,
    ablate: frozenset[str] = frozenset(),
) -> LSTMTrace:
    """Advance an LSTM by one step.

    ::

        i = s(a_i + p_i * c')        coupled: i = 1 - f
        f = s(a_f + p_f * c')
        g = tanh(a_g)
        c = f * c' + i * g
        o = s(a_o + p_o * c)
        h = o * tanh(c)              projection: h = P (o * tanh(c))

    The peephole terms ``p`` are there when ``weights.w_ch`` is. Layer normalisation replaces ``W x`` and
    ``U h'`` by their normalised values and ``tanh(c)`` by ``tanh(LN(c))``; `recurrent_mask` replaces ``h'``
    by ``mask * h'`` in all ``a``; zoneout ends the step with ``c = d_c * c' + (1 - d_c) * c``, and with the
    same for h.

    Parameters
    ----------
    projected : Tensor, shape (B, nH)
        ``W x + b``, normalised if the cell is.
    state : LSTMState
        h' (B, P) and c' (B, H).
    weights : LSTMWeights
        Weights of the layer.
    coupled : bool
        One gate decides what to forget and what to take in (CIFG).
    recurrent_mask : Tensor, shape (B, P), optional
        Mask on h', the same at every step of a sequence (variational dropout).
    zoneout : Zoneout, optional
        What to keep of the old state, (B, P) and (B, H), or numbers.
    gates : Tensor, shape (B, (n-1)H), optional
        The last activations of i, f, o, for full gate recurrence.
    ablate : frozenset of str
        Parts to take away, of `ABLATIONS`.

    Returns
    -------
    LSTMTrace
        Gates, cell state and hidden state after the step.

    References
    ----------
    Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000 (forget gate); Gers, Schraudolph &
    Schmidhuber 2002 (peepholes); Sak, Senior & Beaufays 2014 (projection); Ba, Kiros & Hinton 2016 (layer
    normalisation); Gal & Ghahramani 2016 (variational dropout); Krueger et al. 2016 (zoneout);
    Greff et al. 2017 (coupled gates, full gate recurrence, ablations).
    """
    a = _gate_blocks(projected + _from_hidden(state.h, weights, recurrent_mask), state.c.shape[-1], coupled)
    if weights.w_gg is not None and gates is not None:
        a = _add_gate_recurrence(a, gates @ weights.w_gg.T)
    p = _peephole_blocks(weights.w_ch, coupled)

    one = torch.ones_like(state.c)
    f = one if "forget_gate" in ablate else torch.sigmoid(a.f + p.f * state.c)
    i = torch.sigmoid(a.i + p.i * state.c) if a.i is not None else 1 - f
    i = one if "input_gate" in ablate else i
    g = a.g if "input_activation" in ablate else torch.tanh(a.g)
    c = f * state.c + i * g
    o = one if "output_gate" in ablate else torch.sigmoid(a.o + p.o * c)
    h = o * _squashed_cell(c, weights, ablate)
    if weights.w_hr is not None:
        h = h @ weights.w_hr.T
    if zoneout is not None:
        # The output above is made from the new cell state, before zoneout keeps some of the old one.
        h, c = _zoned(zoneout.h, state.h, h), _zoned(zoneout.c, state.c, c)
    return LSTMTrace(i=i, f=f, g=g, o=o, c=c, h=h)


def _zoned(share: Tensor | float, old: Tensor, new: Tensor) -> Tensor:
    if isinstance(share, Tensor) and share.dtype == torch.bool:
        return torch.where(share, old, new)
    return share * old + (1 - share) * new


class _Blocks(NamedTuple):
    i: Tensor | None
    f: Tensor
    g: Tensor
    o: Tensor


class _Peepholes(NamedTuple):
    i: Tensor | float
    f: Tensor | float
    o: Tensor | float


def _gate_blocks(a: Tensor, hidden_size: int, coupled: bool) -> _Blocks:
    blocks = torch.split(a, hidden_size, dim=-1)
    return _Blocks(None, *blocks) if coupled else _Blocks(*blocks)


def _peephole_blocks(w_ch: Tensor | None, coupled: bool) -> _Peepholes:
    if w_ch is None:
        return _Peepholes(0.0, 0.0, 0.0)
    return _Peepholes(0.0, *w_ch.chunk(2)) if coupled else _Peepholes(*w_ch.chunk(3))


def _add_gate_recurrence(a: _Blocks, extra: Tensor) -> _Blocks:
    if a.i is None:
        extra_f, extra_o = extra.chunk(2, dim=-1)
        return a._replace(f=a.f + extra_f, o=a.o + extra_o)
    extra_i, extra_f, extra_o = extra.chunk(3, dim=-1)
    return a._replace(i=a.i + extra_i, f=a.f + extra_f, o=a.o + extra_o)


def _from_hidden(h: Tensor, weights: LSTMWeights, mask: Tensor | None) -> Tensor:
    recurrent = (h if mask is None else h * mask) @ weights.w_hh.T
    return recurrent if weights.w_ln_hh is None else normalised(recurrent, weights.w_ln_hh)


def _squashed_cell(c: Tensor, weights: LSTMWeights, ablate: frozenset[str]) -> Tensor:
    if weights.w_ln_c is not None:
        c = normalised(c, weights.w_ln_c, weights.b_ln_c)
    return c if "output_activation" in ablate else torch.tanh(c)


def normalised(x: Tensor, gain: Tensor, bias: Tensor | None = None) -> Tensor:
    """Layer normalisation over the last axis, ``gain * (x - mean) / sqrt(var + 1e-5) + bias``."""
    return layer_norm(x, x.shape[-1:], gain, bias)


def lstm1997_step(
    projected: Tensor,
    state: LSTMState,
    *,
    w_hh: Tensor,
    w_gg: Tensor | None = None,
    gates: Tensor | None = None,
    block_size: int = 1,
    truncate: bool = False,
) -> LSTMTrace:
    """Advance the LSTM of 1997 by one step: no forget gate, and memory blocks whose cells share their gates.

    ::

        i = s(a_i)    o = s(a_o)    g = 4 s(a_g) - 2
        c = c' + i * g
        h = o * (2 s(c) - 1)

    With H cells in blocks of S there are K = H / S input gates and as many output gates.

    Parameters
    ----------
    projected : Tensor, shape (B, 2K + H)
        ``W x + b``, in the order i, g, o.
    state : LSTMState
        h' and c', each (B, H).
    w_hh : Tensor, shape (2K + H, H)
        From the last cell outputs.
    w_gg : Tensor, shape (2K + H, 2K), optional
        From the last activations of all input gates and all output gates.
    gates : Tensor, shape (B, 2K), optional
        Those activations, i before o; zeros when left out.
    block_size : int
        Cells of a block, S.
    truncate : bool
        Cut the gradient where the paper does: it flows back in time along the cell state only.

    Returns
    -------
    LSTMTrace
        i and o have shape (B, K), the others (B, H); f is one, for the cell never forgets.

    References
    ----------
    Hochreiter & Schmidhuber 1997, section 4 and appendix A.1.
    """
    blocks = state.c.shape[-1] // block_size
    h = state.h.detach() if truncate else state.h
    a = projected + h @ w_hh.T
    if w_gg is not None and gates is not None:
        a = a + (gates.detach() if truncate else gates) @ w_gg.T
    a_i, a_g, a_o = torch.split(a, [blocks, blocks * block_size, blocks], dim=-1)

    i, o = torch.sigmoid(a_i), torch.sigmoid(a_o)
    g = 4 * torch.sigmoid(a_g) - 2
    c = state.c + i.repeat_interleave(block_size, dim=-1) * g
    h = o.repeat_interleave(block_size, dim=-1) * (2 * torch.sigmoid(c) - 1)
    return LSTMTrace(i=i, f=torch.ones_like(c), g=g, o=o, c=c, h=h)


def rnn_step(projected: Tensor, h: Tensor, *, w_hh: Tensor, nonlinearity: str = "tanh") -> RNNTrace:
    """Advance a simple recurrent network by one step, ``h = tanh(W x + U h' + b)``, or relu for tanh.

    Parameters
    ----------
    projected : Tensor, shape (B, H)
        ``W x + b``.
    h : Tensor, shape (B, H)
        Last hidden state.
    w_hh : Tensor, shape (H, H)
        From the last hidden state.
    nonlinearity : {"tanh", "relu"}
        The function around it.

    References
    ----------
    Elman 1990; with relu, Le, Jaitly & Hinton 2015.
    """
    a = projected + h @ w_hh.T
    return RNNTrace(h=torch.relu(a) if nonlinearity == "relu" else torch.tanh(a))


def gru_step(projected: Tensor, h: Tensor, *, weights: RNNWeights, reset: str = "after") -> GRUTrace:
    """Advance a GRU by one step.

    ::

        r = s(W_r x + U_r h' + b_r)
        z = s(W_z x + U_z h' + b_z)
        n = tanh(W_n x + b_in + r * (U_n h' + b_hn))        reset after the product
        n = tanh(W_n x + b_in + U_n (r * h') + b_hn)        reset before the product
        h = (1 - z) * n + z * h'

    Parameters
    ----------
    projected : Tensor, shape (B, 3H)
        ``W x + b_ih``, in the order r, z, n; ``b_hh`` is added here.
    h : Tensor, shape (B, H)
        Last hidden state.
    weights : RNNWeights
        Weights of the layer; `w_hh` and `b_hh` are used.
    reset : {"after", "before"}
        Whether the reset gate acts after the recurrent product (cuDNN, torch) or before it (Cho et al.).

    References
    ----------
    Cho et al. 2014, equations 5 to 8.
    """
    x_r, x_z, x_n = projected.chunk(3, dim=-1)
    u_r, u_z, u_n = weights.w_hh.chunk(3)
    b_r, b_z, b_n = (0.0, 0.0, 0.0) if weights.b_hh is None else weights.b_hh.chunk(3)
    r = torch.sigmoid(x_r + h @ u_r.T + b_r)
    z = torch.sigmoid(x_z + h @ u_z.T + b_z)
    recalled = r * (h @ u_n.T + b_n) if reset == "after" else (r * h) @ u_n.T + b_n
    n = torch.tanh(x_n + recalled)
    return GRUTrace(r=r, z=z, n=n, h=(1 - z) * n + z * h)
