"""One recurrent layer in one direction: reference equations, and ops over packed rows."""

from longspan.ops._native import draw_mask
from longspan.ops._paths import Explanation, KernelPath, explain
from longspan.ops.gru import gru
from longspan.ops.lstm import lstm
from longspan.ops.packing import (
    dense_batch_sizes,
    is_dense,
    last_rows,
    reversal_index,
    row_index,
    sequence_lengths,
)
from longspan.ops.pooling import pool_steps
from longspan.ops.reference import ABLATIONS, gru_step, lstm1997_step, lstm_step, rnn_step
from longspan.ops.rnn import rnn
from longspan.ops.state import (
    COUPLED_GATES,
    GRU_GATES,
    LSTM_GATES,
    GRUTrace,
    LSTMState,
    LSTMTrace,
    LSTMWeights,
    RNNTrace,
    RNNWeights,
    Zoneout,
)

__all__ = [
    "ABLATIONS",
    "COUPLED_GATES",
    "GRU_GATES",
    "LSTM_GATES",
    "Explanation",
    "GRUTrace",
    "KernelPath",
    "LSTMState",
    "LSTMTrace",
    "LSTMWeights",
    "RNNTrace",
    "RNNWeights",
    "Zoneout",
    "dense_batch_sizes",
    "draw_mask",
    "explain",
    "gru",
    "gru_step",
    "is_dense",
    "last_rows",
    "lstm",
    "lstm1997_step",
    "lstm_step",
    "pool_steps",
    "reversal_index",
    "rnn",
    "rnn_step",
    "row_index",
    "sequence_lengths",
]
