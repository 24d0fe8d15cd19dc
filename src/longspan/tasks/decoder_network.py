"""The network that answers a source with a sequence: an encoder, a decoder, and attention between them."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan import nn
from longspan.nn.packed import framed, padded_rows, row_index, rows_before, sequence_lengths
from longspan.tasks._decoder_cells import DecoderCell, make_cell

SOURCES = ("nothing", "vector", "numbers", "symbols")
TARGETS = ("numbers", "symbols")


@dataclass(frozen=True)
class DecoderConfig:
    """What a decoder is made of; plain values only, so that it goes into a model file.

    Attributes
    ----------
    source : {"nothing", "vector", "numbers", "symbols"}
        What is answered.
    target : {"numbers", "symbols"}
        What is generated.
    source_size, target_size : int
        Numbers of a source step or vector, or kinds of symbols in the sources; the same of the targets.
    cell, hidden_size, num_layers, dropout, window, init, max_lag, cell_options
        As in `NetworkConfig`, of the decoder and of the encoder.
    embedding_size : int
        Features in which a symbol, or a step of numbers, is seen.
    attention : {"dot", "additive"} or None
        How the decoder looks at the steps of a source; None for no attention, and where there are no steps.
    """

    source: str
    target: str
    source_size: int
    target_size: int
    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    window: int = 16
    init: str = "forget_bias"
    max_lag: int | None = None
    cell_options: dict[str, Any] = field(default_factory=dict)
    embedding_size: int = 64
    attention: str | None = "dot"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def reads_steps(self) -> bool:
        """Whether a source has steps."""
        return self.source in ("numbers", "symbols")


class DecoderState(NamedTuple):
    """Where B sequences are that are being decoded.

    Attributes
    ----------
    cell : tuple of Tensor, each (L, B, features)
        State of the cell.
    steps : Tensor, shape (B,)
        Steps made so far.
    """

    cell: tuple[Tensor, ...]
    steps: Tensor

    def select(self, index: Tensor) -> "DecoderState":
        """Return the states of the sequences `index`, which may name one several times."""
        return DecoderState(tuple(part.index_select(1, index) for part in self.cell), self.steps.index_select(0, index))

    def detach(self) -> "DecoderState":
        """Return the same numbers without their history."""
        return DecoderState(tuple(part.detach() for part in self.cell), self.steps)


class Encoded(NamedTuple):
    """What is known of B sources.

    Attributes
    ----------
    summary : Tensor, shape (B, H), or None
        One vector each; None without sources.
    memory : AttentionMemory or None
        Their steps.
    start : DecoderState
        Where decoding begins.
    """

    summary: Tensor | None
    memory: nn.AttentionMemory | None
    start: DecoderState

    def select(self, index: Tensor) -> "Encoded":
        """Return what is known of the sources `index`, which may name one several times."""
        return Encoded(
            None if self.summary is None else self.summary.index_select(0, index),
            None if self.memory is None else self.memory.select(index),
            self.start.select(index),
        )


class SequenceDecoder(torch.nn.Module):
    """Read a source, and give the outputs for each step of a target from the steps before it.

    The decoder runs over the whole target in one call, since nothing that it reads depends on what it looks at: the
    attention comes after the cell (Luong, Pham & Manning 2015), and the outputs are read off the state and what was
    seen, ``tanh(W [h; context])``.

    Parameters
    ----------
    config : DecoderConfig
        What it is made of.

    Notes
    -----
    A target row is one symbol number, or K numbers followed by 1 at the stop (whose numbers are not used) and 0
    elsewhere; targets of symbols end with the number `target_size`. Outputs are logits of the symbols and the stop, or
    K standardised numbers and the logit of the stop. `log_spread` is the logarithm of the standard deviation of the
    standardised numbers around the outputs.
    """

    config_type = DecoderConfig
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        size, width = config.hidden_size, config.embedding_size
        summary_size = 0
        if config.source == "symbols":
            self.source_embedding = torch.nn.Embedding(config.source_size, width)
        elif config.source in ("numbers", "vector"):
            self.views = nn.InputViews(config.source_size)
            self.source_projection = torch.nn.Linear(config.source_size, width)
        if config.reads_steps:
            self.borders = torch.nn.Parameter(torch.randn(2, width))
            self.encoder = make_cell(config, width, two_way=True)
            summary_size = self.encoder.summary_size
            if config.attention is not None:
                memory_size = self.encoder.output_size + width
                self.attention = nn.Attention(
                    size, memory_size, kind=config.attention, size=size, location=True, origin=1.0
                )
        elif config.source == "vector":
            summary_size = width
        symbols = config.target == "symbols"
        if symbols:
            self.target_embedding = torch.nn.Embedding(config.target_size + 1, width)
        else:
            self.register_buffer("target_mean", torch.zeros(config.target_size))
            self.register_buffer("target_scale", torch.ones(config.target_size))
            self.target_projection = torch.nn.Linear(config.target_size + 1, width)
            self.log_spread = torch.nn.Parameter(torch.zeros(config.target_size))
        self.cell: DecoderCell = make_cell(config, width, two_way=False)
        if summary_size:
            self.bridge = torch.nn.Linear(summary_size, size)
            self.start_projection = torch.nn.Linear(size, self.cell.start_size)
        seen = self.attention.memory_size if self.attends else size if summary_size else 0
        self.mixer = torch.nn.Linear(size + seen, size)
        self.dropout = torch.nn.Dropout(config.dropout)
        self.head = torch.nn.Linear(size, config.target_size + 1)

    @property
    def attends(self) -> bool:
        """Whether there are steps to look at, and attention to look with."""
        return self.config.reads_steps and self.config.attention is not None

    def encode(self, source: PackedSequence | Tensor | None, count: int) -> Encoded:
        """Read the sources of `count` targets."""
        steps = self.head.weight.new_zeros(count)
        if source is None:
            return Encoded(None, None, DecoderState(self.cell.zero_state(count), steps))
        memory = None
        if isinstance(source, PackedSequence):
            rows = framed(self._look_at(source), self.borders)
            found, summary = self.encoder.read(rows)
            if self.attends:
                memory = self.attention.remember(rows._replace(data=torch.cat([found.data, rows.data], dim=-1)))
        else:
            summary = self.source_projection((source - self.views.mean) / self.views.scale)
        summary = torch.tanh(self.bridge(self.dropout(summary)))
        start = self.cell.start_state(self.start_projection(summary))
        return Encoded(summary, memory, DecoderState(start, steps))

    def _look_at(self, source: PackedSequence) -> PackedSequence:
        if self.config.source == "symbols":
            rows = self.source_embedding(source.data[:, 0].long())
        else:
            rows = self.source_projection(self.views(source).data)
        return source._replace(data=self.dropout(rows))

    def embed(self, before: Tensor) -> Tensor:
        """Return what the decoder reads of rows that came before, NaN standing for the start."""
        start = before[:, 0].isnan()
        if self.config.target == "symbols":
            # The stop is never read: its place is the start's.
            embedded: Tensor = self.target_embedding(torch.where(start, self.config.target_size, before[:, 0]).long())
            return embedded
        numbers = (before[:, :-1] - self.target_mean) / self.target_scale
        flagged = torch.cat([torch.where(start[:, None], 0.0, numbers), start[:, None].to(numbers.dtype)], dim=1)
        projected: Tensor = self.target_projection(flagged)
        return projected

    def in_units(self, standardised: Tensor) -> Tensor:
        """Return numbers in the units of the targets."""
        numbers: Tensor = standardised * self.target_scale + self.target_mean
        return numbers

    def is_stop(self, rows: Tensor) -> Tensor:
        """Return whether each target row is the stop, shape (R,)."""
        if self.config.target == "symbols":
            return rows[:, 0].eq(self.config.target_size)
        return rows[:, -1].gt(0)

    def run(
        self, before: PackedSequence, state: DecoderState, encoded: Encoded
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """Make some steps.

        Parameters
        ----------
        before : PackedSequence
            For each step the target row before it, longest sequence first.
        state : DecoderState
            Where the sequences are.
        encoded : Encoded
            Their sources.

        Returns
        -------
        outputs : Tensor, shape (sum T_b, target_size + 1)
            In the order of the rows.
        state : DecoderState
            Where the sequences are now.
        weights : Tensor, shape (B, T, S), or None
            Where the attention was, over S - 2 steps between two borders.
        """
        sizes = before.batch_sizes
        inputs = before._replace(data=self.dropout(self.embed(before.data)))
        output, cell = self.cell.advance(inputs, state.cell)
        hidden, weights = output.data, None
        if encoded.memory is not None:
            padded, index = padded_rows(output)
            steps = state.steps.unsqueeze(1) + torch.arange(len(sizes), device=hidden.device)
            context, weights = self.attention(padded, encoded.memory, steps)
            hidden = torch.cat([hidden, context.reshape(-1, context.shape[-1]).index_select(0, index)], dim=-1)
        elif encoded.summary is not None:
            sequence = row_index(sizes).sequence.to(hidden.device)
            hidden = torch.cat([hidden, encoded.summary.index_select(0, sequence)], dim=-1)
        outputs: Tensor = self.head(self.dropout(torch.tanh(self.mixer(self.dropout(hidden)))))
        steps = state.steps + sequence_lengths(sizes).to(state.steps.device)
        return outputs, DecoderState(cell, steps), weights

    def forward(self, source: PackedSequence | Tensor | None, targets: PackedSequence) -> Tensor:
        """Return the outputs for each row of whole targets, each from the rows before it."""
        encoded = self.encode(source, int(targets.batch_sizes[0]))
        return self.run(rows_before(targets), encoded.start, encoded)[0]


def count_decoder_parameters(config: DecoderConfig) -> int:
    """Return how many numbers a decoder of this make learns, without making it."""
    with torch.device("meta"):
        network = SequenceDecoder(config)
    return sum(parameter.numel() for parameter in network.parameters())
