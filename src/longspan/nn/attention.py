"""Attention: a weighted mean of remembered rows, the weights found by what is asked."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from longspan.errors import ShapeError
from longspan.nn._recurrent import check_choice, check_positive

ATTENTIONS = ("dot", "additive")

_NUMBERS_AT_ONCE = 1 << 23
"""Numbers in which queries are compared with rows together; more are slower, and on long sequences fill the memory."""


class AttentionMemory(NamedTuple):
    """What is attended to: the rows of each sequence, and the keys that they are found by.

    Attributes
    ----------
    keys : Tensor, shape (B, S, size)
        Rows as they are compared with a query.
    values : Tensor, shape (B, S, memory_size)
        The rows themselves; zero beyond the end of a sequence.
    lengths : Tensor, int64, shape (B,)
        How many rows each sequence has.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor

    def select(self, index: Tensor) -> AttentionMemory:
        """Return the memories of the sequences `index`, which may name one several times."""
        return AttentionMemory(*(part.index_select(0, index) for part in self))


class Attention(nn.Module):
    """Look at the rows of a sequence, and take the mean of what is seen, weighted by how well it answers a query.

    With query q and rows m_j::

        score_j = (W_q q) . (W_k m_j) / sqrt(size)      kind "dot"
        score_j = v . tanh(W_q q + W_k m_j + b)         kind "additive"
        weight  = softmax_j(score_j)
        context = sum_j weight_j m_j

    With `location` a query also knows its place: two marks walk over the rows, one from the first row on and one from
    the last row back, by a learned number of rows a step. Rows far from a mark lose ``g log(1 + distance^2)``, where
    the query decides on ``g``, so that a mark may count for much or for nothing. Marks do not depend on how long the
    sequence is, and go on at the same pace beyond the lengths of training.

    Parameters
    ----------
    query_size, memory_size : int
        Features of a query, and of a row.
    kind : {"dot", "additive"}
        How a query is compared with a row.
    size : int, optional
        Features in which they are compared; `query_size` by default.
    location : bool
        Whether marks walk over the rows.
    origin : float
        The row, from the first and from the last one, at which the marks stand at step 0 before training.

    Raises
    ------
    ParameterError
        A size is below 1, or `kind` is unknown.

    References
    ----------
    Bahdanau, Cho & Bengio 2015 (additive scores); Luong, Pham & Manning 2015 (dot products, section 3.1; positions that
    advance with the steps, section 3.2); Graves 2013, "Generating sequences with recurrent neural networks", section
    5.1 (a window that slides by learned steps).

    Examples
    --------
    >>> from torch.nn.utils.rnn import pack_sequence
    >>> attention = Attention(4, 3)
    >>> memory = attention.remember(pack_sequence([torch.ones(5, 3), 2 * torch.ones(2, 3)]))
    >>> context, weights = attention(torch.zeros(2, 6, 4), memory)
    >>> context.shape, weights.shape, weights[1, 0].detach()
    (torch.Size([2, 6, 3]), torch.Size([2, 6, 5]), tensor([0.5000, 0.5000, 0.0000, 0.0000, 0.0000]))
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        kind: str = "dot",
        size: int | None = None,
        location: bool = False,
        origin: float = 0.0,
    ) -> None:
        super().__init__()
        size = query_size if size is None else size
        for name, value in (("query_size", query_size), ("memory_size", memory_size), ("size", size)):
            check_positive(name, value)
        check_choice("kind", kind, ATTENTIONS)
        self.kind = kind
        self.query_size = query_size
        self.memory_size = memory_size
        self.query = nn.Linear(query_size, size, bias=kind == "additive")
        self.key = nn.Linear(memory_size, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False) if kind == "additive" else None
        self.marks = _Marks(query_size, origin) if location else None

    def remember(self, rows: PackedSequence) -> AttentionMemory:
        """Prepare rows to be attended to, once for all queries.

        Parameters
        ----------
        rows : PackedSequence
            Rows of shape (sum S_b, memory_size).

        Returns
        -------
        AttentionMemory
            In the order in which the sequences were before they were packed.

        Raises
        ------
        ShapeError
            The rows have another number of features.
        """
        if rows.data.shape[-1] != self.memory_size:
            raise ShapeError(
                f"the memory has {rows.data.shape[-1]} features, but the attention takes {self.memory_size}.\n"
                f"  Its rows were read as (rows, features) = {tuple(rows.data.shape)}."
            )
        values, lengths = pad_packed_sequence(rows, batch_first=True)
        return AttentionMemory(self.key(values), values, lengths.to(values.device))

    def forward(self, query: Tensor, memory: AttentionMemory, steps: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Attend to `memory`, all queries at once.

        Parameters
        ----------
        query : Tensor, shape (B, T, query_size)
            T queries to each memory.
        memory : AttentionMemory
            What `remember` returned, of B sequences.
        steps : Tensor, shape (B, T), optional
            Number of each query's step, for `location`; 0 to T - 1 by default.

        Returns
        -------
        context : Tensor, shape (B, T, memory_size)
            What was seen.
        weights : Tensor, shape (B, T, S)
            Where it was seen; zero beyond the end of a sequence, and one in sum.

        Raises
        ------
        ShapeError
            The queries do not go with the memory.
        """
        if query.dim() != 3 or query.shape[0] != memory.keys.shape[0] or query.shape[-1] != self.query_size:
            raise ShapeError(
                f"the queries have shape {tuple(query.shape)}; expected (batch, queries, features) = "
                f"({memory.keys.shape[0]}, any, {self.query_size})."
            )
        if steps is None:
            steps = torch.arange(query.shape[1], device=query.device, dtype=query.dtype).expand(query.shape[:2])
        numbers_a_query = memory.keys.shape[:2].numel() * (1 if self.score is None else memory.keys.shape[2])
        at_once = max(1, _NUMBERS_AT_ONCE // numbers_a_query)
        if query.shape[1] <= at_once:
            return self._attend(query, steps, memory)
        # Some queries at a time, compared again for the gradients instead of being kept.
        parts = [
            checkpoint(self._attend, *part, memory, use_reentrant=False, preserve_rng_state=False)
            for part in zip(torch.split(query, at_once, dim=1), torch.split(steps, at_once, dim=1), strict=True)
        ]
        contexts, weights = zip(*parts, strict=True)
        return torch.cat(contexts, dim=1), torch.cat(weights, dim=1)

    def _attend(self, query: Tensor, steps: Tensor, memory: AttentionMemory) -> tuple[Tensor, Tensor]:
        scores = self._scores(query, memory.keys)
        if self.marks is not None:
            scores = scores + self.marks(query, steps, memory)
        beyond = torch.arange(memory.keys.shape[1], device=query.device) >= memory.lengths.unsqueeze(1)
        weights = scores.masked_fill(beyond.unsqueeze(1), -math.inf).softmax(dim=-1)
        return weights @ memory.values, weights

    def _scores(self, query: Tensor, keys: Tensor) -> Tensor:
        asked = self.query(query)
        if self.score is None:
            products: Tensor = asked @ keys.transpose(1, 2)
            return products / math.sqrt(keys.shape[-1])
        scores: Tensor = self.score(torch.tanh(asked.unsqueeze(2) + keys.unsqueeze(1))).squeeze(-1)
        return scores

    def extra_repr(self) -> str:
        """Sizes and kind."""
        return f"{self.query_size}, {self.memory_size}, kind={self.kind!r}"


class _Marks(nn.Module):
    """Two marks that walk over the rows: what a row loses by its distance from them, shape (B, T, S)."""

    def __init__(self, query_size: int, origin: float) -> None:
        super().__init__()
        self.origin = nn.Parameter(torch.full((2,), float(origin)))
        self.log_pace = nn.Parameter(torch.zeros(2))
        self.strength = nn.Linear(query_size, 2)

    def forward(self, query: Tensor, steps: Tensor, memory: AttentionMemory) -> Tensor:
        rows = torch.arange(memory.keys.shape[1], device=query.device, dtype=query.dtype)
        from_last = memory.lengths.unsqueeze(1) - 1 - rows  # (B, S)
        places = self.origin + self.log_pace.exp() * steps.unsqueeze(-1)  # (B, T, 2)
        strength = _softplus(self.strength(query))
        loss = strength[..., :1] * torch.log1p((places[..., :1] - rows).square())
        found: Tensor = -loss - strength[..., 1:] * torch.log1p((places[..., 1:] - from_last.unsqueeze(1)).square())
        return found


def _softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``; torch's own has other last bits at the end of a block of memory than within it."""
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))
