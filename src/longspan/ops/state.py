"""What the recurrent layers carry, learn and record, and the order of the gates.

Shape letters: ``B`` batch, ``T`` steps, ``I`` input features, ``H`` hidden units, ``P`` units of the
hidden state (``H``, or the projection size), ``R`` packed rows (the sum of all lengths).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

#: Order of the gate blocks in every LSTM weight and bias, torch's: input, forget, cell input, output.
LSTM_GATES = ("i", "f", "g", "o")

#: The coupled cell has no input gate of its own (``i = 1 - f``), so its weights have no rows for one.
COUPLED_GATES = ("f", "g", "o")

#: Order of the gate blocks in GRU weights, torch's: reset, update, new.
GRU_GATES = ("r", "z", "n")


class LSTMState(NamedTuple):
    """What an LSTM remembers between two steps.

    Attributes
    ----------
    h : Tensor, shape (B, P)
        Hidden state, which is also the output of the step.
    c : Tensor, shape (B, H)
        Cell state, the constant error carousel.
    """

    h: Tensor
    c: Tensor


class LSTMTrace(NamedTuple):
    """Everything an LSTM computed, at one step or (rows joined) at every step.

    Attributes
    ----------
    i, f, g, o : Tensor, shape (..., H)
        Input gate, forget gate, cell input and output gate, after their activation functions.
    c : Tensor, shape (..., H)
        Cell state as it is carried to the next step.
    h : Tensor, shape (..., P)
        Hidden state as it is carried to the next step.
    """

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor
    h: Tensor


class GRUTrace(NamedTuple):
    """Everything a GRU computed: reset gate, update gate, new state and hidden state, each (..., H)."""

    r: Tensor
    z: Tensor
    n: Tensor
    h: Tensor


class RNNTrace(NamedTuple):
    """Everything a simple recurrent network computed: its hidden state, (..., H)."""

    h: Tensor


class LSTMWeights(NamedTuple):
    """The weights of one LSTM layer in one direction; what is None, the cell does not have.

    With ``n`` the number of gate blocks, 4 (order i, f, g, o), or 3 in a coupled cell (f, g, o).

    Attributes
    ----------
    w_ih : Tensor, shape (nH, I)
        From the input.
    w_hh : Tensor, shape (nH, P)
        From the last hidden state.
    b_ih, b_hh : Tensor, shape (nH,), optional
        Biases; they are added.
    w_hr : Tensor, shape (P, H), optional
        Projection of the output to the hidden state.
    w_ch : Tensor, shape ((n-1)H,), optional
        Peepholes from the cell state to i, f, o (coupled: f, o).
    w_ln_ih, w_ln_hh : Tensor, shape (nH,), optional
        Gains of the layer normalisation of ``W x`` and ``U h'``.
    w_ln_c, b_ln_c : Tensor, shape (H,), optional
        Gain and bias of the layer normalisation of the cell state, before the output.
    w_gg : Tensor, shape ((n-1)H, (n-1)H), optional
        Full gate recurrence: from the last activations of i, f, o (coupled: f, o) to those gates.
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None
    w_ch: Tensor | None = None
    w_ln_ih: Tensor | None = None
    w_ln_hh: Tensor | None = None
    w_ln_c: Tensor | None = None
    b_ln_c: Tensor | None = None
    w_gg: Tensor | None = None


class RNNWeights(NamedTuple):
    """The weights of one simple recurrent or GRU layer in one direction.

    Attributes
    ----------
    w_ih : Tensor, shape (nH, I)
        From the input; ``n`` is 1, or 3 in a GRU (order r, z, n).
    w_hh : Tensor, shape (nH, H)
        From the last hidden state.
    b_ih, b_hh : Tensor, shape (nH,), optional
        Biases.
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None


class Zoneout(NamedTuple):
    """The share ``d`` of the old state that zoneout keeps: ``state = d * old + (1 - d) * new``.

    Attributes
    ----------
    h, c : Tensor or float
        A boolean mask, one row a packed row, when training; the probability itself (the expectation
        of the mask) when not.
    """

    h: Tensor | float
    c: Tensor | float
