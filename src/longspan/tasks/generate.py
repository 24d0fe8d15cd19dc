"""Sequences out of a decoder, one step after the other: the most probable step, or one that is drawn."""

import math

import torch
from torch import Tensor

from longspan.nn.packed import one_step
from longspan.tasks.decoder_network import DecoderState, Encoded, SequenceDecoder


def draw(
    network: SequenceDecoder,
    outputs: Tensor,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    may_stop: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw a target row, which may be the stop, for each row of outputs.

    Parameters
    ----------
    network : SequenceDecoder
        What gave the outputs.
    outputs : Tensor, shape (R, target_size + 1)
        Outputs of the network.
    temperature : float
        0 takes the most probable row; 1 draws from what was learned; others sharpen or flatten the distribution.
    top_k : int, optional
        Draw only from so many of the most probable symbols, the stop among them.
    may_stop : bool
        Whether the stop may be drawn.
    generator : torch.Generator, optional
        What is drawn from.

    Returns
    -------
    Tensor, shape (R, 1) of symbol numbers, or (R, K + 1)
    """
    if network.config.target == "symbols":
        logits = outputs if may_stop else outputs[:, :-1]
        if top_k is not None and top_k < logits.shape[1]:
            logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -math.inf)
        if temperature:
            # The largest sum with Gumbel noise is a draw from the softmax (Gumbel 1954). The largest logit is taken off
            # first: a temperature of next to nothing would make infinity of several.
            noise = -torch.empty_like(logits).exponential_(generator=generator).log()
            logits = (logits - logits.amax(dim=1, keepdim=True)) / temperature + noise
        return logits.argmax(dim=-1, keepdim=True).to(outputs.dtype)
    numbers, stop = outputs[:, :-1], torch.zeros_like(outputs[:, -1:])
    threshold = torch.full_like(stop, 0.5)
    if temperature:
        numbers = numbers + temperature * network.log_spread.exp() * torch.empty_like(numbers).normal_(
            generator=generator
        )
        threshold.uniform_(generator=generator)
    if may_stop:
        stop = (outputs[:, -1:].sigmoid() > threshold).to(outputs.dtype)
    return torch.cat([network.in_units(numbers), stop], dim=1)


def advance(
    network: SequenceDecoder, rows: Tensor, state: DecoderState, encoded: Encoded
) -> tuple[Tensor, DecoderState]:
    """Read one row for each of B sequences, shape (B, K), and return the outputs for the next one and the state."""
    outputs, state, _ = network.run(one_step(rows), state, encoded)
    return outputs, state


def first_rows(network: SequenceDecoder, count: int) -> Tensor:
    """Return what is read before the first step, shape (B, K)."""
    width = 1 if network.config.target == "symbols" else network.config.target_size + 1
    return network.head.weight.new_full((count, width), math.nan)


@torch.inference_mode()
def generate(
    network: SequenceDecoder,
    encoded: Encoded,
    *,
    max_length: int,
    prefix: Tensor | None = None,
    lengths: Tensor | None = None,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Make B sequences, all at once, until each has stopped; none is empty.

    Parameters
    ----------
    network : SequenceDecoder
        In evaluation mode.
    encoded : Encoded
        What is answered: B sources.
    max_length : int
        Steps at most, those of the prefix among them; above 0.
    prefix : Tensor, shape (P, K), optional
        Target rows that each sequence begins with; at most `max_length`.
    lengths : Tensor, int64, shape (B,), optional
        Steps of each sequence, instead of letting it stop.
    temperature, top_k, generator
        As `draw` takes them.

    Returns
    -------
    rows : Tensor, shape (B, T, K)
        Target rows; those beyond the end of a sequence mean nothing.
    lengths : Tensor, int64, shape (B,)
        Steps of each sequence.
    """
    state = encoded.start
    count = len(state.steps)
    rows = first_rows(network, count)
    given = [] if prefix is None else [row.expand(count, -1) for row in prefix]
    made: list[Tensor] = []
    ended = torch.zeros(count, dtype=torch.int64, device=rows.device)  # the length, once it is known
    for step in range(max_length):
        outputs, state = advance(network, rows, state, encoded)
        if step < len(given):
            rows = given[step]
        else:
            may_stop = step > 0 and lengths is None
            rows = draw(network, outputs, temperature=temperature, top_k=top_k, may_stop=may_stop, generator=generator)
            stops = network.is_stop(rows) if lengths is None else lengths <= step
            ended = torch.where(stops & (ended == 0), step, ended)
            if bool((ended > 0).all()):
                break
        made.append(rows)
    return torch.stack(made, dim=1), torch.where(ended == 0, len(made), ended)
