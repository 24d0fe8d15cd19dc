"""Attention: scores, contexts and marks against sums written out by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from longspan.errors import ParameterError, ShapeError
from longspan.nn import Attention, AttentionMemory

LENGTHS = [2, 5, 1, 4]
KINDS = pytest.mark.parametrize("kind", ["dot", "additive"])
PLACES = pytest.mark.parametrize("location", [False, True], ids=["content", "location"])


def sources(features: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, features, generator=generator, dtype=torch.float64) for length in LENGTHS]


def packed(rows: list[torch.Tensor]) -> PackedSequence:
    return pack_sequence(rows, enforce_sorted=False)


def attention(kind: str = "dot", *, location: bool = False) -> Attention:
    torch.manual_seed(0)
    return Attention(4, 3, kind=kind, size=6, location=location, origin=0.5).double()


def queries(steps: int = 3) -> torch.Tensor:
    return torch.randn(len(LENGTHS), steps, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def by_hand(module: Attention, query: torch.Tensor, rows: torch.Tensor, step: float) -> tuple[np.ndarray, np.ndarray]:
    """One query to one sequence, row by row."""
    asked = module.query(query)
    scores = []
    for place, row in enumerate(rows):
        key = module.key.weight @ row
        if module.kind == "dot":
            score = float(asked @ key) / math.sqrt(len(key))
        else:
            score = float(module.score.weight[0] @ torch.tanh(asked + key))
        if module.marks is not None:
            numbers = module.marks.strength(query)
            for mark, distance in enumerate((place, len(rows) - 1 - place)):
                at = float(module.marks.origin[mark]) + math.exp(float(module.marks.log_pace[mark])) * step
                strength = math.log(1 + math.exp(float(numbers[mark])))
                score -= strength * math.log(1 + (at - distance) ** 2)
        scores.append(score)
    weights = np.exp(np.array(scores) - max(scores))
    weights /= weights.sum()
    return weights @ rows.numpy(), weights


@KINDS
@PLACES
def test_contexts_and_weights_are_those_of_a_loop(kind: str, location: bool) -> None:
    module, rows, query = attention(kind, location=location), sources(), queries()
    with torch.no_grad():
        if location:
            module.marks.log_pace.copy_(torch.tensor([0.3, -0.2]))
            module.marks.origin.copy_(torch.tensor([0.5, -1.0]))
        context, weights = module(query, module.remember(packed(rows)))
        assert weights.shape == (4, 3, 5)
        for b, own in enumerate(rows):
            for t in range(3):
                expected, where = by_hand(module, query[b, t], own, t)
                np.testing.assert_allclose(context[b, t].numpy(), expected, atol=1e-12)
                np.testing.assert_allclose(weights[b, t, : len(own)].numpy(), where, atol=1e-12)
                assert not weights[b, t, len(own) :].any()


@KINDS
@PLACES
def test_gradients(kind: str, location: bool) -> None:
    module, query = attention(kind, location=location), queries().requires_grad_()
    rows = packed(sources())
    data = rows.data.clone().requires_grad_()

    def both(query: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, ...]:
        context, weights = module(query, module.remember(rows._replace(data=data)))
        return context, weights

    assert torch.autograd.gradcheck(both, (query, data))
    assert torch.autograd.gradcheck(
        lambda *_: module(query, module.remember(rows))[0], tuple(module.parameters()), atol=1e-6
    )


@KINDS
@PLACES
def test_queries_that_take_turns_see_what_they_see_together(
    kind: str, location: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, query, rows = attention(kind, location=location), queries(), packed(sources())

    def found() -> list[torch.Tensor]:
        seen = module(query, module.remember(rows))
        loss = (seen[0] ** 2).sum() + (seen[1] ** 3).sum()
        return [*seen, *torch.autograd.grad(loss, list(module.parameters()))]

    together = found()
    monkeypatch.setattr("longspan.nn.attention._NUMBERS_AT_ONCE", 1)
    for one, other in zip(found(), together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@KINDS
@PLACES
def test_a_sequence_is_seen_as_if_it_were_alone(kind: str, location: bool) -> None:
    module, rows, query = attention(kind, location=location), sources(), queries()
    together = module(query, module.remember(packed(rows)))[0]
    for b, own in enumerate(rows):
        alone = module(query[b : b + 1], module.remember(packed([own])))[0]
        torch.testing.assert_close(together[b], alone[0], rtol=0, atol=1e-13)


def test_steps_say_where_the_marks_are() -> None:
    module, memory, query = attention(location=True), None, queries()
    memory = module.remember(packed(sources()))
    whole = module(query, memory)[0]
    one_by_one = [module(query[:, t : t + 1], memory, torch.full((4, 1), float(t)))[0] for t in range(3)]
    torch.testing.assert_close(whole, torch.cat(one_by_one, dim=1))


def test_a_memory_can_be_told_to_hold_a_source_twice() -> None:
    module = attention()
    memory = module.remember(packed(sources()))
    twice = memory.select(torch.tensor([1, 1, 3]))
    assert isinstance(twice, AttentionMemory)
    assert twice.lengths.tolist() == [5, 5, 4]
    torch.testing.assert_close(twice.values[2], memory.values[3])


def test_an_untrained_strong_mark_copies_row_by_row() -> None:
    module = attention(location=True)
    with torch.no_grad():
        module.marks.origin.zero_()
        module.marks.strength.weight.zero_()
        module.marks.strength.bias.copy_(torch.tensor([60.0, -60.0]))
        rows = sources()[1]
        context, _ = module(queries(5)[:1], module.remember(packed([rows])))
        torch.testing.assert_close(context[0], rows)
        module.marks.strength.bias.copy_(torch.tensor([-60.0, 60.0]))
        context, _ = module(queries(5)[:1], module.remember(packed([rows])))
        torch.testing.assert_close(context[0], rows.flip(0))


def test_what_does_not_fit_is_named() -> None:
    module = attention()
    memory = module.remember(packed(sources()))
    with pytest.raises(ShapeError, match="has 2 features, but the attention takes 3"):
        module.remember(packed(sources(2)))
    with pytest.raises(ShapeError, match=r"shape \(4, 3, 5\); expected .* \(4, any, 4\)"):
        module(torch.zeros(4, 3, 5, dtype=torch.float64), memory)
    with pytest.raises(ShapeError, match=r"\(2, 3, 4\)"):
        module(queries()[:2], memory)
    with pytest.raises(ParameterError, match="kind is 'cosine'"):
        Attention(4, 3, kind="cosine")
    with pytest.raises(ParameterError, match="size is 0"):
        Attention(4, 3, size=0)
