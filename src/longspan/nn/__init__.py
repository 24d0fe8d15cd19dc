"""torch modules for sequences: recurrent stacks, the feed-forward baseline, pooling and dropout."""

from longspan.nn._stepper import Stepper
from longspan.nn.attention import ATTENTIONS, Attention, AttentionMemory
from longspan.nn.dropout import VariationalDropout
from longspan.nn.feedforward import FeedForward
from longspan.nn.gru import GRU
from longspan.nn.lstm import LSTM
from longspan.nn.pooling import Pooling
from longspan.nn.rnn import RNN
from longspan.nn.stem import ConvStem
from longspan.nn.views import VIEWS, InputViews
from longspan.ops import GRUTrace, LSTMState, LSTMTrace, RNNTrace

__all__ = [
    "ATTENTIONS",
    "GRU",
    "LSTM",
    "RNN",
    "VIEWS",
    "Attention",
    "AttentionMemory",
    "ConvStem",
    "FeedForward",
    "GRUTrace",
    "InputViews",
    "LSTMState",
    "LSTMTrace",
    "Pooling",
    "RNNTrace",
    "Stepper",
    "VariationalDropout",
]
