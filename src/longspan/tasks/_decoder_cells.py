"""What runs over the steps of a decoder and its encoder, with one face for every kind of cell."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan import nn
from longspan.errors import ParameterError
from longspan.nn.packed import last_steps, prolonged


class DecoderCell(torch.nn.Module):
    """A cell that can be stopped after any step and gone on with.

    Attributes
    ----------
    output_size : int
        Features of the output of each step.
    summary_size : int
        Features of what `read` returns of a whole sequence.
    start_size : int
        Numbers that `start_state` makes a state of.
    """

    output_size: int
    summary_size: int
    start_size: int

    def zero_state(self, count: int) -> tuple[Tensor, ...]:
        """Return the state before anything was seen, of `count` sequences."""
        raise NotImplementedError

    def start_state(self, numbers: Tensor) -> tuple[Tensor, ...]:
        """Make a state of numbers of any size, shape (B, start_size)."""
        raise NotImplementedError

    def advance(self, rows: PackedSequence, state: tuple[Tensor, ...]) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        """Run over some steps; return the outputs and the state after each sequence's last one."""
        raise NotImplementedError

    def read(self, rows: PackedSequence) -> tuple[PackedSequence, Tensor]:
        """Run over whole sequences; return the outputs, and one vector each in the order before they were packed."""
        raise NotImplementedError


class RecurrentCell(DecoderCell):
    """An LSTM, a GRU or a plain recurrent network."""

    def __init__(self, stack: Any, *, parts: int) -> None:
        super().__init__()
        self.stack = stack
        self.parts = parts
        self.output_size = stack.output_size
        self.summary_size = stack.output_size
        self.start_size = parts * stack.num_layers * stack.hidden_size

    def zero_state(self, count: int) -> tuple[Tensor, ...]:
        zeros = self.stack.weight_hh_l0.new_zeros(self.stack.num_layers, count, self.stack.hidden_size)
        return (zeros,) * self.parts

    def start_state(self, numbers: Tensor) -> tuple[Tensor, ...]:
        layers, size = self.stack.num_layers, self.stack.hidden_size
        state = torch.tanh(numbers).view(len(numbers), self.parts * layers, size).transpose(0, 1)
        return tuple(part.contiguous() for part in state.chunk(self.parts))

    def advance(self, rows: PackedSequence, state: tuple[Tensor, ...]) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        output, final = self.stack(rows, state if self.parts > 1 else state[0])
        return output, tuple(final) if self.parts > 1 else (final,)

    def read(self, rows: PackedSequence) -> tuple[PackedSequence, Tensor]:
        output, final = self.stack(rows)
        last = (final if self.parts == 1 else final[0])[-self.stack.num_directions :]
        return output, last.transpose(0, 1).flatten(1)


class WindowCell(DecoderCell):
    """A feed-forward network over the last `window` steps, which are all that it remembers."""

    def __init__(self, network: nn.FeedForward) -> None:
        super().__init__()
        self.network = network
        self.mean = nn.Pooling("mean", network.output_size)
        self.output_size = self.summary_size = network.output_size
        self.start_size = network.window * network.input_size

    def zero_state(self, count: int) -> tuple[Tensor, ...]:
        weight: Any = self.network.layers[0].weight
        return (weight.new_zeros(self.network.window, count, self.network.input_size),)

    def start_state(self, numbers: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh(numbers).view(len(numbers), self.network.window, -1).transpose(0, 1).contiguous(),)

    def advance(self, rows: PackedSequence, state: tuple[Tensor, ...]) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        # The steps before are put in front of each sequence, and their outputs are dropped again.
        longer = prolonged(rows, state[0])
        output = self.network(longer).data[state[0].shape[:2].numel() :]
        return rows._replace(data=output), (last_steps(longer, self.network.window),)

    def read(self, rows: PackedSequence) -> tuple[PackedSequence, Tensor]:
        output = self.network(rows)
        summary: Tensor = self.mean(output)
        return output, summary


def make_cell(config: Any, input_size: int, *, two_way: bool) -> DecoderCell:
    """Make the cell that a `DecoderConfig` names; `two_way` reads in both directions, where it has directions."""
    if config.cell == "feedforward":
        return WindowCell(
            nn.FeedForward(
                input_size, config.hidden_size, config.window, num_layers=config.num_layers, dropout=config.dropout
            )
        )
    common: dict[str, Any] = {
        "num_layers": config.num_layers,
        "dropout": config.dropout if config.num_layers > 1 else 0.0,
        "bidirectional": two_way,
    }
    if config.cell == "lstm":
        variants = {"init": config.init, "max_lag": config.max_lag, **config.cell_options}
        return RecurrentCell(nn.LSTM(input_size, config.hidden_size, **common, **variants), parts=2)
    if config.cell in ("rnn", "gru"):
        module = nn.RNN if config.cell == "rnn" else nn.GRU
        return RecurrentCell(module(input_size, config.hidden_size, **common), parts=1)
    raise ParameterError(f"cell is 'lstm', 'rnn', 'gru' or 'feedforward', but it was {config.cell!r}.")
