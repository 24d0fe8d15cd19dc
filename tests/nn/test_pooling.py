"""Pooling against plain sums and maxima over each sequence alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from longspan import nn
from longspan.errors import ParameterError, ShapeError
from longspan.nn.pooling import sum_steps

KINDS = ["last", "mean", "max", "attention", "last+mean+max", "attention+mean"]
FEATURES = 4


def pool_alone(pooling: nn.Pooling, steps: Tensor) -> Tensor:
    """The definition, for one sequence (T, features)."""
    parts = []
    for kind in pooling.kind.split("+"):
        if kind == "last":
            half = FEATURES // 2 if pooling.bidirectional else FEATURES
            parts.append(torch.cat([steps[-1, :half], steps[0, half:]]))
        elif kind == "mean":
            parts.append(steps.mean(0))
        elif kind == "max":
            parts.append(steps.max(0).values)
        else:
            score = pooling.attention.score(pooling.attention.hidden(steps).tanh())
            parts.append((score.softmax(0) * steps).sum(0))
    return torch.cat(parts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@settings(max_examples=20)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_each_sequence_is_pooled_as_if_alone(kind: str, bidirectional: bool, lengths: list[int]) -> None:
    pooling = nn.Pooling(kind, FEATURES, bidirectional=bidirectional, dtype=torch.float64)
    parts = [torch.randn(length, FEATURES, dtype=torch.float64, requires_grad=True) for length in lengths]
    pooled = pooling(pack_sequence(parts, enforce_sorted=False))
    expected = torch.stack([pool_alone(pooling, part) for part in parts])
    assert pooled.shape == (len(lengths), pooling.output_size)
    torch.testing.assert_close(pooled, expected)
    weight = torch.linspace(-1, 1, pooled.numel(), dtype=torch.float64).view(pooled.shape)
    leaves = [*parts, *pooling.parameters()]
    found = torch.autograd.grad((weight * pooled).sum(), leaves)
    for one, other in zip(found, torch.autograd.grad((weight * expected).sum(), leaves), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_is_the_final_state(bidirectional: bool) -> None:
    lstm = nn.LSTM(3, FEATURES // (2 if bidirectional else 1), bidirectional=bidirectional)
    packed = pack_padded_sequence(torch.randn(5, 3, 3), torch.tensor([2, 5, 3]), enforce_sorted=False)
    output, (h_n, _) = lstm(packed)
    pooled = nn.Pooling("last", FEATURES, bidirectional=bidirectional)(output)
    assert torch.equal(pooled, h_n.transpose(0, 1).flatten(1))


def test_sorted_batches_keep_the_packed_order() -> None:
    parts = [torch.full((length, 1), float(length)) for length in (3, 2, 1)]
    assert nn.Pooling("mean", 1)(pack_sequence(parts)).flatten().tolist() == [3, 2, 1]


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_sum_has_the_same_bits_in_any_batch(lengths: list[int]) -> None:
    parts = [torch.randn(length, 3) for length in sorted(lengths, reverse=True)]
    packed = pack_sequence(parts)
    together = sum_steps(packed.data, packed.batch_sizes)
    for row, part in zip(together, parts, strict=True):
        alone = pack_sequence([part])
        assert torch.equal(sum_steps(alone.data, alone.batch_sizes)[0], row)


def test_gradcheck_of_the_sum() -> None:
    rows = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    sizes = torch.tensor([3, 2, 1])
    assert torch.autograd.gradcheck(lambda rows: sum_steps(rows, sizes), rows)
    assert torch.autograd.gradgradcheck(lambda rows: sum_steps(rows.exp(), sizes), rows)


def test_attention_bears_large_scores() -> None:
    pooling = nn.Pooling("attention", 2)
    with torch.no_grad():
        pooling.attention.score.weight.fill_(1e4)
    packed = pack_sequence([torch.randn(5, 2), torch.randn(2, 2)])
    assert pooling(packed).isfinite().all()


@pytest.mark.parametrize("kind", ["first", "last+", "mean+mean", ""])
def test_unknown_kinds(kind: str) -> None:
    with pytest.raises(ParameterError, match="joined by"):
        nn.Pooling(kind, 4)


def test_wrong_sizes() -> None:
    with pytest.raises(ParameterError, match="odd"):
        nn.Pooling("last", 3, bidirectional=True)
    with pytest.raises(ShapeError, match="3 features, but the pooling takes 4"):
        nn.Pooling("last", 4)(pack_sequence([torch.zeros(2, 3)]))
