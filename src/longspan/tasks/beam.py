"""Beam search: the best of several sequences that are kept in view, for many sources at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from longspan.tasks.decoder_network import Encoded, SequenceDecoder
from longspan.tasks.generate import advance, first_rows


class _Choice(NamedTuple):
    """The symbols that a step added to the beams, each (B, W), and the places in the beam that they continue."""

    symbols: Tensor
    parents: Tensor


class _Best:
    """The best finished sequence of each source so far."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.scores = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
        self.lengths = torch.zeros(count, dtype=torch.int64, device=device)
        self.places = torch.zeros(count, dtype=torch.int64, device=device)

    def offer(self, scores: Tensor, places: Tensor, length: int) -> None:
        """Compare with sequences of one length that end in the beam at `places`; scores and places are (B, W)."""
        scores, which = scores.max(dim=1)
        better = scores > self.scores
        self.scores = torch.where(better, scores, self.scores)
        self.lengths = torch.where(better, length, self.lengths)
        self.places = torch.where(better, places.gather(1, which[:, None])[:, 0], self.places)


@torch.inference_mode()
def beam_search(
    network: SequenceDecoder, encoded: Encoded, *, width: int, max_length: int, length_power: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best sequence of symbols that a beam finds for each of B sources.

    At each step the `width` most probable continuations are kept. One that ends in a stop leaves the beam, which is
    narrower by one from then on. The best is the one with the highest log-likelihood over ``length ** length_power``,
    the stop counted; one that reaches `max_length` is compared as it is. No sequence is empty. A beam of one is a
    greedy search; beside a wider one a greedy search goes on, so that a wider beam never finds less than that.

    Parameters
    ----------
    network : SequenceDecoder
        Of symbols, in evaluation mode.
    encoded : Encoded
        What is answered: B sources.
    width : int
        Sequences kept in view, W.
    max_length : int
        Symbols at most; above 0.
    length_power : float
        0 prefers short sequences, which have fewer factors below 1; 1 compares means over the steps.

    Returns
    -------
    symbols : Tensor, int64, shape (B, T)
        Symbol numbers; those beyond the end of a sequence mean nothing.
    lengths : Tensor, int64, shape (B,)
        Symbols of each sequence.
    scores : Tensor, float64, shape (B,)
        What was compared.

    References
    ----------
    Graves 2012, "Sequence transduction with recurrent neural networks"; Sutskever, Vinyals & Le 2014, section 3.2 (the
    beam that narrows); Wu et al. 2016, section 7 (length normalisation).
    """
    count, stop = len(encoded.start.steps), network.config.target_size
    device = encoded.start.steps.device
    lanes = width + (width > 1)  # the last one goes on greedily
    first_place = torch.arange(count, device=device)[:, None] * lanes
    encoded = encoded.select(torch.arange(count, device=device).repeat_interleave(lanes))
    state, rows = encoded.start, first_rows(network, count * lanes)
    alive = torch.full((count, lanes), -torch.inf, dtype=torch.float64, device=device)
    alive[:, [0, -1]] = 0.0
    free = torch.full((count, 1), width, device=device)
    best, choices = _Best(count, device), list[_Choice]()
    for step in range(max_length):
        outputs, state = advance(network, rows, state, encoded)
        scores = alive[:, :, None] + outputs.double().log_softmax(dim=-1).view(count, lanes, -1)
        if step == 0:
            scores[:, :, stop] = -torch.inf
        top = scores[:, :width].flatten(1).topk(width)
        kept = torch.where(torch.arange(width, device=device) < free, top.values, -torch.inf)
        greedy, next_best = scores[:, width:].max(dim=2)
        kept = torch.cat([kept, greedy], dim=1)
        parents = torch.cat([top.indices // (stop + 1), torch.full_like(next_best, width)], dim=1)
        symbols = torch.cat([top.indices % (stop + 1), next_best], dim=1)
        stops = (symbols == stop) & kept.isfinite()
        best.offer(torch.where(stops, kept / (step + 1) ** length_power, -torch.inf), parents, step)
        free = free - stops[:, :width].sum(dim=1, keepdim=True)
        alive = torch.where(stops, -torch.inf, kept)
        # A score only falls: no continuation can be better than this one at the longest length.
        hopeless = alive.amax(dim=1) / (max_length + 1) ** length_power <= best.scores
        alive = alive.masked_fill(hopeless[:, None], -torch.inf)
        if not bool(alive.isfinite().any()):
            break
        choices.append(_Choice(symbols, parents))
        state = state.select((first_place + parents).flatten())
        rows = symbols.view(-1, 1).to(rows.dtype)
    else:
        places = torch.arange(lanes, device=device).expand(count, -1)
        best.offer(alive / max_length**length_power, places, max_length)
    return _walk_back(choices, best), best.lengths, best.scores


def _walk_back(choices: list[_Choice], best: _Best) -> Tensor:
    """Return the symbols of the best sequences, from where they end back to the first, shape (B, T)."""
    place = best.places[:, None]
    found = []
    for length in range(len(choices), 0, -1):
        symbols, parents = choices[length - 1]
        found.append(symbols.gather(1, place))
        place = torch.where(length <= best.lengths[:, None], parents.gather(1, place), place)
    return torch.cat(found[::-1], dim=1)
